"""The harness itself: it reads pages as meant, and it can fail."""

import os
from pathlib import Path

import pytest

from tests.docs.walkthrough import Run, WriteFile, first_missing, run, steps_of

PAGE = """
# A page

```yaml title="a/b.yaml"
key: 1
```

```yaml
not: a file
```

```console
$ cat a/b.yaml
key: 1

$ echo one \\
  two
one two
```

```console title="in a terminal of its own"
$ sleep 1
```
"""


def test_a_page_is_files_and_commands_in_order() -> None:
    assert steps_of(PAGE) == [
        WriteFile("a/b.yaml", "key: 1\n"),
        Run("cat a/b.yaml", ("key: 1",)),
        Run("echo one \\\n  two", ("one two",)),
        Run("sleep 1", (), keeps_running=True),
    ]


def test_what_a_command_prints_is_compared(tmp_path: Path) -> None:
    environment = {"PATH": os.defpath}
    assert run(Run("echo total 12.50 USD", ("total … USD",)), tmp_path, environment) == "total 12.50 USD\n"
    with pytest.raises(AssertionError, match="did not print"):
        run(Run("echo total 12.50 USD", ("total … EUR",)), tmp_path, environment)
    with pytest.raises(AssertionError, match="ended with 3"):
        run(Run("exit 3", ()), tmp_path, environment)


def test_lines_must_come_in_the_order_of_the_page() -> None:
    assert first_missing(("a", "b"), "a\nx\nb\n") is None
    assert first_missing(("b", "a"), "a\nx\nb\n") == "a"
    assert first_missing(("│ 1,200 │",), "│  1,200   │") is None

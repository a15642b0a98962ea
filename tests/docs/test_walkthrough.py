"""The harness itself: it reads pages as meant, and it can fail."""

import os
import signal
from pathlib import Path

import pytest

from tests.docs.walkthrough import Reader, Run, WriteFile, first_missing, steps_of

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


@pytest.fixture
def reader(tmp_path: Path) -> Reader:
    return Reader(tmp_path, {"PATH": os.defpath})


def test_what_a_command_prints_is_compared(reader: Reader) -> None:
    assert reader.follow(Run("echo total 12.50 USD", ("total … USD",))) == "total 12.50 USD\n"
    with pytest.raises(AssertionError, match="did not print"):
        reader.follow(Run("echo total 12.50 USD", ("total … EUR",)))
    with pytest.raises(AssertionError, match="ended with 3"):
        reader.follow(Run("exit 3", ()))


def test_files_are_written_and_exports_stay(reader: Reader) -> None:
    reader.follow(WriteFile("a/b.yaml", "key: 1\n"))
    reader.follow(Run("export NAME=$(cat a/b.yaml)", ()))
    assert reader.follow(Run('echo "$NAME"', ("key: 1",))) == "key: 1\n"


def test_a_program_keeps_running_until_the_reader_leaves(reader: Reader) -> None:
    reader.follow(Run("sleep 60", (), keeps_running=True))
    assert reader.programs[0].poll() is None
    assert reader.leave() == [-signal.SIGINT]


def test_lines_must_come_in_the_order_of_the_page() -> None:
    assert first_missing(("a", "b"), "a\nx\nb\n") is None
    assert first_missing(("b", "a"), "a\nx\nb\n") == "a"
    assert first_missing(("│ 1,200 │",), "│  1,200   │") is None

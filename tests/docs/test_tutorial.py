"""The first-invoice tutorial, followed to the letter against a real server."""

import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import httpx
import pytest

from tests.docs.walkthrough import Reader, Run, WriteFile, steps_of
from valorem.cli.importing.mapping import parse_map
from valorem.core.catalog.tree import parse_catalog

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial" / "first-invoice.md"
START_TIMEOUT_S = 60


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def reader(tmp_path: Path, port: int) -> Iterator[Reader]:
    """Somebody in an empty folder whose server has a port of its own."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "VALOREM_PORT": str(port),
        "VALOREM_URL": f"http://127.0.0.1:{port}",
        "COLUMNS": "200",
    }
    someone = Reader(tmp_path, environment)
    yield someone
    someone.leave()


def wait_until_ready(reader: Reader, url: str) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and reader.programs[-1].poll() is None:
        try:
            if httpx.get(f"{url}/v1/ready").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"the server did not start:\n{(reader.folder / 'programs.log').read_text()}")


@pytest.mark.slow
def test_the_tutorial_runs_as_it_is_written(
    reader: Reader, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = steps_of(PAGE.read_text(encoding="utf-8"))
    assert any(isinstance(step, Run) and step.keeps_running for step in steps)
    for step in steps:
        reader.follow(step, lambda: wait_until_ready(reader, f"http://127.0.0.1:{port}"))
    readme_example_runs(f"http://127.0.0.1:{port}", reader.environment["VALOREM_API_KEY"], capsys)
    assert reader.leave() == [130], "Ctrl-C stops the server cleanly, and says that it was interrupted"


def readme_example_runs(url: str, key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The README's example, with the tutorial's customer: the last thing it prints is the invoice's total so far."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    program = blocks[0].replace("http://127.0.0.1:8080", url).replace("vl_test_…", key)
    exec(compile(program, "README.md", "exec"), {})
    assert Decimal(capsys.readouterr().out.split()[-1]) == 20


def test_the_tutorials_catalog_is_right() -> None:
    steps = steps_of(PAGE.read_text(encoding="utf-8"))
    files = [step for step in steps if isinstance(step, WriteFile) and step.path.startswith("catalog/")]
    catalog = parse_catalog({step.path.removeprefix("catalog/"): step.text for step in files})
    assert list(catalog.plans) == ["starter"]


def test_the_import_map_is_right() -> None:
    [step] = [
        step
        for step in steps_of((ROOT / "docs" / "how-to" / "import-events.md").read_text(encoding="utf-8"))
        if isinstance(step, WriteFile)
    ]
    columns = parse_map(step.path, step.text).columns()
    assert columns == {"account", "finished_at", "request_id", "model", "total_tokens", "status"}

"""The first-invoice tutorial, followed to the letter against a real server."""

import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.docs.walkthrough import Reader, Run, WriteFile, steps_of
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


def test_the_tutorial_runs_as_it_is_written(reader: Reader, port: int) -> None:
    steps = steps_of(PAGE.read_text(encoding="utf-8"))
    assert any(isinstance(step, Run) and step.keeps_running for step in steps)
    for step in steps:
        reader.follow(step, lambda: wait_until_ready(reader, f"http://127.0.0.1:{port}"))
    assert reader.leave() == [0]


def test_the_tutorials_catalog_is_right() -> None:
    steps = steps_of(PAGE.read_text(encoding="utf-8"))
    files = [step for step in steps if isinstance(step, WriteFile) and step.path.startswith("catalog/")]
    catalog = parse_catalog({step.path.removeprefix("catalog/"): step.text for step in files})
    assert list(catalog.plans) == ["starter"]

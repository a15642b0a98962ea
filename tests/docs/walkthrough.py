"""Runs a page of the documentation the way a reader would.

A fenced block with a title is a file (```` ```yaml title="catalog/plans/team.yaml" ````). A ``console`` block holds commands
after ``$`` and, below each, what it must print: every line, in order, where ``…`` stands for anything. A ``console`` block
titled ``in a terminal of its own`` starts a program that keeps running.
"""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(
    r'^```(?P<language>\w+)(?: title="(?P<title>[^"]+)")?\n(?P<text>.*?)^```$', re.MULTILINE | re.DOTALL
)
OWN_TERMINAL = "in a terminal of its own"
COMMAND_TIMEOUT_S = 120


@dataclass(frozen=True)
class WriteFile:
    path: str
    text: str


@dataclass(frozen=True)
class Run:
    command: str
    expected: tuple[str, ...]
    keeps_running: bool = False


def steps_of(page: str) -> list[WriteFile | Run]:
    """The files and commands of a page, in order."""
    steps: list[WriteFile | Run] = []
    for block in FENCE.finditer(page):
        title = block["title"]
        if block["language"] == "console":
            steps += _commands(block["text"], keeps_running=title == OWN_TERMINAL)
        elif title:
            steps.append(WriteFile(title, block["text"]))
    return steps


def _commands(text: str, *, keeps_running: bool) -> list[Run]:
    found: list[tuple[list[str], list[str]]] = []
    for line in text.splitlines():
        if line.startswith("$ "):
            found.append(([line[2:]], []))
        elif found and not found[-1][1] and found[-1][0][-1].endswith("\\"):
            found[-1][0].append(line)
        elif found:
            found[-1][1].append(line)
        else:
            raise ValueError(f"a console block begins with a command after '$ ', not with {line!r}")
    return [
        Run("\n".join(command), tuple(line for line in output if line.strip()), keeps_running)
        for command, output in found
    ]


def run(step: Run, folder: Path, environment: Mapping[str, str]) -> str:
    """Run one command in bash and compare what it printed.

    Raises:
        AssertionError: It failed, or printed something else than the page says.
    """
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", step.command],
        check=False,
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
    )
    assert done.returncode == 0, f"$ {step.command}\nended with {done.returncode}:\n{done.stdout}"
    missing = first_missing(step.expected, done.stdout)
    assert missing is None, f"$ {step.command}\ndid not print\n{missing}\nbut\n{done.stdout}"
    return done.stdout


def first_missing(expected: tuple[str, ...], printed: str) -> str | None:
    """The first expected line that is not printed after the ones before it."""
    lines = iter(printed.splitlines())
    for wanted in expected:
        pattern = ".*".join(re.escape(" ".join(part.split())) for part in wanted.split("…"))
        if not any(re.search(pattern, " ".join(line.split())) for line in lines):
            return wanted
    return None

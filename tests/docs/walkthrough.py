"""Runs a page of the documentation the way a reader would.

A fenced block with a title is a file (```` ```yaml title="catalog/plans/team.yaml" ````). A ``console`` block holds commands
after ``$`` and, below each, what it must print: every line, in order, where ``…`` stands for anything. A ``console`` block
titled ``in a terminal of its own`` starts a program that keeps running.
"""

import re
import signal
import subprocess
from collections.abc import Callable, Mapping
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


class Reader:
    """Somebody who follows a page in a folder: writes its files, runs its commands; what is exported stays exported."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = dict(environment)
        self.programs: list[subprocess.Popen[str]] = []

    def follow(self, step: WriteFile | Run, until: Callable[[], None] = lambda: None) -> str:
        """Do one step.

        Args:
            step: What the page says next.
            until: Waits for a program that keeps running.

        Returns:
            What a command printed.

        Raises:
            AssertionError: It failed, or printed something else than the page says.
        """
        if isinstance(step, WriteFile):
            path = self.folder / step.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(step.text)
            return ""
        if step.keeps_running:
            self.programs.append(self._program(step.command))
            until()
            return ""
        return self._run(step)

    def leave(self) -> list[int]:
        """Stop the programs that keep running, the way Ctrl-C does; their exit codes."""
        for program in self.programs:
            program.send_signal(signal.SIGINT)
        try:
            return [program.wait(30) for program in self.programs]
        finally:
            for program in self.programs:
                program.kill()

    def _program(self, command: str) -> subprocess.Popen[str]:
        with (self.folder / "programs.log").open("a") as output:
            return subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                text=True,
            )

    def _run(self, step: Run) -> str:
        left = self.folder / ".environment"
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f"{step.command}\nenv -0 > {left}"],
            check=False,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
        )
        assert done.returncode == 0, f"$ {step.command}\nended with {done.returncode}:\n{done.stdout}"
        missing = first_missing(step.expected, done.stdout)
        assert missing is None, f"$ {step.command}\ndid not print\n{missing}\nbut\n{done.stdout}"
        variables = (entry.partition("=") for entry in left.read_text().split("\0") if entry)
        self.environment = {name: value for name, _, value in variables}
        return done.stdout


def first_missing(expected: tuple[str, ...], printed: str) -> str | None:
    """The first expected line that is not printed after the ones before it."""
    lines = iter(printed.splitlines())
    for wanted in expected:
        pattern = ".*".join(re.escape(" ".join(part.split())) for part in wanted.split("…"))
        if not any(re.search(pattern, " ".join(line.split())) for line in lines):
            return wanted
    return None

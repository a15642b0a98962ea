"""Processes that begin with the whole program imported: a test with fifty of them pays for what they do alone."""

import multiprocessing
import os
import sys
from collections.abc import Mapping, Sequence
from multiprocessing.context import ForkServerContext
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import TemporaryDirectory

from valorem.app import main

COMMAND_WITHIN_S = 120


def preloaded() -> ForkServerContext:
    """Where such processes are forked from; one for the whole session."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.preloaded"])
    return context


def command(
    arguments: Sequence[str], environment: Mapping[str, str], given: str = ""
) -> "CompletedProcess[str]":
    """Run ``valorem`` with some arguments in a process of its own, as a shell with pipes would.

    Args:
        arguments: After the program's name.
        environment: All of it.
        given: On standard input.
    """
    with TemporaryDirectory(prefix="valorem-command-") as folder:
        told = Path(folder)
        (told / "in").write_text(given, encoding="utf-8")
        process = preloaded().Process(target=_command, args=(list(arguments), dict(environment), told))
        process.start()
        process.join(COMMAND_WITHIN_S)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise TimeoutError(f"valorem {' '.join(arguments)} went on for {COMMAND_WITHIN_S} s")
        answer = CompletedProcess(
            ["valorem", *arguments],
            process.exitcode,
            (told / "out").read_text(encoding="utf-8"),
            (told / "err").read_text(encoding="utf-8"),
        )
        process.close()
        return answer


def _command(arguments: list[str], environment: Mapping[str, str], told: Path) -> None:
    os.environ.clear()
    os.environ.update(environment)
    for number, (name, flags) in enumerate(
        (("in", os.O_RDONLY), ("out", os.O_WRONLY | os.O_CREAT), ("err", os.O_WRONLY | os.O_CREAT))
    ):
        file = os.open(told / name, flags, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115 - for as long as it lives
        for number, mode in ((0, "r"), (1, "w"), (2, "w"))
    )
    sys.argv = ["valorem", *arguments]
    main()

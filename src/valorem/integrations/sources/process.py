"""Starts the process that reads a source, and hands its pages on as they come."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from valorem.core.sources.frames import ReadFile, ReadPage, ReadRequest, SourceUnreachableError, WriteRequest
from valorem.integrations.sources.exact import decode, encode
from valorem.integrations.sources.reading import Bounds
from valorem.integrations.sources.writing import write_back

MOST_S = 1800.0
_STOP_S = 5.0
_KEPT = 2000


class SubprocessReader:
    """Reads each source in a process of its own.

    Args:
        bounds: What it may do.
        most_s: For one reading; one that takes longer is ended, and the next goes on from its last page.
    """

    def __init__(self, bounds: Bounds | None = None, *, most_s: float = MOST_S) -> None:
        self._bounds = bounds or Bounds()
        self._most_s = most_s

    def read(self, request: ReadRequest, now: datetime) -> Iterator[ReadPage]:
        """Read until the end; closing the iterator early ends the process.

        Raises:
            SourceUnreachableError: If it cannot go on, or the process died.
        """
        process = subprocess.Popen(
            [sys.executable, "-m", "valorem.integrations.sources.child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_environment(),
        )
        assert process.stdin is not None
        assert process.stdout is not None
        timer = threading.Timer(self._most_s, process.kill)
        errors = _Tail(process)
        timer.start()
        try:
            process.stdin.write(encode(self._asked(request, now)) + b"\n")
            process.stdin.close()
            ended = False
            for line in process.stdout:
                frame = decode(line)
                if "error" in frame:
                    raise SourceUnreachableError(**_said(frame["error"]))
                if frame.get("end"):
                    ended = True
                    break
                yield _page(frame)
            if not ended:
                process.wait(_STOP_S)
                raise SourceUnreachableError(
                    f"the process that reads ended by itself (exit code {process.returncode})",
                    hint=errors.last() or "it took too long, or the machine ran out of memory",
                )
        except BrokenPipeError:
            raise SourceUnreachableError("the process that reads did not start", hint=errors.last()) from None
        finally:
            timer.cancel()
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(_STOP_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            errors.close()
            process.stdout.close()

    def write(self, request: WriteRequest) -> None:
        """Write one result back.

        Raises:
            SourceUnreachableError: If it was not taken.
        """
        write_back(request, self._bounds)

    def _asked(self, request: ReadRequest, now: datetime) -> dict[str, Any]:
        bounds = self._bounds
        return {
            "definition": request.definition.model_dump(mode="json", by_alias=True),
            "secrets": request.secrets,
            "cursor": request.cursor,
            "everything": request.everything,
            "known_files": request.known_files,
            "most_records": request.most_records,
            "loopback": bounds.loopback,
            "local": None if bounds.local is None else str(bounds.local),
            "attempts": bounds.attempts,
            "pause_s": str(bounds.pause_s),
            "now": now.isoformat(),
        }


class _Tail:
    """Reads away what a process says on its error output, and remembers the end of it."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stderr is not None
        self._stream = process.stderr
        self._kept = b""
        self._thread = threading.Thread(target=self._run, name="valorem-source-errors", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        for line in self._stream:
            self._kept = (self._kept + line)[-_KEPT:]

    def last(self) -> str | None:
        """The last line that was said."""
        self._thread.join(1)
        lines = self._kept.decode("utf-8", "replace").strip().splitlines()
        return lines[-1][:300] if lines else None

    def close(self) -> None:
        """End."""
        self._thread.join(1)
        self._stream.close()


def _page(frame: dict[str, Any]) -> ReadPage:
    file = frame["file"]
    return ReadPage(
        tuple(frame["records"]),
        frame["cursor"],
        None if file is None else ReadFile(file["name"], file["digest"], file["rows"]),
        frame["done"],
        frame["refused"],
    )


def _said(error: dict[str, Any]) -> dict[str, Any]:
    return {name: error[name] for name in ("message", "hint", "retry_after_s", "lasting")}


def _environment() -> dict[str, str]:
    """What the process needs of ours; no key or address of this server's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("VALOREM_")}
    return {**kept, "RUNTIME__DLTHUB_TELEMETRY": "false", "PYTHONUNBUFFERED": "1"}

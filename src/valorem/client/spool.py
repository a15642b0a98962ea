"""Where tracked events wait until the server has them: in memory, or in files that outlive the process.

The spool is a folder of append-only segments, one line an event. A line is handed to the operating system before
``append`` returns, so a killed process loses nothing; it is forced to disk by ``sync``, which the tracker calls every
flush interval, so a power cut loses at most that interval. Segments of processes that ended are adopted by the next one
that opens the folder; several live processes may share a folder where the system has file locks.
"""

import os
import sys
import time
from collections import deque
from pathlib import Path
from typing import Protocol

from valorem.client.errors import SpoolError

_READ_BYTES = 1024 * 1024


class Waiting(Protocol):
    """Events that wait, oldest first; ``peek`` and ``drop`` work on the front, ``append`` on the back."""

    def append(self, line: bytes) -> None:
        """Take one event, given as a line without its end.

        Raises:
            SpoolError: If there is no room, or the disk refuses.
        """
        ...

    def peek(self, most: int) -> list[bytes]:
        """The oldest events, at most so many; they stay until dropped."""
        ...

    def drop(self, count: int) -> None:
        """Let go of the oldest events."""
        ...

    def count(self) -> int:
        """How many wait."""
        ...

    def sync(self) -> None:
        """Force what was appended to disk, where there is one."""
        ...

    def close(self) -> None:
        """Let go of files; what waits in them stays."""
        ...


class Memory:
    """Events in memory, at most so many."""

    def __init__(self, most: int) -> None:
        self._lines: deque[bytes] = deque()
        self._most = most

    def append(self, line: bytes) -> None:
        """Take one event."""
        if len(self._lines) >= self._most:
            raise SpoolError(
                f"{self._most} events wait for the server already; give the client a spool folder, or slow down"
            )
        self._lines.append(line)

    def peek(self, most: int) -> list[bytes]:
        """The oldest events."""
        return [self._lines[place] for place in range(min(most, len(self._lines)))]

    def drop(self, count: int) -> None:
        """Let go of the oldest events."""
        for _ in range(count):
            self._lines.popleft()

    def count(self) -> int:
        """How many wait."""
        return len(self._lines)

    def sync(self) -> None:
        """There is no disk."""

    def close(self) -> None:
        """There is nothing to let go of."""


class Spool:
    """Events in a folder.

    Args:
        folder: Made if missing.
        most_bytes: On disk in all, of this process.
        segment_bytes: Size at which a new segment is begun.

    Raises:
        SpoolError: If the folder cannot be used.
    """

    def __init__(self, folder: Path, *, most_bytes: int, segment_bytes: int) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._segment_bytes = segment_bytes
        self._segments: deque[_Segment] = deque()
        self._unsynced = False
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for path in sorted(folder.glob("*.ndjson")):
                if (left := _Segment.adopted(path)) is not None:
                    self._segments.append(left)
            self._segments.append(_Segment.begun(folder))
        except OSError as error:
            raise SpoolError(f"the spool {folder} cannot be used: {error}") from error
        self._count = sum(segment.waiting for segment in self._segments)
        self._bytes = sum(segment.size for segment in self._segments)

    def append(self, line: bytes) -> None:
        """Take one event."""
        if self._bytes + len(line) + 1 > self._most_bytes:
            raise SpoolError(f"the spool {self._folder} holds its {self._most_bytes} bytes already")
        try:
            if self._segments[-1].size >= self._segment_bytes:
                self._segments[-1].sync()
                self._segments.append(_Segment.begun(self._folder))
            self._segments[-1].append(line + b"\n")
        except OSError as error:
            raise SpoolError(f"the spool {self._folder} cannot be written: {error}") from error
        self._bytes += len(line) + 1
        self._count += 1
        self._unsynced = True

    def peek(self, most: int) -> list[bytes]:
        """The oldest events, of one segment."""
        for segment in self._segments:
            if segment.waiting:
                return segment.peek(most)
        return []

    def drop(self, count: int) -> None:
        """Let go of the oldest events, and of segments without any left."""
        next(segment for segment in self._segments if segment.waiting).drop(count)
        self._count -= count
        while len(self._segments) > 1 and not self._segments[0].waiting:
            finished = self._segments.popleft()
            self._bytes -= finished.size
            finished.remove()
        if self._count == 0:
            self._bytes = 0
            self._segments[-1].empty()

    def count(self) -> int:
        """How many wait."""
        return self._count

    def sync(self) -> None:
        """Force what was appended to disk."""
        if self._unsynced:
            self._unsynced = False
            self._segments[-1].sync()

    def close(self) -> None:
        """Let go of the files; a segment without events is removed."""
        for segment in self._segments:
            if segment.waiting:
                segment.sync()
                segment.close()
            else:
                segment.remove()
        self._segments.clear()


class _Segment:
    """One file of lines. ``waiting`` lines from ``offset`` on are not with the server yet."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self.waiting = 0
        self.size = 0
        self._file = file
        self._offset = 0
        self._peeked: list[bytes] = []

    @classmethod
    def begun(cls, folder: Path) -> "_Segment":
        path = folder / f"{time.time_ns():020d}-{os.getpid()}.ndjson"
        file = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o600
        )
        _lock(file)
        return cls(path, file)

    @classmethod
    def adopted(cls, path: Path) -> "_Segment | None":
        """A segment that an ended process left, or None while a living one has it."""
        file = os.open(path, os.O_RDWR | os.O_APPEND | getattr(os, "O_BINARY", 0))
        if not _lock(file):
            os.close(file)
            return None
        segment = cls(path, file)
        while piece := os.pread(file, _READ_BYTES, segment.size):
            segment.waiting += piece.count(b"\n")
            segment.size += len(piece)
        return segment

    def append(self, line: bytes) -> None:
        written = os.write(self._file, line)
        if written != len(
            line
        ):  # the disk is full: take back the half line, so that the next one stands alone
            os.ftruncate(self._file, self.size)
            raise OSError(f"only {written} of {len(line)} bytes were written")
        self.size += written
        self.waiting += 1

    def peek(self, most: int) -> list[bytes]:
        if not self._peeked:
            text, place = b"", self._offset
            while text.count(b"\n") < min(most, self.waiting):
                piece = os.pread(self._file, _READ_BYTES, place)
                if not piece:
                    break
                text, place = text + piece, place + len(piece)
            self._peeked = text.split(b"\n")[:-1]  # what follows the last line's end was never taken whole
        return self._peeked[:most]

    def drop(self, count: int) -> None:
        self._offset += sum(len(line) + 1 for line in self._peeked[:count])
        self._peeked = self._peeked[count:]
        self.waiting -= count

    def empty(self) -> None:
        os.ftruncate(self._file, 0)
        self.size = self._offset = 0
        self._peeked = []

    def sync(self) -> None:
        os.fsync(self._file)

    def close(self) -> None:
        os.close(self._file)

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._file)


if sys.platform == "win32":

    def _lock(_file: int) -> bool:
        """Without file locks every live process needs a spool folder of its own."""
        return True

else:
    import fcntl

    def _lock(file: int) -> bool:
        """Take a segment for this process; False while another living one has it."""
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

"""The lock of a data folder: one program at a time."""

import contextlib
import fcntl
import os
from pathlib import Path
from typing import ClassVar

from valorem.core.errors import ConflictError, UnprocessableError

NAME = "valorem.lock"


class DataFolderInUseError(ConflictError):
    """Another living process has the data folder.

    Attributes:
        pid: Its process id, where it could be read.
    """

    code: ClassVar[str] = "data_folder_in_use"

    def __init__(self, folder: Path, pid: int | None) -> None:
        who = f"process {pid}" if pid else "another process"
        super().__init__(
            f"the data folder {folder} is in use by {who}",
            field="VALOREM_DATA",
            hint="stop that one first, or start this one with another data folder",
        )
        self.pid = pid


class FolderLock:
    """An advisory lock that the kernel releases when its holder ends, however it ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file: int | None = None

    def take(self) -> None:
        """Take the lock, creating the folder if missing, and write our process id into it.

        Raises:
            DataFolderInUseError: Somebody else has it.
            UnprocessableError: The folder cannot be made or written to.
        """
        try:
            file = self._open()
        except OSError as error:
            raise UnprocessableError(
                f"cannot use {self._folder} as the data folder: {error.strerror}",
                field="VALOREM_DATA",
                hint="name a folder that this account may write to",
            ) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(file, 20, 0).decode(errors="replace").strip()
            os.close(file)
            raise DataFolderInUseError(self._folder, int(text) if text.isdigit() else None) from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file

    def _open(self) -> int:
        # Others may not look inside; when we are root, the server's own account must be able to pass through.
        self._folder.mkdir(mode=0o711 if os.geteuid() == 0 else 0o700, parents=True, exist_ok=True)
        return os.open(self._folder / NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def release(self) -> None:
        """Give the lock back; the file stays, because removing it would let two processes lock two files."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None

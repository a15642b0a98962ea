"""The warehouse's folder: Parquet files, and the manifest that says which of them count.

A file counts from the moment the manifest that names it takes the place of the one before. So a crash between any two
steps leaves the old state, and whatever a broken run left behind is overwritten or swept by the next one.
"""

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from urllib.parse import quote

from valorem.core.ids import identity
from valorem.store.warehouse.rows import Stream

MANIFEST = "manifest.json"
_WAITING = ".new"


@dataclass(frozen=True, slots=True)
class DataFile:
    """One Parquet file that counts.

    Attributes:
        path: Relative to the workspace's folder.
        stream: What is in it.
        type: The event type, for the stream ``events``.
        month: ``2026-03``; empty for the stream ``corrections``.
        part: Part group of its rows.
        first: Least sequence of the range it was exported in.
        last: Greatest.
        rows: How many rows.
        size: In bytes.
    """

    path: str
    stream: Stream
    type: str
    month: str
    part: int
    first: int
    last: int
    rows: int
    size: int

    @property
    def partition(self) -> tuple[Stream, str, str, int]:
        """Files of one partition can be merged into one."""
        return (self.stream, self.type, self.month, self.part)


def partition_folder(stream: Stream, event_type: str, month: str) -> str:
    """Where the files of one stream, month and type lie.

    A type is any text of up to 255 bytes: it is shown as far as a folder's name can, and told apart by its hash.
    """
    if stream == "corrections":
        return "corrections"
    if stream == "events":
        shown = quote(event_type, safe="")[:80]
        return f"events/month={month}/type={shown}.{identity(event_type)[:4].hex()}"
    return f"readings/revision={stream}/month={month}"


def file_name(part: int, first: int, last: int) -> str:
    """A file's name says its range, so that a repeat writes the same file again."""
    return f"part{part:03}-{first:012}-{last:012}.parquet"


@dataclass(frozen=True)
class Manifest:
    """Which files count, and how far each stream is complete.

    Attributes:
        covered: Stream, as text, to part group, as text, to the last sequence that is in the files.
        files: The files that count.
        retired: Files merged into others; they stay for one more export, for readers that still have them open.
    """

    covered: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    files: tuple[DataFile, ...] = ()
    retired: tuple[str, ...] = ()

    def covered_of(self, stream: Stream) -> dict[int, int]:
        """For each part group the last sequence up to which a stream is complete."""
        return {int(part): seq for part, seq in self.covered.get(str(stream), {}).items()}

    def with_covered(self, streams: Iterable[Stream], part: int, last: int) -> "Manifest":
        """The manifest with streams complete up to a sequence."""
        covered = {stream: dict(parts) for stream, parts in self.covered.items()}
        for stream in streams:
            parts = covered.setdefault(str(stream), {})
            parts[str(part)] = max(last, parts.get(str(part), 0))
        return replace(self, covered=covered)

    def with_files(self, added: Iterable[DataFile], removed: Iterable[DataFile] = ()) -> "Manifest":
        """The manifest with files added, or put in the place of others."""
        gone = {file.path for file in removed}
        kept = {file.path: file for file in self.files if file.path not in gone}
        kept |= {file.path: file for file in added}
        return replace(
            self, files=tuple(kept[path] for path in sorted(kept)), retired=tuple(sorted(gone - set(kept)))
        )


class Folder:
    """One workspace's folder.

    Args:
        root: The warehouse's folder.
        workspace: The workspace's id.
    """

    def __init__(self, root: Path, workspace: int) -> None:
        self.path = root / f"workspace={workspace}"

    def manifest(self) -> Manifest:
        """The files that count now; none where nothing was exported yet."""
        try:
            text = (self.path / MANIFEST).read_text(encoding="utf-8")
        except FileNotFoundError:
            return Manifest()
        read = json.loads(text)
        return Manifest(
            read["covered"], tuple(DataFile(**file) for file in read["files"]), tuple(read["retired"])
        )

    def commit(self, manifest: Manifest) -> None:
        """Let a manifest take the place of the one before. Its files must be there, safely."""
        text = json.dumps(asdict(manifest), separators=(",", ":"))
        waiting = self.path / (MANIFEST + _WAITING)
        self.path.mkdir(parents=True, exist_ok=True)
        with waiting.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        waiting.replace(self.path / MANIFEST)
        sync_folder(self.path)

    def sweep(self, manifest: Manifest) -> int:
        """Delete files that do not count and did not before the last commit either; returns how many."""
        keep = {file.path for file in manifest.files} | {*manifest.retired, MANIFEST}
        swept = 0
        for path in sorted(self.path.rglob("*")):
            if path.is_file() and path.relative_to(self.path).as_posix() not in keep:
                path.unlink()
                swept += 1
        return swept

    def place(self, waiting: Path, final: Path) -> None:
        """Give a finished file its name, so that it is there in full or not at all."""
        descriptor = os.open(waiting, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        waiting.replace(final)
        sync_folder(final.parent)

    def waiting_path(self, final: Path) -> Path:
        """Where a file is written before it gets its name."""
        final.parent.mkdir(parents=True, exist_ok=True)
        waiting = final.with_name(final.name + _WAITING)
        with suppress(FileNotFoundError):
            waiting.unlink()
        return waiting


def sync_folder(path: Path) -> None:
    """Make a new name in a folder survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What is said between the engine and whoever reads another system: one request, then pages until the end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from valorem.core.errors import ValoremError
from valorem.core.sources.definition import SourceDefinition


class SourceUnreachableError(ValoremError):
    """Another system could not be read; what was read before stays.

    Attributes:
        retry_after_s: When it asked to be asked again; None where it did not say.
        lasting: Whether trying again is pointless until somebody changes something.
    """

    code = "source_unreachable"
    status = 502

    def __init__(
        self,
        message: str,
        *,
        hint: str | None = None,
        retry_after_s: int | None = None,
        lasting: bool = False,
    ) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_s = retry_after_s
        self.lasting = lasting


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What is to be read.

    Attributes:
        definition: The source.
        secrets: By name, opened.
        cursor: Where the last reading ended, as it said itself; empty at first.
        everything: Read all there is, whatever the cursor says, to find what is gone.
        known_files: For files: name to checksum of those taken before.
        most_records: Stop after so many; None for all.
    """

    definition: SourceDefinition
    secrets: Mapping[str, str]
    cursor: Mapping[str, Any] = field(default_factory=dict)
    everything: bool = False
    known_files: Mapping[str, str] = field(default_factory=dict)
    most_records: int | None = None


@dataclass(frozen=True, slots=True)
class ReadFile:
    """A file that was read whole and is what its manifest says.

    Attributes:
        name: Its name in the folder.
        digest: SHA-256 (hex).
        rows: How many records it holds.
    """

    name: str
    digest: str
    rows: int


@dataclass(frozen=True, slots=True)
class ReadPage:
    """Some records and where to go on after them.

    Attributes:
        records: As decoded: integers, decimals and text, no float.
        cursor: Where the next reading goes on once these are kept; None keeps the one before.
        file: The file these are all the records of.
        done: Whether everything there was has been read.
        refused: Files that are not what their manifest says, with the reason.
    """

    records: tuple[Mapping[str, Any], ...]
    cursor: Mapping[str, Any] | None = None
    file: ReadFile | None = None
    done: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WriteRequest:
    """What is to be written back.

    Attributes:
        definition: The source.
        secrets: By name, opened.
        method: Of the request.
        path: Below the source's address, with the names of words in braces.
        words: What stands for them; ``id`` names the write for ever.
        body: Sent as JSON.
    """

    definition: SourceDefinition
    secrets: Mapping[str, str]
    method: str
    path: str
    words: Mapping[str, str]
    body: Any


class SourceReader(Protocol):
    """Reads other systems, and writes back to them, outside of any transaction."""

    def read(self, request: ReadRequest, now: datetime) -> Iterator[ReadPage]:
        """Read until the end; closing the iterator early stops it.

        Raises:
            SourceUnreachableError: If it cannot go on.
        """
        ...

    def write(self, request: WriteRequest) -> None:
        """Write one result back; a repeat carries the same id.

        Raises:
            SourceUnreachableError: If it was not taken.
        """
        ...

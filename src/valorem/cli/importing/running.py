"""The import itself: read, shape, send, remember; as often as it takes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from valorem.cli.importing.mapping import ImportMap
from valorem.cli.importing.progress import Progress, RefusedRows, load_progress, save_progress
from valorem.cli.importing.reading import Row, Table
from valorem.cli.importing.shaping import Refused, Shaper
from valorem.core.errors import InvalidInputError

BATCH = 1000


class Outcome(Protocol):
    """What the server says about one event of a batch."""

    @property
    def status(self) -> str:
        """``accepted``, ``duplicate``, ``conflict`` or ``rejected``."""

    @property
    def field(self) -> str | None:
        """What of the event was wrong."""

    @property
    def reason(self) -> str | None:
        """Why."""


class Sink(Protocol):
    """Where events go: the client over HTTP, or a list in a test."""

    def send(self, events: Sequence[Mapping[str, Any]]) -> Sequence[Outcome]:
        """Send a batch and return one outcome an event, in order."""


@dataclass(frozen=True)
class ImportReport:
    """What an import did in all its runs together.

    Attributes:
        progress: Rows by what became of them.
        refused_path: The file of refused rows, where there are any.
    """

    progress: Progress
    refused_path: Path | None


def check_columns(table: Table, mapping: ImportMap) -> None:
    """See that the file has what the map reads.

    Raises:
        InvalidInputError: Naming the columns that are not there, and those that are.
    """
    if table.columns is None:
        return
    missing = sorted(
        name
        for name in mapping.columns()
        if name.split(".")[0] not in table.columns and name not in table.columns
    )
    if missing:
        raise InvalidInputError(
            f"{table.path.name} has no column {', '.join(missing)}",
            field="--map",
            hint=f"it has {', '.join(table.columns)}",
        )


def import_table(
    table: Table, mapping: ImportMap, sink: Sink, *, on_progress: Callable[[Progress], None] = lambda _: None
) -> ImportReport:
    """Send every row that is an event, going on where an earlier run stopped.

    Progress is saved after the server's answer, so a run that dies in between sends one batch again, and the server
    knows those ids: nothing is counted twice and nothing is left out.

    Raises:
        InvalidInputError: If the map does not fit the file.
        ConflictError: If the file changed since an interrupted run.
    """
    check_columns(table, mapping)
    progress, refused_rows = load_progress(table), RefusedRows(table)
    refused_rows.cut(progress.refused_size)
    shaper = Shaper(mapping, table.digest)
    rows = islice(table.rows(), progress.rows, None)
    while batch := list(islice(rows, BATCH)):
        refused = _send(batch, shaper, sink, progress)
        progress.refused_size = refused_rows.append(refused)
        progress.rows, progress.position = batch[-1].number, batch[-1].position
        save_progress(table, progress)
        on_progress(progress)
    return ImportReport(progress, refused_rows.path if refused_rows.path.exists() else None)


def _send(batch: list[Row], shaper: Shaper, sink: Sink, progress: Progress) -> list[Refused]:
    """Send one batch; return the rows that gave no event or whose event the server did not take."""
    shaped = [(row, shaper.shape(row)) for row in batch]
    refused = [event for _, event in shaped if isinstance(event, Refused)]
    sent = [(row, event) for row, event in shaped if isinstance(event, dict)]
    outcomes = sink.send([event for _, event in sent]) if sent else []
    for (row, _), outcome in zip(sent, outcomes, strict=True):
        if outcome.status in ("rejected", "conflict"):
            reason = outcome.reason or "the same id is recorded with other contents"
            refused.append(Refused(row, outcome.field or "", f"{outcome.status}: {reason}"))
    progress.add(outcome.status for outcome in outcomes)
    progress.add("refused" for event in (each for _, each in shaped) if isinstance(event, Refused))
    progress.add("skipped" for _, event in shaped if event is None)
    return sorted(refused, key=lambda each: each.row.number)


def rehearse(table: Table, mapping: ImportMap) -> tuple[Progress, list[dict[str, Any]], list[Refused]]:
    """Shape every row and send none: the counts, the first five events and the first twenty refused rows.

    Raises:
        InvalidInputError: If the map does not fit the file.
    """
    check_columns(table, mapping)
    progress, events, refused = Progress(table.digest), list[dict[str, Any]](), list[Refused]()
    for row, shaped in _shapes(table, mapping):
        progress.rows, progress.position = row.number, row.position
        if isinstance(shaped, Refused):
            progress.counts["refused"] += 1
            refused += [shaped] if len(refused) < 20 else []
        elif shaped is None:
            progress.counts["skipped"] += 1
        else:
            events += [shaped] if len(events) < 5 else []
    return progress, events, refused


def _shapes(table: Table, mapping: ImportMap) -> Iterator[tuple[Row, dict[str, Any] | Refused | None]]:
    shaper = Shaper(mapping, table.digest)
    return ((row, shaper.shape(row)) for row in table.rows())

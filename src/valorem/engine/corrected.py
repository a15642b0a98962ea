"""The events behind a quantity that were voided or amended: what each was, what it counts for now, and by whose word."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.ids import identity
from valorem.core.metering.corrections import Correction, effective, latest, parse_correction
from valorem.core.metering.event import Event
from valorem.engine.archive import Archive
from valorem.engine.browsing import value_of
from valorem.engine.history import decode_recorded, read_recorded
from valorem.store.postgres import corrections
from valorem.store.postgres.corrections import CorrectionRow

#: More are not listed one by one.
MOST = 200


@dataclass(frozen=True, slots=True)
class CorrectedEvent:
    """One event that was corrected.

    Attributes:
        sent: As it was sent.
        counted: As it counts; None where it was voided.
        value_sent: What the meter read from it as sent, for the dimensions and the time of the line.
        value_counted: What it reads from it as it counts.
        by: The correction that holds.
        reason: Why, as that says.
        settled: Whether the correction had come when the invoice was finalised; else a later invoice reckons with it.
    """

    sent: Event
    counted: Event | None
    value_sent: Decimal
    value_counted: Decimal
    by: Event
    reason: str
    settled: bool

    @property
    def state(self) -> Literal["voided", "amended"]:
        """What became of it."""
        return "voided" if self.counted is None else "amended"


def corrected_events(archive: Archive, cutoff: int | None) -> list[CorrectedEvent]:
    """The events that count, or would count if they had not been corrected, for a line.

    Args:
        archive: What the line's meter reads over the line's time; of everything recorded until now.
        cutoff: The sequence at which the invoice was finalised; None for a draft.

    Returns:
        In order of the times they were sent with, at most :data:`MOST`.
    """
    workspace = archive.tx.workspace.id
    sent = {
        identity(workspace, event.source, event.id): event for event in map(read_recorded, archive.lines())
    }
    rows: dict[bytes, list[CorrectionRow]] = {}
    for row in corrections.load(archive.tx.connection, sorted(sent)):
        rows.setdefault(row.target, []).append(row)
    found = [one for key in rows if (one := _corrected(archive, sent[key], rows[key], cutoff)) is not None]
    return sorted(found, key=_by_time)[:MOST]


def _corrected(
    archive: Archive, sent: Event, rows: Sequence[CorrectionRow], cutoff: int | None
) -> CorrectedEvent | None:
    holding: tuple[Correction, Event, CorrectionRow] | None = None
    for row in rows:
        by = decode_recorded(row.raw, row.received_at)
        correction = parse_correction(archive.tx.workspace.id, by)
        if holding is None or latest(holding[0], correction) is correction:
            holding = correction, by, row
    assert holding is not None  # it has a correction
    correction, by, row = holding
    counted = effective(sent, correction)
    before, after = archive.read(sent), () if counted is None else archive.read(counted)
    if not before and not after:
        return None
    return CorrectedEvent(
        sent,
        counted,
        value_of(before),
        value_of(after),
        by,
        str(by.data.get("reason") or ""),
        cutoff is None or (row.seq is not None and row.seq <= cutoff),
    )


def _by_time(one: CorrectedEvent) -> tuple[datetime, str, str]:
    assert one.sent.time is not None  # a recorded event has its time
    return one.sent.time, one.sent.source, one.sent.id

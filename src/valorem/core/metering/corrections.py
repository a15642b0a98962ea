"""Corrections: ``valorem.void`` and ``valorem.amend`` events, and what is left of an event under them.

The state of an event depends on the set of its corrections alone, never on the order in which anything arrived; a
correction may come before its target.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from valorem.core.errors import InvalidInputError
from valorem.core.ids import identity
from valorem.core.metering.event import AMEND, CORRECTIONS, VOID, Event
from valorem.core.time import parse_instant

_MEMBERS = {VOID: {"source", "id", "reason"}, AMEND: {"source", "id", "reason", "data", "time"}}


@dataclass(frozen=True, slots=True)
class Correction:
    """What one correction event says about its target.

    Attributes:
        target: Identity of the event it corrects.
        at: The correction's own time; of several corrections the latest holds.
        key: The correction's own identity, which breaks ties of ``at``.
        void: Whether the target counts no more.
        data: For an amend: the replacing data, or ``None`` to keep it.
        time: For an amend: the replacing time in UTC, or ``None`` to keep it.
    """

    target: bytes
    at: datetime
    key: bytes
    void: bool
    data: Mapping[str, Any] | None = None
    time: datetime | None = None


def parse_correction(workspace: int, event: Event) -> Correction:
    """Read a correction event, whose time must have been filled in (:meth:`Event.at`).

    Raises:
        InvalidInputError: Naming the member of ``data`` that is missing, unknown or wrong.
    """
    data = event.data
    for name in data:
        if name not in _MEMBERS[event.type]:
            raise InvalidInputError(
                f"{event.type} has no such member",
                field=f"data.{name}"[:200],
                hint=f"it takes {', '.join(sorted(_MEMBERS[event.type]))}",
            )
    for name in ("source", "id"):
        if not isinstance(data.get(name), str) or not data[name]:
            raise InvalidInputError(
                "must name the event to correct",
                field=f"data.{name}",
                hint="send the source and id it was sent with",
            )
    if event.time is None:
        raise InvalidInputError("a correction needs its time", field="time")
    target = identity(workspace, data["source"], data["id"])
    key = identity(workspace, event.source, event.id)
    if target == key:
        raise InvalidInputError("an event cannot correct itself", field="data.id")
    if event.type == VOID:
        return Correction(target, event.time, key, void=True)
    replacing, time = data.get("data"), data.get("time")
    if replacing is not None and not isinstance(replacing, Mapping):
        raise InvalidInputError("the replacing data must be a JSON object", field="data.data")
    if replacing is None and time is None:
        raise InvalidInputError(
            "an amend replaces data, time or both",
            field="data",
            hint="to take the event out send a valorem.void",
        )
    instant = None if time is None else parse_instant(time, "data.time")
    return Correction(target, event.time, key, void=False, data=replacing, time=instant)


def latest(a: Correction | None, b: Correction) -> Correction:
    """Of two corrections of one event the one that holds: the later; at one instant the greater identity."""
    return b if a is None or (b.at, b.key) > (a.at, a.key) else a


def collect_corrections(workspace: int, events: Iterable[Event]) -> dict[bytes, Correction]:
    """The correction that holds for each corrected event, by the target's identity."""
    holding: dict[bytes, Correction] = {}
    for event in events:
        if event.type in CORRECTIONS:
            correction = parse_correction(workspace, event)
            holding[correction.target] = latest(holding.get(correction.target), correction)
    return holding


def effective(event: Event, correction: Correction | None) -> Event | None:
    """The event as it counts: as sent, amended, or ``None`` when void. A correction itself cannot be corrected."""
    if correction is None or event.type in CORRECTIONS:
        return event
    if correction.void:
        return None
    return msgspec.structs.replace(
        event,
        data=event.data if correction.data is None else correction.data,
        time=event.time if correction.time is None else correction.time,
    )

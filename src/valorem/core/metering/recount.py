"""The recount: counters as a plain fold over recorded events. It is the judge live counters are compared with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from valorem.core.errors import InvalidInputError
from valorem.core.ids import identity
from valorem.core.metering.corrections import Correction, effective
from valorem.core.metering.event import CORRECTIONS, Event
from valorem.core.metering.meter import MeterSet
from valorem.core.metering.tally import EMPTY, Tally, add
from valorem.core.time import quarter_hour_of


class CounterKey(msgspec.Struct, frozen=True, gc=False, order=False):
    """What one counter counts.

    Attributes:
        subject: As sent.
        revision: Fingerprint of the meter.
        dimensions: One value for each of the meter's dimension names.
        quarter: Start of the quarter hour, UTC.
    """

    subject: str
    revision: str
    dimensions: tuple[str | None, ...]
    quarter: datetime


@dataclass(frozen=True, slots=True)
class Refusal:
    """A recorded event that a meter, usually one defined later, cannot take; it counts nothing for that meter.

    Attributes:
        meter: The meter's key.
        source: The event's.
        id: The event's.
        field: Where the problem is.
        reason: What it is.
    """

    meter: str
    source: str
    id: str
    field: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class Recount:
    """Counters recomputed from events, and the events that could not be counted."""

    counters: Mapping[CounterKey, Tally]
    refused: tuple[Refusal, ...]


def recount(
    workspace: int,
    events: Iterable[Event],
    meters: MeterSet,
    corrections: Mapping[bytes, Correction] | None = None,
) -> Recount:
    """Fold recorded events into counters.

    Args:
        workspace: Whose events they are.
        events: Accepted events with their times, each once, in any order; corrections among them are skipped.
        meters: What to count.
        corrections: What holds for corrected events, from
            :func:`~valorem.core.metering.corrections.collect_corrections`.
    """
    holding = corrections or {}
    counters: dict[CounterKey, Tally] = {}
    refused: list[Refusal] = []
    for sent in events:
        if sent.type in CORRECTIONS:
            continue
        key = identity(workspace, sent.source, sent.id)
        event = effective(sent, holding.get(key))
        if event is None:
            continue
        if event.time is None:
            raise InvalidInputError("a recorded event has a time", field="time")
        quarter, order = quarter_hour_of(event.time), event.order + key
        for index, read in meters.matching(event.type):
            meter = meters.meters[index]
            try:
                readings = read(event)
            except InvalidInputError as error:
                refused.append(Refusal(meter.meter.key, event.source, event.id, error.field, error.message))
                continue
            for reading in readings:
                place = CounterKey(event.subject, meter.fingerprint, reading.dimensions, quarter)
                counters[place] = add(
                    meter.aggregation, counters.get(place, EMPTY), reading.value, event.time, order
                )
    return Recount(counters, tuple(refused))

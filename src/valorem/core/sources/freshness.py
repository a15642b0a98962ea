"""How fresh a source is, and what is missing of a period."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from valorem.core.sources.definition import SourceDefinition
from valorem.core.time import write_instant


@dataclass(frozen=True, slots=True)
class Heard:
    """What has been heard of a source.

    Attributes:
        received_at: When a record or message last came.
        complete_until: Everything before this has been read; None where it is not read, or was not yet.
        parked: Records that could not be read.
        error: Of the last reading.
    """

    received_at: datetime | None = None
    complete_until: datetime | None = None
    parked: int = 0
    error: str | None = None


def lag_of(definition: SourceDefinition, heard: Heard, now: datetime) -> timedelta | None:
    """How long ago everything was known; None where that never was."""
    known = heard.received_at if definition.poll is None else heard.complete_until
    return None if known is None else max(now - known, timedelta(0))


def is_fresh(definition: SourceDefinition, heard: Heard, now: datetime) -> bool:
    """Whether the source keeps to the freshness it promises."""
    lag = lag_of(definition, heard, now)
    return lag is not None and lag <= definition.freshness and not heard.parked


def gaps(
    definition: SourceDefinition, heard: Heard, freshness: timedelta, until: datetime, now: datetime
) -> tuple[str, ...]:
    """What is missing of everything before an instant; empty where all is known.

    Args:
        definition: The source.
        heard: What has been heard of it.
        freshness: For a source that only sends: how long it may have been silent.
        until: The end of a period.
        now: The workspace's time.
    """
    found = []
    name = definition.source
    if definition.poll is not None:
        if heard.complete_until is None:
            found.append(f"{name} has not been read yet")
        elif heard.complete_until < until:
            found.append(f"{name} has been read until {write_instant(heard.complete_until)} only")
        if found and heard.error:
            found[-1] += f": {heard.error}"
    elif heard.received_at is None or now - heard.received_at > freshness:
        since = "ever" if heard.received_at is None else f"since {write_instant(heard.received_at)}"
        found.append(f"nothing has come from {name} {since}")
    if heard.parked:
        found.append(f"{heard.parked} records of {name} could not be read")
    return tuple(found)

"""What a record changes, given what is known of its key: new events, amendments, voids, or nothing.

Whatever order versions of a record arrive in, by whichever way and however often, the events come to mean the same:
states are named by their content, and an older version of a fact never replaces a newer one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec

from valorem.core.metering.event import AMEND, VOID
from valorem.core.sources.definition import SourceDefinition
from valorem.core.sources.mapping import Said, short_key, write_event
from valorem.core.time import write_instant

_TICK = timedelta(microseconds=1)
Effect = Literal["new", "amended", "voided", "known", "older"]


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of one key by one rule.

    Attributes:
        event: The rule's event type.
        key: The thing or fact.
        order: Of the newest version seen.
        digest: Of what that version said.
        gone: Whether it is gone.
        live: For a fact: the id of the event that counts; empty where none does.
        changes: How often it has changed; part of the ids of what follows.
        changed_at: When it last changed here; a correction must be later than the one before.
        subject: Whose.
        at: When it happened.
        data: What was kept of it.
        missed: In how many readings of everything since it was not found.
        polled: Whether the newest version was read by us, rather than told.
    """

    event: str
    key: str
    order: str
    digest: str
    gone: bool
    live: str
    changes: int
    changed_at: datetime
    subject: str
    at: datetime
    data: Mapping[str, Any] = field(default_factory=dict)
    missed: int = 0
    polled: bool = True


@dataclass(frozen=True, slots=True)
class Settled:
    """What follows from a record.

    Attributes:
        effect: In a word.
        events: To be ingested, in order.
        known: What is known from then on.
    """

    effect: Effect
    events: tuple[bytes, ...]
    known: Known


def settle(definition: SourceDefinition, said: Said, known: Known | None, now: datetime) -> Settled:
    """What a record changes.

    Args:
        definition: The source.
        said: What the record says.
        known: What was known of its key by the same rule.
        now: The workspace's time.
    """
    rule = definition.map[said.rule]
    if rule.meaning == "state":
        return _settle_state(definition, said, known, now)
    return _settle_fact(definition, said, known, now)


def settle_missing(definition: SourceDefinition, known: Known, now: datetime) -> Settled:
    """What it means that a record is not there any more, though nobody said so: it is gone, as of now."""
    rule = next(index for index, each in enumerate(definition.map) if each.event == known.event)
    at = max(now, known.at)
    said = Said(
        rule, known.key, known.order, gone=True, at=at, subject=known.subject, sequence=None, data=known.data
    )
    return settle(definition, said, known, now)


def _settle_state(definition: SourceDefinition, said: Said, known: Known | None, now: datetime) -> Settled:
    rule, digest = definition.map[said.rule], said.digest
    if known is not None and known.digest == digest:
        return Settled("known", (), _seen(known, said))
    kind = rule.gone_event if said.gone else rule.event
    data = said.data if not said.gone or known is None else {**known.data, **said.data}
    event = write_event(
        kind, definition.event_source, f"{kind}:{short_key(said.key)}:{digest}", said.subject, said.at, data,
        said.sequence,
    )  # fmt: skip
    if known is not None and _is_older(said, known):
        # It happened all the same, so it is told; what is known stays as the newer version says.
        return Settled("older", (event,), replace(known, missed=0))
    return Settled("new", (event,), _next(rule.event, said, known, digest, "", now))


def _settle_fact(definition: SourceDefinition, said: Said, known: Known | None, now: datetime) -> Settled:
    rule, digest, source = definition.map[said.rule], said.digest, definition.event_source
    if known is not None:
        if known.digest == digest or (known.gone and said.gone):
            return Settled("known", (), _seen(known, said))
        if _is_older(said, known):
            return Settled("older", (), replace(known, missed=0))
    after = _next(rule.event, said, known, digest, known.live if known is not None else "", now)
    correction = f"{rule.event}:{short_key(said.key)}~{after.changes}"
    live = known.live if known is not None else ""
    if said.gone:
        if not live:
            return Settled("known", (), after)
        return Settled(
            "voided", (_void(source, correction, live, after.changed_at),), replace(after, live="")
        )
    if live and known is not None and known.subject == said.subject:
        amend = write_event(
            AMEND, source, correction, said.subject, after.changed_at,
            {"source": source, "id": live, "data": said.data, "time": write_instant(said.at)},
        )  # fmt: skip
        return Settled("amended", (amend,), after)
    events: list[bytes] = []
    if live:  # another's now: an event cannot change whose it is
        events.append(_void(source, f"{correction}v", live, after.changed_at))
    identifier = f"{rule.event}:{short_key(said.key)}" + (f"~{after.changes}" if after.changes else "")
    events.append(
        write_event(rule.event, source, identifier, said.subject, said.at, said.data, said.sequence)
    )
    return Settled("amended" if live else "new", tuple(events), replace(after, live=identifier))


def _seen(known: Known, said: Said) -> Known:
    """The same was found again; a newer version may say nothing new."""
    return replace(known, order=max(known.order, said.order), polled=known.polled or said.polled, missed=0)


def _is_older(said: Said, known: Known) -> bool:
    """Whether something newer is known. Of two versions of one order what we read ourselves stands against a message."""
    if said.order != known.order:
        return said.order < known.order
    return bool(said.order) and known.polled and not said.polled


def _next(event: str, said: Said, known: Known | None, digest: str, live: str, now: datetime) -> Known:
    changed_at = now if known is None else max(now, known.changed_at + _TICK)
    return Known(
        event=event,
        key=said.key,
        order=said.order,
        digest=digest,
        gone=said.gone,
        live=live,
        changes=0 if known is None else known.changes + 1,
        changed_at=changed_at,
        subject=said.subject,
        at=said.at,
        data=said.data if not said.gone or known is None else {**known.data, **said.data},
        polled=said.polled,
    )


def _void(source: str, identifier: str, target: str, at: datetime) -> bytes:
    data = {"source": source, "id": target}
    return msgspec.json.encode(
        {
            "specversion": "1.0",
            "id": identifier,
            "source": source,
            "type": VOID,
            "time": write_instant(at),
            "data": data,
        }
    )

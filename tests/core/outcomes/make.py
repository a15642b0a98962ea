"""Small definitions and events for the tests of outcomes."""

from datetime import UTC, datetime
from typing import Any

from valorem.core.metering.event import Event
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.evidence import CompiledOutcome
from valorem.core.outcomes.fold import fold
from valorem.core.outcomes.frame import UTC_MONTHS, Frame
from valorem.core.outcomes.signing import DefinitionVersion, Signature
from valorem.core.outcomes.states import Outcome

Recorded = tuple[Event, datetime]
KINDS = ("touch", "success", "restate", "confirm", "refute", "retract")
FAR = datetime(2200, 1, 1, tzinfo=UTC)


def instant(text: str) -> datetime:
    """``03-02T10:00`` or ``2027-03-02T10:00`` as an instant of 2026 in UTC."""
    return datetime.fromisoformat(text if text[:2] == "20" else f"2026-{text}").replace(tzinfo=UTC)


def definition(**fields: Any) -> OutcomeDefinition:
    kinds = [kind for kind in KINDS if kind != "restate" or "value" in fields]
    plain: dict[str, Any] = {
        "outcome": "resolution",
        "source": {"system": "desk"},
        "evidence": [{"event": kind, "kind": kind} for kind in kinds],
        "key": "data.key",
        "actor": "data.actor",
        "reason": "data.reason",
        "window": "24 hours",
        "currency": "USD",
    }
    if "savings" not in fields:
        plain["price"] = {"model": "per_unit", "amount": "0.99"}
    return OutcomeDefinition.model_validate({**plain, **fields})


def event(kind: str, at: str, key: str = "c1", *, arrives: str | None = None, **data: Any) -> Recorded:
    happened = instant(at)
    identifier = f"{kind}/{key}/{at}/{sorted(data.items())}"
    known_at = happened if arrives is None else instant(arrives)
    return Event(identifier, "desk", kind, "acme", happened, {"key": key, **data}), known_at


def folded(chosen: OutcomeDefinition, *events: Recorded, frame: Frame = UTC_MONTHS) -> dict[str, Outcome]:
    compiled = CompiledOutcome(chosen)
    return fold(compiled, compiled.read_all(events), frame)


def told(outcome: Outcome) -> list[tuple[str, str]]:
    """The transitions as (state, ``03-02T10:00``)."""
    return [(each.state, f"{each.at:%m-%dT%H:%M}") for each in outcome.transitions]


def only(chosen: OutcomeDefinition, *events: Recorded, frame: Frame = UTC_MONTHS) -> Outcome:
    (outcome,) = folded(chosen, *events, frame=frame).values()
    return outcome


def version(
    number: int = 1,
    chosen: OutcomeDefinition | None = None,
    since: str = "01-01T00:00",
    *,
    signed: tuple[str, ...] = ("vendor", "customer"),
    live: bool = True,
    **fields: Any,
) -> DefinitionVersion:
    chosen = chosen or definition()
    at = instant(since)
    draft = DefinitionVersion(number, chosen, at, live_from=at if live else None, **fields)
    signatures = tuple(
        Signature(party, f"a {party}", "director", "portal", at, draft.digest)  # type: ignore[arg-type]
        for party in signed
    )
    return DefinitionVersion(number, chosen, at, signatures, at if live else None, **fields)

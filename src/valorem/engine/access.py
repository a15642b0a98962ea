"""Everything a customer may do, and where each of its limits stands: the answers of checks, all at once, for people."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from valorem.core.entitlements.check import Asked, Counted, LimitState, limit_state
from valorem.core.entitlements.grants import Grant, Owned
from valorem.core.entitlements.holds import Held, QuotaHold
from valorem.core.numbers import ZERO
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.entitlements import Known, counted, find_out, held_of, question
from valorem.store.postgres import limits, quota_holds

_MOST_VALUES = 20


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one limit stands.

    Attributes:
        state: As a check would find it, asked for nothing.
        value: Of the dimension that the limit holds for each value of; None where it holds for all together.
    """

    state: LimitState
    value: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """One feature as a customer has it.

    Attributes:
        feature: Its key.
        name: For people.
        grant: What is granted.
        unit: Of its meter.
        standings: Where its limits stand; those for each value of a dimension by what is used or held, the most first.
    """

    feature: str
    name: str
    grant: Grant
    unit: str | None
    standings: tuple[Standing, ...]


def access_of(tx: Transaction, customer: str) -> list[Access]:
    """What a customer has of every feature, as of this instant.

    Raises:
        NotFoundError: If there is no such customer, or before the first catalog version.
    """
    get_customer(tx, customer)
    known = find_out(tx, customer)
    holds = quota_holds.standing(tx.connection, tx.workspace.id, customer, tx.now)
    return [_access(tx, known, grant, holds) for grant in known.grants.values()]


def _access(tx: Transaction, known: Known, grant: Grant, holds: Sequence[QuotaHold]) -> Access:
    asked = question(tx.connection, tx.workspace.id, known, grant.feature, tx.now)
    found = limits.use(tx.connection, tx.workspace.id, known.subjects, asked.stretches, detail=known.detail)
    under, _ = counted(known, asked, found)
    feature = known.catalog.features.get(grant.feature)
    meter = known.catalog.meters.get(grant.meter or "")
    name = (feature.name if feature is not None else None) or (meter.name if meter is not None else None)
    held = held_of(known, grant, holds, tx.now)
    standings = [
        standing
        for owned, each in zip(grant.limits, under, strict=True)
        for standing in _standings(owned, each, held)
    ]
    unit = meter.unit if meter is not None else None
    return Access(grant.feature, name or grant.feature, grant, unit, tuple(standings))


def _standings(owned: Owned, under: Counted, held: Held) -> Sequence[Standing]:
    nothing = Asked("", ZERO)
    each = owned.limit.each
    if each is None:
        return [Standing(limit_state(owned, under, nothing, held), None)]
    values = {str(dimensions[each]) for dimensions, _ in under.use if dimensions.get(each) is not None}
    values |= {dimensions[each] for dimensions, _ in held if each in dimensions}
    states = {
        value: limit_state(owned, under, replace(nothing, dimensions={each: value}), held) for value in values
    }
    ranked = sorted(values, key=lambda value: (-states[value].taken, value))[:_MOST_VALUES]
    return [Standing(states[value], value) for value in ranked]

"""What a customer has been granted of each feature, and by whom: its plan, an add-on, a trial or somebody by hand."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from valorem.core.calendar import add_days, add_months, instant_of, local, zone_info
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.features import Feature
from valorem.core.catalog.plans import Plan
from valorem.core.contracts.contract import Contract
from valorem.core.entitlements.limits import Gate, Limit, UsageGate
from valorem.core.numbers import ZERO, exact
from valorem.core.pricing.dates import instant_of as opening_of

Origin = Literal["plan", "add-on", "trial", "promotion", "override", "none"]
Value = bool | Decimal | str
_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_SECONDS = {"minute": 60, "hour": 3600}
_DAYS = {"day": 1, "week": 7}


@dataclass(frozen=True, slots=True)
class Concession:
    """What one customer has been given, or denied, beside its plan.

    Attributes:
        id: Of its row.
        feature: Which feature.
        origin: ``override`` by agreement, ``promotion`` for a while.
        value: In the place of the plan's value; None leaves it.
        limits: In the place of the plan's limits; None leaves them, empty takes them away.
        raised_by: So much more in every limit of the feature.
        zero_rated: Dimension to values whose use does not count, for this customer.
        since: From when.
        until: To when; None for ever.
        reason: For people.
    """

    id: str
    feature: str
    origin: Literal["override", "promotion"]
    since: datetime
    until: datetime | None = None
    value: Value | None = None
    limits: tuple[Limit, ...] | None = None
    raised_by: Decimal = ZERO
    zero_rated: Mapping[str, Sequence[str]] | None = None
    reason: str = ""

    def holds_at(self, at: datetime) -> bool:
        """Whether it is in force at an instant."""
        return self.since <= at and (self.until is None or at < self.until)


@dataclass(frozen=True, slots=True)
class Owned:
    """A limit and who set it.

    Attributes:
        limit: With everything added to it; seats are multiplied out.
        origin: Who set it, or who last changed it.
    """

    limit: Limit
    origin: Origin


@dataclass(frozen=True, slots=True)
class Grant:
    """What a customer has of one feature at an instant.

    Attributes:
        feature: Its key.
        kind: As the catalog says; ``metered`` too for a meter that is limited by its own name.
        meter: The key of the meter that counts it.
        value: True or false, or a value feature's value.
        limits: Every limit on it.
        origin: Who granted it.
        opens_at: When its gate opens by date, where it has not yet.
        opens_with: The use that opens its gate, where it takes some.
        outage: What a check says when nothing can be looked up.
    """

    feature: str
    kind: Literal["on/off", "value", "metered"]
    meter: str | None
    value: Value
    limits: tuple[Owned, ...] = ()
    origin: Origin = "none"
    opens_at: datetime | None = None
    opens_with: UsageGate | None = None
    outage: Literal["closed", "open"] = "closed"


def grants_at(
    contract: Contract | None,
    catalog: Catalog,
    concessions: Iterable[Concession],
    at: datetime,
    trial_ends: datetime | None = None,
) -> dict[str, Grant]:
    """Everything a customer has at an instant, by feature; what the catalog knows and nobody granted is there as false.

    Args:
        contract: The contract that runs; None where there is none, which grants nothing but concessions.
        catalog: The version it is pinned to.
        concessions: The customer's.
        at: The instant.
        trial_ends: When the plan's trial is over.
    """
    plan = catalog.plan(contract.standing_at(at).plan) if contract is not None else None
    limited = () if plan is None else plan.limits
    keys = [*catalog.features, *(key for key in limited if key not in catalog.features)]
    in_force = [one for one in concessions if one.holds_at(at)]
    trying = trial_ends is not None and at < trial_ends
    return {key: _grant(key, catalog.features.get(key), contract, plan, at, trying, in_force) for key in keys}


def _grant(
    key: str,
    feature: Feature | None,
    contract: Contract | None,
    plan: Plan | None,
    at: datetime,
    trying: bool,  # noqa: FBT001 - one of two states, named at its only call
    concessions: Sequence[Concession],
) -> Grant:
    kind = "metered" if feature is None else feature.kind
    meter = key if feature is None else feature.meter
    grant = Grant(key, kind, meter, value=False, outage="closed" if feature is None else feature.outage)
    if plan is not None and contract is not None:
        grant = _by_plan(grant, plan, contract, at, trying=trying)
    for one in concessions:
        if one.feature == key:
            grant = _by_concession(grant, one, contract, at)
    return grant


def _by_plan(grant: Grant, plan: Plan, contract: Contract, at: datetime, *, trying: bool) -> Grant:
    key = grant.feature
    limits = tuple(Owned(_seated(limit, contract, at), "plan") for limit in plan.limits.get(key, ()))
    if key in plan.features or limits:
        value = plan.features.get(key, True)
        grant = replace(grant, value=value, origin="plan", limits=limits if value is not False else ())
    for name, addon in plan.addons.items():
        count = contract.seats_at(name, at)
        if count:
            more = addon.raises.get(key)
            grant = _granted(grant, addon.features.get(key), "add-on", None if more is None else more * count)
    if trying and plan.trial is not None:
        grant = _granted(grant, plan.trial.features.get(key), "trial", plan.trial.raises.get(key))
    if (gate := plan.gates.get(key)) is not None and grant.value is not False:
        opens_at = gate_opens(gate, contract)
        grant = replace(
            grant,
            opens_at=opens_at if opens_at is not None and at < opens_at else None,
            opens_with=gate.usage,
        )
    return grant


@exact
def _granted(grant: Grant, value: Value | None, origin: Origin, more: Decimal | None) -> Grant:
    if value is not None and value is not False:
        if isinstance(value, Decimal) and isinstance(grant.value, Decimal):
            value = max(value, grant.value)
        grant = replace(grant, value=value, origin=origin)
    if more:
        limits = tuple(Owned(owned.limit.raised(more), origin) for owned in grant.limits)
        value = grant.value + more if isinstance(grant.value, Decimal) else grant.value
        grant = replace(grant, limits=limits, value=value, origin=origin)
    return grant


def _by_concession(grant: Grant, one: Concession, contract: Contract | None, at: datetime) -> Grant:
    if one.value is not None:
        denied = one.value is False
        grant = replace(
            grant,
            value=one.value,
            origin=one.origin,
            limits=() if denied else grant.limits,
            opens_at=None,
            opens_with=None,
        )
    if one.limits is not None:
        seated = (limit if contract is None else _seated(limit, contract, at) for limit in one.limits)
        limits = tuple(Owned(limit, one.origin) for limit in seated)
        value = grant.value if grant.value is not False else True
        grant = replace(grant, value=value, limits=limits, origin=one.origin)
    if one.raised_by:
        grant = _granted(grant, None, one.origin, one.raised_by)
    if one.zero_rated:
        limits = tuple(
            replace(owned, limit=_zero_rated(owned.limit, one.zero_rated)) for owned in grant.limits
        )
        grant = replace(grant, limits=limits)
    return grant


def _zero_rated(limit: Limit, more: Mapping[str, Sequence[str]]) -> Limit:
    names = {**limit.zero_rated}
    for name, values in more.items():
        names[name] = tuple(dict.fromkeys((*names.get(name, ()), *values)))
    return limit.model_copy(update={"zero_rated": names})


def _seated(limit: Limit, contract: Contract, at: datetime) -> Limit:
    return limit if limit.per is None else limit.times(contract.seats_at(limit.per, at))


def gate_opens(gate: Gate, contract: Contract) -> datetime | None:
    """The instant from which a gate's dates are fulfilled; None where it names none."""
    instants = []
    if gate.start is not None:
        instants.append(opening_of(gate.start, zone_info(contract.time_zone)))
    if gate.after is not None:
        count, unit = gate.after
        start = contract.first_start or contract.start
        if unit in _SECONDS:
            instants.append(start + timedelta(seconds=count * _SECONDS[unit]))
        else:
            wall = local(start, contract.time_zone)
            day = add_days(add_months(wall.date(), count * _MONTHS.get(unit, 0)), count * _DAYS.get(unit, 0))
            instants.append(
                instant_of(
                    wall.replace(year=day.year, month=day.month, day=day.day, tzinfo=None), contract.time_zone
                )
            )
    return max(instants, default=None)


def edges(
    contract: Contract | None,
    concessions: Iterable[Concession],
    grants: Mapping[str, Grant],
    trial_ends: datetime | None,
) -> Iterator[datetime]:
    """The instants at which grants may change by themselves: what was worked out holds until the next one."""
    for one in concessions:
        yield one.since
        if one.until is not None:
            yield one.until
    for grant in grants.values():
        if grant.opens_at is not None:
            yield grant.opens_at
    if trial_ends is not None:
        yield trial_ends
    if contract is not None:
        yield contract.start
        if contract.end is not None:
            yield contract.end
        yield from (standing.since for standing in contract.standings)
        for history in contract.seats.values():
            yield from (dated.since for dated in history)

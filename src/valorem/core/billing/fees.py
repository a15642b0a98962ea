"""Fixed amounts of one period: base fees, seats and add-ons as they change within it, and charges on a date."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, time
from decimal import Decimal
from types import MappingProxyType
from typing import NamedTuple

from valorem.core.billing.invoice import Line, Timing
from valorem.core.billing.terms import Stretch, Terms
from valorem.core.calendar import local
from valorem.core.catalog.plans import Fee, Policies
from valorem.core.contracts.agreed import Charge
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.proration import share_of, takes_effect
from valorem.core.money import minor_digits, round_money
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.periods import Interval, Period
from valorem.core.pricing.lines import Step
from valorem.core.time import write_instant

_PIPELINE = ("unit amount", "proration", "round")


class _Level(NamedTuple):
    """What a fee comes to from an instant on."""

    quantity: Decimal
    amount: Decimal
    fee: Fee

    @property
    def total(self) -> Decimal:
        return self.quantity * self.amount


@exact
def fee_lines(terms: Terms, period: Period) -> tuple[Line, ...]:
    """Every fixed charge of one period, whenever it is billed.

    A fee is charged for the whole period as it stands at its start. Each change within the period is charged for the
    rest of it, in arrears: where only the quantity changes one line for the difference, where the amount does one that
    takes back the old terms and one for the new. With proration by day the day of a change belongs to the new terms.
    """
    return terms.once(("fee lines", period), lambda: _fee_lines(terms, period))


def _fee_lines(terms: Terms, period: Period) -> tuple[Line, ...]:
    policies = terms.at(period.interval.start).policies
    fees: dict[str, Fee] = {}
    for stretch in terms.within(period.interval):
        for key, fee in stretch.plan.fees.items():
            fees.setdefault(key, fee)
    lines = [line for key, fee in fees.items() for line in _of_fee(terms, policies, period, key, fee)]
    lines += (_charge_line(terms, period, charge) for charge in _charges_in(terms.contract, period))
    return tuple(lines)


def _of_fee(terms: Terms, policies: Policies, period: Period, key: str, fee: Fee) -> Iterator[Line]:
    contract, opening = terms.contract, _level(terms, key, fee, period.interval.start)
    if opening.total:
        timing: Timing = "in_advance" if opening.fee.billed == "in advance" else "in_arrears"
        yield _line(contract, policies, period, period.interval, key=key, level=opening, timing=timing)
    current = opening
    for since, level in _changes(terms, policies, key, fee, period.interval):
        if level[:2] == current[:2] or (not level.total and not current.total):
            continue
        if level.total < current.total and (
            policies.proration == "none" or policies.decreases == "next_period"
        ):
            continue  # what has been charged stands until the period's end
        rest = Interval(since, period.interval.end)
        if not share_of(rest, period.full, contract.time_zone, policies.proration).numerator:
            continue  # on the day the period ends the new terms count from the next period
        yield from _changed(contract, policies, period, rest, key, current, level)
        current = level


def _changed(
    contract: Contract,
    policies: Policies,
    period: Period,
    rest: Interval,
    key: str,
    before: _Level,
    after: _Level,
) -> Iterator[Line]:
    at, since = write_instant(rest.start), _told(rest.start, contract.time_zone)
    if before.amount == after.amount and before.quantity and after.quantity:
        delta = after._replace(quantity=after.quantity - before.quantity)
        line = _line(contract, policies, period, rest, key=key, level=delta)
        text = f"{line.description}: {'+' if delta.quantity > 0 else ''}{plain(delta.quantity)} from {since}"
        yield replace(line, charge=f"fee:{key}@{at}", description=text)
        return
    if before.total:
        ended = before._replace(quantity=-before.quantity)
        line = _line(contract, policies, period, rest, key=key, level=ended)
        yield replace(
            line, charge=f"fee:{key}@{at}:ends", description=f"{line.description}: unused from {since}"
        )
    if after.total:
        line = _line(contract, policies, period, rest, key=key, level=after)
        yield replace(line, charge=f"fee:{key}@{at}", description=f"{line.description}: from {since}")


def _told(at: datetime, zone: str) -> str:
    """A local day for people, with its time where it is not midnight."""
    wall = local(at, zone)
    return wall.date().isoformat() if wall.time() == time() else wall.strftime("%Y-%m-%d %H:%M")


def _level(terms: Terms, key: str, listed: Fee, at: datetime) -> _Level:
    stretch: Stretch = terms.at(at)
    fee = stretch.plan.fees.get(key)
    if fee is None or not stretch.charges_fees:
        return _Level(ZERO, ZERO, fee or listed)
    quantity = ONE if fee.per is None else terms.contract.seats_at(fee.per, at)
    return _Level(quantity, fee.amount, fee)


def _changes(
    terms: Terms, policies: Policies, key: str, fee: Fee, within: Interval
) -> list[tuple[datetime, _Level]]:
    """The levels that may differ inside an interval by when they count from; of one instant the last one holds."""
    instants = {stretch.since for stretch in terms.within(within)}
    counted = {stretch.plan.fees[key].per for stretch in terms.within(within) if key in stretch.plan.fees}
    for name in counted:
        if name is not None:
            instants.update(since for since, _ in terms.contract.seats.get(name, ()))
    levels: dict[datetime, _Level] = {}
    for since in sorted(instants):
        if within.start < since < within.end:
            effective = max(takes_effect(since, terms.contract.time_zone, policies.proration), within.start)
            levels[effective] = _level(terms, key, fee, since)
    return sorted(levels.items())


def _line(
    contract: Contract,
    policies: Policies,
    period: Period,
    covered: Interval,
    *,
    key: str,
    level: _Level,
    timing: Timing = "in_arrears",
) -> Line:
    share = share_of(covered, period.full, contract.time_zone, policies.proration)
    whole = level.total
    amount = share.of(whole)
    steps = [Step("unit amount", f"{plain(level.quantity)} × {plain(level.amount)}", whole)]
    if not share.whole:
        steps.append(Step("proration", f"{plain(whole)} × {share}", amount))
    rounded = round_money(amount, contract.currency, policies.rounding)
    rule = "half to even" if policies.rounding == "half_even" else "half away from zero"
    steps.append(
        Step("round", f"{contract.currency}, {minor_digits(contract.currency)} decimals, {rule}", rounded)
    )
    return Line(
        kind="fee",
        key=key,
        charge=f"fee:{key}",
        timing=timing,
        description=level.fee.name or key,
        period_index=period.index,
        period=covered,
        quantity=level.quantity,
        unit_amount=level.amount,
        exact_amount=amount,
        amount=rounded,
        dimensions=MappingProxyType({}),
        steps=tuple(steps),
        pipeline=_PIPELINE,
        selectors=(),
    )


def charges_of(contract: Contract) -> tuple[Charge, ...]:
    """The charges on a date that stand: not those removed before their date."""
    found: dict[str, tuple[datetime, Charge]] = {}
    for standing in contract.agreed:
        for charge in standing.charges:
            if charge.id not in found or found[charge.id][1] != charge:
                found[charge.id] = (standing.since, charge)
    return tuple(
        charge
        for since, charge in found.values()
        if charge in contract.standing_at(max(since, charge.at)).charges
    )


def _charges_in(contract: Contract, period: Period) -> Iterator[Charge]:
    """The charges dated inside a period; those before the contract in its first one, one at its end in its last."""
    start, end = period.interval.start, period.interval.end
    for charge in charges_of(contract):
        at = max(charge.at, contract.start)
        if start <= at < end or (at == end == contract.end):
            yield charge


def _charge_line(terms: Terms, period: Period, charge: Charge) -> Line:
    contract = terms.contract
    policies = terms.at(period.interval.start).policies
    whole = charge.quantity * charge.amount
    rounded = round_money(whole, contract.currency, policies.rounding)
    in_advance = max(charge.at, contract.start) == period.interval.start
    return Line(
        kind="charge",
        key=charge.id,
        charge=f"charge:{charge.id}",
        timing="in_advance" if in_advance else "in_arrears",
        description=charge.name,
        period_index=period.index,
        period=period.interval,
        quantity=charge.quantity,
        unit_amount=charge.amount,
        exact_amount=whole,
        amount=rounded,
        dimensions=MappingProxyType({}),
        steps=(Step("unit amount", f"{plain(charge.quantity)} × {plain(charge.amount)}", whole),),
        pipeline=("unit amount", "round"),
        selectors=(),
        tax_code=charge.tax_code,
    )

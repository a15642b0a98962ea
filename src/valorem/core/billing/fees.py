"""Fixed fees of one period: base fees and seats, prorated by policy."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType

from valorem.core.billing.invoice import Line, Timing
from valorem.core.catalog.plans import Fee, Plan, Policies
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.proration import share_of, takes_effect
from valorem.core.money import minor_digits, round_money
from valorem.core.numbers import ONE, exact, plain
from valorem.core.periods import Interval, Period
from valorem.core.pricing.lines import Step
from valorem.core.time import write_instant

_PIPELINE = ("unit amount", "proration", "round")


@exact
def fee_lines(contract: Contract, plan: Plan, policies: Policies, period: Period) -> tuple[Line, ...]:
    """Every fixed charge of one period, whenever it is billed: fees, seats, and what changed in seats within it.

    Seats are charged at the period's start for the quantity then; each later change is a line of its own, in arrears,
    for the rest of the period.
    """
    return tuple(
        line for key, fee in plan.fees.items() for line in _of_fee(contract, policies, period, key, fee)
    )


def _of_fee(contract: Contract, policies: Policies, period: Period, key: str, fee: Fee) -> Iterator[Line]:
    timing: Timing = "in_advance" if fee.billed == "in advance" else "in_arrears"
    name = fee.name or key
    quantity = ONE if fee.per is None else contract.seats_at(fee.per, period.interval.start)
    if quantity:
        line = _line(contract, policies, period, period.interval, key=key, fee=fee, quantity=quantity)
        yield replace(line, timing=timing, description=name)
    if fee.per is None:
        return
    for since, delta in seat_changes(contract, policies, fee.per, period.interval):
        rest = Interval(since, period.interval.end)
        if not share_of(rest, period.full, contract.time_zone, policies.proration).numerator:
            continue  # on the day the period ends the new quantity counts from the next period
        line = _line(contract, policies, period, rest, key=key, fee=fee, quantity=delta)
        at = write_instant(since)
        sign = "+" if delta > 0 else ""
        yield replace(line, charge=f"fee:{key}@{at}", description=f"{name}: {sign}{plain(delta)} from {at}")


def seat_changes(
    contract: Contract, policies: Policies, key: str, within: Interval
) -> tuple[tuple[datetime, Decimal], ...]:
    """The changes of a dated quantity inside an interval, as (effective from, difference), in order.

    Changes that take effect at the same instant are one. Under proration ``none`` a part of a period costs as much as
    the whole, so only what goes above the highest quantity so far is charged, and nothing comes back.
    """
    quantities: dict[datetime, Decimal] = {}
    for since, quantity in contract.seats.get(key, ()):
        if within.start < since < within.end:
            effective = max(takes_effect(since, contract.time_zone, policies.proration), within.start)
            quantities[effective] = quantity
    changes = []
    charged = contract.seats_at(key, within.start)
    for effective, quantity in quantities.items():
        if quantity == charged or (policies.proration == "none" and quantity < charged):
            continue
        changes.append((effective, quantity - charged))
        charged = quantity
    return tuple(changes)


def _line(
    contract: Contract,
    policies: Policies,
    period: Period,
    covered: Interval,
    *,
    key: str,
    fee: Fee,
    quantity: Decimal,
) -> Line:
    share = share_of(covered, period.full, contract.time_zone, policies.proration)
    whole = quantity * fee.amount
    amount = share.of(whole)
    steps = [Step("unit amount", f"{plain(quantity)} × {plain(fee.amount)}", whole)]
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
        timing="in_arrears",
        description=fee.name or key,
        period_index=period.index,
        period=covered,
        quantity=quantity,
        unit_amount=fee.amount,
        exact_amount=amount,
        amount=rounded,
        dimensions=MappingProxyType({}),
        steps=tuple(steps),
        pipeline=_PIPELINE,
        selectors=(),
    )

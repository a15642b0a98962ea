"""Credits used beyond what was granted, as an invoice charges them: at the credit type's price, by its dates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from types import MappingProxyType

from valorem.core.billing.invoice import Line, Unpriced
from valorem.core.billing.terms import Terms
from valorem.core.calendar import zone_info
from valorem.core.catalog.credits import CreditType
from valorem.core.metering.measured import Measured
from valorem.core.money import minor_digits, round_money
from valorem.core.numbers import exact, plain
from valorem.core.periods import Interval, Period
from valorem.core.pricing.dates import instant_of
from valorem.core.pricing.lines import Step
from valorem.core.time import write_instant

_PIPELINE = ("unit amount", "round")
_NOWHERE: Mapping[str, str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class OverageNeed:
    """One question to the credit ledger: the credits of a type that no grant paid for, in each of some stretches.

    Attributes:
        key: The answer is filed under it.
        credit: The credit type.
        stretches: In order of time; each with the price of one credit in it, nothing where it is not sold for money.
        granted: Whether the plan grants credits of the type; otherwise only an account that has some is billed.
    """

    key: str
    credit: CreditType
    stretches: tuple[tuple[Interval, Decimal | None], ...]
    granted: bool


def overage_needs(terms: Terms, period: Period) -> tuple[OverageNeed, ...]:
    """What must be read from the ledger to bill one period: every credit type whose overage is billed."""
    types = {key for stretch in terms.within(period.interval) for key in stretch.credits}
    needs = (_need(terms, period.interval, key) for key in sorted(types))
    return tuple(need for need in needs if need is not None)


def _need(terms: Terms, within: Interval, key: str) -> OverageNeed | None:
    contract, zone = terms.contract, zone_info(terms.contract.time_zone)
    known = [stretch.credits[key] for stretch in terms.within(within) if key in stretch.credits]
    edges = {within.start, within.end}
    edges.update(each.since for each in terms.within(within))
    edges.update(
        instant_of(price.start, zone)
        for credit in known
        for price in credit.prices
        if price.start is not None
    )
    stretches: list[tuple[Interval, Decimal | None]] = []
    granted = False
    for start, end in pairwise(sorted(edge for edge in edges if within.start <= edge <= within.end)):
        stretch = terms.at(start)
        credit = stretch.credits.get(key)
        if credit is None or credit.policies.overage != "bill" or not stretch.charges_usage:
            continue
        granted |= any((each.credit or name) == key for name, each in stretch.plan.grants.items())
        price = credit.unit_price(contract.currency, start, zone)
        if stretches and stretches[-1][1] == price and stretches[-1][0].end == start:
            stretches[-1] = Interval(stretches[-1][0].start, end), price
        else:
            stretches.append((Interval(start, end), price))
    return OverageNeed(need_key(key), known[-1], tuple(stretches), granted) if stretches else None


def need_key(credit: str) -> str:
    """What a credit type's overage is filed under, and how an invoice names it: ``credits.ai``."""
    return f"credits.{credit}"


@exact
def overage_lines(
    terms: Terms, period: Period, need: OverageNeed, answers: Sequence[Sequence[Measured]]
) -> tuple[tuple[Line, ...], tuple[Unpriced, ...]]:
    """The lines for one credit type, and the credits that have no price: told, and billed at nothing.

    Credits given back by a correction that no grant had paid for make a line below zero.

    Args:
        terms: The contract's terms.
        period: The period.
        need: The question.
        answers: One for each stretch.
    """
    lines: list[Line] = []
    unpriced: list[Unpriced] = []
    for (interval, price), measured in zip(need.stretches, answers, strict=True):
        for each in measured:
            if each.quantity and price is None:
                unpriced.append(Unpriced(need.key, each.dimensions, each.quantity, each.events))
            elif each.quantity and price is not None:
                lines.append(_line(terms, period, need, interval, price, each.quantity))
    return tuple(lines), tuple(unpriced)


def _line(
    terms: Terms, period: Period, need: OverageNeed, interval: Interval, price: Decimal, quantity: Decimal
) -> Line:
    currency, name = terms.contract.currency, need.credit.name or need.credit.key
    amount = quantity * price
    rounded = round_money(amount, currency, terms.at(interval.start).policies.rounding)
    steps = (
        Step("overage", f"{plain(quantity)} {name} used that no grant paid for", quantity),
        Step("unit amount", f"{plain(quantity)} × {plain(price)}", amount),
        Step("round", f"{currency}, {minor_digits(currency)} decimals", rounded),
    )
    return Line(
        kind="usage",
        key=need.key,
        charge=f"usage:{need.key}@{write_instant(interval.start)}",
        timing="in_arrears",
        description=f"{name} beyond what was granted",
        period_index=period.index,
        period=interval,
        quantity=quantity,
        unit_amount=price,
        exact_amount=amount,
        amount=rounded,
        dimensions=_NOWHERE,
        steps=steps,
        pipeline=_PIPELINE,
        selectors=(),
    )

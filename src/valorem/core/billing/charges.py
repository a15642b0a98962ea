"""Everything one period of a contract is charged, whichever invoices carry it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from valorem.core.billing.discounts import NOTHING_GIVEN, Given, discount_lines
from valorem.core.billing.fees import fee_lines
from valorem.core.billing.invoice import Line, Selector, Unpriced
from valorem.core.billing.needs import PeriodUsage, UsageNeed, segments_of, usage_needs
from valorem.core.billing.overages import overage_lines, overage_needs
from valorem.core.billing.tax_codes import in_proportion, split
from valorem.core.billing.terms import Terms
from valorem.core.calendar import zone_info
from valorem.core.contracts.proration import share_of
from valorem.core.errors import InvalidInputError
from valorem.core.money import round_money
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.periods import Interval, Period
from valorem.core.pricing.bounds import shortfall
from valorem.core.pricing.lines import Rated, RatedLine, Segment, Step
from valorem.core.pricing.pipeline import rate
from valorem.core.time import write_instant

_PIPELINE = ("lines", "discounts", "proration", "maximum", "minimum")
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class PeriodCharges:
    """What one period is charged.

    Attributes:
        lines: Fees, usage, discounts, then what brings the period to its minimum or maximum.
        unpriced: Usage that no row of a price is for.
    """

    lines: tuple[Line, ...]
    unpriced: tuple[Unpriced, ...]


@exact
def period_charges(
    terms: Terms,
    period: Period,
    usage: PeriodUsage,
    needs: Sequence[UsageNeed] | None = None,
    given: Given = NOTHING_GIVEN,
    beside: Sequence[Line] = (),
) -> PeriodCharges:
    """Every charge of one period: a function of the terms and the usage alone.

    Args:
        terms: The contract's terms.
        period: The period.
        usage: The answers to ``needs``, and to :func:`valorem.core.billing.overages.overage_needs` where the credit ledger was asked.
        needs: What was asked; :func:`usage_needs` of the whole period where left out.
        given: What each discount gave in earlier periods.
        beside: Lines of the period that are reckoned elsewhere (outcomes): discounts, minimum and maximum see them.

    Raises:
        InvalidInputError: Where usage that is needed is missing.
    """
    if needs is None:
        needs = usage_needs(terms, period)
    lines = list(fee_lines(terms, period))
    unpriced: list[Unpriced] = []
    for need in needs:
        if need.key not in usage:
            raise InvalidInputError(
                f"usage of {need.key} in period {period.index} is missing", field=f"usage.{need.key}"
            )
        rated = _rate(terms, period, need, segments_of(need, usage[need.key]))
        lines.extend(_usage_line(need, line, rated.order) for line in rated.lines)
        unpriced.extend(
            Unpriced(need.meter_key, each.dimensions, each.quantity, each.events) for each in rated.unpriced
        )
    for overage in overage_needs(terms, period):
        if overage.key in usage:
            over, sold_for_nothing = overage_lines(terms, period, overage, usage[overage.key])
            lines.extend(over)
            unpriced.extend(sold_for_nothing)
    lines.extend(discount_lines(terms, period, [*lines, *beside], given))
    charged = (*lines, *beside)
    for bound in _bound_lines(terms, period, sum((line.amount for line in charged), ZERO)):
        shares = in_proportion(terms, bound, charged, terms.contract.currency)
        lines.extend(split(terms, bound, shares))
    return PeriodCharges(tuple(lines), tuple(unpriced))


@exact
def advance_lines(terms: Terms, period: Period, given: Given = NOTHING_GIVEN) -> tuple[Line, ...]:
    """What is billed before a period begins: its advance fees, what is dated at its start, and their discounts."""
    lines = fee_lines(terms, period)
    discounts = discount_lines(terms, period, lines, given)
    return tuple(line for line in (*lines, *discounts) if line.timing == "in_advance")


def _rate(terms: Terms, period: Period, need: UsageNeed, segments: Sequence[Segment]) -> Rated:
    contract = terms.contract
    policies = terms.at(period.interval.start).policies
    counted = Interval(segments[0].start, segments[-1].end)
    share = share_of(counted, period.full, contract.time_zone, policies.proration)
    return rate(
        need.price,
        segments,
        currency=contract.currency,
        meter=need.meter_key,
        name=need.price.name or need.meter.name,
        zone=zone_info(contract.time_zone),
        policies=policies,
        share=share.of(ONE),
    )


def _usage_line(need: UsageNeed, rated: RatedLine, order: tuple[str, ...]) -> Line:
    selectors: tuple[Selector, ...] = ()
    if rated.selector is not None:
        covered = Interval(rated.selector.start, rated.selector.end)
        selectors = (
            Selector(rated.selector.meter, need.meter.fingerprint(), covered, rated.selector.dimensions),
        )
    return Line(
        kind="usage",
        key=need.meter_key,
        charge=_charge(need.meter_key, rated) + (f"#{need.customer}" if need.customer else ""),
        timing="in_arrears",
        description=rated.description + (f" · {need.customer}" if need.customer else ""),
        period_index=need.period_index,
        period=Interval(rated.start, rated.end),
        quantity=rated.quantity,
        unit_amount=rated.unit_amount,
        exact_amount=rated.exact - rated.discount,
        amount=rated.total,
        dimensions=rated.dimensions,
        steps=rated.steps,
        pipeline=order,
        selectors=selectors,
        customer=need.customer,
    )


def _charge(key: str, rated: RatedLine) -> str:
    """Names a rated line the same however much usage there is: price, part, segment and dimension values."""
    values = json.dumps(sorted(rated.dimensions.items()), separators=(",", ":"), ensure_ascii=False)
    return f"usage:{key}:{rated.key}@{write_instant(rated.start)}{values if rated.dimensions else ''}"


def _bound_lines(terms: Terms, period: Period, charged: Decimal) -> Iterator[Line]:
    """The line that brings a period's charges up to the plan's minimum, or down to its maximum."""
    plan, contract = terms.at(period.interval.end - _INSTANT).plan, terms.contract
    policies = terms.at(period.interval.start).policies
    share = share_of(period.interval, period.full, contract.time_zone, policies.proration)

    def line(kind: Literal["minimum", "maximum"], bound: Decimal, amount: Decimal) -> Line:
        steps = [] if share.whole else [Step("proration", f"{plain(bound)} × {share}", reduced(bound))]
        text = f"{plain(reduced(bound))} − {plain(charged)} charged for the period"
        return Line(
            kind=kind,
            key=kind,
            charge=kind,
            timing="in_arrears",
            description=f"{plan.name}: {kind} of the period",
            period_index=period.index,
            period=period.interval,
            quantity=None,
            unit_amount=None,
            exact_amount=amount,
            amount=amount,
            dimensions=MappingProxyType({}),
            steps=(*steps, Step(kind, text, amount)),
            pipeline=_PIPELINE,
            selectors=(),
        )

    def reduced(bound: Decimal) -> Decimal:
        return round_money(share.of(bound), contract.currency, policies.rounding)

    if plan.maximum is not None and charged > reduced(plan.maximum.amount):
        yield line("maximum", plan.maximum.amount, reduced(plan.maximum.amount) - charged)
    elif plan.minimum is not None and (missing := shortfall(reduced(plan.minimum.amount), charged)):
        yield line("minimum", plan.minimum.amount, missing)

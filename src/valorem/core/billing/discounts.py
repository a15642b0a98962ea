"""Discounts and coupons of one period: which count in it, in what order, and each line's share."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType

from valorem.core.billing.invoice import Line, Timing
from valorem.core.billing.schedule import period_index_at
from valorem.core.billing.tax_codes import by_code, split
from valorem.core.billing.terms import Terms
from valorem.core.contracts.agreed import Discount
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.standing import Standing
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.periods import Period
from valorem.core.pricing.adjustments import Adjustment, adjust
from valorem.core.pricing.lines import Step

#: Those for some lines before those for all; of each an amount before a share; then in the order agreed.
ORDER = ("for some lines: amount, percent", "for the whole invoice: amount, percent")
#: Sums given before by a discount, for those of which only a rest is left.
Given = Mapping[str, Decimal]
NOTHING_GIVEN: Given = MappingProxyType({})


@exact
def discount_lines(terms: Terms, period: Period, lines: Sequence[Line], given: Given) -> tuple[Line, ...]:
    """The discounts of one period, on what it is charged: those of its advance fees apart from the rest.

    Args:
        terms: The contract's terms.
        period: The period.
        lines: Its fees, usage and charges.
        given: What each discount gave in earlier periods.
    """
    if not any(standing.discounts for standing in terms.contract.agreed):
        return ()
    policies = terms.at(period.interval.start).policies
    counting = discounts_in(terms.contract, period, by_kind=policies.discount_order == "by_kind")
    if not counting:
        return ()
    ahead = [line for line in lines if line.timing == "in_advance"]
    rest = [line for line in lines if line.timing != "in_advance"]
    found = list(_of(terms, period, counting, ahead, given, "in_advance"))
    so_far = dict(given)
    spent: dict[str, Decimal] = {}
    for line in found:
        so_far[line.key] = so_far.get(line.key, ZERO) - line.amount
        spent[line.key] = spent.get(line.key, ZERO) - line.amount
    found += _of(terms, period, counting, rest, so_far, "in_arrears", spent)
    return tuple(found)


def given_before(billed: Iterable[Line], index: int) -> dict[str, Decimal]:
    """What each discount gave in the periods before one, from the lines billed."""
    given: dict[str, Decimal] = {}
    for line in billed:
        if line.kind == "discount" and line.period_index < index:
            given[line.key] = given.get(line.key, ZERO) - line.amount
    return given


def discounts_in(contract: Contract, period: Period, *, by_kind: bool = True) -> tuple[Discount, ...]:
    """The discounts of money that count in a period, in the order they are applied (:data:`ORDER`)."""
    found: dict[str, tuple[Discount, int]] = {}
    for standing in contract.agreed:
        for discount in standing.discounts:
            if discount.usage is None and discount.id not in found:
                since = max(discount.start or standing.since, contract.start)
                if contract.end is None or since < contract.end:
                    found[discount.id] = (discount, period_index_at(contract, since))
    agreed = {discount.id for standing in _standings_in(contract, period) for discount in standing.discounts}
    counting = [
        discount
        for discount, first in found.values()
        if discount.id in agreed and _counts(discount, period.index - first)
    ]
    return tuple(sorted(counting, key=lambda each: (each.only is None, by_kind and each.amount is None)))


def _standings_in(contract: Contract, period: Period) -> Iterator[Standing]:
    yield contract.standing_at(period.interval.start)
    for standing in contract.agreed:
        if standing.since in period.interval:
            yield standing


def _counts(discount: Discount, periods: int) -> bool:
    if discount.lasts == "forever":
        return periods >= 0
    if discount.lasts == "once":
        return periods >= 0 if discount.amount is not None else periods == 0
    return 0 <= periods < int(discount.lasts)


def _of(
    terms: Terms,
    period: Period,
    discounts: Sequence[Discount],
    lines: Sequence[Line],
    given: Given,
    timing: Timing,
    spent: Given = NOTHING_GIVEN,
) -> Iterator[Line]:
    """Each discount on what the ones before it left of the lines."""
    contract = terms.contract
    rounding = terms.at(period.interval.start).policies.rounding
    charges = {str(place): line for place, line in enumerate(lines)}
    left = {place: line.amount for place, line in charges.items()}
    for discount in discounts:
        names = tuple(
            place for place, line in charges.items() if discount.only is None or line.key in discount.only
        )
        if not names:
            continue
        adjustment = _adjustment(discount, names, given, spent)
        adjusted = adjust(left, [adjustment], currency=contract.currency, rounding=rounding)
        amount = adjusted.total - adjusted.subtotal
        if not amount:
            continue
        shares = tuple(
            Step("share", charges[place].charge, adjusted.lines[place] - left[place])
            for place in names
            if adjusted.lines[place] != left[place]
        )
        text, _ = adjusted.steps[0]
        parts = by_code(terms, ((charges[place], adjusted.lines[place] - left[place]) for place in names))
        left = dict(adjusted.lines)
        line = Line(
            kind="discount",
            key=discount.id,
            charge=f"discount:{discount.id}" + (":ahead" if timing == "in_advance" else ""),
            timing=timing,
            description=discount.name or discount.id,
            period_index=period.index,
            period=period.interval,
            quantity=None,
            unit_amount=None,
            exact_amount=amount,
            amount=amount,
            dimensions=MappingProxyType({}),
            steps=(Step("discount", text, amount), *shares),
            pipeline=("discount", "share"),
            selectors=(),
        )
        yield from split(terms, line, parts)


def _adjustment(discount: Discount, names: tuple[str, ...], given: Given, spent: Given) -> Adjustment:
    if discount.percent is not None:
        return Adjustment("percent", discount.percent, names)
    assert discount.amount is not None  # discounts of usage act on the price
    # Once: whatever is left of it. Otherwise afresh in each period, less what its advance fees took.
    used = given if discount.lasts == "once" else spent
    return Adjustment("amount", max(ZERO, discount.amount - used.get(discount.id, ZERO)), names)


def shares_of(line: Line) -> dict[str, Decimal]:
    """Each charge's share of a discount line, by the charge's name; for taxes and revenue by product."""
    return {step.text: step.value for step in line.steps if step.label == "share"}


@dataclass(frozen=True, slots=True)
class DiscountState:
    """Where a discount stands after a period it counted in.

    Attributes:
        left: What is left of an amount that is given once; None where each period has the whole afresh.
        periods: How many more periods it counts in; None for one without such a number.
        ended: Whether it will give nothing more.
    """

    left: Decimal | None
    periods: int | None
    ended: bool


@exact
def state_after(discount: Discount, given: Decimal, periods: int) -> DiscountState:
    """Where a discount stands when it has given a sum over so many periods."""
    if discount.lasts == "forever":
        return DiscountState(None, None, ended=False)
    if discount.lasts == "once":
        if discount.amount is None:
            return DiscountState(None, None, ended=periods > 0)
        left = max(ZERO, discount.amount - given)
        return DiscountState(left, None, ended=not left)
    remaining = max(0, int(discount.lasts) - periods)
    return DiscountState(None, remaining, ended=not remaining)


@exact
def precise_shares(
    lines: Mapping[str, Decimal], amounts: Sequence[tuple[Decimal, Collection[str] | None]], places: int
) -> dict[str, Decimal]:
    """Each line's share of several amounts off, one after the other, before any rounding to the minor unit.

    Each amount is spread in proportion to what those before it left of its lines, and each share is kept to a number of
    decimals; this is how taxes see discounts where they are worked out line by line.

    Args:
        lines: Amounts by line.
        amounts: Amount and the lines it is for, ``None`` for all, in the order applied.
        places: Decimals of a share.
    """
    shares = dict.fromkeys(lines, ZERO)
    for amount, names in amounts:
        left = {name: lines[name] - shares[name] for name in lines if names is None or name in names}
        whole = sum(left.values(), ZERO)
        if whole <= 0:
            continue
        for name, rest in left.items():
            shares[name] += (min(amount, whole) * rest / whole).quantize(ONE.scaleb(-places))
    return shares

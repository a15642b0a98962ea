"""Rating a slice of a period, given what came before it: progressive billing and billing in advance.

A slice costs price(before + slice) − price(before), so slices always add up to the whole, whatever the model. What can
only be told at the end of a period (volume tiers, a minimum) is billed with its last slice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce
from typing import Literal

from valorem.core.errors import InvalidInputError
from valorem.core.money import round_money
from valorem.core.numbers import ZERO, exact
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.bounds import at_least, at_most
from valorem.core.pricing.flat import Flat
from valorem.core.pricing.lines import RatedLine, Selector, Step
from valorem.core.pricing.parts import Usage
from valorem.core.pricing.pipeline import line_of
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies

#: Where a slice stands in its period; ``only`` is a period that is billed at once.
Position = Literal["first", "mid", "last", "only"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NOWHERE = Selector("", {}, _EPOCH, _EPOCH)


@dataclass(frozen=True, slots=True)
class Discounted:
    """A slice after the free quantity.

    Attributes:
        quantity: What is left to bill.
        before: What was left to bill of the usage before it.
        used: How much of the free quantity the slice took.
        used_before: How much of it the usage before took.
    """

    quantity: Decimal
    before: Decimal
    used: Decimal
    used_before: Decimal


@exact
def take_included(quantity: Decimal, included: Decimal, before: Decimal = ZERO) -> Decimal:
    """How much of a slice the included quantity covers, after ``before`` units of the same period."""
    return max(ZERO, min(quantity, included - before))


@exact
def usage_discount(quantity: Decimal, included: Decimal, before: Decimal = ZERO) -> Discounted:
    """Take a free quantity off a slice; what earlier usage took of it is gone."""
    used, used_before = take_included(quantity, included, before), take_included(before, included)
    return Discounted(quantity - used, before - used_before, used, used_before)


@exact
def rate_slice(
    version: PriceBase,
    *,
    quantity: Decimal,
    before: Decimal = ZERO,
    position: Position = "only",
    already_billed: Decimal = ZERO,
    currency: str,
    name: str = "",
    selector: Selector = _NOWHERE,
    policies: PricePolicies = DEFAULT_POLICIES,
) -> tuple[RatedLine, ...]:
    """Rate a slice of a period.

    Args:
        version: The price's numbers.
        quantity: Measured in the slice, in the meter's unit.
        before: Measured in the period before it.
        position: Of the slice in its period.
        already_billed: What earlier slices of the period billed, for the minimum and maximum.
        currency: ISO 4217 code that lines are rounded in.
        name: Goes into descriptions.
        selector: Meter, dimension values and stretch of time of the slice.
        policies: How bounds, flat fees and rounding are read.
    """
    opening, closing = position in ("first", "only"), position in ("last", "only")
    lines: list[RatedLine] = []
    if _billable(version, opening=opening, closing=closing):
        earlier, later = _billable_usage(version, before, quantity, policies)
        whole = version.bills_on == "last" or isinstance(version, Flat) or (opening and not earlier.quantity)
        parts = version.between(None if whole else earlier, later, policies)
        lines = [line_of(part, version, selector, currency, policies) for part in parts]
    lines = at_most(lines, version.maximum, already_billed)
    if closing:
        span = {"start": selector.start, "end": selector.end}
        lines = at_least(lines, version.minimum, already_billed, name=name, **span)
    return tuple(lines)


def _billable(version: PriceBase, *, opening: bool, closing: bool) -> bool:
    if isinstance(version, Flat):
        return opening if version.billed == "in advance" else closing
    return closing if version.bills_on == "last" else True


def _billable_usage(
    version: PriceBase, before: Decimal, quantity: Decimal, policies: PricePolicies
) -> tuple[Usage, Usage]:
    """The usage before a slice and with it, after conversion and the included quantity."""
    earlier, later = before, before + quantity
    if version.convert is not None:
        earlier = version.convert.apply(before).invoiced
        if policies.conversion == "each_slice":
            later = earlier + version.convert.apply(quantity).invoiced
        else:
            later = version.convert.apply(later).invoiced
    free = version.included
    return Usage(usage_discount(earlier, free).quantity), Usage(usage_discount(later, free).quantity)


@dataclass(frozen=True, slots=True)
class Advance:
    """What is billed for one event at once.

    Attributes:
        quantity: By how much the event raised the period's usage above its highest point so far.
        exact: price(with the event) − price(without it).
        amount: Rounded.
    """

    quantity: Decimal
    exact: Decimal
    amount: Decimal


@exact
def rate_in_advance(
    version: PriceBase,
    values: Iterable[Decimal],
    *,
    currency: str,
    policies: PricePolicies = DEFAULT_POLICIES,
) -> tuple[Advance, ...]:
    """Bill each event of a period at once, in order.

    Only what goes above the period's highest point so far is billed, so a fall is not refunded within the period and is
    used up again before anything more is billed.

    Args:
        version: The price's numbers.
        values: What each event adds to the quantity (one each for a count).
        currency: ISO 4217 code that every event's amount is rounded in.
        policies: How bounds, flat fees and rounding are read.
    """
    billed: list[Advance] = []
    highest: Usage | None = None
    running = ZERO
    seen: tuple[Decimal, ...] = ()
    for value in values:
        running += value
        seen = (*seen, value)
        top = highest.quantity if highest is not None else ZERO
        later = Usage(max(top, running), len(seen), seen)
        lines = version.between(highest, later, policies)
        amount = sum((part.amount for part in lines), ZERO)
        billed.append(Advance(later.quantity - top, amount, round_money(amount, currency, policies.rounding)))
        highest = later
    return tuple(billed)


@dataclass(frozen=True, slots=True)
class Booked:
    """A line on an earlier invoice of the same period, or what a later one adds to it.

    Attributes:
        id: Names the line.
        line: What was billed.
        corrects: The line that this one takes back, if it does.
    """

    id: str
    line: RatedLine
    corrects: str | None = None


@exact
def rate_delta(lines: Sequence[RatedLine], booked: Sequence[Booked], prefix: str) -> tuple[Booked, ...]:
    """What has to be billed so that what was booked becomes the given rating of the whole period so far.

    A line with the key and unit amount of booked ones is billed less those; a booked line whose rate no longer stands is
    taken back as a whole, by a line that names it.

    Args:
        lines: The rating of the period up to now, as one.
        booked: What earlier invoices billed for the period.
        prefix: The new lines are called ``prefix-line-n``.
    """
    additions: list[tuple[RatedLine, str | None]] = []
    closed = {each.corrects for each in booked if each.corrects is not None}
    standing = [each for each in booked if each.corrects is None and each.id not in closed]
    kept: set[str] = set()
    for line in lines:
        same = [
            each
            for each in (booked if line.unit_amount is not None else standing)
            if _same_rate(each.line, line)
        ]
        kept.update(each.id for each in same)
        left = reduce(_less, (each.line for each in same), line)
        if left.quantity or left.total or not same:
            additions.append((left, None))
    additions.extend((_reversed(each.line), each.id) for each in standing if each.id not in kept)
    ordered = sorted(additions, key=lambda each: (each[0].key, each[1] or ""))
    return tuple(
        Booked(f"{prefix}-line-{number}", line, corrects)
        for number, (line, corrects) in enumerate(ordered, 1)
    )


def _same_rate(booked: RatedLine, line: RatedLine) -> bool:
    """Whether lines may be subtracted: the same part at the same rate, or an amount that did not change at all."""
    if line.unit_amount is None:
        return booked.key == line.key and (booked.amount, booked.discount) == (line.amount, line.discount)
    return (booked.key, booked.unit_amount) == (line.key, line.unit_amount)


def _less(line: RatedLine, booked: RatedLine) -> RatedLine:
    step = Step("booked", f"less {booked.quantity} booked for {booked.total}", line.total - booked.total)
    return replace(
        line,
        quantity=line.quantity - booked.quantity,
        exact=line.exact - booked.exact,
        amount=line.amount - booked.amount,
        discount=line.discount - booked.discount,
        steps=(*line.steps, step),
    )


def _reversed(line: RatedLine) -> RatedLine:
    return replace(
        line,
        quantity=-line.quantity,
        exact=-line.exact,
        amount=-line.amount,
        discount=-line.discount,
        steps=(Step("taken back", "the rate no longer stands", -line.total),),
    )


@dataclass(frozen=True, slots=True)
class Credited:
    """A line and the credits that pay for part of it, in the order they were given."""

    line: RatedLine
    credits: tuple[Decimal, ...]

    @property
    def due(self) -> Decimal:
        """What is left to pay."""
        return self.line.total - sum(self.credits, ZERO)


@exact
def spread_credits(lines: Sequence[RatedLine], amounts: Sequence[Decimal]) -> tuple[Credited, ...]:
    """Spread credits over lines in their order, each credit until it or the lines are used up.

    Raises:
        InvalidInputError: When the lines cannot take all of it: money must never vanish.
    """
    spread: list[list[Decimal]] = [[] for _ in lines]
    for amount in amounts:
        left = amount
        for line, parts in zip(lines, spread, strict=True):
            part = min(left, max(ZERO, line.total - sum(parts, ZERO)))
            if part:
                parts.append(part)
                left -= part
        if left:
            raise InvalidInputError(
                f"{left} of the credits is more than the lines come to",
                field="credits",
                hint="apply at most the sum of the lines",
            )
    return tuple(Credited(line, tuple(parts)) for line, parts in zip(lines, spread, strict=True))

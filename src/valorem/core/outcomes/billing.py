"""From counted outcomes to money, period by period: usage, credits for what was taken back, what is carried on.

Under ``re_rate_original`` a reversal re-prices the period in which the outcome was confirmed: the credit is the difference
of that period's rounded amounts, so tiers, minimums and maximums are honoured. Under ``net_in_current`` it is taken off
the current period's quantity.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.calendar import zone_info
from valorem.core.errors import InvalidInputError
from valorem.core.metering.measured import Measured
from valorem.core.numbers import ZERO, exact
from valorem.core.outcomes.activities import Activity, Quantities, negated, summed
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.frame import Frame
from valorem.core.periods import Interval
from valorem.core.pricing.lines import Rated, Segment
from valorem.core.pricing.pipeline import rate
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies


@dataclass(frozen=True)
class Adjustment:
    """A change of what an earlier period was billed.

    Attributes:
        index: Which period.
        before: What stood for it.
        priced: What its quantities cost now.
        amount: What is billed for it now; below zero for a credit.
    """

    index: int
    before: Decimal
    priced: Decimal
    amount: Decimal


@dataclass(frozen=True)
class PeriodBill:
    """What one period is billed.

    Attributes:
        index: Its place in the sequence.
        quantity: What is priced for the period itself; with a minimum perhaps less than what is billed.
        rated: The price's lines.
        usage: Their sum.
        adjustments: Of earlier periods.
        total: Usage and adjustments.
        payable: The total with what was carried in, where that is above zero; an invoice is never negative.
        credit_forward: What is left below zero, carried into the next period.
        carried: The quantity below zero that is carried into the next period, under ``net_in_current``.
    """

    index: int
    quantity: Decimal
    rated: Rated
    usage: Decimal
    adjustments: tuple[Adjustment, ...]
    total: Decimal
    payable: Decimal
    credit_forward: Decimal
    carried: Decimal = ZERO

    @property
    def credit(self) -> Decimal:
        """The sum of the adjustments."""
        return sum((each.amount for each in self.adjustments), ZERO)


@exact
def price_quantities(
    definition: OutcomeDefinition,
    quantities: Quantities,
    period: Interval,
    frame: Frame,
    policies: PricePolicies = DEFAULT_POLICIES,
) -> Rated:
    """What quantities of one period cost, by the definition's price, with its minimum and cap of a quantity.

    Raises:
        InvalidInputError: For a definition that shares savings, which has no price.
    """
    price = definition.price
    if price is None:
        raise InvalidInputError(f"{definition.outcome} shares savings and has no price", field="price")
    measured = tuple(
        Measured(dict(zip(sorted(definition.dimensions), values, strict=False)), quantity, int(quantity))
        for values, quantity in sorted(bounded(definition, quantities).items(), key=lambda item: str(item[0]))
    )
    return rate(
        price,
        [Segment(period.start, period.end, measured)],
        currency=definition.currency,
        meter=definition.outcome,
        name=price.name or definition.label,
        zone=zone_info(frame.zone),
        policies=policies,
    )


def bounded(definition: OutcomeDefinition, quantities: Quantities) -> dict[tuple[str | None, ...], Decimal]:
    """Quantities as they are billed: not below zero, at least the minimum, at most the cap of the period."""
    found = {values: max(ZERO, quantity) for values, quantity in quantities.items()}
    whole = sum(found.values(), ZERO)
    minimum, cap = definition.minimum, definition.cap
    if cap is not None and cap.per == "period" and whole > cap.quantity:
        return {(): cap.quantity}
    if minimum is not None and whole < minimum.quantity:
        return {(): minimum.quantity}
    return found


@exact
def bill(
    definition: OutcomeDefinition,
    activities: Sequence[Activity],
    frame: Frame,
    policies: PricePolicies = DEFAULT_POLICIES,
) -> tuple[PeriodBill, ...]:
    """What each of a row of periods is billed; a pure function, so a preview, an invoice and a recount agree.

    Args:
        definition: With its price, bounds and policies.
        activities: One for each period from the first that was billed.
        frame: The contract's calendar.
        policies: How the price's numbers are read.
    """
    run = _Billing(definition, activities, frame, policies)
    return tuple(run.close(index) for index in range(len(activities)))


@exact
def credits_in_order(
    definition: OutcomeDefinition,
    quantities: Quantities,
    taken: Sequence[Quantities],
    period: Interval,
    frame: Frame,
    policies: PricePolicies = DEFAULT_POLICIES,
) -> list[Decimal]:
    """The credit of each single reversal of one period, one after the other; together that of all of them.

    Each is the difference of the period's rounded amounts before and after it, below zero or nothing.
    """
    given, standing = [], price_quantities(definition, quantities, period, frame, policies).total
    for each in taken:
        quantities = summed(quantities, negated(each))
        priced = price_quantities(definition, quantities, period, frame, policies).total
        stands = min(standing, priced) if definition.dearer == "floor_zero" else priced
        given.append(stands - standing)
        standing = stands
    return given


class _Billing:
    """The periods closed so far: what each was confirmed to, and what stands billed for it."""

    def __init__(
        self,
        definition: OutcomeDefinition,
        activities: Sequence[Activity],
        frame: Frame,
        policies: PricePolicies,
    ) -> None:
        self.definition, self.activities, self.frame, self.policies = definition, activities, frame, policies
        self.quantities: list[dict[tuple[str | None, ...], Decimal]] = []
        self.billed: list[Decimal] = []
        self.carried: dict[tuple[str | None, ...], Decimal] = {}
        self.forward = ZERO

    def close(self, index: int) -> PeriodBill:
        activity = self.activities[index]
        own = summed(activity.added, negated(activity.taken.get(index, {})), activity.restated.get(index, {}))
        self.quantities.append(own)
        if self.definition.reversal_policy == "net_in_current":
            return self._close_net(index, activity, own)
        adjustments = [
            adjustment
            for earlier in range(index)
            if (adjustment := self._re_rate(earlier, activity)) is not None
        ]
        rated = self._price(index, own)
        self.billed.append(rated.total)
        total = rated.total + sum((each.amount for each in adjustments), ZERO)
        due = total + self.forward
        self.forward = min(ZERO, due)
        quantity = sum(own.values(), ZERO)
        return PeriodBill(
            index, quantity, rated, rated.total, tuple(adjustments), total, max(ZERO, due), self.forward
        )

    def _re_rate(self, earlier: int, activity: Activity) -> Adjustment | None:
        """First what came late or was restated, at its price; then what was taken back, which never costs more."""
        late, taken = activity.late.get(earlier, {}), activity.taken.get(earlier, {})
        restated = activity.restated.get(earlier, {})
        if self.definition.late == "note":
            late = {}
        if not (late or taken or restated):
            return None
        before = self.billed[earlier]
        standing = before
        quantities = summed(self.quantities[earlier], late, restated)
        if late or restated:
            fell = sum(quantities.values(), ZERO) < sum(self.quantities[earlier].values(), ZERO)
            standing = self._stands(earlier, quantities, standing, fell=fell)
        if taken:
            quantities = summed(quantities, negated(taken))
            standing = self._stands(earlier, quantities, standing, fell=True)
        self.quantities[earlier], self.billed[earlier] = quantities, standing
        priced = self._price(earlier, quantities).total
        return Adjustment(earlier, before, priced, standing - before)

    def _stands(self, index: int, quantities: Quantities, before: Decimal, *, fell: bool) -> Decimal:
        priced = self._price(index, quantities).total
        return min(before, priced) if fell and self.definition.dearer == "floor_zero" else priced

    def _close_net(self, index: int, activity: Activity, own: Quantities) -> PeriodBill:
        changes = [
            change
            for earlier in range(index)
            for change in (
                negated(activity.taken.get(earlier, {})),
                activity.restated.get(earlier, {}),
                activity.late.get(earlier, {}) if self.definition.late != "note" else {},
            )
        ]
        net = summed(own, *changes, self.carried)
        self.carried = {values: quantity for values, quantity in net.items() if quantity < 0}
        rated = self._price(index, net)
        self.billed.append(rated.total)
        left = sum(self.carried.values(), ZERO)
        quantity = sum(net.values(), ZERO)
        return PeriodBill(index, quantity, rated, rated.total, (), rated.total, rated.total, ZERO, left)

    def _price(self, index: int, quantities: Quantities) -> Rated:
        period = self.activities[index].period
        return price_quantities(self.definition, quantities, period, self.frame, self.policies)

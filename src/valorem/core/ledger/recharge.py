"""Automatic top-up: when a balance falls to a threshold, once for each crossing, and never more than so often a day."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal

from valorem.core.calendar import local_date
from valorem.core.errors import InvalidInputError
from valorem.core.money import round_money
from valorem.core.numbers import ONE, ZERO, exact, plain


@dataclass(frozen=True, slots=True)
class RechargeRule:
    """When to buy how much.

    Attributes:
        key: Names the rule; a part of every purchase's id.
        threshold: A balance of this or less is topped up.
        target: Buy up to this balance.
        amount: Or buy this many credits.
        most_per_day: Purchases on one local day.
        zone: IANA zone of those days.
        exclude: Grants with one of these tags do not count as balance.

    Raises:
        InvalidInputError: Where it says both or neither of target and amount, or the target is not above the threshold.
    """

    key: str
    threshold: Decimal
    target: Decimal | None = None
    amount: Decimal | None = None
    most_per_day: int = 1
    zone: str = "UTC"
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.target is None) == (self.amount is None):
            raise InvalidInputError(
                "a top-up buys up to a target or a fixed amount", field="target", hint="give one of both"
            )
        if self.target is not None and self.target <= self.threshold:
            raise InvalidInputError(
                "the target is not above the threshold", field="target", hint=f"above {plain(self.threshold)}"
            )
        if self.amount is not None and self.amount <= 0:
            raise InvalidInputError("a top-up buys more than nothing", field="amount")


@dataclass(frozen=True, slots=True)
class RechargeState:
    """What a rule has done so far; kept beside the balance and changed in the same transaction.

    Attributes:
        armed: Whether the next balance at or below the threshold is a crossing.
        crossings: How many there have been.
        day: The local day of the latest purchase.
        bought: Purchases on that day.
    """

    armed: bool = True
    crossings: int = 0
    day: date | None = None
    bought: int = 0


@dataclass(frozen=True, slots=True)
class Purchase:
    """A top-up to be made.

    Attributes:
        id: The same for the same crossing, so that a second try buys nothing.
        credits: How many.
        at: When it was decided.
    """

    id: str
    credits: Decimal
    at: datetime


@exact
def advance(
    rule: RechargeRule, state: RechargeState, balance: Decimal, now: datetime
) -> tuple[RechargeState, Purchase | None]:
    """What a balance means for a rule: the state from now on, and a purchase where one is due.

    A crossing fires once; the rule is armed again when the balance has been above the threshold. A crossing on a day whose
    purchases are used up stays due and fires on the next day on which the balance is looked at.
    """
    if balance > rule.threshold:
        return replace(state, armed=True), None
    if not state.armed:
        return state, None
    today = local_date(now, rule.zone)
    bought = state.bought if state.day == today else 0
    if bought >= rule.most_per_day:
        return state, None
    crossing = state.crossings + 1
    after = RechargeState(armed=False, crossings=crossing, day=today, bought=bought + 1)
    return after, Purchase(f"{rule.key}:{crossing}", credits_to_buy(rule, balance), now)


@exact
def credits_to_buy(rule: RechargeRule, balance: Decimal) -> Decimal:
    """How many credits a top-up buys at a balance."""
    if rule.target is not None:
        return rule.target - balance
    assert rule.amount is not None
    return rule.amount


@exact
def counted_balance(balances: Iterable[tuple[str | None, Decimal]], exclude: Collection[str] = ()) -> Decimal:
    """The balance a rule looks at: (tag, amount) of each grant, without those of excluded tags."""
    return sum((amount for tag, amount in balances if tag not in exclude), ZERO)


@exact
def price_of(bought: Decimal, each: Decimal, currency: str, *, discount: Decimal = ZERO) -> Decimal:
    """What credits cost: credits × price of one × (1 − discount), rounded once."""
    return round_money(bought * each * (ONE - discount), currency)


@exact
def unit_price(price: Decimal, bought: Decimal) -> Decimal:
    """The price of one credit of a pack, exact."""
    return price / bought


@dataclass(frozen=True, slots=True)
class RechargeLimits:
    """What an operator allows customers to set.

    Attributes:
        least_threshold: The lowest threshold.
        least_gap: By how much the target must be above the threshold at least.
    """

    least_threshold: Decimal = ZERO
    least_gap: Decimal = ZERO

    @exact
    def least_target(self, threshold: Decimal) -> Decimal:
        """The lowest target for a threshold."""
        return threshold + self.least_gap

    def check(self, threshold: Decimal, target: Decimal) -> None:
        """Refuse what lies below.

        Raises:
            InvalidInputError: Naming the field and the least value.
        """
        if threshold < self.least_threshold:
            raise InvalidInputError(
                f"a threshold of {plain(threshold)} is too low",
                field="threshold",
                hint=f"at least {plain(self.least_threshold)}",
            )
        if target < self.least_target(threshold):
            raise InvalidInputError(
                f"a target of {plain(target)} is too low",
                field="target",
                hint=f"at least {plain(self.least_target(threshold))}",
            )

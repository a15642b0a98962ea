"""Tiers: consecutive bands of a quantity, each with its own rate."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Annotated, Protocol, TypeVar

from pydantic import AfterValidator, Field, model_validator

from valorem.core.entry import Entry
from valorem.core.numbers import ONE, ZERO, plain
from valorem.core.pricing.policies import PricePolicies
from valorem.core.units import Amount, Quantity, Share

Per = Annotated[Quantity, Field(gt=0)]


class Band(Protocol):
    """Anything that ends at a quantity; the last may be open."""

    @property
    def up_to(self) -> Decimal | None: ...  # noqa: D102 - described by the models


class Tier(Entry):
    """One tier of a graduated or volume price.

    Attributes:
        up_to: The last quantity in it; left out in the last tier, which is open.
        unit: What one unit costs.
        per: How many units ``unit`` is the price of.
        flat: Charged once when the tier is reached.
        minimum: What the tier comes to at least once it is reached.
        maximum: What the tier comes to at most.
    """

    up_to: Quantity | None = None
    unit: Amount | None = None
    per: Per = ONE
    flat: Amount | None = None
    minimum: Amount | None = None
    maximum: Amount | None = None

    @model_validator(mode="after")
    def _priced(self) -> "Tier":
        if self.unit is None and self.flat is None:
            raise ValueError("a tier needs a unit amount or a flat amount (write unit: 0 if it is free)")
        check_bounds(self.minimum, self.maximum)
        return self


class ShareTier(Entry):
    """One tier of a graduated percentage.

    Attributes:
        up_to: The last value in it; left out in the last tier, which is open.
        rate: The share of the value that is charged.
        flat: Charged once when the tier is reached.
    """

    up_to: Quantity | None = None
    rate: Share
    flat: Amount | None = None


B = TypeVar("B", bound=Band)


def check_bounds(minimum: Decimal | None, maximum: Decimal | None) -> None:
    """Refuse a minimum above its maximum."""
    if minimum is not None and maximum is not None and minimum > maximum:
        raise ValueError(f"the minimum {plain(minimum)} is above the maximum {plain(maximum)}")


def ascending(tiers: tuple[B, ...]) -> tuple[B, ...]:
    """Check that bounds rise and that only the last is open."""
    floor = ZERO
    for number, tier in enumerate(tiers, 1):
        last = number == len(tiers)
        if tier.up_to is None:
            if not last:
                raise ValueError(
                    f"tier {number} has no up_to, but only the last tier may be open (give it an up_to)"
                )
        elif tier.up_to <= floor:
            raise ValueError(
                f"tier {number} ends at {plain(tier.up_to)}, not above {plain(floor)} where it begins "
                "(write the tiers in rising order)"
            )
        else:
            floor = tier.up_to
    return tiers


def _open_ended(tiers: tuple[B, ...]) -> tuple[B, ...]:
    end = tiers[-1].up_to
    if end is not None:
        raise ValueError(
            f"nothing is said about more than {plain(end)} (leave up_to out in the last tier, so that it is open)"
        )
    return tiers


#: Tiers that cover every quantity: rising, without gaps, the last open.
Tiers = Annotated[
    tuple[Tier, ...], Field(min_length=1), AfterValidator(ascending), AfterValidator(_open_ended)
]
ShareTiers = Annotated[
    tuple[ShareTier, ...], Field(min_length=1), AfterValidator(ascending), AfterValidator(_open_ended)
]


def tier_of(tiers: Sequence[Band], quantity: Decimal, policies: PricePolicies) -> int:
    """The index of the tier a quantity stands in; past a closed last tier, the last."""
    inclusive = policies.tier_bound == "inclusive_upper"
    for index, tier in enumerate(tiers):
        if tier.up_to is None or quantity < tier.up_to or (inclusive and quantity == tier.up_to):
            return index
    return len(tiers) - 1


def filled(tiers: Sequence[B], quantity: Decimal, policies: PricePolicies) -> list[tuple[int, B, Decimal]]:
    """The tiers a quantity reaches, as (number from 1, tier, quantity inside it).

    The first tier is reached by nought. A later one is reached past its lower bound, or at it where the bound belongs to
    the upper tier; so a flat fee is due once per tier, by the unit that enters it.
    """
    reached = tier_of(tiers, quantity, policies)
    inside, floor = [], ZERO
    for index, tier in enumerate(tiers[: reached + 1]):
        top = quantity if index == reached or tier.up_to is None else tier.up_to
        inside.append((index + 1, tier, top - floor))
        floor = top
    return inside

"""Negotiated numbers: which override wins, and what a price or a fee comes to with it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from valorem.core.contracts.agreed import Override
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ONE, exact, plain
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.matrix import Default, Matrix, Rate
from valorem.core.pricing.per_unit import PerUnit
from valorem.core.pricing.price import Price

#: How the number in force is found, the strongest first. Overrides never multiply each other.
ORDER = (
    "an override for usage drawn from this commitment, before one for all usage",
    "a price or an amount, before a multiplier",
    "the one that names most dimensions, before one for the meter or fee, before one for everything",
    "of prices and amounts the one added last; of multipliers the lowest priority number, then the lowest multiplier",
    "an amount of the running phase",
    "the plan's amount in the contract's currency",
)


@dataclass(frozen=True, slots=True)
class Number:
    """A number after overrides.

    Attributes:
        amount: What is charged for one.
        override: The override it comes from; ``None`` where it is the plan's.
        text: Its arithmetic.
    """

    amount: Decimal
    override: str | None
    text: str


@exact
def overridden(listed: Decimal, overrides: Sequence[Override], *, commitment: str | None = None) -> Number:
    """One amount after the overrides that fit it, by :data:`ORDER`.

    Args:
        listed: The plan's amount.
        overrides: Those that fit it, the last added last.
        commitment: The commitment the usage is drawn from; without it those for one commitment do not count.
    """
    winner = _winner(overrides, commitment)
    if winner is None:
        return Number(listed, None, plain(listed))
    if winner.amount is not None:
        return Number(winner.amount, winner.id, f"{plain(winner.amount)} instead of {plain(listed)}")
    assert winner.multiplier is not None
    amount = listed * winner.multiplier
    return Number(amount, winner.id, f"{plain(listed)} × {plain(winner.multiplier)}")


def _winner(overrides: Iterable[Override], commitment: str | None) -> Override | None:
    ranked = [
        (_strength(each, place), each)
        for place, each in enumerate(overrides)
        if each.commitment in (None, commitment) and (each.amount is not None or each.multiplier is not None)
    ]
    return max(ranked, key=lambda pair: pair[0])[1] if ranked else None


def _strength(override: Override, place: int) -> tuple[Any, ...]:
    """What :data:`ORDER` compares, the strongest greatest; ``place`` is when it was added."""
    named = (
        override.commitment is not None,
        override.multiplier is None,
        len(override.where),
        override.meter is not None or override.fee is not None,
    )
    if override.multiplier is None:
        return (*named, place)
    chosen = override.priority is not None
    return (*named, chosen, -(override.priority or 0), -override.multiplier, place)


def overridden_fee(listed: Decimal, key: str, overrides: Sequence[Override]) -> Number:
    """A fee's or add-on's amount after the overrides for it and those for everything."""
    return overridden(listed, [each for each in overrides if each.meter is None and each.fee in (None, key)])


def overridden_price(price: Price, meter: str, overrides: Sequence[Override]) -> Price:
    """A price after the overrides for its meter and those for everything.

    Raises:
        InvalidInputError: Where a number is negotiated that this kind of price does not have.
    """
    fitting = [each for each in overrides if each.fee is None and each.meter in (None, meter)]
    fitting = [each for each in fitting if each.commitment is None]
    if not fitting:
        return price
    for each in fitting:
        if each.price is not None:
            price = each.price
    has_whole = any(each.price is not None for each in fitting)
    numbers = [each for each in fitting if each.amount is not None or each.multiplier is not None]
    if has_whole:  # a price is stronger than any multiplier of the meter, unless that names dimensions
        numbers = [each for each in numbers if each.amount is not None or each.where]
    included = [each.included for each in fitting if each.included is not None]
    changes: list[Callable[[PriceBase], PriceBase]] = []
    if numbers:
        changes.append(lambda version: _renumbered(version, numbers, meter))
    if included:
        changes.append(lambda version: _copy(version, included=included[-1]))
    return changed_price(price, changes)


def more_included(price: Price, quantity: Decimal) -> Price:
    """A price with so many more free units in each period."""
    return changed_price(price, [lambda version: _copy(version, included=version.included + quantity)])


def scaled_price(price: Price, factor: Decimal) -> Price:
    """A price with every amount multiplied."""
    return changed_price(price, [lambda version: _copy(version, scale=(version.scale or ONE) * factor)])


def changed_price(price: Price, changes: Sequence[Callable[[PriceBase], PriceBase]]) -> Price:
    """A price with every dated version changed the same way."""
    versions: list[PriceBase] = []
    for version in price.versions:
        changed = version
        for change in changes:
            changed = change(changed)
        versions.append(changed if changed.name or not price.name else _copy(changed, name=price.name))
    return Price.model_validate(tuple(versions) if len(versions) > 1 else versions[0])


def _copy(version: PriceBase, **changes: Any) -> PriceBase:
    copied = version.model_copy(update=changes)
    copied.__dict__.pop("_index", None)  # a matrix works its rows out anew
    return copied


def _renumbered(version: PriceBase, overrides: Sequence[Override], meter: str) -> PriceBase:
    if isinstance(version, Matrix):
        return _rows(version, overrides)
    whole = [each for each in overrides if not each.where]
    parts = [each for each in overrides if each.where]
    winner = _winner(whole, None)
    if winner is not None and winner.amount is not None:
        if not isinstance(version, PerUnit):
            raise InvalidInputError(
                f"the price of {meter} has more than one amount",
                field=f"overrides.{winner.id}",
                hint="negotiate a whole price, or a multiplier",
            )
        version = _copy(version, amount=winner.amount)
    elif winner is not None and winner.multiplier is not None:
        version = _copy(version, scale=(version.scale or ONE) * winner.multiplier)
    for each in parts:
        version = _copy(version, multipliers=_multipliers(version, each, meter))
    return version


def _multipliers(version: PriceBase, override: Override, meter: str) -> Mapping[str, Mapping[str, Decimal]]:
    """A factor for one value of one dimension of a price without rows, beside the factor of the whole."""
    if override.multiplier is None or len(override.where) != 1:
        raise InvalidInputError(
            f"the price of {meter} has no row of its own for {', '.join(override.where)}",
            field=f"overrides.{override.id}",
            hint="negotiate a multiplier for one value of one dimension, or a whole price",
        )
    ((dimension, value),) = override.where.items()
    known = version.multipliers.get(dimension, {})
    changed = {**known, value: known.get(value, ONE) * override.multiplier}
    return {**version.multipliers, dimension: changed}


def _rows(version: Matrix, overrides: Sequence[Override]) -> PriceBase:
    rows = [
        row.model_copy(update={"amount": overridden(row.amount, _fitting(row, overrides)).amount})
        for row in version.rates
    ]
    rows.extend(
        Rate.model_validate({**each.where, "amount": each.amount})
        for each in overrides
        if each.where and each.amount is not None and not any(_fits(row, each) for row in version.rates)
    )
    default = version.default
    if default is not None:
        whole = [each for each in overrides if not each.where]
        default = Default(amount=overridden(default.amount, whole).amount, per=default.per)
    return _copy(version, rates=tuple(rows), default=default)


def _fitting(row: Rate, overrides: Sequence[Override]) -> list[Override]:
    return [each for each in overrides if _fits(row, each)]


def _fits(row: Rate, override: Override) -> bool:
    """Whether every value the override names is the row's; a row for any value is not."""
    where = row.where
    return all(where.get(name) == value for name, value in override.where.items())

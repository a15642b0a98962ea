"""How fast spend can rise at most: what lets ingest know that no threshold is near without pricing anything."""

from collections.abc import Iterable
from decimal import ROUND_DOWN, Decimal

from valorem.core.metering.meter import Meter
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.graduated import Graduated
from valorem.core.pricing.matrix import Matrix
from valorem.core.pricing.per_unit import PerUnit
from valorem.core.pricing.price import Price


@exact
def most_per_unit(price: Price, meter: Meter) -> Decimal | None:
    """The most that one unit more of a meter can cost, under any version of a price.

    Returns:
        In money for one unit; None where a single unit may cost any amount (packages, flat fees of tiers, volume tiers,
        minimums that end) or the unit is not the meter's own.
    """
    if meter.convert is not None or meter.aggregate not in ("count", "sum"):
        return None
    found = [_of_version(version) for version in price.versions]
    return None if None in found else max((each for each in found if each is not None), default=ZERO)


def _of_version(version: PriceBase) -> Decimal | None:
    if version.convert is not None or version.minimum is not None or version.whole_event is not None:
        return None
    base = _of_model(version)
    if base is None or base < 0:
        return None
    factor = ONE if version.scale is None else version.scale
    for by_value in version.multipliers.values():
        factor *= max((ONE, *by_value.values()))
    return base * factor


def _of_model(version: PriceBase) -> Decimal | None:
    if isinstance(version, PerUnit):
        return version.amount / version.per
    if isinstance(version, Graduated):
        if any(tier.flat is not None or tier.minimum is not None for tier in version.tiers):
            return None
        return _greatest((tier.unit or ZERO) / tier.per for tier in version.tiers)
    if isinstance(version, Matrix):
        rows = [row.amount / row.per for row in version.rates]
        if version.default is not None:
            rows.append(version.default.amount / version.default.per)
        return _greatest(rows)
    return None


def _greatest(rates: Iterable[Decimal]) -> Decimal:
    return max(rates, default=ZERO)


@exact
def headroom(distance: Decimal, most: Decimal, sources: int, slack: Decimal = ZERO) -> Decimal:
    """How many units of one of several meters may surely be used before spend has risen by a distance.

    Args:
        distance: In money, or in credits.
        most: The most a unit of this meter can cost.
        sources: How many meters feed the spend.
        slack: By how much rounding alone may raise what one meter costs; a tenth of the distance is kept back besides.
    """
    if not most:
        return Decimal(10) ** 30
    share = distance * 9 / 10 / sources - slack
    return max(ZERO, share / most).quantize(ONE.scaleb(-12), rounding=ROUND_DOWN)

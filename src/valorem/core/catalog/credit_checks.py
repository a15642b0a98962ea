"""What holds between credit types, the plans that grant them, and the meters that burn them."""

from collections.abc import Iterator, Mapping
from typing import Any

from valorem.core.catalog.credits import CreditType, unburnable
from valorem.core.catalog.plans import Plan
from valorem.core.catalog.price_checks import check_price
from valorem.core.catalog.problems import Problem, suggestion
from valorem.core.catalog.source import Path, Source
from valorem.core.metering.meter import Meter
from valorem.core.pricing.price import Price

Names = Mapping[str, dict[str, Any]]
#: Aggregations whose quarter hours add up to the period, so that each can burn credits as it comes.
ADDING_UP = ("count", "sum")


def check_credit(source: Source, credit: CreditType | None, names: Names) -> Iterator[Problem]:
    """Every meter, price, dimension and scope of a credit type that leads nowhere."""
    if credit is None:
        return
    for meter, price in credit.burn.items():
        yield from _check_burn(source, meter, price, names)
    if credit.member is not None and not _knows(credit.member, credit, names):
        hint = "name a dimension of the meters under burn"
        yield source.problem(
            ("member",), f"no meter that burns {credit.key} has a dimension {credit.member}", hint
        )
    for key, cap in credit.caps.items():
        yield from _check_scope(source, ("caps", key, "scope"), cap.scope, names)
    for key, pack in credit.packs.items():
        yield from _check_scope(source, ("packs", key, "scope"), pack.scope, names)


def check_grants(source: Source, plan: Plan, names: Names) -> Iterator[Problem]:
    """Every credit type, feature and meter that a plan's grants name and that does not exist."""
    for key, terms in plan.grants.items():
        credit = terms.credit or key
        if credit not in names["credits"]:
            place: Path = ("grants", key, "credit") if terms.credit else ("grants", key)
            hint = suggestion(credit, names["credits"], "credits")
            yield source.problem(place, f"there is no credit {credit}", hint, at_key=terms.credit is None)
        yield from _check_scope(source, ("grants", key, "scope"), terms.scope, names)


def _check_burn(source: Source, meter: str, price: str | Price, names: Names) -> Iterator[Problem]:
    path: Path = ("burn", meter)
    if meter not in names["meters"]:
        hint = suggestion(meter, names["meters"], "meters")
        yield source.problem(path, f"there is no meter {meter}", hint, at_key=True)
    elif isinstance(counted := names["meters"][meter], Meter) and counted.aggregate not in ADDING_UP:
        message = f"meter {meter} is a {counted.aggregate}, which cannot burn credits as it is used"
        hint = "burn by a meter that counts or sums the same events, or price this meter in money under the plan's prices"
        yield source.problem(path, message, hint, at_key=True)
    if isinstance(price, str) and price not in names["prices"]:
        yield source.problem(path, f"there is no price {price}", suggestion(price, names["prices"], "prices"))
        return
    found = names["prices"].get(price) if isinstance(price, str) else price
    if not isinstance(found, Price):
        return
    if isinstance(price, str) and (wrong := unburnable(found)):
        yield source.problem(path, f"{price} cannot be a burn table: {wrong}", "write another price")
    if found.meter not in (None, meter):
        hint = f"write it under {found.meter}, or use a price of {meter}"
        yield source.problem(path, f"the price is for meter {found.meter}, not for {meter}", hint)
    elif not isinstance(price, str) and isinstance(of := names["meters"].get(meter), Meter):
        yield from check_price(source, path, found, of)


def _knows(dimension: str, credit: CreditType, names: Names) -> bool:
    meters = [names["meters"].get(meter) for meter in credit.burn]
    return any(not isinstance(meter, Meter) or dimension in meter.dimension_names for meter in meters)


def _check_scope(source: Source, path: Path, scope: Any, names: Names) -> Iterator[Problem]:
    for field, folder in (("products", "features"), ("meters", "meters")):
        for index, name in enumerate(getattr(scope, field)):
            if name not in names[folder]:
                noun = folder.removesuffix("s")
                hint = suggestion(name, names[folder], folder)
                yield source.problem((*path, field, index), f"there is no {noun} {name}", hint)

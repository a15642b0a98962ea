"""Whether a price fits the meter it is for: the dimensions it looks at, and the values it expects of them."""

from collections.abc import Iterator, Mapping

from valorem.core.catalog.canonical import ROW_FIELDS
from valorem.core.catalog.problems import Problem, suggestion
from valorem.core.catalog.source import Path, Source
from valorem.core.errors import InvalidInputError
from valorem.core.metering.meter import Meter
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.derive import derive_meter
from valorem.core.pricing.matrix import ANY, Matrix
from valorem.core.pricing.price import Price


def check_price(source: Source, path: Path, price: Price, meter: Meter) -> Iterator[Problem]:
    """Every place where a price expects something of its meter that the meter does not have.

    Args:
        source: The file the price is written in.
        path: Where in the file.
        price: The price.
        meter: The meter of the catalog, before anything is derived from it.
    """
    try:
        derived = derive_meter(meter, price)
    except InvalidInputError as error:
        at = (*path, *(error.field or "").split("."))
        yield source.problem(at, error.message, error.hint or "change the price or the meter")
        return
    values = _values(derived, price)
    for place, version in _places(source, path, price):
        for where, dimension, wanted in _expected(version):
            at = (*place, *where)
            if dimension not in derived.dimension_names:
                fields = ROW_FIELDS if where[0] == "rates" else ()
                hint = suggestion(
                    dimension, (*derived.dimension_names, *fields), f"dimensions of {meter.key}"
                )
                message = f"meter {meter.key} has no dimension {dimension}"
                yield source.problem(
                    at[: -1 if wanted is not None and where[0] == "multipliers" else None],
                    message,
                    hint,
                    at_key=True,
                )
            elif wanted is not None and dimension in values and wanted not in (*values[dimension], ANY):
                hint = suggestion(wanted, values[dimension], f"values of {dimension}")
                yield source.problem(at, f"{dimension} is never {wanted}", hint)


def _values(meter: Meter, price: Price) -> Mapping[str, tuple[str, ...]]:
    """The values of the dimensions whose values are all known: those spread over, and the one a price derives."""
    known = {name: tuple(members) for name, members in (meter.each or {}).items()}
    for version in price.versions:
        if version.whole_event is not None:
            event = version.whole_event
            known[event.dimension] = (event.then, event.otherwise)
    return known


def _places(source: Source, path: Path, price: Price) -> Iterator[tuple[Path, PriceBase]]:
    """Each version and where it is written."""
    for index, version in enumerate(price.versions):
        for place in ((*path, "versions", index), (*path, index)):
            if place in source.places:
                yield place, version
                break
        else:
            yield path, version


def _expected(version: PriceBase) -> Iterator[tuple[Path, str, str | None]]:
    """Every dimension a version looks at: where, which, and the value it expects there."""
    for index, dimension in enumerate(version.by):
        yield ("by", index), dimension, None
    for dimension, factors in version.multipliers.items():
        for value in factors:
            yield ("multipliers", dimension, value), dimension, value
    if isinstance(version, Matrix):
        for index, row in enumerate(version.rates):
            for dimension, match in row.where.items():
                for value in match if isinstance(match, tuple) else (match,):
                    yield ("rates", index, dimension), dimension, value

"""From the rows of an aggregating query to tallies: what DuckDB and ClickHouse have in common."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.core.metering.tally import Tally
from valorem.core.numbers import EXACT, ZERO, plain
from valorem.store.warehouse.rows import Counted, Dimensions

_MILLIONTH = Decimal(1).scaleb(-6)


def collect(rows: Iterable[tuple[int, Dimensions, Tally]]) -> list[Counted]:
    """Put together the rows of one segment and combination of dimensions; several only where values are counted."""
    tallies: dict[tuple[int, Dimensions], Tally] = {}
    values: dict[tuple[int, Dimensions], dict[str, int]] = {}
    for segment, dimensions, tally in rows:
        place = (segment, dimensions)
        if tally.values:
            values.setdefault(place, {}).update(tally.values)
        else:
            tallies[place] = tally
    for place, counts in values.items():
        tallies[place] = Tally(sum(counts.values()), values=counts)
    return [
        (segment, dimensions, tallies[segment, dimensions])
        for segment, dimensions in sorted(tallies, key=_order)
    ]


def tally_of(row: Mapping[str, Any], last_at: datetime | None = None) -> Tally:
    """The tally of one row; columns an aggregation does not select are absent.

    Args:
        row: ``n``; ``value`` where values are counted; ``low``, ``high``, ``last``, ``last_key``; sums either as ``total``
            and ``moment_us`` (with the time in microseconds), or in two parts, of the whole numbers and of the
            fractions, and moments in four, since seconds and microseconds of the time were multiplied apart.
        last_at: The time of ``last``.
    """
    if "value" in row:
        value = row["value"]
        return Tally(row["n"], values={value if isinstance(value, str) else plain(value): row["n"]})
    return Tally(
        row["n"],
        _total(row),
        _moment(row),
        row.get("low"),
        row.get("high"),
        row.get("last"),
        last_at,
        row.get("last_key", b""),
    )


def _total(row: Mapping[str, Any]) -> Decimal:
    if "whole" in row:
        return EXACT.add(Decimal(row["whole"]), row["fraction"])
    total: Decimal = row.get("total", ZERO)
    return total


def _moment(row: Mapping[str, Any]) -> Decimal:
    if "whole_s" in row:
        seconds = EXACT.add(Decimal(row["whole_s"]), row["fraction_s"])
        micros = EXACT.add(Decimal(row["whole_us"]), row["fraction_us"])
        return EXACT.add(seconds, EXACT.multiply(micros, _MILLIONTH))
    return EXACT.multiply(row.get("moment_us", ZERO), _MILLIONTH)


def _order(place: tuple[int, Dimensions]) -> tuple[int, list[tuple[bool, str]]]:
    segment, dimensions = place
    return segment, [(value is not None, value or "") for value in dimensions]

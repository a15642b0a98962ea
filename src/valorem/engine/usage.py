"""Usage: what a customer used of a meter, by period, hour, day or month, in its own time zone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Literal

from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.calendar import add_days, add_months, local, local_date, start_of_day
from valorem.core.contracts.contract import Contract
from valorem.core.errors import InvalidInputError, NotFoundError
from valorem.core.metering.event import EPOCH
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import EMPTY, Tally, merge, percentile, value
from valorem.core.numbers import EXACT, MAX_FRACTION_DIGITS, ONE, exact
from valorem.core.periods import Interval
from valorem.core.time import QUARTER_HOUR_S, parse_grid_instant, quarter_hour_of
from valorem.engine.archive import Archive
from valorem.engine.browsing import check_dimensions
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.contracts import get_contract, list_contracts
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.store.postgres import counters
from valorem.store.postgres import meters as meter_store
from valorem.store.postgres.counters import Dimensions

By = Literal["period", "hour", "day", "month"]
Source = Literal["counters", "recorded events"]
#: Rows in time of one answer; more is asked for in several.
MOST_SEGMENTS = 2000
_QUARTER = timedelta(seconds=QUARTER_HOUR_S)
_QUANTUM = ONE.scaleb(-MAX_FRACTION_DIGITS)
_MOST_CONTRACTS = 200


@dataclass(frozen=True, slots=True)
class UsageRow:
    """Usage of one stretch of time, for one combination of the dimensions asked for.

    Attributes:
        start: First instant.
        end: First instant not in it.
        dimensions: Name to value, None where events had none.
        quantity: In the meter's unit, converted as the meter says; rounded as it says only for billing periods.
        events: How many readings stand behind it.
    """

    start: datetime
    end: datetime
    dimensions: Mapping[str, str | None]
    quantity: Decimal
    events: int


@dataclass(frozen=True, slots=True)
class UsageReport:
    """What a customer used of one meter.

    Attributes:
        meter: The meter's key.
        unit: What one of the quantity is called.
        zone: The time zone of its days, hours and months.
        start: First instant looked at.
        end: First instant not looked at.
        as_of: Every event acknowledged before this instant is in it.
        source: ``counters``, or ``recorded events`` for what no counter holds: percentiles, and meters whose earlier
            events are still being counted.
        rows: In order of time, then dimensions; stretches without usage are left out.
        total: Over everything looked at, in one number; None where nothing was used.
    """

    meter: str
    unit: str | None
    zone: str
    start: datetime
    end: datetime
    as_of: datetime
    source: Source
    rows: tuple[UsageRow, ...]
    total: Decimal | None


@exact
def usage(
    tx: Transaction,
    *,
    customer: str,
    meter: str,
    start: datetime | None = None,
    end: datetime | None = None,
    by: By = "period",
    dimensions: Sequence[str] = (),
    filter: Mapping[str, str | Sequence[str]] | None = None,  # noqa: A002 - the word users know
    contract: str | None = None,
) -> UsageReport:
    """Measure a customer's usage of one meter.

    Args:
        tx: The transaction.
        customer: Its key.
        meter: The meter's key, in the newest catalog version or in the one the given contract is pinned to.
        start: On the quarter-hour grid; the start of the current period where left out.
        end: Likewise; the end of the current period where left out.
        by: Rows for each billing period, or each hour, day or month of the zone.
        dimensions: What to tell apart; all others are added up.
        filter: Only these values of dimensions.
        contract: Whose periods, zone and catalog version; the customer's running contract where left out, and calendar
            months where it has none.

    Raises:
        NotFoundError: If there is no such customer, meter or contract.
        InvalidInputError: For a dimension the meter has not, or more rows in time than one answer holds.
    """
    owner = get_customer(tx, customer)
    terms = _contract(tx, customer, contract)
    chosen = _meter(tx, meter, terms if contract is not None else None)
    where = {
        name: (wanted,) if isinstance(wanted, str) else tuple(wanted)
        for name, wanted in (filter or {}).items()
    }
    check_dimensions(chosen, dimensions)
    check_dimensions(chosen, where)
    zone = terms.time_zone if terms else owner.zone
    interval = _interval(tx, terms, zone, start, end)
    edges = _edges(interval, by, zone, terms)
    asked = _Asked(tx, owner.subjects, chosen, tuple(dimensions), where)
    source, tallies = _tallies(asked, edges)
    before = _carried(asked, edges[0]) if chosen.aggregation.moment else {}
    rows = tuple(_rows(asked, edges, tallies, before, rounded=by == "period"))
    return UsageReport(
        meter=chosen.key,
        unit=chosen.unit,
        zone=zone,
        start=edges[0],
        end=edges[-1],
        as_of=tx.now,
        source=source,
        rows=rows,
        total=_total(asked, edges, tallies, before) if rows else None,
    )


@dataclass(frozen=True)
class _Asked:
    """One question, once it is known to make sense."""

    tx: Transaction
    subjects: Sequence[str]
    meter: Meter
    dimensions: tuple[str, ...]
    where: Mapping[str, tuple[str, ...]]

    def kept(self, dimensions: Dimensions) -> Dimensions | None:
        """The values of the asked dimensions, or nothing where the filter leaves them out."""
        named = dict(zip(self.meter.dimension_names, dimensions, strict=True))
        if any(named[name] not in wanted for name, wanted in self.where.items()):
            return None
        return tuple(named[name] for name in self.dimensions)

    def archive(self, start: datetime, end: datetime) -> Archive:
        return Archive(self.tx, self.subjects, self.meter, start, end, self.where)


def _contract(tx: Transaction, customer: str, contract: str | None) -> Contract | None:
    """The contract asked for, or the one that runs now; of several the one that started last."""
    if contract is not None:
        found = get_contract(tx, contract).contract
        if found.customer != customer:
            raise NotFoundError(
                f"customer {customer[:60]!r} has no contract {contract[:60]!r}", field="contract"
            )
        return found
    rows = list_contracts(tx, customer=customer, limit=_MOST_CONTRACTS)
    running = [
        row.contract for row in rows if row.contract.start <= tx.now and not _ended(row.contract, tx.now)
    ]
    return max(running, key=lambda each: (each.start, each.id), default=None)


def _ended(contract: Contract, now: datetime) -> bool:
    return contract.end is not None and contract.end <= now


def _meter(tx: Transaction, meter: str, contract: Contract | None) -> Meter:
    catalog = catalog_at(tx, contract.catalog_version) if contract else current_catalog(tx)[1]
    found: Meter | None = catalog.meters.get(meter)
    if found is None:
        raise NotFoundError(
            f"there is no meter {meter[:60]!r} in this catalog version",
            field="meter",
            hint=f"it has {', '.join(sorted(catalog.meters)) or 'no meters'}",
        )
    return found


def _interval(
    tx: Transaction, contract: Contract | None, zone: str, start: datetime | None, end: datetime | None
) -> Interval:
    """From ``start`` to ``end`` as given, what is left out taken from the period of now."""
    current = _period_at(contract, zone, tx.now) if start is None or end is None else None
    first = parse_grid_instant(start, "start") if current is None or start is not None else current.start
    last = parse_grid_instant(end, "end") if current is None or end is not None else current.end
    if last <= first:
        raise InvalidInputError("the end is not after the start", field="end")
    return Interval(first, last)


def _period_at(contract: Contract | None, zone: str, at: datetime) -> Interval:
    if contract is not None and contract.start <= at and not _ended(contract, at):
        period = contract_period(contract, period_index_at(contract, at))
        assert period is not None  # an instant inside the contract lies in a period that is not empty
        return period.interval
    first = local_date(at, zone).replace(day=1)
    return Interval(start_of_day(first, zone), start_of_day(add_months(first, 1), zone))


def _edges(within: Interval, by: By, zone: str, contract: Contract | None) -> list[datetime]:
    """Where one row ends and the next begins."""
    steps = {"period": _next_period, "hour": _next_hour, "day": _next_day, "month": _next_month}
    edges = [within.start]
    while edges[-1] < within.end:
        if len(edges) > MOST_SEGMENTS:
            raise InvalidInputError(
                f"more than {MOST_SEGMENTS:,} rows in time",
                field="by",
                hint="ask for less time, or by day or month",
            )
        edges.append(min(steps[by](edges[-1], zone, contract), within.end))
    return edges


def _next_hour(at: datetime, zone: str, _: Contract | None) -> datetime:
    """The next instant at which the zone's clock shows a full hour; clocks that change shorten or lengthen one."""
    at = quarter_hour_of(at) + _QUARTER
    while local(at, zone).minute:
        at += _QUARTER
    return at


def _next_day(at: datetime, zone: str, _: Contract | None) -> datetime:
    day = local_date(at, zone)
    while (following := start_of_day(day := add_days(day, 1), zone)) <= at:
        pass  # a zone may skip a whole day
    return following


def _next_month(at: datetime, zone: str, _: Contract | None) -> datetime:
    return start_of_day(add_months(local_date(at, zone).replace(day=1), 1), zone)


def _next_period(at: datetime, zone: str, contract: Contract | None) -> datetime:
    if contract is not None and at < contract.start:
        return contract.start
    return _period_at(contract, zone, at).end


def _tallies(asked: _Asked, edges: Sequence[datetime]) -> tuple[Source, list[dict[Dimensions, Tally]]]:
    """For each stretch the tally of each combination of the asked dimensions."""
    tx, meter = asked.tx, asked.meter
    revision = _live_revision(asked)
    source: Source = "recorded events" if revision is None else "counters"
    found = (
        asked.archive(edges[0], edges[-1]).tallies(edges)
        if revision is None
        else counters.read(tx.connection, tx.workspace.id, asked.subjects, revision, edges)
    )
    grouped: list[dict[Dimensions, Tally]] = [{} for _ in edges[1:]]
    for segment, values, tally in found:
        if (kept := asked.kept(values)) is not None:
            grouped[segment][kept] = merge(grouped[segment].get(kept, EMPTY), tally)
    assert meter.aggregation.needs_events <= (revision is None)
    return source, grouped


def _live_revision(asked: _Asked) -> int | None:
    """The meter's counters; None where there are none, or they do not hold everything yet."""
    tx = asked.tx
    if asked.meter.aggregation.needs_events:
        return None
    rows = meter_store.revisions(tx.connection, tx.workspace.id)
    revision = next((row.id for row in rows if row.fingerprint == asked.meter.fingerprint()), None)
    unfinished = {backfill.revision for backfill in meter_store.backfills(tx.connection, tx.workspace.id)}
    return None if revision in unfinished else revision


def _carried(asked: _Asked, at: datetime) -> dict[Dimensions, Tally]:
    """The level a time-weighted sum starts from: every change before an instant."""
    if at <= EPOCH:
        return {}
    _, (before,) = _tallies(asked, [EPOCH, at])
    return before


def _rows(
    asked: _Asked,
    edges: Sequence[datetime],
    tallies: Sequence[Mapping[Dimensions, Tally]],
    before: Mapping[Dimensions, Tally],
    *,
    rounded: bool,
) -> list[UsageRow]:
    rows = []
    level = dict(before)
    for start, end, stretch in zip(edges, edges[1:], tallies, strict=False):
        for values in sorted({*stretch, *level}, key=_by_values):
            tally, carried = stretch.get(values, EMPTY), level.get(values, EMPTY)
            quantity = _quantity(asked, tally, Interval(start, end), carried)
            if quantity is None or (not tally.n and not quantity):
                continue
            shown = _converted(asked.meter, quantity, rounded=rounded)
            named = dict(zip(asked.dimensions, values, strict=True))
            rows.append(UsageRow(start, end, named, shown, tally.n))
        if asked.meter.aggregation.moment:
            level = {
                values: merge(level.get(values, EMPTY), stretch.get(values, EMPTY))
                for values in {*level, *stretch}
            }
    return rows


def _total(
    asked: _Asked,
    edges: Sequence[datetime],
    tallies: Sequence[Mapping[Dimensions, Tally]],
    before: Mapping[Dimensions, Tally],
) -> Decimal | None:
    whole, carried = EMPTY, EMPTY
    for stretch in tallies:
        for tally in stretch.values():
            whole = merge(whole, tally)
    for tally in before.values():
        carried = merge(carried, tally)
    quantity = _quantity(asked, whole, Interval(edges[0], edges[-1]), carried)
    return None if quantity is None else _converted(asked.meter, quantity, rounded=True)


def _quantity(asked: _Asked, tally: Tally, within: Interval, carried: Tally) -> Decimal | None:
    """The quantity of a stretch; a level is not carried on into the future."""
    meter = asked.meter
    if meter.aggregation.needs_events:
        assert meter.percentile is not None  # the meter's own check
        seen = [Decimal(text) for text, count in tally.values.items() for _ in range(count)]
        return percentile(seen, meter.percentile)
    end = within.end
    if meter.aggregation.moment:
        end = min(end, _next_quarter(asked.tx.now))
        if end <= within.start:
            return None
    return value(meter.aggregation, tally, within.start, end, before=carried)


def _next_quarter(at: datetime) -> datetime:
    """The first quarter hour not before an instant: no counter tells apart what happens within one."""
    quarter = quarter_hour_of(at)
    return quarter if quarter == at else quarter + _QUARTER


def _converted(meter: Meter, quantity: Decimal, *, rounded: bool) -> Decimal:
    """In the meter's unit. The meter's rounding is for what is invoiced: hours rounded up would not add up to a day."""
    if meter.convert is None:
        return quantity
    converted = meter.convert.apply(quantity)
    if rounded:
        return converted.invoiced
    return converted.converted.quantize(_QUANTUM, ROUND_HALF_UP, EXACT)


def _by_values(values: Dimensions) -> list[tuple[bool, str]]:
    return [(each is not None, each or "") for each in values]

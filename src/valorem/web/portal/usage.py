"""Usage: what used it, by workload, down to single events with what each costs."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import urlencode

from starlette.responses import Response

from valorem.core.billing.invoice import Line
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.billing.terms import PricedMeter
from valorem.core.errors import NotFoundError
from valorem.core.metering.event import Event
from valorem.core.metering.measured import Measured
from valorem.core.metering.read import compile_meter
from valorem.core.numbers import MAX_FRACTION_DIGITS, ONE, ZERO, exact, plain
from valorem.core.time import QUARTER_HOUR_S, write_instant
from valorem.engine.browsing import events_of
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.terms import terms_for
from valorem.engine.usage import UsageReport, usage
from valorem.web.burned import lines_of, measured, total_of
from valorem.web.page import Page
from valorem.web.portal import figures
from valorem.web.portal.charts.usage import usage_chart
from valorem.web.portal.figures import Running
from valorem.web.portal.site import Guest, PortalSite

_EVENTS = 50
_MOST_EVENTS = 5000
_QUANTUM = ONE.scaleb(-MAX_FRACTION_DIGITS)
_Values = tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """What one value of a dimension used, and what that comes to.

    Attributes:
        value: Of the dimension; None where events had none.
        quantity: In this period so far.
        share: Of all.
        cost: Of the lines with this value; None where the price does not tell them apart.
    """

    value: str | None
    quantity: Decimal
    share: Decimal
    cost: Decimal | None


@dataclass(frozen=True, slots=True)
class EventRow:
    """One event and what it costs.

    Attributes:
        at: When.
        id: As it was sent.
        dimensions: What its readings say, in order of the meter's dimensions, each once.
        quantity: What was counted.
        cost: At the price of its line; where a line has several prices, at their average so far. None where nothing
            is charged for it.
    """

    at: datetime
    id: str
    dimensions: tuple[str, ...]
    quantity: Decimal
    cost: Decimal | None


def add(site: PortalSite) -> None:
    """Add the pages."""
    site.page("/usage", _show)
    site.page("/usage/events", _events)
    site.page("/usage/events.csv", _events_csv)
    site.page("/usage.csv", _csv)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What is looked at."""

    running: Running
    priced: tuple[PricedMeter, ...]
    meter: PricedMeter
    by: str | None
    only: str | None
    lines: tuple[Line, ...]


def _chosen(tx: Transaction, guest: Guest) -> _Chosen | None:
    """The meter, the dimension and the value the address names, or the first there are."""
    running = figures.running(tx, guest)
    if not running or (preview := running[0].preview) is None:
        return None
    first = running[0]
    priced = terms_for(tx, first.contract).at(tx.now).priced
    if not priced:
        return None
    meter = next((each for each in priced if each.key == guest.query("meter")), priced[0])
    names = meter.meter.dimension_names
    ordered = sorted(names, key=lambda name: name in (meter.meter.each or {}))  # what users named comes first
    by = guest.query("by") if guest.query("by") in names else next(iter(ordered), None)
    lines = lines_of(preview.so_far, meter.key)
    only = guest.request.query_params.get("only")
    return _Chosen(first, priced, meter, by, only[:500] if only is not None else None, lines)


def _report(tx: Transaction, guest: Guest, chosen: _Chosen, *, by_day: bool) -> UsageReport | None:
    try:
        return usage(
            tx,
            customer=guest.key,
            meter=chosen.meter.meter.key,
            by="day" if by_day else "period",
            dimensions=(chosen.by,)
            if chosen.by is not None and chosen.by in _plain_names(tx, chosen)
            else (),
            contract=chosen.running.contract.id,
        )
    except NotFoundError:
        return None  # the catalog version of the contract does not have the meter


def _plain_names(tx: Transaction, chosen: _Chosen) -> Sequence[str]:
    """The dimensions of the catalog's own meter; a price may have added one that no usage report knows."""
    catalog_meter = figures.catalog_meter(tx, chosen.running, chosen.meter.meter.key)
    return catalog_meter.dimension_names if catalog_meter is not None else ()


def _show(guest: Guest) -> Page:
    with guest.reading() as tx:
        chosen = _chosen(tx, guest)
        now = tx.now
        by_day = _report(tx, guest, chosen, by_day=True) if chosen else None
        whole = _report(tx, guest, chosen, by_day=False) if chosen else None
        before = _before(tx, guest, chosen) if chosen else None
    if chosen is None:
        return Page("usage_empty.html", {"here": "usage", "now": now})
    names = guest.settings.names
    unit = chosen.meter.meter.unit or ""
    title = _title(chosen, now)
    chart = usage_chart(guest.words, title, unit, by_day, chosen.by, names, now) if by_day else None
    parts = _parts(whole, chosen) if whole is not None else ()
    values = {
        "here": "usage",
        "chosen": chosen,
        "title": title,
        "unit": unit,
        "chart": chart,
        "parts": parts,
        "dimensions": chosen.meter.meter.dimension_names,
        "period": chosen.running.preview.period if chosen.running.preview else None,
        "zone": chosen.running.contract.time_zone,
        "currency": chosen.running.contract.currency,
        "total": sum((part.quantity for part in parts), ZERO),
        "cost": total_of(chosen.lines),
        "names": names,
        "before": before,
        "now": now,
    }
    return Page("usage.html", values)


def _title(chosen: _Chosen, now: datetime) -> str:
    """What is used, as the invoice calls it."""
    return chosen.meter.price.at(now).name or chosen.meter.meter.name or chosen.meter.key


@exact
def _before(tx: Transaction, guest: Guest, chosen: _Chosen) -> Decimal | None:
    """The use of the period before, until as much of it was over as of this one; None in the first period."""
    contract = chosen.running.contract
    index = period_index_at(contract, tx.now)
    earlier, current = (
        contract_period(contract, index - 1) if index else None,
        contract_period(contract, index),
    )
    if earlier is None or current is None:
        return None
    quarter = timedelta(seconds=QUARTER_HOUR_S)
    over = (tx.now - current.interval.start) // quarter
    whole = (current.interval.end - current.interval.start) // quarter
    length = (earlier.interval.end - earlier.interval.start) // quarter
    end = earlier.interval.start + (length * over // whole) * quarter
    if end <= earlier.interval.start:
        return None
    try:
        found = usage(
            tx,
            customer=guest.key,
            meter=chosen.meter.meter.key,
            start=earlier.interval.start,
            end=end,
            contract=contract.id,
        )
    except NotFoundError:
        return None  # the catalog version of the contract does not have the meter
    return found.total or ZERO


@exact
def _parts(report: UsageReport, chosen: _Chosen) -> tuple[Part, ...]:
    sums: dict[str | None, Decimal] = {}
    for row in report.rows:
        value = row.dimensions.get(chosen.by) if chosen.by is not None else None
        sums[value] = sums.get(value, ZERO) + row.quantity
    total = sum(sums.values(), ZERO)
    apart = chosen.by is not None and all(chosen.by in line.dimensions for line in chosen.lines)
    costs: dict[str | None, Decimal] = {}
    if apart and chosen.by is not None:
        for line in chosen.lines:
            value = line.dimensions[chosen.by]
            costs[value] = costs.get(value, ZERO) + line.amount
    if chosen.by is None:
        costs, apart = {None: total_of(chosen.lines)}, True
    return tuple(
        Part(value, quantity, figures.share(quantity, total), costs.get(value, ZERO) if apart else None)
        for value, quantity in sorted(sums.items(), key=lambda item: (-item[1], item[0] or ""))
    )


def _events(guest: Guest) -> Page:
    with guest.reading() as tx:
        chosen = _chosen(tx, guest)
        now = tx.now
        if chosen is None:
            return Page("usage_empty.html", {"here": "usage", "now": now})
        rows, after = _rows(tx, guest, chosen, guest.query("after") or None, _EVENTS)
    asked = {"meter": chosen.meter.key, "by": chosen.by}
    if chosen.only is not None:
        asked["only"] = chosen.only
    kept = {name: value for name, value in asked.items() if value is not None}
    values = {
        "here": "usage",
        "chosen": chosen,
        "title": _title(chosen, now),
        "unit": chosen.meter.meter.unit or "",
        "rows": rows,
        "currency": chosen.running.contract.currency,
        "zone": chosen.running.contract.time_zone,
        "period": chosen.running.preview.period if chosen.running.preview else None,
        "next": "?" + urlencode({**kept, "after": after}) if after else None,
        "first": not guest.query("after"),
        "again": "?" + urlencode(kept),
        "names": guest.settings.names,
        "now": now,
    }
    return Page("events.html", values)


def _rows(
    tx: Transaction, guest: Guest, chosen: _Chosen, after: str | None, limit: int
) -> tuple[list[EventRow], str | None]:
    """A page of the events that are counted, each with its cost."""
    assert chosen.running.preview is not None  # chosen only where there is one
    where = {chosen.by: chosen.only or None} if chosen.only is not None and chosen.by is not None else {}
    page = events_of(
        tx,
        subjects=get_customer(tx, guest.key).subjects,
        meter=chosen.meter.meter,
        dimensions=where,
        start=chosen.running.preview.period.start,
        end=chosen.running.preview.period.end,
        after=after,
        limit=limit,
    )
    counted = measured(tx, chosen.running.contract).get(chosen.meter.key, [])
    rates = _rates(chosen.lines, counted)
    compiled = compile_meter(chosen.meter.meter)
    rows = []
    for each in page.items:
        readings = [
            (dict(zip(chosen.meter.meter.dimension_names, reading.dimensions, strict=True)), reading.value)
            for reading in compiled.read(each.event)
        ]
        readings = [
            one for one in readings if all(one[0].get(name) == value for name, value in where.items())
        ]
        rows.append(_row(each.event, each.value, readings, rates))
    return rows, page.next


@exact
def _rates(
    lines: Sequence[Line], counted: Sequence[Measured]
) -> tuple[tuple[Mapping[str, str | None], Decimal], ...]:
    """For the dimension values of each line the price of one: its own, or what one has cost on average so far."""
    groups: dict[tuple[tuple[str, str | None], ...], list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(sorted(line.dimensions.items())), []).append(line)
    found = []
    for named, group in groups.items():
        dimensions = dict(named)
        mine = [
            each
            for each in counted
            if all(each.dimensions.get(name) == dimensions[name] for name in dimensions)
        ]
        used = sum((each.quantity for each in mine), ZERO)
        units = {line.unit_amount for line in group}
        whole = sum((line.quantity or ZERO for line in group), ZERO) == used
        unit = units.pop() if len(units) == 1 else None
        if unit is None or not whole:
            unit = sum((line.exact_amount for line in group), ZERO) / used if used else ZERO
        found.append((dimensions, unit))
    return tuple(found)


@exact
def _row(
    event: Event,
    quantity: Decimal,
    readings: Sequence[tuple[Mapping[str, str | None], Decimal | str]],
    rates: Sequence[tuple[Mapping[str, str | None], Decimal]],
) -> EventRow:
    cost: Decimal | None = None
    for dimensions, value in readings:
        rate = next(
            (
                amount
                for wanted, amount in rates
                if all(dimensions.get(name) == each for name, each in wanted.items())
            ),
            None,
        )
        if rate is not None:
            cost = (cost or ZERO) + rate * (value if isinstance(value, Decimal) else ONE)
    said = dict.fromkeys(
        value for dimensions, _ in readings for value in dimensions.values() if value is not None
    )
    assert event.time is not None  # it was recorded
    return EventRow(
        event.time, event.id, tuple(said), quantity, None if cost is None else cost.quantize(_QUANTUM)
    )


def _csv(guest: Guest) -> Response:
    with guest.reading() as tx:
        chosen = _chosen(tx, guest)
        report = _report(tx, guest, chosen, by_day=True) if chosen else None
    rows: list[Sequence[str]] = [
        ("start", "end", "meter", "dimension", "value", "quantity", "unit", "events")
    ]
    if chosen is not None and report is not None:
        rows += [
            (
                write_instant(row.start),
                write_instant(row.end),
                report.meter,
                chosen.by or "",
                (row.dimensions.get(chosen.by) or "") if chosen.by else "",
                plain(row.quantity),
                report.unit or "",
                str(row.events),
            )
            for row in report.rows
        ]
    return csv_file(rows, f"usage-{chosen.meter.key if chosen else 'none'}")


def _events_csv(guest: Guest) -> Response:
    rows: list[Sequence[str]] = [("time", "id", "meter", "said", "quantity", "unit", "cost", "currency")]
    with guest.reading() as tx:
        chosen = _chosen(tx, guest)
        if chosen is not None:
            found, _ = _rows(tx, guest, chosen, None, _MOST_EVENTS)
            rows += [
                (
                    write_instant(row.at),
                    row.id,
                    chosen.meter.key,
                    " ".join(row.dimensions),
                    plain(row.quantity),
                    chosen.meter.meter.unit or "",
                    "" if row.cost is None else plain(row.cost),
                    chosen.running.contract.currency,
                )
                for row in found
            ]
    return csv_file(rows, f"events-{chosen.meter.key if chosen else 'none'}")


def csv_file(rows: Sequence[Sequence[str]], name: str) -> Response:
    """Rows as a file that spreadsheets open; what would be a formula there stays text."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\r\n")
    for row in rows:
        writer.writerow([f"'{cell}" if cell[:1] in ("=", "+", "@", "\t", "\r") else cell for cell in row])
    return Response(
        written.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": f'attachment; filename="{name}.csv"'},
    )

"""The annex of an invoice: what was used on each day, meter by meter."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import UsageNeed, adds_up, usage_needs
from valorem.core.billing.terms import PricedMeter
from valorem.core.calendar import local_date, start_of_day
from valorem.core.contracts.sources import Sources
from valorem.core.numbers import ZERO
from valorem.core.periods import Interval, Period
from valorem.documents.document import UsageSeries
from valorem.engine.contracts import get_contract
from valorem.engine.engine import Transaction
from valorem.engine.measuring import measure_sources
from valorem.engine.sources import sources_for
from valorem.engine.terms import terms_for

_DAY = timedelta(days=1)
#: A longer stretch is shown by the month.
_MOST_DAYS = 62
_MOST_SERIES = 12


def units_of(tx: Transaction, invoice: Invoice) -> dict[str, str]:
    """The unit of each meter on an invoice, by the meter's key."""
    return {
        priced.key: priced.meter.unit
        for contract, _ in _by_contract(invoice)
        for priced in terms_for(tx, get_contract(tx, contract).contract).priced
        if priced.meter.unit
    }


def annex_of(tx: Transaction, invoice: Invoice, zone: str) -> tuple[UsageSeries, ...]:
    """What stands behind an invoice's usage, by day, or by month where it is for longer than two months.

    Args:
        tx: The transaction.
        invoice: A final invoice.
        zone: The time zone of its days.
    """
    if invoice.closed is None:
        return ()
    found: list[UsageSeries] = []
    for contract, lines in _by_contract(invoice):
        for key, covered in _covered(lines).items():
            found += _series(tx, contract, key, covered, zone)
    return tuple(found[:_MOST_SERIES])


def _by_contract(invoice: Invoice) -> Iterator[tuple[str, list[Line]]]:
    contracts = dict.fromkeys(line.contract or invoice.contract for line in invoice.lines)
    for contract in contracts:
        if contract:
            yield (
                contract,
                [line for line in invoice.lines if (line.contract or invoice.contract) == contract],
            )


def _covered(lines: Sequence[Line]) -> Mapping[str, Interval]:
    """The stretch each meter's usage was billed for; adjustments of earlier periods have had their annex."""
    found: dict[str, Interval] = {}
    for line in lines:
        if line.kind == "usage" and line.selectors and line.timing == "in_arrears":
            known = found.get(line.key, line.period)
            found[line.key] = Interval(min(known.start, line.period.start), max(known.end, line.period.end))
    return found


def _series(
    tx: Transaction, contract_id: str, key: str, covered: Interval, zone: str
) -> Iterator[UsageSeries]:
    contract = get_contract(tx, contract_id).contract
    terms = terms_for(tx, contract)
    needs = [
        need
        for need in usage_needs(terms, Period(0, covered, covered))
        if need.meter_key == key and not need.customer
    ]
    priced: PricedMeter | None = next((each for each in terms.priced if each.key == key), None)
    if not needs or priced is None:
        return
    sources = sources_for(tx, contract)
    days = list(_days(covered, zone))
    values = {day: ZERO for day, _ in days}
    for need in needs:
        for day, inside in days:
            whole = Interval(need.segments[0].start, need.segments[-1].end)
            if (part := inside.overlap(whole)) is not None:
                values[day] += _measured(tx, sources, need, part)
    if any(values.values()):
        yield UsageSeries(
            name=priced.meter.name or key,
            unit=priced.meter.unit,
            days=tuple(values.items()),
            adds_up=adds_up(priced.meter),
            monthly=_is_long(covered, zone),
        )


def _measured(tx: Transaction, sources: Sources, need: UsageNeed, part: Interval) -> Decimal:
    asked = replace(need, dimensions=(), intervals=(part,), segments=(part,), with_values=False)
    (answer,) = measure_sources(tx, sources, [asked])[need.key]
    return sum((each.quantity for each in answer), ZERO)


def _is_long(covered: Interval, zone: str) -> bool:
    first, last = local_date(covered.start, zone), local_date(covered.end, zone)
    return last - first > timedelta(days=_MOST_DAYS)


def _days(covered: Interval, zone: str) -> Iterator[tuple[date, Interval]]:
    """Local days, or months where there are too many of them, with the stretch of each."""
    first, last = local_date(covered.start, zone), local_date(covered.end - timedelta(microseconds=1), zone)
    monthly = _is_long(covered, zone)
    day = first
    while day <= last:
        following = (day.replace(day=1) + timedelta(days=32)).replace(day=1) if monthly else day + _DAY
        edges: tuple[datetime, datetime] = start_of_day(day, zone), start_of_day(following, zone)
        inside = Interval(*edges).overlap(covered)
        if inside is not None:
            yield day, inside
        day = following

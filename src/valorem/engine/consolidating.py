"""One invoice for several contracts: the invoices of a customer's day wait for each other and are sent as one."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from valorem.core.billing.consolidated import consolidated, whole
from valorem.core.calendar import local_date, start_of_day
from valorem.core.ids import part_of
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.sealing import Final, Manner
from valorem.store.postgres import invoices, merging
from valorem.store.postgres.invoices import InvoiceHeader

_DAY = timedelta(days=1)


def with_mates(tx: Transaction, due: Sequence[InvoiceHeader]) -> list[InvoiceHeader]:
    """The drafts that are due, each with those it is to be sent with; without those that wait for others of their day."""
    zones = merging.wanting(
        tx.connection, tx.workspace.id, sorted({each.customer for each in due if each.contract})
    )
    if not zones:
        return list(due)
    found: dict[str, InvoiceHeader] = {}
    refused: set[str] = set()
    for header in due:
        if header.customer not in zones or header.kind != "period":
            found.setdefault(header.id, header)
        elif header.id not in found and header.id not in refused:
            mates = _mates(tx, header, zones[header.customer])
            refused.add(header.id)
            found.update((each.id, each) for each in mates)
    # A later border of a contract reckons with the earlier one: both never in one transaction.
    earliest: dict[str, int] = {}
    for each in found.values():
        earliest[each.contract] = min(earliest.get(each.contract, each.index), each.index)
    return [each for each in found.values() if each.index == earliest[each.contract]]


def _mates(tx: Transaction, header: InvoiceHeader, zone: str) -> list[InvoiceHeader]:
    """The customer's drafts of the same local day; none while one of them has to wait."""
    connection, workspace, customer = tx.connection, tx.workspace.id, header.customer
    day = local_date(header.issued_at, zone)
    start, end = start_of_day(day, zone), start_of_day(day + _DAY, zone)
    mates = merging.drafts_between(connection, workspace, customer, start, end)
    waits = [each.finalise_at for each in mates if each.finalise_at > tx.now]
    if (border := merging.next_border(connection, workspace, customer, tx.now, end)) is not None:
        waits.append(border)
    if waits:
        merging.postpone(connection, workspace, [each.id for each in mates], max(waits))
        return []
    return mates


def combined(tx: Transaction, finals: Sequence[Final], last: int) -> list[Final]:
    """Put together what belongs on one invoice; everything else stays as it is.

    Args:
        tx: A transaction that has locked the series of numbers.
        finals: In the order of their numbers.
        last: The last number taken.
    """
    zones = merging.wanting(tx.connection, tx.workspace.id, sorted({each.header.customer for each in finals}))
    groups: defaultdict[tuple[Any, ...], list[Final]] = defaultdict(list)
    for each in finals:
        header, manner = each.header, each.manner
        if header.customer in zones and header.kind == "period" and header.contract:
            day = local_date(header.issued_at, zones[header.customer])
            how = (manner.zone, manner.terms, manner.amounts, manner.rounded, manner.rounding)
            key: tuple[Any, ...] = (header.customer, header.currency, each.invoice.purchase_order, day, how)
        else:
            key = (header.id,)
        groups[key].append(each)
    found: list[Final] = []
    for group in groups.values():
        found.append(group[0] if len(group) == 1 else _one(tx, group, last + len(found) + 1))
    return found


def _one(tx: Transaction, group: Sequence[Final], index: int) -> Final:
    """One invoice of several, with a number of its own; they become its parts."""
    connection, workspace = tx.connection, tx.workspace.id
    ordered = sorted(group, key=lambda each: each.header.contract)
    (found,) = consolidated(each.invoice for each in ordered)
    invoice = whole(found, index)
    assert invoice.closed is not None  # its parts cover some time
    first = ordered[0].header
    header = InvoiceHeader(
        id=new_id("inv", part_of(workspace, first.customer), invoice.issued_at),
        contract="",
        customer=first.customer,
        index=index,
        kind="consolidated",
        status="draft",
        number=None,
        currency=invoice.currency,
        period_start=invoice.closed.start,
        period_end=invoice.closed.end,
        issued_at=invoice.issued_at,
        finalise_at=tx.now,
        total=None,
    )
    invoices.insert_drafts(connection, workspace, [header], tx.now)
    merging.merge(connection, workspace, [each.header.id for each in ordered], header.id)
    manner = ordered[0].manner
    codes = tuple(code for each in ordered for code in each.manner.codes)
    inputs = {
        "parts": [dict(each.inputs) for each in ordered],
        "number_index": index,
        "subjects": sorted({subject for each in ordered for subject in each.inputs["subjects"]}),
    }
    how = Manner(manner.zone, codes, manner.terms, manner.amounts, manner.rounded, manner.rounding)
    return Final(header, invoice, inputs, how)

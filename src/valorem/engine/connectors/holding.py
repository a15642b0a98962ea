"""Invoices wait while a source of their outcomes has a gap, where the signed definition says so; people may let them go."""

from datetime import datetime

from valorem.core.errors import NotFoundError, UnprocessableError
from valorem.core.outcomes.signing import version_at
from valorem.core.sources.freshness import Heard, gaps
from valorem.engine.catalog import current_catalog
from valorem.engine.engine import Transaction
from valorem.engine.outcomes import OutcomeBasis
from valorem.store.postgres import catalogs, invoice_waits, sources
from valorem.store.postgres.invoice_waits import InvoiceWait
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.sources import SourceState


def heard_of(state: SourceState | None, parked: int) -> Heard:
    """What has been heard of a source, as freshness asks it."""
    if state is None:
        return Heard(parked=parked)
    return Heard(state.received_at, state.complete_until, parked, state.error)


def reasons_to_wait(tx: Transaction, basis: OutcomeBasis | None, period_end: datetime) -> tuple[str, ...]:
    """What other systems have not told of a period, where its definitions say that its invoice waits for it."""
    if basis is None or not catalogs.latest_version(tx.connection, tx.workspace.id):
        return ()
    catalog = tx.once("newest catalog", lambda: current_catalog(tx)[1])
    if not catalog.sources:
        return ()
    states = tx.once("source states", lambda: sources.load_states(tx.connection, tx.workspace.id))
    parked = tx.once("source parked", lambda: sources.count_parked(tx.connection, tx.workspace.id))
    found: list[str] = []
    for definitions in basis.definitions.values():
        version = version_at(definitions.versions, period_end) or definitions.versions[-1]
        terms = version.definition.source
        if terms.incomplete != "wait" or version.live_from is None or version.live_from >= period_end:
            continue
        for key, source in sorted(catalog.sources.items()):
            if source.called == terms.system:
                heard = heard_of(states.get(key), parked.get(key, 0))
                found += gaps(source, heard, terms.freshness, period_end, tx.now)
    return tuple(dict.fromkeys(found))


def waits(tx: Transaction, header: InvoiceHeader, basis: OutcomeBasis | None) -> bool:
    """Whether a draft has to wait, which is noted with the reason; one that was released does not.

    What it bills of outcomes happened before its border; the period it shows may be the one that begins there.
    """
    invoice, until = header.id, min(header.period_end, header.issued_at)
    reasons = reasons_to_wait(tx, basis, until) if header.index else ()
    if not reasons:
        if basis is not None:
            invoice_waits.clear(tx.connection, tx.workspace.id, [invoice])
        return False
    known = invoice_waits.load(tx.connection, tx.workspace.id, [invoice]).get(invoice)
    if known is not None and known.released_at is not None:
        return False
    invoice_waits.note(tx.connection, tx.workspace.id, invoice, reasons, tx.now)
    return True


def list_waiting(tx: Transaction) -> list[InvoiceWait]:
    """Every invoice that waits for a source."""
    return invoice_waits.load_waiting(tx.connection, tx.workspace.id)


def release(tx: Transaction, invoice: str, *, by: str, reason: str) -> InvoiceWait:
    """Let an invoice go with what is known; it becomes final at the next closing.

    Raises:
        NotFoundError: If it does not wait.
        UnprocessableError: If it was released before.
    """
    known = invoice_waits.load(tx.connection, tx.workspace.id, [invoice]).get(invoice)
    if known is None:
        raise NotFoundError(f"the invoice {invoice[:60]!r} does not wait for a source", field="invoice")
    if not invoice_waits.release(tx.connection, tx.workspace.id, invoice, by, reason, tx.now):
        raise UnprocessableError("it was released before", field="invoice")
    return invoice_waits.load(tx.connection, tx.workspace.id, [invoice])[invoice]

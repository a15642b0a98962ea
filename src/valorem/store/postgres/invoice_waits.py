"""Invoices that wait for what other systems have not told yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from valorem.core.ids import part_in
from valorem.store.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class InvoiceWait:
    """An invoice that waits, or was released.

    Attributes:
        invoice: Its id.
        reasons: What is not known.
        since: Since when it waits.
        released_at: When somebody let it go as it is; None while it waits.
        released_by: Who.
        reason: Why.
    """

    invoice: str
    reasons: tuple[str, ...]
    since: datetime
    released_at: datetime | None
    released_by: str | None
    reason: str | None


def note(connection: Connection, workspace: int, invoice: str, reasons: Sequence[str], now: datetime) -> None:
    """Note why an invoice waits; one that was released stays so."""
    connection.execute(
        "INSERT INTO invoice_wait AS known (part, workspace, invoice, reasons, since) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT (part, workspace, invoice) DO UPDATE SET reasons = excluded.reasons"
        " WHERE known.released_at IS NULL AND known.reasons <> excluded.reasons",
        (part_in(invoice, "inv"), workspace, invoice, Jsonb(list(reasons)), now),
    )


def clear(connection: Connection, workspace: int, invoices: Sequence[str]) -> None:
    """Forget that invoices waited: everything is known now."""
    connection.execute(
        "DELETE FROM invoice_wait WHERE workspace = %s AND invoice = ANY(%s) AND released_at IS NULL",
        (workspace, list(invoices)),
    )


def load(connection: Connection, workspace: int, invoices: Sequence[str]) -> dict[str, InvoiceWait]:
    """Those of some invoices that wait or were released, by id."""
    rows = connection.execute(
        "SELECT invoice, reasons, since, released_at, released_by, reason FROM invoice_wait"
        " WHERE workspace = %s AND invoice = ANY(%s)",
        (workspace, list(invoices)),
    )
    return {row["invoice"]: InvoiceWait(**{**row, "reasons": tuple(row["reasons"])}) for row in rows}


def load_waiting(connection: Connection, workspace: int) -> list[InvoiceWait]:
    """Every invoice that waits, the longest first."""
    rows = connection.execute(
        "SELECT invoice, reasons, since, released_at, released_by, reason FROM invoice_wait"
        " WHERE workspace = %s AND released_at IS NULL ORDER BY since, invoice",
        (workspace,),
    )
    return [InvoiceWait(**{**row, "reasons": tuple(row["reasons"])}) for row in rows]


def release(
    connection: Connection, workspace: int, invoice: str, by: str, reason: str, now: datetime
) -> bool:
    """Let an invoice go as it is; whether it waited."""
    done = connection.execute(
        "UPDATE invoice_wait SET released_at = %s, released_by = %s, reason = %s"
        " WHERE part = %s AND workspace = %s AND invoice = %s AND released_at IS NULL",
        (now, by, reason, part_in(invoice, "inv"), workspace, invoice),
    )
    return done.rowcount > 0

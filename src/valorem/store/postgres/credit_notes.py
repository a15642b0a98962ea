"""Credit notes: written once, never changed."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.ids import part_in
from valorem.store.postgres.database import Connection, Row

_COLUMNS = (
    "id, number, invoice, customer, currency, total, tax, credit_offset, refund, to_balance, reason, document, digest,"
    " issued_at"
)


@dataclass(frozen=True, slots=True)
class NoteRow:
    """One credit note.

    Attributes:
        id: Made when it was issued.
        number: Gapless in its workspace.
        invoice: The invoice's id.
        customer: The customer's key.
        currency: ISO 4217 code.
        total: With tax.
        tax: Of that.
        credit_offset: Lessened what was owed.
        refund: Goes back the way it was paid.
        to_balance: Went to the customer's balance.
        reason: Printed.
        document: Canonical JSON.
        digest: SHA-256 of it.
        issued_at: When.
    """

    id: str
    number: str
    invoice: str
    customer: str
    currency: str
    total: Decimal
    tax: Decimal
    credit_offset: Decimal
    refund: Decimal
    to_balance: Decimal
    reason: str
    document: bytes
    digest: bytes
    issued_at: datetime


def insert(connection: Connection, workspace: int, note: NoteRow) -> None:
    """Store a note whose invoice and number series the caller has locked."""
    connection.execute(
        "INSERT INTO credit_note_number (workspace, number, note) VALUES (%s, %s, %s)",
        (workspace, note.number, note.id),
    )
    connection.execute(
        f"INSERT INTO credit_note (part, workspace, {_COLUMNS})"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part_in(note.id, "crn"),
            workspace,
            note.id,
            note.number,
            note.invoice,
            note.customer,
            note.currency,
            note.total,
            note.tax,
            note.credit_offset,
            note.refund,
            note.to_balance,
            note.reason,
            note.document,
            note.digest,
            note.issued_at,
        ),
    )


def load_of(connection: Connection, workspace: int, invoice: str) -> list[NoteRow]:
    """The notes on an invoice, in the order they were issued."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM credit_note WHERE part = %s AND workspace = %s AND invoice = %s ORDER BY id",
        (part_in(invoice, "inv"), workspace, invoice),
    )
    return [_note(row) for row in rows]


def load(connection: Connection, workspace: int, note: str) -> NoteRow | None:
    """One note by its id or number."""
    if not note.startswith("crn_"):
        claimed = connection.execute(
            "SELECT note FROM credit_note_number WHERE workspace = %s AND number = %s", (workspace, note)
        ).fetchone()
        if claimed is None:
            return None
        note = claimed["note"]
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM credit_note WHERE part = %s AND workspace = %s AND id = %s",
        (part_in(note, "crn"), workspace, note),
    ).fetchone()
    return _note(row) if row else None


def load_page(
    connection: Connection,
    workspace: int,
    *,
    customer: str | None,
    after: str | None,
    newest_first: bool = False,
    limit: int,
) -> list[NoteRow]:
    """Notes in order of id, or the newest first, from after an id on; of one customer where given."""
    beyond, order = ("<", "DESC") if newest_first else (">", "ASC")
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM credit_note WHERE workspace = %s AND (%s::text IS NULL OR id {beyond} %s)"
        f" AND (%s::text IS NULL OR customer = %s) ORDER BY id {order} LIMIT %s",
        (workspace, after, after, customer, customer, limit),
    )
    return [_note(row) for row in rows]


def _note(row: Row) -> NoteRow:
    return NoteRow(**{**row, "document": bytes(row["document"]), "digest": bytes(row["digest"])})

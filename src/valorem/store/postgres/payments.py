"""Payments and refunds: what was asked, and everything that was heard about it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg.errors import UniqueViolation

from valorem.core.errors import ConflictError
from valorem.core.ids import identity, part_in, part_of
from valorem.core.numbers import plain
from valorem.core.payments.payment import Payment, Report
from valorem.store.postgres.database import Connection, Row

_COLUMNS = (
    "id, invoice, customer, provider, amount, currency, refunds, note, asked_at, answers_lost, looked_up_at, problem,"
    " counted, created_at"
)


@dataclass(frozen=True, slots=True)
class PaymentRow:
    """A payment and what is kept beside it.

    Attributes:
        payment: What was asked and heard.
        customer: The customer's key.
        note: The credit note that a refund belongs to.
        looked_up_at: When the provider was last asked how it stands.
        problem: Why the provider will not do it, for a person to look at.
        counted: Whether the invoice counts it.
        created_at: When it was asked for.
    """

    payment: Payment
    customer: str
    note: str | None
    looked_up_at: datetime | None
    problem: str | None
    counted: bool
    created_at: datetime


def insert(connection: Connection, workspace: int, row: PaymentRow) -> None:
    """Store a new payment or refund.

    Raises:
        ConflictError: If another payment of the invoice is under way.
    """
    payment = row.payment
    try:
        connection.execute(
            "INSERT INTO payment (part, workspace, id, invoice, customer, provider, amount, currency, refunds, note,"
            " state, counted, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            (
                part_in(payment.id, "pay"),
                workspace,
                payment.id,
                payment.invoice,
                row.customer,
                payment.provider,
                payment.amount,
                payment.currency,
                payment.refunds,
                row.note,
                payment.state,
                row.counted,
                row.created_at,
            ),
        )
    except UniqueViolation:
        raise ConflictError(
            "a payment of this invoice is under way",
            field="invoice",
            hint="wait for its outcome: GET /v1/payments?invoice=…",
        ) from None


def save(connection: Connection, workspace: int, row: PaymentRow, heard_at: datetime) -> None:
    """Store what changed about a payment that the caller has locked, and every report not kept yet."""
    payment = row.payment
    add_reports(connection, workspace, payment.id, payment.reports, heard_at)
    connection.execute(
        "UPDATE payment SET state = %s, asked_at = %s, answers_lost = %s, looked_up_at = %s, problem = %s, counted = %s"
        " WHERE part = %s AND workspace = %s AND id = %s",
        (
            payment.state,
            payment.asked_at,
            payment.answers_lost,
            row.looked_up_at,
            row.problem,
            row.counted,
            part_in(payment.id, "pay"),
            workspace,
            payment.id,
        ),
    )


def add_reports(
    connection: Connection, workspace: int, payment: str, reports: Iterable[Report], heard_at: datetime
) -> None:
    """Keep reports; one that is there already stays as it is."""
    for each in reports:
        digest = identity(each.reference, each.outcome, plain(each.amount), each.currency, each.reason or "")
        connection.execute(
            "INSERT INTO payment_report (part, workspace, payment, digest, reference, outcome, amount, currency, reason,"
            " heard_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
            (
                part_in(payment, "pay"),
                workspace,
                payment,
                digest,
                each.reference,
                each.outcome,
                each.amount,
                each.currency,
                each.reason,
                heard_at,
            ),
        )


def load(connection: Connection, workspace: int, payment: str, *, lock: bool = False) -> PaymentRow | None:
    """One payment or refund by id."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM payment WHERE part = %s AND workspace = %s AND id = %s"
        + (" FOR UPDATE" if lock else ""),
        (part_in(payment, "pay"), workspace, payment),
    ).fetchone()
    return _read(connection, workspace, [row])[0] if row else None


def load_page(
    connection: Connection,
    workspace: int,
    *,
    invoice: str | None = None,
    customer: str | None = None,
    parked: bool = False,
    after: str | None = None,
    newest_first: bool = False,
    limit: int,
) -> list[PaymentRow]:
    """Payments and refunds in order of id, or the newest first, from after an id on; those alone that wait for a person."""
    beyond, order = ("<", "DESC") if newest_first else (">", "ASC")
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM payment WHERE workspace = %s AND (%s::text IS NULL OR id {beyond} %s)"
        " AND (%s::text IS NULL OR invoice = %s) AND (%s::text IS NULL OR customer = %s)"
        " AND (NOT %s OR (state = 'parked' AND problem IS NULL))"
        f" ORDER BY id {order} LIMIT %s",
        (workspace, after, after, invoice, invoice, customer, customer, parked, limit),
    ).fetchall()
    return _read(connection, workspace, rows)


def waiting(connection: Connection, workspace: int, *, after: str, limit: int) -> list[str]:
    """Ids of payments and refunds through a provider that are not decided yet, in order of id."""
    rows = connection.execute(
        "SELECT id FROM payment WHERE workspace = %s AND state IN ('created', 'unknown', 'pending')"
        " AND provider NOT IN ('manual', 'bank_transfer') AND problem IS NULL AND id > %s ORDER BY id LIMIT %s",
        (workspace, after, limit),
    )
    return [row["id"] for row in rows]


def unasked(
    connection: Connection, workspace: int, providers: Sequence[str], *, limit: int
) -> list[tuple[str, str]]:
    """Open invoices of customers who are charged by themselves that nobody has been asked for, each with the provider."""
    rows = connection.execute(
        "SELECT i.id, c.billing ->> 'charge' AS provider FROM invoice i JOIN customer c ON c.part = i.part"
        " AND c.workspace = i.workspace AND c.key = i.customer WHERE i.workspace = %s AND i.status = 'finalised'"
        " AND i.owed > i.held AND c.billing ->> 'charge' = ANY(%s) AND NOT EXISTS (SELECT 1 FROM payment p"
        " WHERE p.part = i.part AND p.workspace = i.workspace AND p.invoice = i.id) ORDER BY i.id LIMIT %s",
        (workspace, list(providers), limit),
    )
    return [(row["id"], row["provider"]) for row in rows]


def load_payer(
    connection: Connection, workspace: int, customer: str, provider: str
) -> tuple[str, str | None] | None:
    """A customer's id and payment method at a provider."""
    row = connection.execute(
        "SELECT reference, method FROM payer WHERE part = %s AND workspace = %s AND customer = %s AND provider = %s",
        (part_of(workspace, customer), workspace, customer, provider),
    ).fetchone()
    return (row["reference"], row["method"]) if row else None


def load_payer_names(connection: Connection, workspace: int, customer: str) -> list[str]:
    """The providers that know a customer and a way to take its money."""
    rows = connection.execute(
        "SELECT provider FROM payer WHERE part = %s AND workspace = %s AND customer = %s AND method IS NOT NULL"
        " ORDER BY provider",
        (part_of(workspace, customer), workspace, customer),
    )
    return [row["provider"] for row in rows]


def save_payer(
    connection: Connection,
    workspace: int,
    customer: str,
    provider: str,
    reference: str,
    method: str | None,
    now: datetime,
) -> None:
    """Store a customer's id at a provider, in the place of the one there is."""
    connection.execute(
        "INSERT INTO payer (part, workspace, customer, provider, reference, method, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (part, workspace, customer, provider)"
        " DO UPDATE SET reference = excluded.reference, method = excluded.method",
        (part_of(workspace, customer), workspace, customer, provider, reference, method, now),
    )


def _read(connection: Connection, workspace: int, rows: list[Row]) -> list[PaymentRow]:
    ids = [row["id"] for row in rows]
    heard: dict[str, list[Report]] = {each: [] for each in ids}
    for report in connection.execute(
        "SELECT payment, reference, outcome, amount, currency, reason FROM payment_report"
        " WHERE part = ANY(%s) AND workspace = %s AND payment = ANY(%s)",
        (sorted({part_in(each, "pay") for each in ids}), workspace, ids),
    ):
        heard[report["payment"]].append(Report(**report))
    return [
        PaymentRow(
            Payment(
                id=row["id"],
                invoice=row["invoice"],
                provider=row["provider"],
                amount=row["amount"],
                currency=row["currency"],
                asked_at=row["asked_at"],
                answers_lost=row["answers_lost"],
                reports=frozenset(heard[row["id"]]),
                refunds=row["refunds"],
            ),
            row["customer"],
            row["note"],
            row["looked_up_at"],
            row["problem"],
            row["counted"],
            row["created_at"],
        )
        for row in rows
    ]

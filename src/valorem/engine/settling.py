"""What happens to an invoice after it is final: written off, voided, issued again; and how it stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from valorem.core.billing import life as steps
from valorem.core.billing.customer_balance import BalanceEntry, balance_of
from valorem.core.billing.life import Life, Status, status_of
from valorem.core.contracts.customer import check_text
from valorem.core.errors import ConflictError
from valorem.core.ids import part_of
from valorem.core.numbers import plain
from valorem.engine.credits.fulfilling import invoice_voided
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.invoices import find_invoice
from valorem.store.postgres import balances, invoice_waits, invoices, lives, merging, outbox
from valorem.store.postgres.invoice_waits import InvoiceWait
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.lives import StatusFilter
from valorem.store.postgres.outbox import Message

#: What becomes of what a void invoice billed.
Then = Literal["reissue", "forgive"]


@dataclass(frozen=True, slots=True)
class Standing:
    """How an invoice stands.

    Attributes:
        header: What a list of invoices shows.
        life: What has happened to it.
        status: What follows from that at this instant.
        waits_for: For a draft that is due: what other systems have not told yet.
    """

    header: InvoiceHeader
    life: Life
    status: Status
    waits_for: tuple[str, ...] = ()


def standings(tx: Transaction, headers: Sequence[InvoiceHeader]) -> list[Standing]:
    """How invoices stand, in the order given."""
    if not headers:
        return []
    found = lives.load_many(tx.connection, tx.workspace.id, [each.id for each in headers])
    drafts = [each.id for each in headers if each.status == "draft"]
    waiting = invoice_waits.load(tx.connection, tx.workspace.id, drafts) if drafts else {}
    return [
        Standing(each, found[each.id], status_of(found[each.id], tx.now), _waits_for(waiting.get(each.id)))
        for each in headers
    ]


def _waits_for(wait: InvoiceWait | None) -> tuple[str, ...]:
    return () if wait is None or wait.released_at is not None else wait.reasons


def list_standings(
    tx: Transaction,
    *,
    customer: str | None = None,
    contract: str | None = None,
    status: StatusFilter | None = None,
    newest_first: bool = False,
    after: str | None = None,
    limit: int = 50,
) -> list[Standing]:
    """Invoices in order of issue, or the newest first, from after an id on; of one status as of now where given."""
    ids = lives.page(
        tx.connection,
        tx.workspace.id,
        now=tx.now,
        customer=customer,
        contract=contract,
        status=status,
        newest_first=newest_first,
        after=after,
        limit=limit,
    )
    loaded = (invoices.load(tx.connection, tx.workspace.id, each) for each in ids)
    return standings(tx, [header for header in loaded if header is not None])


def lock_invoice(tx: Transaction, invoice: str) -> tuple[InvoiceHeader, Life]:
    """One invoice by id or number, and how it stands, locked until the transaction ends.

    Raises:
        NotFoundError: If there is none.
    """
    header = find_invoice(tx, invoice)
    life = lives.lock(tx.connection, tx.workspace.id, header.id)
    return header, life


def write_off(tx: Transaction, invoice: str, *, reason: str) -> Standing:
    """Give up what is owed; should money come after all, it still counts.

    Raises:
        NotFoundError: If there is no such invoice.
        UnprocessableError: If nothing is owed on it.
    """
    check_text(reason, "reason")
    header, life = lock_invoice(tx, invoice)
    return _keep(tx, header, steps.write_off(life, reason, tx.now), "invoice.uncollectible")


def take_back(tx: Transaction, invoice: str, *, reason: str, then: Then = "reissue") -> Standing:
    """Void an invoice and say what becomes of what it billed: a new draft bills it, or it is given up.

    Raises:
        NotFoundError: If there is no such invoice.
        UnprocessableError: While a payment or a credit note stands on it.
    """
    standing = void(tx, invoice, reason=reason)
    if then == "reissue" and standing.header.kind != "one_off":
        reissue(tx, standing.header.id)
    return standing


def void(tx: Transaction, invoice: str, *, reason: str) -> Standing:
    """Take an invoice back as if never issued. Its number stays taken; what the balance paid goes back to the balance.

    What it billed is not billed by a later invoice; :func:`reissue` bills it again.

    Raises:
        NotFoundError: If there is no such invoice.
        UnprocessableError: While a payment or a credit note stands on it.
    """
    check_text(reason, "reason")
    header, life = lock_invoice(tx, invoice)
    ended = steps.void(life, reason, tx.now)
    workspace, key = tx.workspace.id, (header.customer, header.currency)
    balances.lock(tx.connection, workspace, *key)
    entries = balances.load_entries(tx.connection, workspace, *key)
    back = _given_back(header.id, entries, tx)
    balance_of([*entries, *back])  # refuses to take back a credit that has paid for something since
    balances.add(tx.connection, workspace, *key, back)
    invoice_voided(tx, header)
    return _keep(tx, header, ended, "invoice.voided")


def _given_back(invoice: str, entries: Sequence[BalanceEntry], tx: Transaction) -> list[BalanceEntry]:
    """What the balance paid goes back to it; what a negative invoice gave to it is taken back."""
    back: list[BalanceEntry] = []
    for each in entries:
        if each.reference != invoice:
            continue
        if each.kind == "applied":
            back.append(
                BalanceEntry(f"{each.id}:restored", tx.now, "restored", each.credit, each.amount, invoice)
            )
        elif each.kind == "credited":
            back.append(
                BalanceEntry(f"{each.id}:void", tx.now, "refunded", each.credit, each.amount, invoice)
            )
    return back


def reissue(tx: Transaction, invoice: str) -> InvoiceHeader:
    """A new draft in place of a void invoice, computed from what is recorded and agreed now; final at the next closing.

    Raises:
        NotFoundError: If there is no such invoice.
        UnprocessableError: If it is not void.
        ConflictError: If it has been issued again already, or is not a contract's.
    """
    header, life = lock_invoice(tx, invoice)
    assert header.number is not None or life.stage == "draft"
    steps.reissue(life, header.number or "", tx.now)
    if parts := merging.parts_of(tx.connection, tx.workspace.id, header.id):
        return _parts_again(tx, header, parts)
    again = new_id("inv", part_of(tx.workspace.id, header.customer), header.issued_at)
    if not header.contract or not lives.insert_again(tx.connection, tx.workspace.id, header, again, tx.now):
        raise ConflictError(
            f"invoice {header.number} cannot be issued again",
            field="invoice",
            hint="it has been already, or no contract gives it; write a new one",
        )
    draft = invoices.load(tx.connection, tx.workspace.id, again)
    assert draft is not None  # inserted a moment ago
    return draft


def _parts_again(tx: Transaction, whole: InvoiceHeader, parts: Sequence[InvoiceHeader]) -> InvoiceHeader:
    """New drafts of every part of a void invoice; they are sent together again. Returns the first."""
    drafts = []
    for part in parts:
        again = new_id("inv", part_of(tx.workspace.id, part.customer), part.issued_at)
        if not lives.insert_again(tx.connection, tx.workspace.id, part, again, tx.now, replaces=whole.number):
            raise ConflictError(
                f"invoice {whole.number} cannot be issued again", field="invoice", hint="it has been already"
            )
        drafts.append(again)
    draft = invoices.load(tx.connection, tx.workspace.id, drafts[0])
    assert draft is not None  # inserted a moment ago
    return draft


def _keep(tx: Transaction, header: InvoiceHeader, life: Life, topic: str) -> Standing:
    lives.save(tx.connection, tx.workspace.id, header.id, life)
    tell(tx, header, topic, life, reason=life.reason)
    return Standing(header, life, status_of(life, tx.now))


def tell(tx: Transaction, header: InvoiceHeader, topic: str, life: Life, **more: Any) -> None:
    """Put into the outbox what happened to an invoice; the same thing is told once."""
    payload: Mapping[str, Any] = {
        "invoice": header.id,
        "number": header.number,
        "customer": header.customer,
        "contract": header.contract,
        "currency": header.currency,
        "total": plain(life.total),
        "owed": plain(max(Decimal(0), life.owed)),
        **more,
    }
    name = ":".join((topic, header.id, str(more.get("reminder", "")), str(more.get("payment", ""))))
    message = Message(
        part_of(tx.workspace.id, header.customer),
        uuid5(NAMESPACE_URL, f"valorem:{tx.workspace.id}:{name}"),
        topic,
        header.id,
        payload,
    )
    outbox.put(tx.connection, tx.workspace.id, [message], tx.now)

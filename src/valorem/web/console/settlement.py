"""Settlement: what was paid, credited and written off, and who is reminded of what."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from starlette.responses import Response

from valorem.core.errors import ConflictError, InvalidInputError
from valorem.core.numbers import parse_decimal, plain
from valorem.documents.document import InvoiceDocument
from valorem.engine import credit_notes, customer_balances, dunning, overview, payments, settling
from valorem.engine.credit_notes import NoteRequest, StoredNote
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.invoices import find_invoice
from valorem.engine.payments import Received
from valorem.engine.printing import printed_invoice, printed_note
from valorem.engine.settling import Standing
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.payments import PaymentRow
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit
from valorem.web.templating import segment

_PAGE = 50


@dataclass(frozen=True, slots=True)
class Settled:
    """What has happened to one invoice since it is final.

    Attributes:
        payments: Payments and refunds, as they were asked for.
        notes: Credit notes.
        balance: What is owed to the customer in the invoice's currency.
        creditable: Whether anything is left that a note could take back.
    """

    payments: Sequence[PaymentRow]
    notes: Sequence[StoredNote]
    balance: Decimal
    creditable: bool


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/payments", _payments)
    site.page("/credit-notes", _notes)
    site.page("/credit-notes/{note}", _note)
    site.page("/dunning", _dunning)
    site.page("/invoices/{invoice}/pdf", _pdf)
    site.page("/credit-notes/{note}/pdf", _note_pdf)
    site.action("/invoices/{invoice}/pay", "invoices", _pay)
    site.action("/invoices/{invoice}/charge", "invoices", _charge)
    site.action("/invoices/{invoice}/from-balance", "invoices", _from_balance)
    site.action("/invoices/{invoice}/credit", "invoices", _credit)
    site.action("/invoices/{invoice}/reissue", "invoices", _reissue)


def settled(tx: Transaction, standing: Standing) -> Settled | None:
    """What an invoice's own page shows of its settlement; None for a draft."""
    header = standing.header
    if header.number is None:
        return None
    balance = next(
        (
            each.amount
            for each in customer_balances.get_balances(tx, header.customer)
            if each.currency == header.currency
        ),
        Decimal(0),
    )
    return Settled(
        payments.list_payments(tx, invoice=header.id, limit=_PAGE),
        credit_notes.list_credit_notes(tx, invoice=header.id, limit=_PAGE),
        balance,
        standing.status not in ("draft", "closing", "void") and standing.life.credited < standing.life.total,
    )


def _payments(visit: Visit) -> Page:
    with visit.reading() as tx:
        found = payments.list_payments(
            tx,
            customer=visit.query("customer") or None,
            after=visit.query("after") or None,
            newest_first=True,
            limit=_PAGE + 1,
        )
        rows = [(row, find_invoice(tx, row.payment.invoice)) for row in found[:_PAGE]]
        names = overview.customer_names(tx)
    values = {
        "here": "invoices",
        "tab": "payments",
        "rows": rows,
        "names": names,
        "next": f"?after={rows[-1][0].payment.id}" if len(found) > _PAGE else None,
        "first": not visit.query("after"),
    }
    return Page("console/payments.html", values)


def _notes(visit: Visit) -> Page:
    with visit.reading() as tx:
        found = credit_notes.list_credit_notes(
            tx, after=visit.query("after") or None, newest_first=True, limit=_PAGE + 1
        )
        names = overview.customer_names(tx)
    rows = found[:_PAGE]
    values = {
        "here": "invoices",
        "tab": "notes",
        "rows": rows,
        "names": names,
        "next": f"?after={rows[-1].row.id}" if len(found) > _PAGE else None,
        "first": not visit.query("after"),
    }
    return Page("console/credit_notes.html", values)


def _note(visit: Visit) -> Page:
    with visit.reading() as tx:
        stored = credit_notes.get_credit_note(tx, visit.path("note"))
        header = find_invoice(tx, stored.row.invoice)
        customer = get_customer(tx, stored.row.customer)
    values = {"here": "invoices", "stored": stored, "header": header, "customer": customer}
    return Page("console/credit_note.html", values)


def _pdf(visit: Visit) -> Answer:
    with visit.reading() as tx:
        document, language = printed_invoice(tx, visit.path("invoice"))
    return _printed(document, language)


def _note_pdf(visit: Visit) -> Answer:
    with visit.reading() as tx:
        document, language = printed_note(tx, visit.path("note"))
    return _printed(document, language)


def _printed(document: InvoiceDocument, language: str) -> Response:
    from valorem.documents.pdf import render_pdf  # noqa: PLC0415 - loads fonts, asked for only where it is used

    headers = {"Content-Disposition": f'inline; filename="{document.number}.pdf"'}
    return Response(render_pdf(document, language), media_type="application/pdf", headers=headers)


def _dunning(visit: Visit) -> Page:
    with visit.reading() as tx:
        policy, owing = dunning.list_owing(tx)
        names = overview.customer_names(tx)
        now = tx.now
    sums: dict[str, Decimal] = {}
    for each in owing:
        if each.late > 0:
            currency = each.standing.header.currency
            sums[currency] = sums.get(currency, Decimal(0)) + each.standing.life.owed
    values = {
        "here": "invoices",
        "tab": "dunning",
        "policy": policy,
        "owing": owing,
        "overdue": sums,
        "names": names,
        "now": now,
    }
    return Page("console/dunning.html", values)


def _to(visit: Visit, header: InvoiceHeader) -> str:
    return f"{visit.home}/invoices/{segment(header.number or header.id)}"


def _check_fresh(visit: Visit, standing: Standing) -> None:
    """Refuse a form made of another state of the invoice: a second click must not pay or credit twice.

    Raises:
        ConflictError: If something has happened to it since.
    """
    life = standing.life
    if visit.form.get("seen") != f"{plain(life.paid)} {plain(life.credited)}":
        raise ConflictError(
            "something has happened to this invoice since you loaded the page",
            hint="look at it again; what you sent may have been done already",
        )


def _pay(visit: Visit) -> Answer:
    form = visit.form
    with visit.acting() as tx:
        header, _ = settling.lock_invoice(tx, visit.path("invoice"))
        (before,) = settling.standings(tx, [header])
        _check_fresh(visit, before)
        amount = form.get("amount", "").strip()
        money = Received(
            parse_decimal(amount, "amount") if amount else None,
            form.get("provider", "manual"),
            form.get("reference", "").strip() or None,
        )
        row = payments.record_payment(tx, header.id, money)
        paid = plain(row.payment.amount)
        after = {"amount": paid, "currency": header.currency, "reference": money.reference}
        visit.note(tx, visit.deed("invoice.pay", header.number or header.id, after=after))
    return Go(_to(visit, header), f"{paid} {header.currency} noted as received.")


def _charge(visit: Visit) -> Answer:
    name = visit.form.get("provider", "")
    with visit.acting() as tx:
        header = find_invoice(tx, visit.path("invoice"))
        provider = payments.provider_named(visit.engine.payments, name)
        row = payments.ask_for_payment(tx, header.id, provider)
        after = {"provider": name, "payment": row.payment.id}
        visit.note(tx, visit.deed("invoice.charge", header.number or header.id, after=after))
    return Go(_to(visit, header), f"{name} is asked to take it; what it answers shows here.")


def _from_balance(visit: Visit) -> Answer:
    with visit.acting() as tx:
        header = find_invoice(tx, visit.path("invoice"))
        after = customer_balances.pay_from_balance(tx, header.id)
        deed = visit.deed("invoice.from_balance", header.number or header.id, after={"status": after.status})
        visit.note(tx, deed)
    return Go(_to(visit, header), "Paid from the customer's balance.")


def _credit(visit: Visit) -> Answer:
    """Issue a credit note of the whole invoice, or of the amounts given for its lines."""
    form = visit.form
    with visit.acting() as tx:
        header, _ = settling.lock_invoice(tx, visit.path("invoice"))
        (before,) = settling.standings(tx, [header])
        _check_fresh(visit, before)
        lines = {
            name.removeprefix("line:"): parse_decimal(text.strip(), name)
            for name, text in form.items()
            if name.startswith("line:") and text.strip()
        }
        if not lines and form.get("whole") != "yes":
            raise InvalidInputError(
                "say what to take back", field="lines", hint="give an amount for a line, or tick all of it"
            )
        whole = form.get("whole") == "yes"
        asked = NoteRequest(form.get("reason", "").strip(), None if whole else lines)
        stored = credit_notes.issue_credit_note(tx, header.id, asked)
        deed = visit.deed(
            "invoice.credit",
            header.number or header.id,
            after={"note": stored.row.number, "total": plain(stored.row.total), "reason": asked.reason},
        )
        visit.note(tx, deed)
    return Go(f"{visit.home}/credit-notes/{segment(stored.row.number)}", f"{stored.row.number} is issued.")


def _reissue(visit: Visit) -> Answer:
    with visit.acting() as tx:
        old = find_invoice(tx, visit.path("invoice"))
        draft = settling.reissue(tx, old.id)
        visit.note(tx, visit.deed("invoice.reissue", old.number or old.id, after={"draft": draft.id}))
    return Go(_to(visit, draft), "A new draft, by what is recorded and agreed now.")

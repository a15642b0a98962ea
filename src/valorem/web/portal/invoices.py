"""Invoices: what did I pay, and why? From the list to a line, to its arithmetic, to the very events; and as PDF."""

from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import quote, urlencode

from starlette.responses import Response

from valorem.core.billing.explain import shortened
from valorem.core.billing.invoice import Invoice
from valorem.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnprocessableError,
    ValoremError,
)
from valorem.core.insight.difference import Difference, difference_of
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.time import write_instant
from valorem.engine import settling
from valorem.engine.contracts import get_contract
from valorem.engine.customer_balances import get_balances
from valorem.engine.engine import Transaction
from valorem.engine.invoices import StoredInvoice, explain_line, get_invoice, list_invoices
from valorem.engine.printing import printed_invoice
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.web.page import Page
from valorem.web.portal import figures, said
from valorem.web.portal.charts.difference import cause_names, difference_chart
from valorem.web.portal.charts.waterfall import waterfall_chart
from valorem.web.portal.paying import pay, paying
from valorem.web.portal.site import Answer, Go, Guest, PortalSite
from valorem.web.portal.usage import csv_file

_PAGE = 24
_EVENTS = 50
_MOST_EVENTS = 5000
_LOOKED_BACK = 12


def add(site: PortalSite) -> None:
    """Add the pages."""
    site.page("/invoices", _list)
    site.page("/invoices/{number}", _show)
    site.action("/invoices/{number}/pay", _pay)
    site.page("/invoices/{number}/file.pdf", _pdf)
    site.page("/invoices/{number}/lines/{line:int}", _line)
    site.page("/invoices/{number}/lines/{line:int}/events.csv", _line_csv)


def _list(guest: Guest) -> Page:
    with guest.reading() as tx:
        headers = list_invoices(
            tx, customer=guest.key, newest_first=True, after=guest.query("after") or None, limit=_PAGE + 1
        )
        final = [each for each in headers[:_PAGE] if each.number is not None]
        standings = settling.standings(tx, final)
        running = figures.running(tx, guest)
        balances = [each for each in get_balances(tx, guest.key) if each.amount]
        now = tx.now
    values = {
        "here": "invoices",
        "rows": standings,
        "running": running,
        "balances": balances,
        "next": "?" + urlencode({"after": headers[_PAGE - 1].id}) if len(headers) > _PAGE else None,
        "first": not guest.query("after"),
        "said": said,
        "now": now,
    }
    return Page("invoices.html", values)


def _own(tx: Transaction, guest: Guest) -> StoredInvoice:
    """A final invoice of this customer, by number; another customer's does not exist here."""
    stored = get_invoice(tx, guest.path("number"))
    if stored.header.customer != guest.key or stored.header.number is None:
        raise NotFoundError("there is no such invoice")
    return stored


def _show(guest: Guest) -> Page:
    return _page(guest)


def _pay(guest: Guest) -> Answer:
    """Ask for the payment of what is owed; a button that is hit twice asks once."""
    guest.check_allowed("payments")
    number = quote(guest.path("number"), safe="")
    try:
        with guest.acting() as tx:
            pay(tx, guest, _own(tx, guest))
    except ConflictError:
        pass  # it is under way, and the page says so
    except UnprocessableError as error:
        return _page(guest, error)
    return Go(f"{guest.home}/invoices/{number}", "payment_asked")


def _page(guest: Guest, refused: ValoremError | None = None) -> Page:
    with guest.reading() as tx:
        stored = _own(tx, guest)
        header, invoice = stored.header, stored.invoice
        (standing,) = settling.standings(tx, [header])
        how = paying(tx, guest, stored) if standing.life.owed > 0 else None
        compared = _compared(tx, stored)
        zone = _zone(tx, guest, stored)
        now = tx.now
    due = invoice.total if stored.settled is None else stored.settled.settlement.due
    steps = [*_steps(guest, invoice), *_settled(guest, stored)]
    values = {
        "here": "invoices",
        "header": header,
        "invoice": invoice,
        "lines": list(enumerate(invoice.lines, 1)),
        "standing": standing,
        "paying": how,
        "refused": refused,
        "total": invoice.total if header.total is None else header.total,
        "settlement": stored.settled.settlement if stored.settled else None,
        "waterfall": waterfall_chart(guest.words, steps, invoice.currency, due) if len(steps) > 1 else None,
        "compared": compared,
        "bridge": None
        if compared is None or not compared[1].parts
        else difference_chart(guest.words, compared[1], compared[0].number or ""),
        "causes": cause_names(guest.words),
        "printable": _is_printable(guest),
        "said": said,
        "zone": zone,
        "now": now,
    }
    return Page("invoice.html", values, 200 if refused is None else refused.status)


def _zone(tx: Transaction, guest: Guest, stored: StoredInvoice) -> str:
    if stored.header.kind == "one_off":
        return guest.customer.zone
    return get_contract(tx, stored.header.contract).contract.time_zone


@exact
def _steps(guest: Guest, invoice: Invoice) -> list[tuple[str, Decimal]]:
    """The lines put together by what they charge for, in their order."""
    sums: dict[str, Decimal] = {}
    for line in invoice.lines:
        label = line.description.partition(":")[0] if line.kind == "usage" else line.description
        if line.timing == "adjustment":
            label = guest.words.say("late: %(what)s", what=label)
        sums[label] = sums.get(label, ZERO) + line.amount
    return [(label, amount) for label, amount in sums.items() if amount]


def _settled(guest: Guest, stored: StoredInvoice) -> list[tuple[str, Decimal]]:
    """From the lines' sum to what is due: prepaid credit, taxes, the balance."""
    if stored.settled is None:
        return []
    found, words = stored.settled.settlement, guest.words
    steps = [(words.say("prepaid"), -sum(found.prepaid_before, ZERO))]
    if stored.settled.amounts == "exclusive":
        steps += [(total.rate.name, total.amount) for total in found.taxed.totals]
    steps += [
        (words.say("prepaid"), -found.prepaid_after),
        (words.say("from balance"), -found.balance_used),
        (words.say("to balance"), found.to_balance),
    ]
    return [(label, amount) for label, amount in steps if amount]


def _compared(tx: Transaction, stored: StoredInvoice) -> tuple[InvoiceHeader, Difference] | None:
    """The invoice of the period before, and why this one differs from it."""
    if stored.invoice.closed is None:
        return None
    before = list_invoices(tx, contract=stored.header.contract, newest_first=True, limit=_LOOKED_BACK)
    for each in before:
        if each.number is None or each.kind != stored.header.kind or each.index >= stored.header.index:
            continue
        earlier = get_invoice(tx, each.id).invoice
        if earlier.closed is not None and earlier.currency == stored.invoice.currency:
            return each, difference_of(earlier, stored.invoice)
    return None


def _line(guest: Guest) -> Answer:
    number = int(guest.path("line"))
    with guest.reading() as tx:
        stored = _own(tx, guest)
        found = explain_line(tx, stored.header.id, number, after=guest.query("after") or None, limit=_EVENTS)
        zone = _zone(tx, guest, stored)
    after = found.events.next if found.events else None
    values = {
        "here": "invoices",
        "header": stored.header,
        "currency": stored.invoice.currency,
        "number": number,
        "line": found.line,
        "steps": [
            (said.step_label(guest.words, step.label), step.text, shortened(step.value))
            for step in found.line.steps
        ],
        "events": found.events,
        "next": "?" + urlencode({"after": after}) if after else None,
        "first": not guest.query("after"),
        "last_line": len(stored.invoice.lines),
        "names": guest.settings.names,
        "zone": zone,
    }
    return Page("invoice_line.html", values)


def _line_csv(guest: Guest) -> Response:
    number = int(guest.path("line"))
    with guest.reading() as tx:
        stored = _own(tx, guest)
        found = explain_line(tx, stored.header.id, number, limit=_MOST_EVENTS)
    rows: list[Sequence[str]] = [("time", "id", "counted", "line", "invoice")]
    if found.events is not None:
        rows += [
            (
                write_instant(each.event.time) if each.event.time else "",
                each.event.id,
                plain(each.value),
                found.line.description,
                stored.header.number or "",
            )
            for each in found.events.items
        ]
    return csv_file(rows, f"{stored.header.number}-line-{number}")


def _is_printable(guest: Guest) -> bool:
    """Whether the vendor has said who sells; without that no document is set."""
    return guest.seller is not None


def _pdf(guest: Guest) -> Response:
    from valorem.documents.pdf import render_pdf  # noqa: PLC0415 - loads fonts, asked for only where it is used

    with guest.reading() as tx:
        stored = _own(tx, guest)
        try:
            document, locale = printed_invoice(tx, stored.header.id)
        except UnprocessableError as error:
            raise NotFoundError("there is no file of this invoice yet") from error
    language = locale if guest.customer.billing.locale else guest.words.language
    name = document.number.replace('"', "")
    try:
        content = render_pdf(document, language)
    except InvalidInputError:
        content = render_pdf(document, locale)  # documents are not written in this language
    return Response(
        content,
        media_type="application/pdf",
        headers={"content-disposition": f'inline; filename="{name}.pdf"'},
    )

"""Invoices: what is stuck between draft and paid, and why is this one what it is, down to the events."""

from dataclasses import dataclass
from decimal import Decimal
from urllib.parse import urlencode

from valorem.core.billing.explain import shortened
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.errors import InvalidInputError, NotFoundError, ValoremError
from valorem.core.insight.difference import Difference, difference_of
from valorem.engine import closing, overview, settling
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.invoices import (
    StoredInvoice,
    Verification,
    explain_line,
    get_invoice,
    list_invoices,
    verify_invoice,
)
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.lives import STATUS_IS
from valorem.web.charts.money import CAUSE_NAMES, difference_chart, waterfall_chart
from valorem.web.console import settlement
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit

_PAGE = 50
_EVENTS = 50
_ORDER = ("draft", "finalised", "overdue", "partially_paid", "paid", "uncollectible", "void")


@dataclass(frozen=True, slots=True)
class Compared:
    """An invoice beside the one before it."""

    header: InvoiceHeader
    difference: Difference


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/invoices", _list)
    site.action("/invoices/close", "invoices", _close)
    site.page("/invoices/{invoice}", _show)
    site.action("/invoices/{invoice}/settle", "invoices", _settle)
    site.page("/invoices/{invoice}/lines/{line:int}", _line)


def _list(visit: Visit) -> Page:
    asked = visit.query("status")
    status = next((each for each in STATUS_IS if each == asked), None)
    customer = visit.query("customer") or None
    with visit.reading() as tx:
        found = settling.list_standings(
            tx,
            customer=customer,
            status=status,
            newest_first=True,
            after=visit.query("after") or None,
            limit=_PAGE + 1,
        )
        lanes = sorted(overview.stages(tx), key=lambda lane: _ORDER.index(lane.status))
        names = overview.customer_names(tx)
        now = tx.now
    rows = found[:_PAGE]
    more = (
        {"status": status, "customer": customer, "after": rows[-1].header.id} if len(found) > _PAGE else None
    )
    values = {
        "here": "invoices",
        "rows": rows,
        "lanes": lanes,
        "status": status,
        "customer": customer,
        "names": names,
        "now": now,
        "next": "?" + urlencode({key: value for key, value in more.items() if value}) if more else None,
        "first": not visit.query("after"),
    }
    return Page("console/invoices.html", values)


def _close(visit: Visit) -> Answer:
    report = closing.close_due(visit.engine, visit.workspace.id)
    after = {"drafted": report.drafted, "finalised": report.finalised, "waiting": report.waiting}
    visit.note_done(visit.deed("invoices.close", visit.workspace.name, after=after))
    said = (
        f"{report.drafted} drafted, {report.finalised} made final."
        if report.progressed
        else "Nothing was due."
    )
    return Go(f"{visit.home}/invoices", said)


def _show(visit: Visit) -> Page:
    with visit.reading() as tx:
        stored = get_invoice(tx, visit.path("invoice"))
        header, invoice = stored.header, stored.invoice
        customer = get_customer(tx, header.customer)
        (standing,) = settling.standings(tx, [header])
        compared = _compared(tx, stored)
        verification: Verification | None = None
        if visit.query("verify") and header.number is not None:
            verification = verify_invoice(tx, header.id)
        settled = settlement.settled(tx, standing)
        now = tx.now
    steps = [*_steps(invoice), *_settled(stored)]
    values = {
        "here": "invoices",
        "stored": stored,
        "header": header,
        "invoice": invoice,
        "customer": customer,
        "lines": list(enumerate(invoice.lines, 1)),
        "standing": standing,
        "total": invoice.total if header.total is None else header.total,
        "settlement": stored.settled.settlement if stored.settled else None,
        "waterfall": waterfall_chart("waterfall", steps, invoice.currency, _due(stored)) if steps else None,
        "compared": compared,
        "bridge": None
        if compared is None
        else difference_chart("change", compared.difference, compared.header.number or "the one before"),
        "causes": CAUSE_NAMES,
        "verification": verification,
        "settled": settled,
        "providers": sorted(visit.engine.payments),
        "now": now,
    }
    return Page("console/invoice.html", values)


def _steps(invoice: Invoice) -> list[tuple[str, Decimal]]:
    """The lines of an invoice put together by what they charge for, in their order."""
    sums: dict[str, Decimal] = {}
    for line in invoice.lines:
        late = "late " if line.timing == "adjustment" else ""
        label = late + ((line.description.partition(":")[0]) if line.kind == "usage" else line.description)
        sums[label] = sums.get(label, Decimal(0)) + line.amount
    return [(label, amount) for label, amount in sums.items() if amount]


def _settled(stored: StoredInvoice) -> list[tuple[str, Decimal]]:
    """The steps from the lines' sum to what is due: prepaid credit, taxes, the customer's balance."""
    if stored.settled is None:
        return []
    found = stored.settled.settlement
    steps = [("prepaid", -sum(found.prepaid_before, Decimal(0)))]
    if stored.settled.amounts == "exclusive":
        steps += [(total.rate.name, total.amount) for total in found.taxed.totals]
    steps += [
        ("prepaid after tax", -found.prepaid_after),
        ("balance", -found.balance_used),
        ("to balance", found.to_balance),
    ]
    return [(label, amount) for label, amount in steps if amount]


def _due(stored: StoredInvoice) -> Decimal:
    return stored.invoice.total if stored.settled is None else stored.settled.settlement.due


def _settle(visit: Visit) -> Answer:
    """Write an invoice off, or void it, for a reason that stays on it."""
    invoice, reason = visit.path("invoice"), visit.form.get("reason", "").strip()
    verbs = {"void": settling.void, "write_off": settling.write_off}
    verb = verbs.get(visit.form.get("do", ""))
    if verb is None:
        raise InvalidInputError("say what to do with it", field="do")
    with visit.acting() as tx:
        (before,) = settling.standings(tx, [get_invoice(tx, invoice).header])
        after = verb(tx, invoice, reason=reason)
        deed = visit.deed(
            f"invoice.{visit.form['do']}",
            after.header.number or invoice,
            before={"status": before.status},
            after={"status": after.status, "reason": reason},
        )
        visit.note(tx, deed)
    return Go(f"{visit.home}/invoices/{invoice}", f"It is {after.status} now.")


def _compared(tx: Transaction, stored: StoredInvoice) -> Compared | None:
    """The contract's invoice of the period before, where there is one that closes a period."""
    header = stored.header
    if stored.invoice.closed is None:
        return None
    before = [
        each
        for each in list_invoices(tx, contract=header.contract, newest_first=True, limit=_PAGE)
        if each.index < header.index and each.kind == header.kind and each.number is not None
    ]
    for each in before:
        earlier = get_invoice(tx, each.id).invoice
        if earlier.closed is not None and earlier.currency == stored.invoice.currency:
            return Compared(each, difference_of(earlier, stored.invoice))
    return None


def _line(visit: Visit) -> Page:
    number = int(visit.path("line"))
    with visit.reading() as tx:
        stored = get_invoice(tx, visit.path("invoice"))
        try:
            found = explain_line(
                tx, visit.path("invoice"), number, after=visit.query("after") or None, limit=_EVENTS
            )
        except NotFoundError:
            raise
        except ValoremError as error:
            return Page("problem.html", {"error": error}, error.status)
        customer = get_customer(tx, stored.header.customer)
    after = found.events.next if found.events else None
    values = {
        "here": "invoices",
        "header": stored.header,
        "currency": stored.invoice.currency,
        "customer": customer,
        "number": number,
        "line": found.line,
        "steps": [(step.label, step.text, shortened(step.value)) for step in found.line.steps],
        "events": found.events,
        "corrected": found.corrected,
        "next": "?" + urlencode({"after": after}) if after else None,
        "first": not visit.query("after"),
        "last_line": len(stored.invoice.lines),
        "about": _about(found.line),
    }
    return Page("console/invoice_line.html", values)


def _about(line: Line) -> list[tuple[str, str]]:
    """What the line is the price of, in pairs."""
    said = [(name, value or "not given") for name, value in sorted(line.dimensions.items())]
    if line.timing == "adjustment":
        said.append(("timing", "late usage of a period that was billed before"))
    return said

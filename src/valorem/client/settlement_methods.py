"""The calls about settling invoices: paying, crediting, voiding, printing."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from valorem.client import settlement_values as s
from valorem.client import values as v
from valorem.client.call import Call, Method, quoted

Amount = Decimal | int | str


def _of(invoice: str, what: str) -> str:
    return f"/v1/invoices/{quoted(invoice)}/{what}"


def write_invoice(
    customer: str,
    lines: Sequence[Mapping[str, Any]],
    *,
    terms: Mapping[str, Any] | None = None,
    purchase_order: str | None = None,
) -> Call[v.InvoiceHeader]:
    """Write an invoice by hand, final at once; a line has ``description``, ``unit_amount``, ``quantity``, ``tax_code``."""
    body = {
        "customer": customer,
        "lines": [dict(line) for line in lines],
        "terms": terms,
        "purchase_order": purchase_order,
    }
    return Call("POST", "/v1/invoices", v.InvoiceHeader, body=body, once=True)


def pay_invoice(
    invoice: str, *, amount: Amount | None = None, provider: str = "manual", reference: str | None = None
) -> Call[s.Payment]:
    """Note that money has arrived; all that is owed where no amount is given."""
    body = {"amount": amount, "provider": provider, "reference": reference}
    return Call("POST", _of(invoice, "pay"), s.Payment, body=body, once=True)


def pay_from_balance(invoice: str) -> Call[v.InvoiceHeader]:
    """Let the customer's balance pay what it can."""
    return Call("POST", _of(invoice, "pay_from_balance"), v.InvoiceHeader, once=True)


def charge_invoice(invoice: str, provider: str) -> Call[s.Payment]:
    """Let a payment provider take what is owed."""
    return Call("POST", _of(invoice, "charge"), s.Payment, body={"provider": provider}, once=True)


def void_invoice(invoice: str, reason: str, *, then: str = "reissue") -> Call[v.InvoiceHeader]:
    """Take an invoice back as if never issued; what it billed is billed anew, or with ``then="forgive"`` given up."""
    body = {"reason": reason, "then": then}
    return Call("POST", _of(invoice, "void"), v.InvoiceHeader, body=body, once=True)


def reissue_invoice(invoice: str) -> Call[v.InvoiceHeader]:
    """A new draft in place of a void invoice."""
    return Call("POST", _of(invoice, "reissue"), v.InvoiceHeader, once=True)


def write_off_invoice(invoice: str, reason: str) -> Call[v.InvoiceHeader]:
    """Give up what is owed."""
    return Call("POST", _of(invoice, "write_off"), v.InvoiceHeader, body={"reason": reason}, once=True)


def issue_credit_note(
    invoice: str, reason: str, *, lines: Mapping[str, Amount] | None = None, refund: Amount | None = None
) -> Call[s.CreditNote]:
    """Take back all of an invoice, some of its lines (by number), or part of them."""
    body = {"reason": reason, "lines": lines, "refund": refund}
    return Call("POST", _of(invoice, "credit_notes"), s.CreditNote, body=body, once=True)


def preview_credit_note(
    invoice: str, reason: str, *, lines: Mapping[str, Amount] | None = None, refund: Amount | None = None
) -> Call[s.NoteDraft]:
    """The credit note that would be issued; writes nothing."""
    body = {"reason": reason, "lines": lines, "refund": refund}
    return Call("POST", _of(invoice, "credit_notes/preview"), s.NoteDraft, body=body)


def list_credit_notes(
    *,
    invoice: str | None = None,
    customer: str | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Call[v.Page[s.CreditNote]]:
    """Credit notes in the order they were issued."""
    query = {"invoice": invoice, "customer": customer, "after": after, "limit": limit}
    return Call("GET", "/v1/credit_notes", v.Page[s.CreditNote], query=query)


def get_credit_note(note: str) -> Call[s.CreditNote]:
    """One credit note, by id or number."""
    return Call("GET", f"/v1/credit_notes/{quoted(note)}", s.CreditNote)


def list_payments(
    *,
    invoice: str | None = None,
    customer: str | None = None,
    parked: bool | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Call[v.Page[s.Payment]]:
    """Payments and refunds in the order they were asked for; with ``parked`` those alone that wait for a person."""
    query = {"invoice": invoice, "customer": customer, "parked": parked, "after": after, "limit": limit}
    return Call("GET", "/v1/payments", v.Page[s.Payment], query=query)


def get_payment(payment: str) -> Call[s.Payment]:
    """One payment or refund, with everything that was said about it."""
    return Call("GET", f"/v1/payments/{quoted(payment)}", s.Payment)


def note_outcome(payment: str, outcome: str, *, reference: str | None = None) -> Call[s.Payment]:
    """Note how a payment or refund by hand ended."""
    body = {"outcome": outcome, "reference": reference}
    return Call("POST", f"/v1/payments/{quoted(payment)}/outcome", s.Payment, body=body, once=True)


def resolve_payment(payment: str, reason: str, *, accept: bool) -> Call[s.Payment]:
    """Say what was found about a parked payment: what arrived counts, or it was given back."""
    body = {"accept": accept, "reason": reason}
    return Call("POST", f"/v1/payments/{quoted(payment)}/resolve", s.Payment, body=body, once=True)


def set_payer(customer: str, provider: str, reference: str, *, method: str | None = None) -> Call[s.Payer]:
    """Say how a provider knows a customer."""
    body = {"customer": customer, "provider": provider, "reference": reference, "method": method}
    return Call("POST", "/v1/payments/payers", s.Payer, body=body, once=True)


def get_balances(customer: str) -> Call[s.Balances]:
    """What is owed to a customer, and why."""
    return Call("GET", "/v1/balances", s.Balances, query={"customer": customer})


def get_billing_settings() -> Call[dict[str, Any]]:
    """What the workspace settles its invoices by."""
    return Call("GET", "/v1/settings/billing", dict[str, Any])


def set_billing_settings(settings: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Put settings in the place of those there are."""
    return Call("PUT", "/v1/settings/billing", dict[str, Any], body=settings, once=True)


def print_invoice(invoice: str, *, locale: str | None = None) -> Call[bytes]:
    """A final invoice as a PDF."""
    return Call("GET", _of(invoice, "pdf"), bytes, query={"locale": locale})


def einvoice(invoice: str, *, locale: str | None = None) -> Call[bytes]:
    """A final invoice as Factur-X: the PDF with the EN 16931 invoice inside."""
    return Call("GET", _of(invoice, "facturx"), bytes, query={"locale": locale})


def print_credit_note(note: str, *, locale: str | None = None) -> Call[bytes]:
    """A credit note as a PDF."""
    return Call("GET", f"/v1/credit_notes/{quoted(note)}/pdf", bytes, query={"locale": locale})


class SettlementMethods:
    """The calls as methods."""

    write_invoice = Method(write_invoice)
    pay_invoice = Method(pay_invoice)
    pay_from_balance = Method(pay_from_balance)
    charge_invoice = Method(charge_invoice)
    void_invoice = Method(void_invoice)
    reissue_invoice = Method(reissue_invoice)
    write_off_invoice = Method(write_off_invoice)
    issue_credit_note = Method(issue_credit_note)
    preview_credit_note = Method(preview_credit_note)
    list_credit_notes = Method(list_credit_notes)
    get_credit_note = Method(get_credit_note)
    list_payments = Method(list_payments)
    get_payment = Method(get_payment)
    note_outcome = Method(note_outcome)
    resolve_payment = Method(resolve_payment)
    set_payer = Method(set_payer)
    get_balances = Method(get_balances)
    get_billing_settings = Method(get_billing_settings)
    set_billing_settings = Method(set_billing_settings)
    print_invoice = Method(print_invoice)
    einvoice = Method(einvoice)
    print_credit_note = Method(print_credit_note)

"""From an invoice and its settlement to the document, with sums that agree."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.ledger import Biller, Use, team_catalog
from tests.core.billing.make import contract, utc
from tests.documents.samples import BANK, BUYER, LOGO, SELLER, VAT, document
from valorem.core.billing.credit_notes import Creditable, creditable_lines, draft_credit_note
from valorem.core.billing.invoice import Invoice
from valorem.core.billing.settlement import Settlement, settle_invoice
from valorem.core.billing.taxes import Taxable
from valorem.core.billing.terms import terms_of
from valorem.core.errors import InvalidInputError
from valorem.documents.building import Letterhead, credit_note_document, invoice_document
from valorem.documents.document import InvoiceDocument

D = Decimal
ISSUED, DUE = date(2026, 2, 28), date(2026, 3, 30)
HEAD = Letterhead(SELLER, BANK, LOGO, ("Thank you.",))


def issued() -> Invoice:
    biller = Biller(terms_of(contract("2026-01-31", currency="EUR"), team_catalog("EUR")))
    used = {"model": "small", "kind": "input"}
    biller.close_due(utc("2026-02-28"), [Use("tokens", utc("2026-02-05"), D(9_000_000), used)])
    return biller.invoices[-1]


def settled(invoice: Invoice, **terms) -> Settlement:
    lines = [Taxable(str(at), line.amount, (VAT,)) for at, line in enumerate(invoice.lines)]
    return settle_invoice(lines, currency=invoice.currency, **terms)


def printed(invoice: Invoice, settlement: Settlement, **more) -> InvoiceDocument:
    return invoice_document(
        invoice,
        settlement,
        number="INV-7",
        buyer=BUYER,
        letterhead=HEAD,
        zone="UTC",
        issued_on=ISSUED,
        due_on=DUE,
        **more,
    )


def test_an_invoice_with_credit_before_tax_and_payments():
    invoice = issued()
    settlement = settled(invoice, prepaid=D(40), balance=D(5))
    made = printed(invoice, settlement, payments=D(10), units={"tokens": "token"})
    assert [each.amount for each in made.allowances] == [D(40)]
    assert made.subtotal == invoice.total
    assert made.net == invoice.total - 40
    assert made.paid == D(15)
    assert made.due == settlement.due - 10
    assert (made.first_day, made.last_day) == (date(2026, 1, 31), date(2026, 3, 30))
    assert made.reference is not None
    assert made.reference.startswith("RF")
    groups = [line.group for line in made.lines]
    assert groups[0] == "fees"
    assert "usage" in groups
    assert {line.unit for line in made.lines} == {None, "token"}


def test_inclusive_prices_are_printed_without_tax():
    invoice = issued()
    made = printed(invoice, settled(invoice, mode="inclusive"))
    assert made.total == invoice.total
    assert made.subtotal == made.net < made.total
    assert all(line.unit_price is None for line in made.lines)


def test_a_document_whose_sums_do_not_agree_cannot_be_made():
    good = document()
    for name in ("net", "tax", "total", "due"):
        with pytest.raises(InvalidInputError) as refused:
            replace(good, **{name: getattr(good, name) + D("0.01")})
        assert refused.value.field in ("net", "tax", "total", "due")


def test_a_credit_note_of_the_invoice():
    invoice = issued()
    settlement = settled(invoice, prepaid=D(40))
    made = printed(invoice, settlement)
    discounts = {str(at): credit for at, credit in enumerate(settlement.prepaid_before)}
    creditable = Creditable(
        "INV-7", "EUR", creditable_lines(settlement.taxed.lines, discounts), D(0), settlement.due
    )
    note = draft_credit_note(creditable, reason="Outage on 5 February")
    names = {str(at): line.description for at, line in enumerate(invoice.lines)}
    paper = credit_note_document(note, made, number="CN-1", issued_on=date(2026, 3, 1), descriptions=names)
    assert (paper.kind, paper.corrects, paper.total, paper.due_on) == (
        "credit_note",
        "INV-7",
        made.total,
        None,
    )
    assert paper.notes == ("Outage on 5 February",)


@given(
    prepaid=st.integers(0, 50_000),
    balance=st.integers(0, 50_000),
    applied=st.sampled_from(["before tax", "after tax"]),
    mode=st.sampled_from(["exclusive", "inclusive"]),
)
@settings(max_examples=40, deadline=None)
def test_every_settlement_gives_a_document(prepaid, balance, applied, mode):
    invoice = issued()
    cents = D("0.01")
    settlement = settled(
        invoice, prepaid=prepaid * cents, balance=balance * cents, applied=applied, mode=mode
    )
    assert printed(invoice, settlement).due == settlement.due

"""Credit notes never pass the invoice, and taking all of it back takes exactly all of it."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valorem.core.billing.credit_notes import (
    Creditable,
    CreditNote,
    creditable_lines,
    draft_credit_note,
    room,
)
from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import Taxable, tax_lines
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.money import minor_digits

D = Decimal
VAT = TaxRate("vat", "VAT", D("0.19"))


def invoice(*amounts: str, discounts: dict[str, str] | None = None, paid: str = "0", currency: str = "EUR"):
    off = {key: D(value) for key, value in (discounts or {}).items()}
    lines = [
        Taxable(str(at), D(amount) - off.get(str(at), D(0)), (VAT,)) for at, amount in enumerate(amounts)
    ]
    taxed = tax_lines(lines, currency=currency)
    return Creditable("INV-1", currency, creditable_lines(taxed.lines, off), D(paid), taxed.gross - D(paid))


def test_a_whole_note_takes_back_everything():
    billed = invoice("10.01", "20.02", discounts={"1": "3.33"}, paid="5")
    note = draft_credit_note(billed, reason="mistake")
    assert (note.total, note.discount) == (billed.total, D("3.33"))
    assert (note.offset, note.refund, note.to_balance) == (billed.due, D(0), D(5))
    assert room(billed, [note]).creditable == 0
    with pytest.raises(UnprocessableError):
        draft_credit_note(billed, None, [note], reason="again")


def test_thirds_of_a_line_take_its_tax_to_the_cent():
    billed = invoice("100.00", paid="119.00")
    notes: list[CreditNote] = []
    for part in ("33.33", "33.33", "33.34"):
        notes.append(draft_credit_note(billed, {"0": D(part)}, notes, reason="part"))
    assert [note.tax for note in notes] == [D("6.33"), D("6.34"), D("6.33")]
    assert sum(note.total for note in notes) == D("119.00")


def test_money_goes_back_only_where_it_was_paid():
    billed = invoice("100.00", paid="50")
    note = draft_credit_note(billed, {"0": D(60)}, reason="part", refund=D(50))
    assert (note.total, note.refund, note.offset, note.to_balance) == (D("71.40"), D(50), D("21.40"), D(0))
    with pytest.raises(UnprocessableError, match="may go back"):
        draft_credit_note(billed, {"0": D(60)}, reason="part", refund=D("50.01"))


@pytest.mark.parametrize(
    ("amounts", "error", "message"),
    [
        ({"9": D(1)}, InvalidInputError, "has no line"),
        ({"0": D("0.001")}, InvalidInputError, "cannot be paid"),
        ({"0": D("10.01")}, UnprocessableError, "is left of the line"),
        ({"0": D(-1)}, UnprocessableError, "is left of the line"),
        ({"0": D(0)}, UnprocessableError, "a note over 0"),
        ({}, UnprocessableError, "a note over 0"),
    ],
)
def test_what_cannot_be_credited_is_said(amounts, error, message):
    with pytest.raises(error, match=message):
        draft_credit_note(invoice("10.00"), amounts, reason="no")


def test_a_line_taken_off_bounds_what_can_be_credited_on_the_others():
    billed = invoice("100.00", "-80.00")
    with pytest.raises(UnprocessableError, match="left of invoice INV-1"):
        draft_credit_note(billed, {"0": D(100)}, reason="too much")
    assert draft_credit_note(billed, reason="all").total == D("23.80")


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_notes_never_pass_the_invoice_and_the_last_one_ends_even(data):
    currency = data.draw(st.sampled_from(["JPY", "EUR", "KWD", "CLF"]))
    digits = -minor_digits(currency)
    sizes = data.draw(st.lists(st.integers(1, 10**6), min_size=1, max_size=5))
    off = {str(at): D(data.draw(st.integers(0, size))).scaleb(digits) for at, size in enumerate(sizes)}
    rates = [data.draw(st.sampled_from(["0", "0.07", "0.19", "0.0825"])) for _ in sizes]
    lines = [
        Taxable(str(at), D(size).scaleb(digits) - off[str(at)], (TaxRate("vat", "VAT", D(share)),))
        for at, (size, share) in enumerate(zip(sizes, rates, strict=True))
    ]
    taxed = tax_lines(lines, currency=currency)
    billed = Creditable("INV-1", currency, creditable_lines(taxed.lines, off), taxed.gross, D(0))
    notes: list[CreditNote] = []
    refused: list[str] = []
    for _ in range(data.draw(st.integers(0, 5))):
        left = room(billed, notes).lines
        amounts = {
            key: D(data.draw(st.integers(0, int(left[key].scaleb(-digits))))).scaleb(digits) for key in left
        }
        try:
            notes.append(draft_credit_note(billed, amounts, notes, reason="part"))
        except UnprocessableError as error:
            refused.append(error.message)
    try:
        notes.append(draft_credit_note(billed, None, notes, reason="rest"))
    except UnprocessableError as error:
        refused.append(error.message)
    assert all("a note over 0" in message for message in refused)
    assert sum((note.total for note in notes), D(0)) == billed.total
    for line in billed.lines:
        taken = [each for note in notes for each in note.lines if each.key == line.key]
        assert all(each.discount >= 0 and each.tax >= 0 for each in taken)
        # What is left of an amount may be worth nothing after its discount; of the money nothing is left.
        assert sum((each.amount for each in taken), D(0)) <= line.amount
        assert sum((each.total for each in taken), D(0)) == line.total
    for note in notes:
        assert note.offset + note.refund + note.to_balance == note.total

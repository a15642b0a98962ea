"""The whole chain on a real catalog: several periods, late usage, a price that changes inside a period."""

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.ledger import Biller, Use, team_catalog, usage_of
from tests.core.billing.make import contract, seats, utc
from valorem.core.billing.canonical import canonical_bytes, invoice_digest, read_invoice, write_line
from valorem.core.billing.charges import period_charges
from valorem.core.billing.draft import draft_invoice, with_pending
from valorem.core.billing.explain import explain_line
from valorem.core.billing.invoice import Line
from valorem.core.billing.needs import usage_needs
from valorem.core.billing.schedule import contract_period
from valorem.core.billing.terms import Terms, terms_of
from valorem.core.catalog.tree import parse_catalog
from valorem.core.errors import InvalidInputError
from valorem.core.money import minor_digits

D = Decimal
SEATS = {"seat": seats(("2026-01-01", 3), ("2026-02-10T12:00", 5))}


def terms(start: str = "2026-01-31", currency: str = "USD", policies: str = "", **changes: object) -> Terms:
    return terms_of(contract(start, currency=currency, **changes), team_catalog(currency, policies))


def tokens(day: str, millions: int, kind: str = "output", model: str = "small", **more: str) -> Use:
    return Use("tokens", utc(day), D(millions) * 1_000_000, {"model": model, "kind": kind, **more})


def amounts(lines: tuple[Line, ...]) -> dict[str, Decimal]:
    return {line.description: line.amount for line in lines}


def test_an_invoice_closes_one_period_and_bills_the_next_ahead():
    biller = Biller(terms(seats=SEATS))
    uses = [tokens("2026-02-03", 4, "input", region="eu"), tokens("2026-02-05", 1, "input", region="us")]
    opening, first = biller.close_due(utc("2026-02-28"), uses)
    assert amounts(opening.lines) == {"Platform": D(50), "Seats": D(90)}
    assert (opening.closed, opening.total) == (None, D(140))
    assert amounts(first.lines[3:]) == {"Platform": D(50), "Seats": D(150)}
    arrears = first.lines[:3]
    assert [line.amount for line in arrears] == [D("38.57"), D(20), D("7.50")]  # (5M − 2M) × 2.5 / 1M
    assert first.closed == arrears[1].period
    assert first.total == sum(line.amount for line in first.lines)


def test_each_event_is_priced_by_the_rate_in_force_at_its_time():
    biller = Biller(terms())
    uses = [tokens("2026-03-04T23:45", 3), tokens("2026-03-05", 4), tokens("2026-03-30", 1)]
    *_, invoice = biller.close_due(utc("2026-03-31"), uses)
    usage = [line for line in invoice.lines if line.kind == "usage"]
    assert [(line.unit_amount, line.amount) for line in usage] == [
        (D("0.00001"), D(10)),
        (D("0.000015"), D(75)),
    ]
    assert usage[0].period.end == usage[1].period.start == utc("2026-03-05")


def test_a_maximum_is_counted_once_although_the_period_is_cut():
    catalog = team_catalog()
    text = """
plan: p
name: P
currency: USD
prices:
  storage_gb:
    - {model: per_unit, amount: 1}
    - {model: per_unit, amount: 2, from: 2026-01-15}
"""
    files = {**catalog.files, "plans/p.yaml": text}
    chosen = terms_of(contract("2026-01-01", plan="p"), parse_catalog(files))
    uses = [Use("storage_gb", utc("2026-01-02"), D(10)), Use("storage_gb", utc("2026-01-20"), D(25))]
    _, invoice = Biller(chosen).close_due(utc("2026-02-01"), uses)
    assert [(line.quantity, line.amount) for line in invoice.lines] == [(D(10), D(10)), (D(15), D(30))]


def test_late_usage_comes_as_the_difference_on_the_next_invoice():
    biller = Biller(terms())
    uses = [Use("storage_gb", utc("2026-02-02"), D(90)), tokens("2026-02-03", 52)]
    biller.close_due(utc("2026-02-28"), uses)
    uses += [Use("storage_gb", utc("2026-02-04"), D(300)), tokens("2026-02-05", 1)]
    (following,) = biller.close_due(utc("2026-03-31"), uses)
    late = [line for line in following.lines if line.timing == "adjustment"]
    assert [(line.key, line.quantity, line.amount) for line in late] == [
        ("tokens", D(1_000_000), D(10)),
        (
            "storage_gb",
            D(200),
            D(20),
        ),  # 300 GB reach into the second tier; 10 more of the free one cost nothing
    ]
    assert late[0].steps[-1].text == "510 for everything known now − 500 already billed"
    assert {line.period_index for line in late} == {0}


def test_the_minimum_counts_all_charges_of_a_period_and_shrinks_with_late_usage():
    biller = Biller(terms())
    _, first = biller.close_due(utc("2026-02-28"), [])
    top_up = next(line for line in first.lines if line.kind == "minimum")
    assert top_up.amount == D(80)  # 150 − 50 in advance − 20 in arrears
    (second,) = biller.close_due(utc("2026-03-31"), [tokens("2026-02-05", 5)])
    corrected = [line.amount for line in second.lines if line.timing == "adjustment"]
    assert corrected == [D(30), D(-30)]


def test_the_maximum_cuts_a_period():
    biller = Biller(terms())
    _, first = biller.close_due(utc("2026-02-28"), [tokens("2026-02-05", 2000)])
    assert sum(line.amount for line in biller.lines if line.period_index == 0) == D(5000)
    assert (
        next(line for line in first.lines if line.kind == "maximum").amount == D(50 + 20 + 19_980 - 5000) * -1
    )


def test_bounds_are_prorated_with_the_period():
    biller = Biller(terms("2026-01-01", end=utc("2026-01-11")))
    biller.close_due(utc("2026-01-11"), [])
    assert biller.invoices[-1].boundary_index == 1
    assert sum(line.amount for line in biller.lines) == D("48.39")  # 150 × 10 of 31 days


def test_an_end_agreed_after_the_advance_fee_was_billed_gives_credit():
    biller = Biller(terms("2026-01-01", seats=SEATS))
    biller.close_due(utc("2026-02-01"), [])
    ended = replace(biller.terms, contract=replace(biller.terms.contract, end=utc("2026-02-15")))
    biller.terms = ended
    (last,) = biller.close_due(utc("2026-02-15"), [])
    credit = {line.key: line.amount for line in last.lines if line.timing == "adjustment"}
    assert credit == {"base": D(-25), "seat": D(-45)}
    assert last.ahead is None


@pytest.mark.parametrize(
    ("policy", "billed_late"), [("next_invoice", 10), ("note", 10), ("absorb", 0), ("reject", 0)]
)
def test_late_usage_follows_the_policy(policy, billed_late):
    biller = Biller(terms(policies=f"late_events: {policy}"))
    uses = [tokens("2026-02-03", 52)]
    biller.close_due(utc("2026-02-28"), uses)
    uses.append(tokens("2026-02-05", 1))
    biller.close_due(utc("2026-03-31"), uses)
    biller.close_due(utc("2026-04-30"), uses)
    late = [
        (invoice.kind, line.amount)
        for invoice in biller.invoices
        for line in invoice.lines
        if line.timing == "adjustment"
    ]
    assert late == ([("note" if policy == "note" else "period", D(billed_late))] if billed_late else [])


def test_usage_without_a_rate_is_named():
    *_, invoice = Biller(terms()).close_due(utc("2026-02-28"), [tokens("2026-02-03", 1, model="huge")])
    (unpriced,) = invoice.unpriced
    assert (unpriced.meter, unpriced.dimensions["model"], unpriced.quantity) == (
        "tokens",
        "huge",
        D(1_000_000),
    )


def test_missing_or_foreign_usage_is_refused():
    with pytest.raises(InvalidInputError, match="is missing"):
        draft_invoice(terms(), 1, {}, [])
    with pytest.raises(InvalidInputError, match="does not belong"):
        draft_invoice(terms(), 1, {0: usage_of(terms(), 0, []), 1: {}}, [])


def test_the_same_inputs_give_the_same_bytes_and_read_back():
    uses = [tokens("2026-02-03", 4), Use("storage_gb", utc("2026-02-03"), D("120.5"))]
    one, other = (
        Biller(terms(seats=SEATS)).close_due(utc("2026-03-31"), order) for order in (uses, uses[::-1])
    )
    assert [canonical_bytes(invoice) for invoice in one] == [canonical_bytes(invoice) for invoice in other]
    document = canonical_bytes(one[-1])
    assert read_invoice(document) == one[-1]
    assert canonical_bytes(read_invoice(document)) == document
    assert invoice_digest(document) != invoice_digest(canonical_bytes(one[0]))
    assert b"E+" not in document


def test_a_line_explains_itself_down_to_its_events():
    *_, invoice = Biller(terms()).close_due(utc("2026-02-28"), [tokens("2026-02-03", 4)])
    line = next(line for line in invoice.lines if line.kind == "usage")
    text = explain_line(line, "USD")
    assert text[0] == "tokens: usage (model small, kind output): 20 USD"
    assert any("4000000 − 2000000 of 2000000 included = 2000000" in row for row in text)
    assert "where kind = output, model = small" in text[-1]
    assert line.selectors[0].fingerprint in text[-1]
    assert any(line.charge == other["charge"] for other in map(write_line, invoice.lines))


USES = st.lists(
    st.builds(
        lambda hours, meter, model, kind, quantity: Use(
            meter,
            utc("2026-01-31") + timedelta(hours=hours),
            D(quantity),
            {"model": model, "kind": kind} if meter == "tokens" else {},
        ),
        st.integers(0, 24 * 89),
        st.sampled_from(["tokens", "storage_gb"]),
        st.sampled_from(["small", "small", "huge"]),
        st.sampled_from(["input", "output"]),
        st.integers(0, 9_999_999),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(
    uses=USES,
    late_by=st.lists(st.integers(0, 3), min_size=12, max_size=12),
    currency=st.sampled_from(["USD", "JPY", "KWD"]),
)
def test_what_is_billed_is_the_price_of_everything_however_late_it_came(uses, late_by, currency):
    chosen = terms(currency=currency, seats=SEATS)
    biller = Biller(chosen)
    for boundary, day in enumerate(("2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31")):
        known = [
            use for use, late in zip(uses, late_by, strict=False) if _closing_border(use) + late <= boundary
        ]
        biller.close_due(utc(day), known)
    everything = [use for use, late in zip(uses, late_by, strict=False) if _closing_border(use) + late <= 4]
    for index in range(4):
        period = contract_period(chosen.contract, index)
        assert period is not None
        whole = period_charges(chosen, period, usage_of(chosen, index, everything)).lines
        billed = [line for line in biller.lines if line.period_index == index]
        assert sum(line.amount for line in billed) == sum(line.amount for line in whole)
    for invoice in biller.invoices:
        assert invoice.total == sum(line.amount for line in invoice.lines)
        unit = D(1).scaleb(-minor_digits(currency))
        assert all(line.amount == line.amount.quantize(unit) for line in invoice.lines)


def _closing_border(use: Use) -> int:
    return sum(use.at >= utc(day) for day in ("2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"))


@settings(max_examples=25, deadline=None)
@given(uses=USES, data=st.data())
def test_the_order_of_events_does_not_matter(uses, data):
    shuffled = data.draw(st.permutations(uses))
    one, other = (Biller(terms()).close_due(utc("2026-04-30"), order) for order in (uses, shuffled))
    assert [canonical_bytes(invoice) for invoice in one] == [canonical_bytes(invoice) for invoice in other]


def test_needs_name_the_meter_revision_and_the_segments():
    chosen = terms()
    period = contract_period(chosen.contract, 1)
    assert period is not None
    by_key = {need.key: need for need in usage_needs(chosen, period)}
    assert [part.end for part in by_key["tokens"].intervals] == [utc("2026-03-05"), utc("2026-03-31")]
    assert by_key["tokens"].dimensions == ("model", "kind")
    assert len(by_key["storage_gb"].intervals) == 1
    assert usage_needs(chosen, period, until=period.interval.start) == ()
    (cut,) = [need for need in usage_needs(chosen, period, until=utc("2026-03-02")) if need.key == "tokens"]
    assert [(part.start, part.end) for part in cut.intervals] == [(utc("2026-02-28"), utc("2026-03-02"))]


def test_usage_taken_back_after_it_was_billed_gives_credit_for_that_very_line():
    biller = Biller(terms())
    kept, voided = tokens("2026-02-03", 52), tokens("2026-02-03", 4, "input")
    biller.close_due(utc("2026-02-28"), [kept, voided])
    (following,) = biller.close_due(utc("2026-03-31"), [kept])
    credit = [
        (line.dimensions["kind"], line.amount) for line in following.lines if line.timing == "adjustment"
    ]
    # The input row came first and used up the 2M included; now the output has them.
    assert credit == [("output", D(-20)), ("input", D(-5))]


def test_a_top_up_that_was_not_needed_after_all_is_taken_back():
    biller = Biller(terms())
    biller.close_due(utc("2026-02-28"), [])
    (second,) = biller.close_due(utc("2026-03-31"), [tokens("2026-02-05", 102)])
    assert [(line.kind, line.amount) for line in second.lines if line.timing == "adjustment"] == [
        ("usage", D(1000)),
        ("minimum", D(-80)),
    ]


def test_the_canonical_form_has_its_keys_in_order():
    *_, invoice = Biller(terms()).close_due(utc("2026-02-28"), [tokens("2026-02-03", 4)])
    found: list[list[str]] = []
    json.loads(
        canonical_bytes(invoice), object_pairs_hook=lambda pairs: found.append([key for key, _ in pairs])
    )
    assert found
    assert all(keys == sorted(keys) for keys in found)


@pytest.mark.parametrize("policy", ["next_invoice", "note"])
def test_a_later_invoice_reckons_with_those_that_are_not_final_yet(policy):
    chosen = terms(policies=f"late_events: {policy}")
    uses = [tokens("2026-02-03", 52), tokens("2026-03-03", 4)]
    biller = Biller(chosen)
    biller.close_due(utc("2026-02-28"), uses[:0])
    final = biller.lines
    usage = {index: usage_of(chosen, index, uses) for index in range(3)}
    known = {index: usage[index] for index in range(2)}
    pending = with_pending(chosen, [2], known, final)
    seen = draft_invoice(chosen, 3, usage, pending)
    biller.close_due(utc("2026-03-31"), uses)
    assert list(pending) == biller.lines
    assert draft_invoice(chosen, 3, usage, biller.lines) == seen
    assert draft_invoice(chosen, 3, usage, final) != seen

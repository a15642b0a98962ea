"""The next invoice before its time: what it comes to so far, and what it will come to."""

from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.ledger import Use, answer, team_catalog, usage_of
from tests.core.billing.make import contract, seats, utc
from valorem.core.billing.draft import draft_invoice
from valorem.core.billing.invoice import Invoice
from valorem.core.billing.needs import recent_needs
from valorem.core.billing.projection import Preview, preview
from valorem.core.billing.terms import Terms, terms_of
from valorem.core.errors import InvalidInputError

D = Decimal


def terms(start: str = "2026-04-01", **changes: object) -> Terms:
    return terms_of(contract(start, **changes), team_catalog())


def tokens(at: datetime, millions: int, kind: str = "input") -> Use:
    return Use("tokens", at, D(millions) * 1_000_000, {"model": "small", "kind": kind})


def look(
    chosen: Terms, now: datetime, uses: list[Use], *, last_days: bool = False, index: int = 0
) -> Preview:
    usage = {index: usage_of(chosen, index, uses, until=now)}
    recent = answer(recent_needs(chosen, now), uses) if last_days else None
    opening = draft_invoice(chosen, 0, {}, [])
    return preview(chosen, now, usage, opening.lines, recent)


def of(invoice: Invoice, kind: str) -> Decimal:
    return sum((line.amount for line in invoice.lines if line.kind == kind), D(0))


def test_usage_is_carried_on_at_the_pace_so_far_and_fees_are_not():
    uses = [tokens(utc("2026-04-05"), 12)]
    seen = look(terms(), utc("2026-04-11"), uses)
    assert (seen.elapsed_quarter_hours, seen.total_quarter_hours) == (960, 2880)
    assert of(seen.so_far, "usage") == D(25)  # (12M − 2M included) × 2.5 / 1M
    assert of(seen.projected, "usage") == D(85)  # (36M − 2M) × 2.5 / 1M: not 3 × 25
    assert of(seen.projected, "fee") == of(seen.so_far, "fee") == D(70)  # 20 in arrears, 50 ahead
    assert seen.so_far.kind == "preview"


def test_a_price_that_will_change_is_used_from_its_date_on():
    chosen = terms("2026-02-28")
    seen = look(chosen, utc("2026-03-02"), [tokens(utc("2026-03-01"), 2, "output")])
    # 1M a day: five days at 10 with 2M included, then the other 23 days at 15.
    usage = [line.amount for line in seen.projected.lines if line.kind == "usage"]
    assert usage == [D(30), D(23 * 15)]


def test_a_maximum_is_held_not_scaled():
    chosen = terms("2026-02-28")
    seen = look(chosen, utc("2026-03-02"), [Use("storage_gb", utc("2026-03-01"), D(300))])
    assert of(seen.projected, "usage") == of(seen.so_far, "usage") == D(20)


def test_before_anything_is_known_nothing_is_projected():
    seen = look(terms(), utc("2026-04-01"), [])
    assert seen.projected == seen.so_far
    assert seen.elapsed_quarter_hours == 0


def test_the_range_spans_the_pace_of_the_period_and_of_the_last_days():
    uses = [tokens(utc("2026-04-02"), 30), tokens(utc("2026-04-18"), 7)]
    seen = look(terms(), utc("2026-04-21"), uses, last_days=True)
    # Period: 37M in 20 days → 55.5M. Last days: 7M in 7 days → 37M + 10M.
    assert (seen.low, seen.high) == (D("112.50") + 70, D("133.75") + 70)
    assert seen.high == seen.projected.total


def test_the_pace_is_taken_over_quarter_hours_begun():
    seen = look(terms(), utc("2026-04-01T00:07"), [tokens(utc("2026-04-01T00:05"), 1)])
    assert seen.elapsed_quarter_hours == 1
    assert of(seen.projected, "usage") == D((2880 - 2) * 1) * D("2.5")


def test_an_agreed_change_of_seats_is_in_the_preview():
    chosen = terms(seats={"seat": seats(("2026-04-01", 1), ("2026-04-16", 3))})
    seen = look(chosen, utc("2026-04-11"), [])
    assert any(line.amount == D(30) and line.timing == "in_arrears" for line in seen.so_far.lines)


def test_a_contract_that_does_not_run_has_no_preview():
    with pytest.raises(InvalidInputError, match="does not run"):
        look(terms(end=utc("2026-05-01")), utc("2026-05-01"), [])


def test_missing_usage_is_refused():
    with pytest.raises(InvalidInputError, match="is missing"):
        preview(terms(), utc("2026-04-02"), {}, [])


@settings(max_examples=30, deadline=None)
@given(
    uses=st.lists(st.tuples(st.integers(0, 24 * 30 - 1), st.integers(0, 50)), max_size=8),
    now_h=st.integers(1, 24 * 30 - 1),
)
def test_a_preview_is_the_draft_of_what_is_known(uses, now_h):
    chosen, start = terms(), utc("2026-04-01")
    now = start + timedelta(hours=now_h)
    known = [tokens(start + timedelta(hours=hours), count) for hours, count in uses if hours < now_h]
    seen = look(chosen, now, known)
    opening = draft_invoice(chosen, 0, {}, [])
    closed = draft_invoice(chosen, 1, {0: usage_of(chosen, 0, known)}, opening.lines)
    assert seen.so_far.lines == closed.lines
    assert of(seen.projected, "usage") >= of(seen.so_far, "usage")

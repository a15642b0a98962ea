"""Taxes: which rates hold, and sums that agree in every currency and rounding."""

from datetime import date
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from valorem.core.billing.settlement import settle_invoice
from valorem.core.billing.tax_rates import Place, TaxBook, TaxParty, TaxRate, TaxRule, treat
from valorem.core.billing.taxes import OwnRates, Taxable, TaxedProduct, TaxRequest, share_out, tax_lines
from valorem.core.errors import InvalidInputError
from valorem.core.money import minor_digits

D = Decimal
CURRENCIES = ("JPY", "EUR", "KWD", "CLF")
DAY = date(2026, 2, 1)


def rate(share: str, tax: str = "vat", **more: str) -> TaxRate:
    return TaxRate(tax, tax.upper(), D(share), **more)  # type: ignore[arg-type]


VAT, REDUCED = rate("0.19"), rate("0.07")
BOOK = TaxBook(
    (
        TaxRule(rate("0.19"), "DE"),
        TaxRule(rate("0.16"), "DE", since=date(2020, 7, 1)),
        TaxRule(rate("0.19"), "DE", since=date(2021, 1, 1)),
        TaxRule(REDUCED, "DE", product="book"),
        TaxRule(rate("0.20"), "FR"),
        TaxRule(rate("0.05", "gst"), "CA"),
        TaxRule(rate("0.07", "pst"), "CA", region="BC"),
        TaxRule(rate("0", "pst"), "CA", region="BC", product="book"),
    )
)


@pytest.mark.parametrize(
    ("place", "product", "day", "shares"),
    [
        (Place("DE"), None, "2020-06-30", ["0.19"]),
        (Place("DE"), None, "2020-07-01", ["0.16"]),
        (Place("DE"), None, "2021-01-01", ["0.19"]),
        (Place("DE"), "book", "2020-08-01", ["0.07"]),
        (Place("DE", "BY"), "other", "2026-01-01", ["0.19"]),
        (Place("CA"), None, "2026-01-01", ["0.05"]),
        (Place("CA", "BC"), None, "2026-01-01", ["0.05", "0.07"]),
        (Place("CA", "BC"), "book", "2026-01-01", ["0.05", "0"]),
        (Place("US", "CA"), None, "2026-01-01", []),
    ],
)
def test_the_rate_of_a_place_a_product_and_a_day(place, product, day, shares):
    found = BOOK.rates_for(place, product, date.fromisoformat(day))
    assert [each.share for each in found] == [D(share) for share in shares]


def test_a_book_must_not_contradict_itself():
    with pytest.raises(InvalidInputError, match="a second rate of vat"):
        TaxBook((TaxRule(VAT, "DE"), TaxRule(REDUCED, "DE")))
    with pytest.raises(InvalidInputError, match="19 is no share"):
        TaxBook((TaxRule(rate("19"), "DE"),))
    with pytest.raises(InvalidInputError, match="no country"):
        Place("de")


@pytest.mark.parametrize(
    ("buyer", "treatment", "shares"),
    [
        (TaxParty(Place("DE"), "DE1"), "taxable", ["0.19"]),
        (TaxParty(Place("FR"), "FR1"), "reverse_charge", ["0"]),
        (TaxParty(Place("FR")), "taxable", ["0.20"]),
        (TaxParty(Place("US", "NY"), "12-34"), "export", ["0"]),
        (TaxParty(Place("DE"), "DE1", exempt_reason="certificate 7"), "exempt", ["0"]),
    ],
)
def test_a_german_seller_treats_its_buyers_by_where_they_are(buyer, treatment, shares):
    seller = TaxParty(Place("DE"), "DE2")
    found = treat(seller, buyer)
    assert found.treatment == treatment
    request = TaxRequest(seller, buyer, DAY, "EUR", (TaxedProduct("a", D(1), None),), "INV-1")
    (taxes,) = OwnRates(BOOK).rates(request).values()
    assert [each.share for each in taxes] == [D(share) for share in shares]
    if treatment != "taxable":
        assert taxes[0].category == treatment
        assert taxes[0].reason


def test_a_seller_outside_the_union_charges_what_its_book_says_of_the_place():
    found = treat(TaxParty(Place("US", "NY")), TaxParty(Place("CA", "BC"), "CA1"))
    assert (found.treatment, found.supplied_at) == ("taxable", Place("CA", "BC"))


def test_a_rate_is_rounded_once_over_its_lines_or_line_by_line():
    lines = [Taxable(str(at), D("0.03"), (VAT,)) for at in range(10)]
    once = tax_lines(lines, currency="EUR")
    each = tax_lines(lines, currency="EUR", rounded="per_line")
    assert (once.tax, each.tax) == (D("0.06"), D("0.10"))
    assert [line.tax for line in once.lines] == [D("0.01")] * 6 + [D(0)] * 4


def test_taxes_on_one_line_add_up_and_do_not_compound():
    taxed = tax_lines([Taxable("a", D(10), (rate("0.12", "a"), rate("0.05", "b")))], currency="EUR")
    assert (taxed.tax, taxed.gross) == (D("1.70"), D("11.70"))
    with pytest.raises(InvalidInputError, match="same tax twice"):
        tax_lines([Taxable("a", D(10), (VAT, REDUCED))], currency="EUR")


def test_an_inclusive_price_is_what_the_customer_pays():
    taxed = tax_lines(
        [Taxable("a", D("11.90"), (VAT,)), Taxable("b", D(5))], currency="EUR", mode="inclusive"
    )
    assert (taxed.lines[0].net, taxed.lines[0].tax, taxed.gross) == (D(10), D("1.90"), D("16.90"))


def test_prepaid_credit_lessens_the_tax_or_pays_it():
    line = [Taxable("a", D(100), (rate("0.20"),))]
    before = settle_invoice(line, currency="EUR", prepaid=D(40), balance=D(10))
    assert (before.taxed.tax, before.total, before.due) == (D(12), D(72), D(62))
    after = settle_invoice(line, currency="EUR", prepaid=D(40), applied="after tax")
    assert (after.taxed.tax, after.total, after.due) == (D(20), D(120), D(80))
    published = [Taxable("a", D(70), (rate("0.0825"),))]
    assert settle_invoice(published, currency="USD", prepaid=D(5)).due == D("70.36")
    assert settle_invoice(published, currency="USD", prepaid=D(5), applied="after tax").due == D("70.78")
    assert settle_invoice([Taxable("a", D(400))], currency="USD", prepaid=D(500)).prepaid_used == D(400)
    owed = settle_invoice([Taxable("a", D(-5), (rate("0.20"),))], currency="EUR", balance=D(3))
    assert (owed.to_balance, owed.due, owed.balance_used) == (D(6), D(0), D(0))
    with pytest.raises(InvalidInputError, match="cannot be used"):
        settle_invoice(line, currency="EUR", prepaid=D(-1))


amounts = st.integers(-(10**9), 10**9)
shares_ = st.sampled_from(["0", "0.0825", "0.07", "0.19", "0.2", "0.333333333333"])
taxable = st.tuples(amounts, st.lists(shares_, max_size=3))


@given(
    lines=st.lists(taxable, max_size=12),
    currency=st.sampled_from(CURRENCIES),
    mode=st.sampled_from(["exclusive", "inclusive"]),
    rounded=st.sampled_from(["per_rate", "per_line"]),
    rounding=st.sampled_from(["half_up", "half_even"]),
    prepaid=st.integers(0, 10**9),
    applied=st.sampled_from(["before tax", "after tax"]),
    balance=st.integers(0, 10**9),
)
@settings(max_examples=150, deadline=None)
def test_lines_and_taxes_less_credits_are_the_total(
    lines, currency, mode, rounded, rounding, prepaid, applied, balance
):
    digits = -minor_digits(currency)
    given_lines = [
        Taxable(
            str(at),
            D(amount).scaleb(digits),
            tuple(rate(share, f"tax {place}") for place, share in enumerate(rates)),
        )
        for at, (amount, rates) in enumerate(lines)
    ]
    settled = settle_invoice(
        given_lines,
        currency=currency,
        mode=mode,
        rounded=rounded,
        rounding=rounding,
        prepaid=D(prepaid).scaleb(digits),
        applied=applied,
        balance=D(balance).scaleb(digits),
    )
    taxed = settled.taxed
    given_sum = sum((line.amount for line in given_lines), D(0))
    credit = sum(settled.prepaid_before, D(0))
    added = taxed.tax if mode == "exclusive" else D(0)
    assert given_sum - credit + added == taxed.gross == taxed.net + taxed.tax
    assert sum((line.gross for line in taxed.lines), D(0)) == taxed.gross
    for total in taxed.totals:
        assert total.amount == sum((line.taxes.get(total.rate, D(0)) for line in taxed.lines), D(0))
    assert settled.prepaid_used <= D(prepaid).scaleb(digits)
    assert settled.due == max(D(0), taxed.gross) - settled.prepaid_after - settled.balance_used >= 0
    assert settled.to_balance - max(D(0), taxed.gross) == -taxed.gross
    for amount in (taxed.net, taxed.tax, settled.due, *(line.tax for line in taxed.lines)):
        assert amount == amount.quantize(D(1).scaleb(digits))
    if rounded == "per_rate" and mode == "exclusive":
        how = ROUND_HALF_UP if rounding == "half_up" else ROUND_HALF_EVEN
        for total in taxed.totals:
            assert total.amount == (total.base * total.rate.share).quantize(D(1).scaleb(digits), how)


@given(
    shares=st.lists(st.decimals(-1000, 1000, places=9), min_size=1, max_size=30),
    currency=st.sampled_from(CURRENCIES),
)
@settings(max_examples=150, deadline=None)
def test_shares_sum_to_their_rounded_sum_and_move_less_than_a_unit(shares, currency):
    unit = D(1).scaleb(-minor_digits(currency))
    rounded = share_out(shares, currency)
    assert sum(rounded) == sum(shares).quantize(unit, ROUND_HALF_UP)
    assert all(abs(one - other) < unit for one, other in zip(rounded, shares, strict=True))

"""The difference of two bills: every split adds up to it exactly, and blames what changed."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.errors import InvalidInputError
from valorem.core.insight.difference import difference_of
from valorem.core.periods import Interval

START = datetime(2026, 1, 1, tzinfo=UTC)


def interval(days: int) -> Interval:
    return Interval(START, START + timedelta(days=days))


def line(
    amount: str,
    quantity: str | None = None,
    *,
    kind: str = "usage",
    key: str = "tokens",
    late: bool = False,
    **dims: str,
) -> Line:
    return Line(
        kind=kind,  # type: ignore[arg-type]
        key=key,
        charge=key,
        timing="adjustment" if late else "in_arrears",
        description=key.capitalize(),
        period_index=0,
        period=interval(31),
        quantity=None if quantity is None else Decimal(quantity),
        unit_amount=None,
        exact_amount=Decimal(amount),
        amount=Decimal(amount),
        dimensions=dims,
        steps=(),
        pipeline=(),
        selectors=(),
    )


def bill(lines: Sequence[Line], *, days: int = 31, currency: str = "USD") -> Invoice:
    return Invoice(
        contract="c",
        customer="acme",
        plan="team",
        catalog_version=1,
        currency=currency,
        kind="period",
        boundary_index=1,
        issued_at=START,
        closed=interval(days),
        ahead=None,
        lines=tuple(lines),
        total=sum((each.amount for each in lines), Decimal(0)),
        unpriced=(),
        purchase_order=None,
    )


def parts(
    before: Sequence[Line], after: Sequence[Line], days: tuple[int, int] = (31, 31)
) -> dict[str, Decimal]:
    found = difference_of(bill(before, days=days[0]), bill(after, days=days[1])).parts
    return {str(cause): amount for cause, amount in found.items()}


def test_twice_as_much_is_all_quantity() -> None:
    assert parts([line("10", "100")], [line("20", "200")]) == {"quantity": Decimal(10)}


def test_a_dearer_unit_is_all_price() -> None:
    assert parts([line("10", "100")], [line("15", "100")]) == {"price": Decimal(5)}


def test_the_same_use_a_day_in_a_shorter_month_is_all_length() -> None:
    assert parts([line("31", "31")], [line("28", "28")], (31, 28)) == {"length": Decimal(-3)}


def test_all_three_at_once_in_the_order_told() -> None:
    found = parts([line("30", "30")], [line("124", "62")], (30, 31))
    assert found == {"length": Decimal(1), "quantity": Decimal(31), "price": Decimal(62)}


def test_what_is_new_is_quantity_and_what_is_gone_takes_its_amount_along() -> None:
    assert parts([], [line("7", "70")]) == {"quantity": Decimal(7)}
    assert parts([line("7", "70")], []) == {"quantity": Decimal(-7)}


def test_values_of_dimensions_are_items_of_their_own() -> None:
    found = difference_of(
        bill([line("10", "100", model="a"), line("4", "10", model="b")]),
        bill([line("12", "120", model="a"), line("4", "10", model="b")]),
    )
    assert [(item.difference, item.parts) for item in found.items] == [
        (Decimal(2), {"quantity": Decimal(2)}),
        (Decimal(0), {}),
    ]


def test_fees_discounts_bounds_and_late_usage_are_causes_of_their_own() -> None:
    before = [
        line("50", "1", kind="fee", key="base"),
        line("-5", kind="discount", key="d"),
        line("3", kind="minimum", key="minimum"),
    ]
    after = [
        line("80", "1", kind="fee", key="base"),
        line("-9", kind="discount", key="d"),
        line("2", "20", late=True),
    ]
    expected = {"fixed": Decimal(30), "credits": Decimal(-4), "bounds": Decimal(-3), "late": Decimal(2)}
    assert parts(before, after) == expected


def test_thirds_of_a_cent_are_shared_out_so_that_they_add_up() -> None:
    found = difference_of(bill([line("10.00", "3")], days=30), bill([line("10.01", "4")], days=31))
    assert sum(found.parts.values()) == Decimal("0.01")
    assert all(amount == amount.quantize(Decimal("0.01")) for amount in found.parts.values())


def test_amounts_of_two_currencies_have_no_difference() -> None:
    with pytest.raises(InvalidInputError, match="USD and EUR"):
        difference_of(bill([]), bill([], currency="EUR"))


amounts = st.decimals(-10_000, 10_000, places=2)
quantities = st.decimals(0, 10**9, places=3)
kinds = st.sampled_from(["usage", "fee", "charge", "discount", "minimum", "maximum", "commitment", "true_up"])
lines = st.lists(
    st.builds(
        lambda kind, key, amount, quantity, late: line(
            str(amount), str(quantity), kind=kind, key=key, late=late
        ),
        kinds,
        st.sampled_from(["tokens", "calls", "base"]),
        amounts,
        quantities,
        st.booleans(),
    ),
    max_size=8,
)


@given(lines, lines, st.integers(1, 366), st.integers(1, 366))
def test_every_split_adds_up(before: list[Line], after: list[Line], days: int, later_days: int) -> None:
    found = difference_of(bill(before, days=days), bill(after, days=later_days))
    assert sum(found.parts.values(), Decimal(0)) == found.total
    for item in found.items:
        assert sum(item.parts.values(), Decimal(0)) == item.difference
    assert sum((item.difference for item in found.items), Decimal(0)) == found.total


@given(lines, st.integers(1, 366))
def test_a_bill_does_not_differ_from_itself(those: list[Line], days: int) -> None:
    assert difference_of(bill(those, days=days), bill(those, days=days)).parts == {}

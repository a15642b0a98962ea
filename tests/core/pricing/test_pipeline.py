"""The pipeline: order, dates, included quantities, bounds, rounding, and the arithmetic printed on lines."""

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.pricing.builders import END, MIDDLE, START, price, rated, rows, used
from valorem.core.errors import InvalidInputError
from valorem.core.metering.measured import Measured
from valorem.core.money import minor_digits
from valorem.core.numbers import plain
from valorem.core.pricing.lines import Segment
from valorem.core.pricing.pipeline import ORDER, rate
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.price import Price

TOKENS: dict[str, Any] = {
    "model": "matrix",
    "rates": [
        {"model": "a", "kind": "input", "amount": "2.50", "per": "1M"},
        {"model": "a", "kind": "output", "amount": "15", "per": "1M"},
        {"model": "a", "kind": "output", "amount": "12", "per": "1M", "from": "2026-03-16"},
    ],
    "multipliers": {"mode": {"batch": "0.5"}},
}


def halves(first: Iterable[Measured], second: Iterable[Measured]) -> list[Segment]:
    return [Segment(START, MIDDLE, tuple(first)), Segment(MIDDLE, END, tuple(second))]


def test_rows_change_at_their_date_and_multipliers_apply():
    usage = [used(1000000, model="a", kind="output", mode="batch")]
    result = rate(price(**TOKENS), halves(usage, usage), currency="USD", meter="tokens")
    assert [(line.unit_amount, line.total) for line in result.lines] == rows(
        (Decimal("0.0000075"), Decimal("7.50")),
        (Decimal("0.000006"), Decimal("6.00")),
    )
    assert result.order == ORDER


def test_a_line_leads_to_its_events_and_prints_its_arithmetic():
    (line,) = rated(
        {**TOKENS, "rates": TOKENS["rates"][:2], "included": "1k"},
        used(3000, 7, model="a", kind="input", mode="batch"),
    ).lines
    assert line.selector is not None
    assert (line.selector.meter, line.selector.start, line.selector.end) == ("m", START, END)
    assert line.selector.dimensions == {"model": "a", "kind": "input", "mode": "batch"}
    assert [(step.label, step.text, step.value) for step in line.steps] == rows(
        ("measured", "7 events", 3000),
        ("included", "3000 − 1000 of 1000 included", 2000),
        ("model", "2000 × 2.5 / 1000000", Decimal("0.005")),
        ("multipliers", "0.005 × 0.5 (mode batch)", Decimal("0.0025")),
        ("round", "USD, 2 decimals, half away from zero", 0),
    )
    assert line.exact == Decimal("0.0025")


def test_segments_must_be_cut_where_numbers_change():
    with pytest.raises(InvalidInputError, match="changes at 2026-03-16"):
        rate(price(**TOKENS), [Segment(START, END, ())], currency="USD", meter="tokens")
    with pytest.raises(InvalidInputError, match="next begins"):
        rate(price(**TOKENS), [Segment(START, MIDDLE, ()), Segment(END, END, ())], currency="USD", meter="t")


def test_edges_are_midnights_of_the_contract():
    prices = price(**TOKENS)
    assert prices.edges(START, END) == (MIDDLE,)
    assert prices.edges(START, END, ZoneInfo("Asia/Kolkata")) == (datetime(2026, 3, 15, 18, 30, tzinfo=UTC),)
    assert prices.edges(MIDDLE, END) == ()


def test_a_tier_counter_runs_on_across_a_change_of_price():
    dated = price_list(
        {"model": "graduated", "tiers": [{"up_to": 100, "unit": 1, "flat": 5}, {"unit": 2}]},
        {
            "model": "graduated",
            "tiers": [{"up_to": 100, "unit": 3, "flat": 7}, {"unit": 4}],
            "from": "2026-03-16",
        },
    )
    result = rate(dated, halves([used(80)], [used(50)]), currency="USD", meter="m")
    assert [(line.quantity, line.unit_amount, line.total) for line in result.lines] == rows(
        (80, 1, 80),
        (1, 5, 5),
        (20, 3, 60),
        (30, 4, 120),
    )


def test_a_volume_tier_is_picked_by_the_whole_period():
    dated = price_list(
        {"model": "volume", "tiers": [{"up_to": 100, "unit": 3}, {"unit": 2}]},
        {"model": "volume", "tiers": [{"up_to": 100, "unit": 6}, {"unit": 5}], "from": "2026-03-16"},
    )
    result = rate(dated, halves([used(80)], [used(50)]), currency="USD", meter="m")
    assert [line.total for line in result.lines] == rows(160, 250)


def price_list(*versions: Any) -> Price:
    return Price.model_validate(list(versions))


def test_the_included_quantity_is_used_up_in_order_of_time_then_of_rows():
    fields = {**TOKENS, "included": 1500}
    first = [used(1000, model="a", kind="output"), used(1000, model="a", kind="input")]
    result = rate(price(**fields), halves(first, first), currency="USD", meter="tokens")
    assert [(line.dimensions["kind"], line.start, line.quantity) for line in result.lines] == rows(
        ("output", START, 500),
        ("input", MIDDLE, 1000),
        ("output", MIDDLE, 1000),
    )


def test_unit_conversion_comes_before_the_included_quantity():
    fields = {"model": "per_unit", "amount": 10, "included": 1, "convert": {"divide": 1000, "rounding": "up"}}
    (line,) = rated(fields, used(1400)).lines
    assert [line.quantity, line.total] == rows(1, 10)
    segments = halves([used(1400)], [used(1300)])
    whole = rate(price(**{**fields, "included": 0}), segments, currency="USD", meter="m")
    assert [line.quantity for line in whole.lines] == rows(2, 1)
    each = PricePolicies(conversion="each_slice")
    apart = rate(price(**{**fields, "included": 0}), segments, currency="USD", meter="m", policies=each)
    assert [line.quantity for line in apart.lines] == rows(2, 2)


def test_maximum_cuts_lines_in_order_and_minimum_adds_one():
    tiers = [{"up_to": 10, "unit": 1}, {"unit": 2}]
    capped = rated({"model": "graduated", "tiers": tiers, "maximum": 14}, used(20))
    assert [(line.amount, line.discount, line.total) for line in capped.lines] == rows(
        (10, 0, 10), (20, 16, 4)
    )
    assert capped.lines[1].steps[-1].value == 4
    floored = rated({"model": "graduated", "tiers": tiers, "minimum": 50}, used(20))
    assert [(line.kind, line.total) for line in floored.lines] == rows(
        ("usage", 10),
        ("usage", 20),
        ("minimum", 20),
    )


def test_a_part_of_a_period_reduces_its_bounds():
    fields = price(model="per_unit", amount=1, minimum=1000)
    segments = [Segment(START, END, (used(200),))]
    result = rate(fields, segments, currency="JPY", meter="m", share=Decimal(15) / Decimal(31))
    assert result.total == 484


def test_flat_is_billed_once_however_often_it_changes():
    dated = price_list({"model": "flat", "amount": 30}, {"model": "flat", "amount": 40, "from": "2026-03-16"})
    assert rate(dated, halves([], []), currency="USD", meter="m").total == 30


def test_long_events_cost_the_long_amount():
    whole = {"value": "data.input", "above": 272000}
    fields = {"model": "per_unit", "amount": 5, "long": 10, "per": "1M", "whole_event": whole}
    result = rated(fields, used(1000000, context="short"), used(1000000, context="long"))
    assert sorted(line.total for line in result.lines) == rows(5, 10)


def test_dimensions_counted_apart_have_tiers_of_their_own():
    fields = {"model": "package", "amount": 1, "size": 10, "by": ["region"]}
    assert rated(fields, used(5, region="eu"), used(5, region="us")).total == 2
    assert rated({**fields, "by": []}, used(5, region="eu"), used(5, region="us")).total == 1


def test_half_even_is_a_policy():
    fields = {"model": "per_unit", "amount": "0.125"}
    assert rated(fields, used(1)).total == Decimal("0.13")
    assert rated(fields, used(1), policies=PricePolicies(rounding="half_even")).total == Decimal("0.12")


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["JPY", "USD", "KWD"]),
    st.lists(st.decimals(0, 10**9, places=6), min_size=1, max_size=5),
    st.decimals(0, 5, places=12),
)
def test_every_line_is_rounded_once_and_lines_sum_to_the_total(currency, quantities, amount):
    fields = {"model": "per_unit", "amount": plain(amount), "by": ["g"]}
    result = rated(fields, *(used(each, g=str(i)) for i, each in enumerate(quantities)), currency=currency)
    assert result.total == sum((line.total for line in result.lines), Decimal(0))
    for line in result.lines:
        assert abs(line.amount - line.exact) * 2 <= Decimal(1).scaleb(-minor_digits(currency))
        assert line.amount.as_tuple().exponent == -minor_digits(currency)
        assert [step.label for step in line.steps] == sorted((step.label for step in line.steps), key=stage)


def stage(label: str) -> int:
    return ("measured", *ORDER).index(label)

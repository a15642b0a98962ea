"""Which negotiated number wins, and what prices come to with it."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.contracts.agreed import Override
from valorem.core.contracts.overrides import (
    ORDER,
    more_included,
    overridden,
    overridden_fee,
    overridden_price,
)
from valorem.core.errors import InvalidInputError
from valorem.core.pricing.matrix import Matrix
from valorem.core.pricing.price import Price

D = Decimal
FLAT = Price.model_validate({"model": "per_unit", "amount": 10})
TABLE = Price.model_validate(
    {
        "model": "matrix",
        "rates": [
            {"model": "big", "kind": "in", "amount": 2},
            {"model": "big", "kind": "out", "amount": 8},
            {"model": "tiny", "amount": 1},
        ],
    }
)


def override(name: str, **fields: Any) -> Override:
    return Override(id=name, meter="tokens", **fields)


def amounts(price: Price) -> list[Decimal]:
    version = price.versions[0]
    assert isinstance(version, Matrix)
    return [row.amount for row in version.rates]


@pytest.mark.parametrize(
    ("overrides", "amount", "winner"),
    [
        ([], 10, None),
        ([override("a", multiplier="0.9"), override("b", multiplier="0.8")], 8, "b"),
        ([override("a", multiplier="0.9", priority=1), override("b", multiplier="0.8", priority=2)], 9, "a"),
        ([override("a", multiplier="0.9", priority=1), override("b", multiplier="0.8")], 9, "a"),
        ([override("a", multiplier="0.1"), override("b", amount=7)], 7, "b"),
        ([override("a", amount=6), override("b", amount=7)], 7, "b"),
        ([override("a", amount=6), override("b", multiplier="0.5", commitment="c")], 6, "a"),
    ],
)
def test_one_override_wins_and_none_multiply(overrides, amount, winner):
    number = overridden(D(10), overrides)
    assert (number.amount, number.override) == (D(amount), winner)


def test_an_override_for_a_commitment_is_stronger_than_one_for_all_usage():
    both = [override("a", amount=6), override("b", multiplier="0.5", commitment="c")]
    assert overridden(D(10), both, commitment="c").amount == 5
    assert overridden(D(10), both, commitment="other").amount == 6
    assert len(ORDER) == 6


@given(st.permutations([("a", "0.9"), ("b", "0.7"), ("c", "0.8")]))
def test_of_multipliers_the_lowest_wins_however_they_were_added(order):
    assert overridden(D(10), [override(name, multiplier=share) for name, share in order]).amount == 7


def test_fees_listen_to_their_own_overrides_and_to_those_for_everything():
    both = [Override(id="all", multiplier=D("0.5")), Override(id="base", fee="base", amount=D(3))]
    assert [overridden_fee(D(10), key, both).amount for key in ("base", "seat")] == [3, 5]


def test_rows_of_a_table_are_negotiated_one_by_one():
    rows = [
        override("a", where={"model": "big"}, multiplier="0.5"),
        override("b", where={"model": "big", "kind": "out"}, amount=3),
        override("c", where={"model": "new"}, amount=9),
        override("d", multiplier="0.1"),
    ]
    assert amounts(overridden_price(TABLE, "tokens", rows)) == [D(1), D(3), D("0.1"), D(9)]
    assert overridden_price(TABLE, "other", rows) == TABLE


def test_whole_prices_scales_and_included_quantities():
    whole = override("a", price={"model": "per_unit", "amount": 4})
    assert (
        overridden_price(FLAT, "tokens", [override("m", multiplier="0.5"), whole]).versions[0].scale is None
    )
    assert overridden_price(FLAT, "tokens", [override("m", multiplier="0.5")]).versions[0].scale == D("0.5")
    more = overridden_price(FLAT, "tokens", [override("i", included=100)])
    assert more_included(more, D(5)).versions[0].included == 105


def test_what_a_price_does_not_have_cannot_be_negotiated():
    tiers = Price.model_validate({"model": "graduated", "tiers": [{"unit": 1}]})
    with pytest.raises(InvalidInputError, match="more than one amount"):
        overridden_price(tiers, "tokens", [override("a", amount=1)])
    with pytest.raises(InvalidInputError, match="no row of its own"):
        overridden_price(FLAT, "tokens", [override("a", where={"model": "big"}, amount=1)])
    with pytest.raises(ValueError, match="exactly one"):
        override("a", amount=1, multiplier="0.5")

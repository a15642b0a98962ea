# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.ledger.build import DAY, HOUR, START, UNTIMED
from valorem.core.errors import InvalidInputError
from valorem.core.ledger.recharge import (
    Purchase,
    RechargeLimits,
    RechargeRule,
    RechargeState,
    advance,
    counted_balance,
    price_of,
)

RULE = RechargeRule("auto", Decimal(50), target=Decimal(500), most_per_day=2)


def purchases(*steps: tuple[int, int], rule: RechargeRule = RULE) -> list[Purchase | None]:
    """What each (balance, hours later) brings."""
    state, found, now = RechargeState(), [], START
    for balance, hours in steps:
        now += HOUR * hours
        state, purchase = advance(rule, state, Decimal(balance), now)
        found.append(purchase)
    return found


def test_a_crossing_fires_once_until_the_balance_has_been_above_again() -> None:
    first, *rest = purchases((50, 0), (50, 1), (20, 1), (500, 1), (10, 1))
    assert first is not None
    assert (first.id, first.credits) == ("auto:1", 450)
    assert rest[:3] == [None, None, None]
    assert rest[3] is not None
    assert (rest[3].id, rest[3].credits) == ("auto:2", 490)


def test_the_days_purchases_are_limited_and_a_crossing_waits_for_the_next_day() -> None:
    found = purchases((10, 0), (60, 1), (10, 1), (60, 1), (10, 1), (10, 1), (9, 20))
    assert [each and each.id for each in found] == ["auto:1", None, "auto:2", None, None, None, "auto:3"]


def test_a_fixed_amount_is_bought_whatever_the_balance() -> None:
    (found,) = purchases((-30, 0), rule=RechargeRule("auto", Decimal(0), amount=Decimal(100)))
    assert found is not None
    assert found.credits == 100


def test_tagged_balances_can_be_left_out() -> None:
    balances = [("trial", Decimal(10)), (None, Decimal(7))]
    assert counted_balance(balances, ("trial",)) == 7
    assert counted_balance(balances) == 17


@UNTIMED
@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 30)), max_size=40))
def test_however_the_balance_moves_ids_are_unique_and_days_are_capped(steps: list[tuple[int, int]]) -> None:
    found = [each for each in purchases(*steps) if each is not None]
    assert len({each.id for each in found}) == len(found)
    days = [each.at.date() for each in found]
    assert all(days.count(each) <= RULE.most_per_day for each in days)
    assert (
        all(each.at - START < timedelta(days=60) for each in found)
        or HOUR * sum(h for _, h in steps) > DAY * 60
    )


@pytest.mark.parametrize(
    "wrong",
    [{}, {"target": Decimal(5), "amount": Decimal(5)}, {"target": Decimal(50)}, {"amount": Decimal(0)}],
)
def test_a_rule_says_how_much_in_one_way(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        RechargeRule("auto", Decimal(50), **wrong)


def test_limits_name_the_least_value() -> None:
    limits = RechargeLimits(Decimal(5), Decimal(10))
    limits.check(Decimal(10), Decimal(20))
    with pytest.raises(InvalidInputError, match="at least 20"):
        limits.check(Decimal(10), Decimal("19.99"))
    with pytest.raises(InvalidInputError, match="at least 5"):
        limits.check(Decimal(4), Decimal(100))


def test_credits_are_priced_and_rounded_once() -> None:
    assert price_of(Decimal(333), Decimal("0.005"), "USD") == Decimal("1.67")
    assert price_of(Decimal(100), Decimal("0.5"), "USD", discount=Decimal("0.1")) == 45

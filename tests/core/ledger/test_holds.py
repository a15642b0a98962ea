# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from tests.core.ledger.build import HOUR, at, burn, grant
from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError
from valorem.core.ledger.account import Facts
from valorem.core.ledger.admission import Admission, admit
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.holds import Hold, expire, hold, release, settle
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.replay import replay, spendable
from valorem.core.periods import Cadence

BLOCK = CreditPolicies(overage="block")


def held(amount: int = 10, available: int = 100, known: Hold | None = None, hours: float = 1) -> Hold:
    return hold(
        "h",
        Decimal(amount),
        available=Decimal(available),
        now=at(hours),
        lasts=HOUR,
        known=known,
        policies=BLOCK,
    )


def test_a_hold_reserves_at_most_what_is_there() -> None:
    assert held(100).state == "held"
    refused = held(101)
    assert (refused.state, refused.shortfall) == ("refused", 1)


def test_the_same_id_gets_the_same_answer_even_after_a_top_up() -> None:
    refused = held(101)
    assert held(101, available=1000, known=refused, hours=2) is refused
    with pytest.raises(ConflictError, match="new id"):
        held(50, known=refused)


def test_without_a_block_the_rest_will_be_billed() -> None:
    taken = hold("h", Decimal(10), available=Decimal(1), now=at(1), lasts=HOUR)
    assert taken.state == "held"


@pytest.mark.parametrize(("amount", "lasts"), [(0, HOUR), (-1, HOUR), (1, timedelta(0))])
def test_nonsense_is_refused(amount: int, lasts: timedelta) -> None:
    with pytest.raises(InvalidInputError):
        hold("h", Decimal(amount), available=Decimal(9), now=at(1), lasts=lasts)


def test_it_resolves_once() -> None:
    settled = settle(held(), Decimal(7), now=at(1.5))
    assert settle(settled, Decimal(7), now=at(9)) is settled
    with pytest.raises(ConflictError, match="settled"):
        settle(settled, Decimal(8), now=at(1.6))
    with pytest.raises(ConflictError, match="settled"):
        release(settled, now=at(1.6))
    released = release(held(), now=at(1.5))
    assert release(released, now=at(9)) is released
    with pytest.raises(ConflictError):
        settle(released, Decimal(1), now=at(1.6))


def test_after_its_end_it_cannot_be_settled() -> None:
    for late in (at(2), at(3)):
        assert expire(held(), now=late).state == "expired"
        with pytest.raises(UnprocessableError, match="expired"):
            settle(held(), Decimal(1), now=late)
    assert expire(held(), now=at(2) - timedelta(microseconds=1)).open


def test_settling_above_the_hold_is_a_policy() -> None:
    assert settle(held(), Decimal(12), now=at(1.5)).settled == 12
    with pytest.raises(InvalidInputError, match="more than the 10 held"):
        settle(held(), Decimal(12), now=at(1.5), policies=CreditPolicies(settle_above="refuse"))
    with pytest.raises(InvalidInputError):
        settle(held(), Decimal(-1), now=at(1.5))


def test_held_credits_are_in_the_balance_but_cannot_be_used() -> None:
    facts = Facts((grant("g", 30),), (burn(1.5, 25),), (held(10),))
    account = replay(facts, at(1.75))
    assert (account.balance, account.held, account.available, account.overage) == (10, 10, 0, 5)
    after = replay(facts, at(2))  # expired by itself
    assert (after.held, after.available) == (0, 10)


def test_settling_uses_what_was_held_then_what_is_there_then_nothing() -> None:
    for used, expected in ((4, (26, 0)), (10, (20, 0)), (22, (8, 0)), (35, (0, 5))):
        facts = Facts((grant("g", 30),), holds=(settle(held(10), Decimal(used), now=at(1.5)),))
        account = replay(facts, at(3))
        assert (account.balance, account.overage, account.held) == (*expected, 0)


def test_held_credits_outlive_their_grant_until_they_are_resolved() -> None:
    ending = grant("g", 30, 0, 1.25)
    during = replay(Facts((ending,), holds=(held(10),)), at(1.5))
    assert (during.held, during.available, during.sum_of("expired")) == (10, 0, 20)
    used = replay(Facts((ending,), holds=(settle(held(10), Decimal(4), now=at(1.5)),)), at(3))
    (lot,) = used.lots
    assert (lot.consumed, lot.expired, lot.held) == (4, 26, 0)


def test_what_is_settled_at_the_instant_it_was_held_leaves_nothing_held() -> None:
    account = replay(Facts((grant("g", 30),), holds=(settle(held(10), Decimal(3), now=at(1)),)), at(1))
    assert (account.balance, account.held) == (27, 0)


def test_many_holds_never_reserve_more_than_there_is() -> None:
    facts = Facts((grant("g", 95),))
    answers = []
    for number in range(20):
        free = spendable(facts, at(1), policies=BLOCK)
        asked = hold(f"h{number}", Decimal(10), available=free, now=at(1), lasts=HOUR, policies=BLOCK)
        facts = Facts(facts.grants, holds=(*facts.holds, asked))
        answers.append(asked.state)
    assert answers == ["held"] * 9 + ["refused"] * 11
    assert replay(facts, at(1)).held == 90


def test_what_happens_when_credits_run_out_is_a_policy() -> None:
    account = replay(Facts((grant("g", 100),), (burn(1, 90),)), at(2))
    verdicts = {
        overage: admit(
            Decimal(30), account.available, account, CreditPolicies.model_validate({"overage": overage})
        )
        for overage in ("bill", "block", "throttle")
    }
    assert verdicts == {name: Admission(name, Decimal(20)) for name in verdicts}  # type: ignore[arg-type]
    assert admit(Decimal(10), account.available, account, BLOCK) == Admission("allow", Decimal(0))


def test_a_soft_limit_lets_a_share_more_through_and_no_more() -> None:
    soft = CreditPolicies.model_validate({"overage": "block", "soft_limit": "125%"})
    for used, amount, verdict in (
        (100, 25, "allow"),
        (100, 26, "block"),
        (120, 5, "allow"),
        (120, 6, "block"),
        (90, 35, "allow"),
    ):
        account = replay(Facts((grant("g", 100),), (burn(1, used),)), at(2))
        assert admit(Decimal(amount), account.available, account, soft).verdict == verdict


def test_what_is_given_back_may_be_used_again_under_a_cap() -> None:
    cap = Cap("share", Decimal(20), Cadence(1, "day"), at(0), per="account")
    base = Facts((grant("g", 100),), caps=(cap,))
    assert spendable(replace(base, holds=(held(15),)), at(1.5)) == 5
    assert spendable(replace(base, holds=(settle(held(15), Decimal(4), now=at(1.2)),)), at(1.5)) == 16
    assert spendable(replace(base, holds=(release(held(15), now=at(1.2)),)), at(1.5)) == 20
    assert spendable(replace(base, burns=(burn(1, 20), burn(1.2, -8))), at(1.5)) == 8

# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Burn order, scopes, allowances, caps, expiry to the instant, carried usage, corrections, rollover."""

from datetime import timedelta
from decimal import Decimal
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.ledger.build import DAY, START, UNTIMED, at, burn, grant
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.ledger.account import Account, Facts
from valorem.core.ledger.burns import Burn, Reset, adjustments
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.grants import Grant, Refill, change_expiry, check_voidable, void
from valorem.core.ledger.levels import level_phases
from valorem.core.ledger.order import in_order
from valorem.core.ledger.policies import CreditPolicies, Criterion
from valorem.core.ledger.replay import opening, replay, spendable
from valorem.core.ledger.rollover import NO_ROLLOVER, Rollover
from valorem.core.ledger.scope import Scope, Workload
from valorem.core.periods import Cadence

CARRIED = CreditPolicies(uncovered="carried")


def after(hours: float, *facts: Any, policies: CreditPolicies = CreditPolicies(), **more: Any) -> Account:  # noqa: B008
    grants = tuple(each for each in facts if isinstance(each, Grant))
    burns = tuple(each for each in facts if isinstance(each, Burn))
    return replay(Facts(grants, burns, **more), at(hours), policies)


def left(account: Account) -> dict[str, int]:
    return {name: int(amount) for name, amount in account.balances().items()}


def test_the_default_order_is_allowance_priority_expiry_free_oldest_and_then_id() -> None:
    ordered = [
        grant("z seat", 10, holder="ann", priority=90),
        grant("y urgent", 10, priority=1),
        grant("x ends soon", 10, ends=100),
        grant("w free", 10, 5),
        grant("v older", 10, created_at=START - DAY, cost=Decimal(1), currency="USD"),
        grant("a", 10, cost=Decimal(1), currency="USD"),
        grant("b", 10, cost=Decimal(1), currency="USD"),
    ]
    for shuffled in (ordered[::-1], ordered[3:] + ordered[:3]):
        assert in_order(shuffled) == ordered


def test_expiry_first_puts_the_end_before_the_priority() -> None:
    policies = CreditPolicies.model_validate({"order": "expiry first"})
    account = after(
        5, grant("urgent", 10, priority=1), grant("ending", 10, ends=50), burn(1, 4), policies=policies
    )
    assert left(account) == {"urgent": 10, "ending": 6}


@pytest.mark.parametrize(
    ("criterion", "first", "second"),
    [
        ("rolled over first", {"rolled": True}, {}),
        ("prepaid first", {}, {"postpaid": True}),
        ("promotional first", {"source": "promotional"}, {"source": "purchased"}),
        ("scoped first", {"scope": Scope(meters=("chat",))}, {}),
        ("narrowest first", {"scope": Scope(products=("a",))}, {"scope": Scope(products=("a", "b"))}),
        (
            "lower cost basis first",
            {"cost": Decimal(1), "currency": "USD"},
            {"cost": Decimal(2), "currency": "USD"},
        ),
        ("start", {"start": START}, {"start": START + DAY}),
        ("oldest", {"created_at": START - DAY}, {"created_at": START}),
        ("largest first", {"amount": Decimal(20)}, {"amount": Decimal(10)}),
    ],
)
def test_each_criterion_decides(criterion: Criterion, first: dict[str, Any], second: dict[str, Any]) -> None:
    base = {"amount": Decimal(10), "start": START}
    one, other = Grant("z", **{**base, **first}), Grant("a", **{**base, **second})
    assert in_order([other, one], (criterion,)) == [one, other]
    assert in_order([one, other], ("priority",)) == [other, one]  # the id decides


def test_what_was_postpaid_and_carried_on_goes_before_what_was_prepaid() -> None:
    grants = [grant("a", 1, rolled=True), grant("b", 1, rolled=True, postpaid=True), grant("0", 1)]
    assert [each.id for each in in_order(grants, ("rolled over first",))] == ["b", "a", "0"]


def test_a_grant_pays_from_its_first_instant_until_just_before_its_end() -> None:
    one = grant("g", 10, 1, 2)
    paid = {hours: after(3, one, burn(hours, 4)).sum_of("drawn") for hours in (0.75, 1, 1.75, 2)}
    assert paid == {0.75: 0, 1: 4, 1.75: 4, 2: 0}


def test_usage_at_the_instant_of_expiry_finds_the_credits_gone_and_not_both() -> None:
    account = after(3, grant("g", 10, 0, 2), burn(2, 4))
    (lot,) = account.lots
    assert (lot.expired, lot.consumed, account.overage) == (10, 0, 4)


def test_a_later_grant_never_pays_for_the_past() -> None:
    account = after(5, burn(1, 30), grant("late", 100, 2), burn(3, 10))
    assert (account.balance, account.overage) == (90, 30)


def test_carried_usage_is_paid_by_the_next_grant_and_let_go_by_a_reset() -> None:
    assert after(5, burn(1, 30), grant("late", 100, 2), policies=CARRIED).balance == 70
    forgiven = after(5, burn(1, 30), grant("late", 100, 3), policies=CARRIED, resets=(Reset(at(2)),))
    assert (forgiven.balance, forgiven.overage, forgiven.sum_of("forgiven")) == (100, 0, 30)
    kept = after(
        5, burn(1, 30), grant("late", 100, 3), policies=CARRIED, resets=(Reset(at(2), keep_overage=True),)
    )
    assert (kept.balance, kept.overage) == (70, 0)


def test_scopes_say_what_a_grant_pays_for() -> None:
    chat = grant("chat", 10, scope=Scope(meters=("tokens",), dimensions={"model": ("small", "tiny")}))
    account = after(
        5,
        chat,
        burn(1, 4, "a", meter="tokens", dimensions={"model": "small"}),
        burn(1, 4, "b", meter="tokens", dimensions={"model": "large"}),
        burn(1, 4, "c", meter="images"),
        burn(1, 4, "d"),
    )
    assert (account.balance, account.overage) == (6, 12)


def test_the_allowance_of_a_seat_is_used_before_the_pool_and_by_nobody_else() -> None:
    grants = grant("ann", 10, holder="ann"), grant("bob", 10, holder="bob"), grant("pool", 100, priority=1)
    account = after(5, *grants, burn(1, 25, member="ann"), burn(1, 5, "x", member="eve"))
    assert left(account) == {"ann": 0, "bob": 10, "pool": 80}


def test_a_share_of_the_pool_is_limited_for_each_member_and_window() -> None:
    cap = Cap("share", Decimal(20), Cadence(1, "day"), START, per="member", of="pool")
    grants = grant("ann", 10, holder="ann"), grant("pool", 100)
    account = after(
        50,
        *grants,
        burn(1, 50, member="ann"),
        burn(2, 5, "x", member="bob"),
        burn(25, 7, "y", member="ann"),
        caps=(cap,),
    )
    assert (left(account), account.overage) == ({"ann": 0, "pool": 100 - 20 - 5 - 7}, 20)


def test_a_cap_on_the_account_counts_everything_but_only_of_its_work() -> None:
    cap = Cap("images", Decimal(15), Cadence(1, "month"), START, scope=Scope(meters=("images",)))
    account = after(
        50, grant("g", 100), burn(1, 30, meter="images"), burn(1, 30, "x", meter="chat"), caps=(cap,)
    )
    assert (account.balance, account.overage) == (55, 15)


def test_what_a_work_may_use_is_what_a_hold_of_everything_gets() -> None:
    cap = Cap("share", Decimal(20), Cadence(1, "day"), START, per="member", of="pool")
    facts = Facts(
        (grant("ann", 10, holder="ann"), grant("pool", 100)), (burn(1, 15, member="ann"),), caps=(cap,)
    )
    assert spendable(facts, at(2), Workload(member="ann")) == 15
    assert spendable(facts, at(2), Workload(member="bob")) == 20
    assert spendable(facts, at(26), Workload(member="ann")) == 20
    assert spendable(facts, at(0), Workload(member="ann")) == 30


@UNTIMED
@given(st.permutations([burn(h, a, k) for h, a, k in [(1, 7, "a"), (1, 5, "b"), (2, 9, "a"), (3, 4, "c")]]))
def test_the_order_of_arrival_never_matters(burns: list[Burn]) -> None:
    grants = (grant("g1", 10, 0, 2), grant("g2", 8, 1))
    expected = replay(Facts(grants, tuple(sorted(burns, key=lambda each: (each.at, each.key)))), at(9))
    for shuffled in permutations(grants):
        assert replay(Facts(shuffled, tuple(burns)), at(9)) == expected


def test_a_correction_gives_back_what_was_drawn_last_by_the_same_work() -> None:
    grants = grant("g1", 10, 0, 100), grant("g2", 10)
    account = after(5, *grants, burn(1, 14, "a"), burn(2, 4, "b"), burn(3, -6, "a"))
    assert [(each.lot.grant, each.amount) for each in account.of_kind("restored") if each.lot] == [
        ("g2", 4),
        ("g1", 2),
    ]
    assert account.balance == 8


def test_a_correction_of_more_than_was_paid_stands_as_a_credit() -> None:
    account = after(5, grant("g", 10), burn(1, 15), burn(2, -20))
    assert (account.balance, account.overage) == (10, -5)
    kept = after(5, grant("g", 10), burn(1, 15), burn(2, -20), policies=CreditPolicies(corrections="keep"))
    assert (kept.balance, kept.overage) == (0, -15)


def test_what_a_correction_gives_back_to_an_ended_grant_is_gone() -> None:
    (lot,) = after(5, grant("g", 10, 0, 2), burn(1, 6), burn(3, -6)).lots
    assert (lot.consumed, lot.expired, lot.remaining) == (0, 10, 0)


def test_late_usage_of_a_closed_period_is_drawn_at_its_end() -> None:
    billed = [burn(1, 10), burn(2, 5)]
    now = [burn(1, 10), burn(2, 8), burn(3, 1, "other")]
    late = adjustments(billed, now, at(24))
    assert [(each.at, each.amount) for each in late] == [(at(24), 3), (at(24), 1)]
    assert after(30, grant("g", 10, 0, 12), grant("next", 50, 24), *billed, *late).balances()["next"] == 46


def test_rollover_carries_a_share_once_and_its_cost_with_it() -> None:
    rule = Rollover(cap_share=Decimal("0.25"), lasts=(1, "day"))
    one = grant("g", 100, 0, 24, rollover=rule, cost=Decimal(50), currency="USD")
    account = after(30, one, burn(1, 40))
    carried = next(lot for lot in account.lots if lot.key.carried)
    assert (carried.amount, carried.cost, carried.end) == (25, Decimal("12.50"), at(48))
    assert account.sum_of("expired") == 35
    assert after(48, one, burn(1, 40)).balance == 0
    assert after(30, grant("g", 100, 0, 24, rollover=NO_ROLLOVER)).balance == 0


@pytest.mark.parametrize(
    ("rule", "stands"),
    [
        (Rollover(cap_amount=Decimal(30)), 30),
        (Rollover(cap_share=Decimal("0.5")), 50),
        (Rollover(cap_share=Decimal("0.5"), of="remaining"), 40),
        (Rollover(cap_share=Decimal("0.5"), cap_amount=Decimal(10)), 10),
        (Rollover(), 80),
        (Rollover(floor_amount=Decimal(90)), 90),
    ],
)
def test_a_reset_rolls_balances_over_in_place(rule: Rollover, stands: int) -> None:
    account = after(5, grant("g", 100, reset=rule), burn(1, 20), resets=(Reset(at(2)),))
    assert (account.balance, account.used_in_period) == (stands, 0)


def test_a_refill_fills_up_and_keeps_nothing() -> None:
    daily = grant("g", 100, 0, 72, refill=Refill(Cadence(1, "day"), START))
    assert [int(after(hours, daily, burn(1, 30)).balance) for hours in (2, 24, 47, 72)] == [70, 100, 100, 0]


def test_voiding_takes_only_what_is_left_and_refunds_its_cost() -> None:
    paid = grant("g", 100, cost=Decimal(10), currency="USD")
    account = after(9, void(paid, at(3)), burn(1, 40), burn(5, 1))
    (gone,) = account.of_kind("voided")
    assert (gone.amount, gone.cost, account.overage) == (60, Decimal("6.00"), 1)
    with pytest.raises(UnprocessableError, match="ended at"):
        void(void(paid, at(3)), at(4))


def test_taking_credits_back_follows_the_burn_order() -> None:
    take = Burn(at(2), "void", Decimal(15), purpose="void")
    account = after(3, grant("a", 10, 0, 50), grant("b", 10), take)
    assert (left(account), account.used_in_period) == ({"a": 0, "b": 5}, 0)
    with pytest.raises(UnprocessableError, match="5 are left"):
        check_voidable(Decimal(6), account.available)


def test_an_end_can_be_moved_while_it_has_not_come() -> None:
    one = grant("g", 10, 0, 5)
    assert after(8, change_expiry(one, at(9), at(4)), burn(6, 3)).balance == 7
    with pytest.raises(UnprocessableError, match="ended"):
        change_expiry(one, at(9), at(5))
    with pytest.raises(UnprocessableError, match="has passed"):
        change_expiry(one, at(1), at(4))


def test_the_balance_at_the_end_of_a_period_is_not_that_at_the_beginning_of_the_next() -> None:
    facts = Facts((grant("g", 10, 0, 24), grant("h", 20, 24)), (burn(1, 4),))
    assert replay(facts, at(24), closing=True).balance == 6 + 20
    assert replay(facts, at(24)).balance == 20


def test_phases_tile_the_time() -> None:
    facts = Facts((grant("g", 10, 0, 4), grant("h", 20, 2)), (burn(1, 4), burn(3, 8)), resets=(Reset(at(6)),))
    phases = replay(facts, at(8), with_phases=True).phases
    assert [(each.start, each.end) for each in phases] == [
        (at(0), at(2)), (at(2), at(4)), (at(4), at(6)), (at(6), at(6)), (at(6), at(8)),
    ]  # fmt: skip
    assert [each.used for each in phases] == [4, 8, 0, 0, 0]
    assert [each.reset for each in phases] == [False, False, True, False, False]


def test_an_opening_brings_balances_from_elsewhere() -> None:
    grants = (grant("g", 100, -50, cost=Decimal(10), currency="USD"),)
    start = opening(grants, at(0), {"g": Decimal(30)})
    account = replay(Facts(grants, (burn(-1, 50), burn(1, 10))), at(5), checkpoint=start)
    assert account.balance == 20
    assert [each.cost for each in account.of_kind("drawn")] == [Decimal("1.00")]
    with pytest.raises(InvalidInputError, match="no grant 'x'"):
        opening(grants, at(0), {"x": Decimal(1)})
    with pytest.raises(InvalidInputError, match="before the checkpoint"):
        replay(Facts(grants), at(0) - timedelta(hours=1), checkpoint=start)


@pytest.mark.parametrize(
    "wrong",
    [{"amount": Decimal(-1)}, {"amount": Decimal("NaN")}, {"cost": Decimal(1)}, {"cost": Decimal(-1)}],
)
def test_a_grant_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInputError):
        Grant("g", **{"amount": Decimal(1), "start": START, **wrong})


def test_huge_amounts_lose_no_digit() -> None:
    account = after(
        5,
        Grant("g", Decimal("999999999999999999.999999999999"), START),
        Burn(at(1), "x", Decimal("0.000000000001")),
    )
    assert account.balance == Decimal("999999999999999999.999999999998")


def test_a_level_takes_its_part_of_full_grants_in_every_stretch() -> None:
    grants = (grant("g", 10, 0, 6, priority=1), grant("h", 20, 2))
    phases = level_phases(grants, (burn(1, 8), burn(3, 25), burn(4, 12)), at(0), at(8))
    assert [(each.level, each.balance, each.overage) for each in phases] == [
        (8, 2, 0),
        (12, 18, 0),
        (12, 8, 0),
    ]
    assert phases[1].balances == {"g": 0, "h": 18}
    over = level_phases(grants[:1], (burn(1, 15),), at(0), at(5))
    assert (over[-1].balance, over[-1].overage) == (0, 5)


def test_a_closed_checkpoint_needs_only_the_grants_that_live() -> None:
    grants = tuple(grant(f"g{hour:03}", 10, hour, hour + 5) for hour in range(200))
    burns = tuple(burn(hour, 7) for hour in range(210))
    facts = Facts(grants, burns)
    checkpoint = replay(facts, at(150)).checkpoint.closed()
    assert len(checkpoint.lots) <= 6
    live = Facts(checkpoint.needs(grants), tuple(each for each in burns if each.at >= at(150)))
    for hours in (150, 151, 177, 203, 210):
        resumed, whole = replay(live, at(hours), checkpoint=checkpoint), replay(facts, at(hours))
        assert (resumed.balance, resumed.overage) == (whole.balance, whole.overage)
        assert {lot for lot in whole.lots if not lot.ended} == {lot for lot in resumed.lots if not lot.ended}


def test_a_correction_after_closing_gives_nothing_back_to_what_has_ended() -> None:
    facts = Facts((grant("g", 10, 0, 5), grant("h", 10, 5)), (burn(1, 6),))
    checkpoint = replay(facts, at(8)).checkpoint.closed()
    late = Facts(checkpoint.needs(facts.grants), (burn(9, -4),))
    account = replay(late, at(10), checkpoint=checkpoint)
    assert (account.balance, account.overage) == (10, -4)


def test_a_refill_does_not_outlive_its_grant() -> None:
    daily = grant("g", 100, 0, 60, refill=Refill(Cadence(1, "day"), START))
    assert [int(after(hours, daily).balance) for hours in (59, 60)] == [100, 0]
    assert after(60, void(daily, at(30))).balance == 0

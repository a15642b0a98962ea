# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Grants that follow from terms: periods, seats, proration, members; their ids stay whatever the plan becomes."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from valorem.core.contracts.contract import Contract, Dated
from valorem.core.ledger.account import Facts
from valorem.core.ledger.granting import Member, granted_by
from valorem.core.ledger.replay import replay
from valorem.core.ledger.terms import GrantTerms
from valorem.core.periods import Cadence


def day(month: int, number: int, year: int = 2026) -> datetime:
    return datetime(year, month, number, tzinfo=UTC)


JANUARY = day(1, 1)


def contract(start: datetime = JANUARY, anchor: datetime | None = None, **more: Any) -> Contract:
    return Contract(
        "c1",
        1,
        "acme",
        "team",
        1,
        start,
        "UTC",
        "USD",
        more.pop("every", Cadence(1, "month")),
        anchor or start,
        **more,
    )


def terms(**fields: Any) -> GrantTerms:
    return GrantTerms.model_validate({"amount": 500, **fields})


def test_each_period_has_its_grant_and_the_rest_is_gone_with_it() -> None:
    grants = granted_by("ai", terms(), contract(), day(3, 15))
    assert [(grant.id, grant.start, grant.expires) for grant in grants] == [
        ("c1:ai:2026-01-01T00:00:00Z", day(1, 1), day(2, 1)),
        ("c1:ai:2026-02-01T00:00:00Z", day(2, 1), day(3, 1)),
        ("c1:ai:2026-03-01T00:00:00Z", day(3, 1), day(4, 1)),
    ]
    assert granted_by("ai", terms(), contract(), day(3, 1))[-1].start == day(3, 1)
    assert granted_by("ai", terms(), contract(), day(3, 15), since=day(2, 10))[0].start == day(2, 1)


def test_editing_the_plan_keeps_the_ids_so_what_was_given_stays() -> None:
    before = {grant.id for grant in granted_by("ai", terms(), contract(), day(2, 2))}
    after = {grant.id for grant in granted_by("ai", terms(amount=10, priority=3), contract(), day(2, 2))}
    assert before == after


def test_added_seats_are_prorated_by_day_and_fewer_take_nothing_away() -> None:
    seats = (Dated(day(4, 1), Decimal(2)), Dated(day(4, 15), Decimal(3)), Dated(day(4, 20), Decimal(1)))
    team = contract(day(4, 1), seats={"seat": seats})
    grants = granted_by("ai", terms(amount=10, per="seat"), team, day(4, 30), precision=2)
    assert [(grant.amount, grant.start.day) for grant in grants] == [(20, 1), (Decimal("5.33"), 15)]
    assert grants[1].id == "c1:ai:2026-04-01T00:00:00Z:+2026-04-15T00:00:00Z"
    assert granted_by("ai", terms(amount=10, per="seat"), team, day(5, 1))[-1].amount == 10
    whole = granted_by("ai", terms(amount=10, per="seat", proration="none"), team, day(4, 30))
    assert whole[1].amount == 10


def test_seats_that_come_back_are_not_granted_twice() -> None:
    seats = tuple(
        Dated(day(4, number), Decimal(count))
        for number, count in ((1, 2), (10, 5), (12, 1), (20, 5), (25, 6))
    )
    team = contract(day(4, 1), seats={"seat": seats})
    grants = granted_by("ai", terms(amount=10, per="seat", proration="none"), team, day(4, 30))
    assert [grant.amount for grant in grants] == [20, 30, 10]


def test_a_period_cut_by_the_contract_is_prorated() -> None:
    short = contract(day(1, 16), anchor=day(1, 1), end=day(2, 15))
    assert [grant.amount for grant in granted_by("ai", terms(amount=310), short, day(3, 1))] == [
        160,
        Decimal(155),
    ]
    assert granted_by("ai", terms(amount=310), short, day(3, 1))[-1].expires == day(2, 15)


def test_members_have_allowances_of_their_own() -> None:
    members = (Member("ann", day(1, 1)), Member("bob", day(1, 21), day(2, 1)), Member("eve", day(3, 1)))
    grants = granted_by("ai", terms(amount=31, pool="seat"), contract(), day(2, 5), members=members)
    assert [(grant.holder, grant.amount, grant.start) for grant in grants] == [
        ("ann", 31, day(1, 1)),
        ("bob", 11, day(1, 21)),
        ("ann", 31, day(2, 1)),
    ]


@pytest.mark.parametrize(
    ("fields", "expires"),
    [
        ({"expires": "never"}, None),
        ({"expires": "12 months"}, day(1, 1, 2027)),
        ({"every": "once"}, None),
        ({"every": "once", "expires": "90 days"}, day(4, 1)),
        ({"every": "year"}, day(1, 1, 2027)),
        ({"every": "week"}, day(1, 8)),
    ],
)
def test_a_grant_ends_as_its_terms_say(fields: dict[str, Any], expires: datetime | None) -> None:
    (grant,) = granted_by("ai", terms(**fields), contract(), day(1, 5))
    assert grant.expires == expires


def test_once_is_once() -> None:
    (grant,) = granted_by("trial", terms(every="once", source="promotional"), contract(), day(12, 1))
    assert (grant.id, grant.source, grant.amount) == ("c1:trial:2026-01-01T00:00:00Z", "promotional", 500)
    assert granted_by("trial", terms(every="once"), contract(), datetime(2025, 12, 31, tzinfo=UTC)) == ()


def test_a_cost_basis_becomes_the_cost_of_what_was_given() -> None:
    (grant,) = granted_by("ai", terms(cost_basis="0.01"), contract(), day(1, 1))
    assert (grant.cost, grant.currency, grant.unit_cost) == (Decimal("5.00"), "USD", Decimal("0.01"))


def test_what_is_carried_on_burns_in_the_next_period() -> None:
    grants = granted_by("ai", terms(rollover={"cap_share": "50%", "lasts": "1 month"}), contract(), day(2, 1))
    assert replay(Facts(grants), day(2, 2)).balance == 750
    assert replay(Facts(grants), day(3, 1)).balance == 250  # half of the second grant


def test_terms_that_cannot_be_are_refused() -> None:
    for wrong in (
        {"amount": -1},
        {"every": "2 hours"},
        {"priority": -1},
        {"per": "Seat"},
        {"rollover": {"cap_share": 2}},
    ):
        with pytest.raises(ValidationError):
            terms(**wrong)

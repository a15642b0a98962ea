# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Double entry, the hash chain, catching up, and revenue by day."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.ledger.build import DAY, START, UNTIMED, at, burn, grant
from valorem.core.errors import InvalidInputError
from valorem.core.ledger.account import Facts
from valorem.core.ledger.breakage import expiring
from valorem.core.ledger.chain import Broken, Link, link, read_entry, verify, write_entry
from valorem.core.ledger.entries import Entry, Leg, catch_up, entries_of, trial_balance
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.replay import replay
from valorem.core.ledger.revenue import Recognised, by_day, deferred, expected_breakage, spread
from valorem.core.ledger.rollover import Rollover

PAID = grant("paid", 100, 0, 240, cost=Decimal(10), currency="USD", rollover=Rollover(cap_amount=Decimal(5)))
FREE = grant("free", 10, 0, 48, priority=1)
HELD = Hold("h", at(30), Decimal(7), at(31), state="settled", resolved_at=at(30.5), settled=Decimal(3))
FACTS = Facts((PAID, FREE), (burn(1, 12), burn(50, 33), burn(60, -3)), (HELD,))
ENTRIES = entries_of(replay(FACTS, at(300)).happenings, "credits")
CHAIN = link(ENTRIES)


def test_every_kind_of_happening_is_booked_in_its_accounts() -> None:
    assert trial_balance(ENTRIES) == {
        ("credits", "granted"): -110,
        ("credits", "available"): 5,
        ("credits", "held"): 0,
        ("credits", "consumed"): 45,
        ("credits", "expired"): 60,
        ("USD", "receivable"): 10,
        ("USD", "deferred revenue"): Decimal("-0.50"),
        ("USD", "revenue"): Decimal("-3.50"),
        ("USD", "breakage"): Decimal("-6.00"),
    }


def test_an_entry_that_does_not_balance_cannot_be_made() -> None:
    with pytest.raises(InvalidInputError, match="differ by 1 credits"):
        Entry(START, "x", "credits", (Leg("available", Decimal(2)), Leg("granted", Decimal(-1))), "granted")


def test_credits_and_their_money_are_two_entries_of_one_key() -> None:
    units = {entry.unit for entry in ENTRIES if entry.key == ENTRIES[0].key}
    assert units <= {"credits", "USD"}
    paid = [entry for entry in ENTRIES if entry.kind == "granted" and "paid" in entry.key]
    assert [entry.unit for entry in paid] == ["credits", "USD"]
    assert len({entry.key for entry in paid}) == 1


def test_an_entry_is_read_back_as_it_was_written() -> None:
    assert [read_entry(write_entry(entry)) for entry in ENTRIES] == list(ENTRIES)


def test_a_chain_holds_in_pieces() -> None:
    assert verify(CHAIN, head=CHAIN[-1].digest) is None
    assert verify(CHAIN[3:], after=CHAIN[2]) is None
    assert link(ENTRIES[3:], after=CHAIN[2]) == CHAIN[3:]


@UNTIMED
@given(st.data())
def test_any_tampering_is_found_where_it_was_done(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(CHAIN) - 2))
    rows = list(CHAIN)
    match data.draw(st.sampled_from(["amount", "date", "remove", "swap", "repeat"])):
        case "amount":
            legs = tuple(replace(leg, amount=leg.amount * 2) for leg in rows[place].entry.legs)
            rows[place] = replace(rows[place], entry=replace(rows[place].entry, legs=legs))
        case "date":
            rows[place] = replace(rows[place], entry=replace(rows[place].entry, at=START - DAY))
        case "remove":
            del rows[place]
        case "swap":
            one, other = rows[place : place + 2]
            rows[place : place + 2] = [
                Link(one.number, other.entry, one.digest), Link(other.number, one.entry, other.digest)
            ]  # fmt: skip
        case "repeat":
            rows.insert(place, rows[place])
    broken = verify(rows)
    assert broken is not None
    assert place + 1 <= broken.number <= place + 2


def test_a_cut_off_end_is_found_by_the_head_that_is_kept_elsewhere() -> None:
    assert verify(CHAIN[:-1]) is None
    found = verify(CHAIN[:-1], head=CHAIN[-1].digest)
    assert isinstance(found, Broken)
    assert found.number == len(CHAIN)


def test_late_usage_is_booked_as_differences_in_the_open_period() -> None:
    late = Facts(FACTS.grants, (*FACTS.burns, burn(2, 5, "late")), FACTS.holds)
    standing = entries_of(replay(late, at(300)).happenings, "credits")
    added = catch_up(ENTRIES, standing, open_from=at(250))
    assert added
    assert all(entry.at >= at(250) for entry in added)
    assert trial_balance((*ENTRIES, *added)) == trial_balance(standing)
    assert catch_up((*ENTRIES, *added), standing) == ()


def test_revenue_is_recognised_on_the_day_and_free_credits_stand_apart() -> None:
    days = by_day(replay(FACTS, at(300)).happenings)
    assert days == {
        date(2026, 1, 1): Recognised(revenue=Decimal("0.20"), sold=Decimal(10), free=Decimal(10)),
        date(2026, 1, 2): Recognised(revenue=Decimal("0.30")),
        date(2026, 1, 3): Recognised(revenue=Decimal("3.00")),
        date(2026, 1, 11): Recognised(breakage=Decimal("6.00")),
    }


def test_a_local_day_is_not_a_day_in_utc() -> None:
    account = replay(Facts((PAID,), (burn(2, 50),)), at(5))
    assert list(by_day(account.happenings, "America/New_York")) == [date(2025, 12, 31)]


@UNTIMED
@given(st.lists(st.integers(0, 40), min_size=1, max_size=30), st.integers(1, 10_000))
def test_what_is_recognised_deferred_and_lost_is_always_what_was_paid(used: list[int], cents: int) -> None:
    price = Decimal(cents).scaleb(-2)
    one = grant("g", 97, 0, 100, cost=price, currency="USD")
    burns = tuple(burn(number, amount, "x") for number, amount in enumerate(used))
    last = Decimal(0)
    for until in (0, 7.5, 31, 99, 100):
        account = replay(Facts((one,), burns), at(until))
        days = by_day(account.happenings).values()
        revenue = sum((day.revenue for day in days), Decimal(0))
        assert revenue >= last
        last = revenue
        assert revenue + sum((day.breakage for day in days), Decimal(0)) + deferred(account) == price
    assert deferred(account) == 0


@UNTIMED
@given(st.integers(0, 10_000), st.integers(1, 366), st.sampled_from(["USD", "JPY", "KWD"]))
def test_a_fixed_amount_is_spread_to_the_last_cent(units: int, days: int, currency: str) -> None:
    daily = spread(Decimal(units), days, currency)
    assert sum(daily) == units
    assert len(daily) == days
    assert all(abs(one - other) <= 1 for one, other in pairwise(daily))


def test_breakage_is_planned_by_date() -> None:
    account = replay(Facts((PAID, FREE, grant("ever", 5))), at(1))
    assert expiring(account) == {at(48): 10, at(240): 100}
    assert expected_breakage(Decimal(120_000), Decimal("0.2")) == 24_000


def test_a_row_rewritten_with_a_digest_of_its_own_breaks_the_next() -> None:
    rows = list(CHAIN)
    legs = tuple(replace(leg, amount=leg.amount * 2) for leg in rows[3].entry.legs)
    forged = link([replace(rows[3].entry, legs=legs)], after=rows[2])
    broken = verify([*rows[:3], *forged, *rows[4:]])
    assert broken is not None
    assert broken.number == 5

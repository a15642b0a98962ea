"""Levels that carry over: shares by whole days, against a day-by-day reading."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError
from valorem.core.metering.recurring import (
    Change,
    Days,
    billed_in_advance,
    increments,
    mean_level,
    present,
    prorated_sum,
    prorated_unique,
    swapped,
    to_quantity,
)

START = datetime(2024, 2, 1, tzinfo=UTC)
FEBRUARY = Days(date(2024, 2, 1), date(2024, 3, 1))

changes = st.lists(
    st.builds(
        lambda hours, key, added: Change(START + timedelta(hours=hours), key, added),
        st.integers(0, 29 * 24 - 1),
        st.sampled_from("ab"),
        st.booleans(),
    ),
    max_size=8,
    unique_by=lambda change: change.at,
)
carried = st.sets(st.sampled_from("abc"))


@given(changes, carried, st.integers(0, 28), st.integers(0, 29))
def test_prorated_unique_against_days_one_by_one(toggles, things, first, length):
    active = Days(FEBRUARY.start + timedelta(days=first), FEBRUARY.start + timedelta(days=first + length))
    days = 0
    for day in (FEBRUARY.start + timedelta(days=n) for n in range(29)):
        if not active.start <= day < active.end:
            continue
        until = [change for change in toggles if change.at.date() < day]
        seen = present(until, things)
        for change in sorted(toggles, key=lambda change: change.at):
            if change.at.date() == day and change.added:
                seen.add(change.key)
        days += len(seen)
    assert prorated_unique(FEBRUARY, toggles, carried=things, active=active, zone="UTC") == Fraction(days, 29)


@given(changes, carried)
def test_billed_in_advance_only_rises(toggles, things):
    states = billed_in_advance(FEBRUARY, toggles, carried=things, prorated=True, zone="UTC")
    billed = [Fraction(len(things)), *(state.billed for state in states)]
    assert billed == sorted(billed)
    full = billed_in_advance(FEBRUARY, toggles, carried=things, prorated=False, zone="UTC")
    assert [state.billed for state in full] == [
        max(len(things), *(state.present for state in full[: n + 1])) for n in range(len(full))
    ]


def test_the_day_is_the_zones():
    late = Change(datetime(2024, 2, 10, 23, 30, tzinfo=UTC), "a", added=True)
    assert prorated_unique(FEBRUARY, [late], zone="UTC") == Fraction(20, 29)
    assert prorated_unique(FEBRUARY, [late], zone="Europe/Berlin") == Fraction(19, 29)


def test_prorated_sum():
    additions = [(date(2024, 2, 1), Decimal(1)), (date(2024, 2, 29), Decimal("-0.5"))]
    assert prorated_sum(FEBRUARY, Decimal(2), additions) == 3 - Fraction(1, 58)


def test_quantities():
    assert to_quantity(Fraction(1, 8)) == Decimal("0.125")
    assert increments([Decimal(7), Decimal(9), Decimal(5)]) == [7, 2, -4]
    assert increments([]) == []
    assert swapped(Decimal(5), Decimal(1), Decimal(10)) == 14
    assert mean_level(Decimal(7200), START, START + timedelta(hours=1)) == 2
    with pytest.raises(InvalidInputError):
        mean_level(Decimal(1), START, START)
    with pytest.raises(InvalidInputError, match="cannot end"):
        Days(date(2024, 2, 2), date(2024, 2, 1))

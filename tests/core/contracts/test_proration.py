"""Shares of a period: by local days, by seconds, or never reduced."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.billing.make import utc
from valorem.core.contracts.proration import (
    WHOLE,
    Share,
    capped_credit,
    change_amounts,
    share_of,
    takes_effect,
)
from valorem.core.periods import Interval

JULY = Interval(utc("2026-07-01"), utc("2026-08-01"))
ZONES = st.sampled_from(["UTC", "Europe/Berlin", "Pacific/Apia", "America/New_York", "Australia/Lord_Howe"])


def test_a_share_says_what_it_counts():
    half = share_of(Interval(utc("2026-07-16"), JULY.end), JULY, "UTC", "day")
    assert str(half) == "16 of 31 days"
    assert half.of(Decimal(31)) == 16
    assert (
        str(share_of(half_hour := Interval(JULY.start, utc("2026-07-01T00:30")), JULY, "UTC", "second"))
        == "1800 of 2678400 seconds"
    )
    assert share_of(half_hour, JULY, "UTC", "day").of(Decimal(31)) == 0
    assert share_of(half_hour, JULY, "UTC", "none") is WHOLE


def test_the_whole_is_taken_as_it_is():
    assert share_of(JULY, JULY, "UTC", "day").of(Decimal("9.99")) == Decimal("9.99")


@settings(max_examples=80, deadline=None)
@given(
    zone=ZONES,
    policy=st.sampled_from(["day", "second"]),
    start=st.integers(0, 20 * 365 * 96),
    cuts=st.lists(st.integers(1, 40 * 96 - 1), max_size=4, unique=True),
)
def test_shares_of_adjacent_parts_add_up_to_the_whole(zone, policy, start, cuts):
    opens = datetime(2006, 1, 1, tzinfo=UTC) + timedelta(minutes=15 * start)
    full = Interval(opens, opens + timedelta(days=40))
    parts = full.split(opens + timedelta(minutes=15 * cut) for cut in cuts)
    shares = [share_of(part, full, zone, policy) for part in parts]
    assert sum(share.numerator for share in shares) == shares[0].denominator
    assert len({share.denominator for share in shares}) == 1


@pytest.mark.parametrize(
    ("policy", "zone", "effective"),
    [
        ("day", "UTC", "2026-07-10T00:00"),
        ("day", "America/New_York", "2026-07-10T04:00"),
        ("second", "UTC", "2026-07-10T15:30"),
        ("none", "UTC", "2026-07-10T15:30"),
    ],
)
def test_the_day_of_a_change_belongs_to_the_new_terms(policy, zone, effective):
    assert takes_effect(utc("2026-07-10T15:30"), zone, policy) == utc(effective)


@given(
    st.decimals(0, 1000, places=2),
    st.decimals(0, 1000, places=2),
    st.integers(0, 31),
    st.decimals(0, 500, places=2),
)
def test_a_credit_never_passes_what_was_billed(old, new, days, paid):
    rest = Share(Decimal(days), Decimal(31), "day")
    changed = change_amounts(old, new, rest, "USD", paid=paid)
    assert 0 <= -changed.credit <= paid
    assert changed.net == changed.credit + changed.charge
    assert capped_credit(old, paid, paid) == 0

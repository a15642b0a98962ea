"""The whole retry schedule, breaker and digests, without waiting."""

from datetime import UTC, datetime, timedelta

import pytest

from valorem.core.delivery.schedule import DISABLED_AFTER, SCHEDULE_S, Health, digest_at, next_attempt_at

NOW = datetime(2026, 3, 5, 12, 30, tzinfo=UTC)


def test_d3_the_schedule_is_that_of_the_specification():
    assert sum(SCHEDULE_S) == 75 * 3600 + 35 * 60 + 5
    at, attempts = NOW, 1
    while (following := next_attempt_at(attempts, at, 0.5)) is not None:
        at, attempts = following, attempts + 1
    assert at - NOW == timedelta(hours=75, minutes=35, seconds=5)
    assert attempts == len(SCHEDULE_S)


@pytest.mark.parametrize("chance", [0.0, 0.3, 1.0])
def test_d3_jitter_spreads_every_pause(chance):
    for attempts in range(1, len(SCHEDULE_S)):
        at = next_attempt_at(attempts, NOW, chance)
        assert at is not None
        assert at - NOW == timedelta(seconds=SCHEDULE_S[attempts] * (0.5 + chance))


def test_d3_a_receiver_may_ask_for_a_longer_pause_but_not_for_ever_or_a_shorter_one():
    assert next_attempt_at(1, NOW, 0.5, 120) == NOW + timedelta(seconds=120)
    assert next_attempt_at(1, NOW, 0.5, 10**8) == NOW + timedelta(days=1)
    assert next_attempt_at(5, NOW, 0.5, 1) == NOW + timedelta(seconds=SCHEDULE_S[5])


def test_d6_the_breaker_opens_at_the_fifth_failure_and_lets_one_through_after():
    health = Health()
    for _ in range(4):
        health = health.after_failure(NOW)
    assert health.at_once(NOW, 4) == 4
    health = health.after_failure(NOW)
    assert health.at_once(NOW, 4) == 0
    assert health.at_once(NOW + timedelta(seconds=30), 4) == 1
    longer = health.after_failure(NOW + timedelta(seconds=30))
    assert longer.open_until == NOW + timedelta(seconds=90)
    assert health.after_success() == Health()


def test_d6_days_of_failures_are_hopeless():
    health = Health().after_failure(NOW)
    for day in range(1, 10):
        health = health.after_failure(NOW + timedelta(days=day))
    assert health.failing_since == NOW
    assert health.is_hopeless(NOW + DISABLED_AFTER)
    assert not health.is_hopeless(NOW + DISABLED_AFTER - timedelta(seconds=1))


@pytest.mark.parametrize(
    ("digest", "at"),
    [
        ("at_once", NOW),
        ("hourly", datetime(2026, 3, 5, 13, tzinfo=UTC)),
        ("daily", datetime(2026, 3, 6, 8, tzinfo=UTC)),
    ],
)
def test_digests_wait_for_their_time(digest, at):
    assert digest_at(digest, NOW) == at

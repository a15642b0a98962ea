"""A foreseen end is told once while it wavers about the border."""

from datetime import timedelta

import pytest

from valorem.core.alerts.foresight import nearness

DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (timedelta(0), "due"),
        (3 * DAY, "due"),
        (3 * DAY + timedelta(microseconds=1), "near"),
        (3.75 * DAY - timedelta(microseconds=1), "near"),
        (3.75 * DAY, "away"),
        (None, "away"),
    ],
)
def test_where_an_end_stands_three_days_before_which_it_is_told(left, said):
    assert nearness(left, 3 * DAY) == said

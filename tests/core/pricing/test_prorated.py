"""Levels prorated by day: full units pick the tiers, days decide what is charged."""

from datetime import UTC, date, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.pricing.builders import rows
from valorem.core.metering.recurring import Change, Days
from valorem.core.pricing.graduated import Graduated
from valorem.core.pricing.prorated import (
    LevelChange,
    prorate_changes,
    rate_prorated_graduated,
    rate_prorated_volume,
    toggles,
)
from valorem.core.pricing.slices import rate_slice
from valorem.core.pricing.volume import Volume

D = Decimal
TIERS = [{"up_to": 5, "unit": 10, "flat": 100}, {"unit": 5, "flat": 50}]
SEPTEMBER = Days(date(2023, 9, 1), date(2023, 10, 1))
GRADUATED = Graduated.model_validate({"model": "graduated", "tiers": TIERS})
VOLUME = Volume.model_validate({"model": "volume", "tiers": TIERS})


def test_units_are_charged_for_the_days_they_were_there():
    changes = prorate_changes(SEPTEMBER, D(0), [(date(2023, 9, 10), D(2)), (date(2023, 9, 16), D(5))])
    assert [each.prorated.quantize(D("0.01")) for each in changes] == rows(D("1.40"), D("2.50"))
    assert rate_prorated_graduated(GRADUATED, changes) == 100 + 50 + 14 + 15 + 5


def test_a_fall_empties_the_tiers_from_the_top():
    changes = [LevelChange(D(7), D(7)), LevelChange(D(-3), D("-1.5"))]
    assert rate_prorated_graduated(GRADUATED, changes) == 150 + 60 - 5 - 5
    assert rate_prorated_graduated(GRADUATED, [LevelChange(D(-1), D(-1))]) == 0


def test_a_contract_that_ends_is_charged_to_its_last_day():
    (change,) = prorate_changes(SEPTEMBER, D(3), [], until=date(2023, 9, 11))
    assert change == LevelChange(D(3), D(1))


def test_a_thing_that_comes_back_on_the_day_it_went_counts_that_day_once():
    def at(day: int, hour: int, *, added: bool) -> Change:
        return Change(datetime(2023, 9, day, hour, tzinfo=UTC), "a", added)

    changes = [at(10, 1, added=True), at(12, 1, added=False), at(12, 2, added=True), at(12, 3, added=True)]
    assert list(toggles(changes)) == rows(
        (date(2023, 9, 10), 1), (date(2023, 9, 13), -1), (date(2023, 9, 13), 1)
    )


def test_the_full_level_picks_the_volume_tier():
    assert rate_prorated_volume(VOLUME, D(10), D("2.5")) == D("62.5")


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 30))
def test_a_whole_period_costs_what_the_price_says(units):
    whole = rate_prorated_graduated(GRADUATED, [LevelChange(D(units), D(units))])
    assert whole == sum(line.exact for line in rate_slice(GRADUATED, quantity=D(units), currency="USD"))

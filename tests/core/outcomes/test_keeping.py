"""Counters of everything say what may be billed at any instant, as folding and looking at each result does."""

from datetime import timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.outcomes.make import definition, instant, version
from tests.core.outcomes.test_laws import PERIODS, START, VALUED, many
from valorem.core.outcomes.charging import billable, charge, charge_counters
from valorem.core.outcomes.frame import UTC_MONTHS
from valorem.core.outcomes.governing import Definitions
from valorem.core.outcomes.keeping import (
    billable_counters,
    borders,
    coarse,
    counters_of,
    read_result,
    write_result,
)
from valorem.core.outcomes.tallies import tally

DAILY = definition(cap={"quantity": 2, "per": "day"})
SHARES = st.sampled_from([Decimal("0.25"), Decimal(1)])


@settings(max_examples=60, deadline=None)
@given(
    events=many,
    minutes=st.none() | st.integers(0, 60 * 24 * 70),
    off=st.dictionaries(st.sampled_from("abc"), SHARES, max_size=2),
    chosen=st.sampled_from([VALUED, DAILY]),
    since=st.sampled_from(["03-01T00:00", "03-10T11:15"]),
)
def test_what_is_billed_from_counters_is_what_is_billed_from_outcomes(events, minutes, off, chosen, since):
    as_of = None if minutes is None else START + timedelta(minutes=minutes, seconds=7)
    both = Definitions([version(chosen=definition(window="36 hours")), version(2, chosen, since)])
    known = tuple(each for each in events if as_of is None or each[0].time <= as_of)
    governed = list(both.fold(known, UTC_MONTHS).values())
    edges = borders(both, PERIODS, UTC_MONTHS, as_of)
    kept = {number: coarse(each, edges) for number, each in counters_of(governed).items()}

    def ending_in(within):
        return [each for each in governed if any(one.ends_at in within for one in each.outcome.results)]

    disputed = [each for each in governed if each.outcome.key in off]
    found = billable_counters(both, kept, ending_in, disputed=disputed, off=off, as_of=as_of)
    for one in both.versions:
        own = [each for each in governed if each.version is one]
        counted = tally(billable(own, off, as_of))
        expected = {
            slot: count
            for slot, count in counted.items()
            if slot.series in ("confirmed", "reversed", "restated")
        }
        assert coarse(found[one.number], edges) == coarse(expected, edges)
    by_hand = charge(both, known, UTC_MONTHS, PERIODS, off=off, as_of=as_of)
    by_counters = charge_counters(both, found, UTC_MONTHS, PERIODS)
    assert [[bill.total for bill in each.bills] for each in by_counters] == [
        [bill.total for bill in each.bills] for each in by_hand
    ]


@settings(max_examples=30, deadline=None)
@given(events=many)
def test_a_result_is_kept_with_all_that_counters_are_made_of(events):
    alone = Definitions([version(chosen=VALUED)])
    for each in alone.fold(tuple(events), UTC_MONTHS).values():
        results = tuple(read_result(write_result(one)) for one in each.outcome.results)
        again = type(each.outcome)(each.outcome.key, (), results, (), each.outcome.digest)
        assert tally([again]) == tally([each.outcome])


def test_a_version_that_does_not_bill_has_no_counters():
    shadow = Definitions([version(live=False)])
    assert billable_counters(shadow, {}, lambda _: [], as_of=instant("03-01T00:07")) == {}

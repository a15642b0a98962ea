"""Tallies merge in any order, subtract what they hold, and give each aggregation its quantity."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import reduce

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import UnprocessableError
from valorem.core.metering.aggregation import AGGREGATIONS, Aggregation
from valorem.core.metering.tally import EMPTY, Tally, add, fold, merge, percentile, point, subtract, value

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 4, 1, tzinfo=UTC)
MERGEABLE = [aggregation for aggregation in AGGREGATIONS.values() if not aggregation.needs_events]

Point = tuple[Decimal | str, datetime, bytes]
amounts = st.decimals(-(10**17), 10**17, places=12, allow_nan=False) | st.integers(-3, 3).map(Decimal)
instants = st.integers(0, 40).map(lambda n: START + timedelta(hours=n, microseconds=n))


def readings(aggregation: Aggregation) -> st.SearchStrategy[list[Point]]:
    values: st.SearchStrategy[Decimal | str] = st.sampled_from("abcd") if aggregation.text else amounts
    each = st.tuples(values, instants, st.binary(min_size=1, max_size=2))
    # An event's key is its identity: no two events share one.
    return st.lists(each, max_size=12, unique_by=lambda reading: reading[2])


cases = st.sampled_from(MERGEABLE).flatmap(lambda each: st.tuples(st.just(each), readings(each)))


@given(cases, st.randoms(use_true_random=False))
def test_any_permutation_and_split_gives_the_same_tally(case, random):
    aggregation, points = case
    whole = fold(aggregation, points)
    shuffled = list(points)
    random.shuffle(shuffled)
    assert fold(aggregation, shuffled) == whole
    pieces: list[list[Point]] = [[], [], []]
    for each in shuffled:
        pieces[random.randrange(3)].append(each)
    tallies = [fold(aggregation, piece) for piece in pieces]
    random.shuffle(tallies)
    assert reduce(merge, tallies, EMPTY) == whole
    assert reduce(merge, [point(aggregation, *each) for each in shuffled], EMPTY) == whole


@given(cases, st.integers(0, 12), st.integers(0, 12))
def test_merge_laws(case, one, two):
    aggregation, points = case
    a, b, c = (
        fold(aggregation, part) for part in (points[:one], points[one : one + two], points[one + two :])
    )
    assert merge(a, b) == merge(b, a)
    assert merge(merge(a, b), c) == merge(a, merge(b, c))
    assert merge(a, EMPTY) == a == merge(EMPTY, a)


@given(cases, st.integers(0, 12))
def test_subtract_undoes_add_where_it_is_declared_exact(case, cut):
    aggregation, points = case
    kept, gone = fold(aggregation, points[:cut]), fold(aggregation, points[cut:])
    if aggregation.void == "recount" and gone.n:
        with pytest.raises(UnprocessableError, match="cannot be subtracted"):
            subtract(merge(kept, gone), gone)
    else:
        assert subtract(merge(kept, gone), gone) == kept


def test_subtracting_what_is_not_held_is_refused():
    count, unique = AGGREGATIONS["count"], AGGREGATIONS["unique"]
    with pytest.raises(UnprocessableError, match="holds 0"):
        subtract(EMPTY, fold(count, [(Decimal(1), START, b"1")]))
    with pytest.raises(UnprocessableError, match="does not hold"):
        subtract(fold(unique, [("a", START, b"1")]), fold(unique, [("b", START, b"2")]))


@given(cases)
def test_quantities_against_a_plain_reading(case):
    aggregation, points = case
    values = [each for each, _, _ in points]
    got = value(aggregation, fold(aggregation, points), START, END)
    numbers = [each for each in values if isinstance(each, Decimal)]
    match aggregation.name:
        case "count":
            assert got == len(points)
        case "sum":
            assert Fraction(got) == sum(map(Fraction, numbers))
        case "unique":
            assert got == len(set(values))
        case "min":
            assert got == min(numbers, default=0)
        case "max":
            assert got == max(numbers, default=0)
        case "latest":
            assert got == (max(points, key=lambda each: each[1:])[0] if points else 0)
        case "average":
            assert abs(Fraction(got) * len(points) - sum(map(Fraction, numbers))) <= len(points) * Fraction(
                1, 10**12
            )
        case "time_weighted_sum":
            total = sum(
                Fraction(each) * Fraction((END - at) // timedelta(microseconds=1), 10**6)
                for each, at, _ in points
                if isinstance(each, Decimal)
            )
            assert Fraction(got) == total
        case other:
            pytest.fail(f"no reading for {other}")


def test_a_level_carries_into_the_next_interval():
    weighted = AGGREGATIONS["time_weighted_sum"]
    half = START + timedelta(days=15)
    before = fold(weighted, [(Decimal(4), START - timedelta(days=3), b"1")])
    within = fold(weighted, [(Decimal(-3), START + timedelta(days=5), b"2")])
    day = 86_400
    assert value(weighted, within, START, half, before=before) == (4 * 5 + 1 * 10) * day
    assert value(weighted, EMPTY, half, END, before=merge(before, within)) == 16 * day
    whole = value(weighted, within, START, END, before=before)
    assert whole == 46 * day


def test_ties_of_the_latest_value():
    latest = AGGREGATIONS["latest"]
    points = [(Decimal(1), START, b"b"), (Decimal(2), START, b"c"), (Decimal(3), START, b"a")]
    assert fold(latest, points).last == 2
    assert add(latest, fold(latest, points), Decimal(9), START - timedelta(1), b"z").last == 2


def test_average_is_rounded_once():
    average = AGGREGATIONS["average"]
    tally = Tally(3, Decimal(2))
    assert value(average, tally, START, END) == Decimal("0.666666666667")
    assert value(average, EMPTY, START, END) == 0


def test_percentile_has_no_state():
    aggregation = AGGREGATIONS["percentile"]
    assert fold(aggregation, [(Decimal(5), START, b"1")]) == Tally(1)
    with pytest.raises(UnprocessableError, match="no mergeable state"):
        value(aggregation, EMPTY, START, END)


@pytest.mark.parametrize(
    ("share", "expected"), [("0.05", 15), ("0.3", 20), ("0.4", 20), ("0.5", 35), ("1", 50), ("0.0001", 15)]
)
def test_nearest_rank(share, expected):
    assert percentile([Decimal(n) for n in (35, 20, 15, 50, 40)], Decimal(share)) == expected


def test_percentile_of_nothing():
    assert percentile([], Decimal("0.5")) == 0

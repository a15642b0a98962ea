"""Recount and corrections: the state of events depends on the set of facts alone, never on their order."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError
from valorem.core.ids import identity
from valorem.core.metering.corrections import collect_corrections, effective, latest, parse_correction
from valorem.core.metering.event import AMEND, VOID, Event
from valorem.core.metering.meter import Meter, MeterSet
from valorem.core.metering.read import compile_meter
from valorem.core.metering.recount import CounterKey, recount
from valorem.core.metering.tally import Tally, merge

AT = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
METERS = MeterSet(
    compile_meter(Meter.model_validate({"event": "use", **each}))
    for each in (
        {"meter": "total", "aggregate": "sum", "value": "data.n", "dimensions": {"m": "data.m"}},
        {"meter": "newest", "aggregate": "latest", "value": "data.n"},
        {"meter": "kinds", "aggregate": "unique", "value": "data.m"},
    )
)
TOTAL = METERS.meters[0].fingerprint


def use(number: int, n: object, *, m: str = "a", minutes: int = 0, subject: str = "c1") -> Event:
    return Event(f"e{number}", "/s", "use", subject, AT + timedelta(minutes=minutes), {"n": n, "m": m})


def correct(kind: str, target: int, number: int, *, seconds: int = 0, **data: Any) -> Event:
    return Event(
        f"x{number}",
        "/fix",
        kind,
        "",
        AT + timedelta(seconds=seconds),
        {"source": "/s", "id": f"e{target}", **data},
    )


def totals(events: list[Event]) -> dict[CounterKey, Tally]:
    counted = recount(1, events, METERS, collect_corrections(1, events))
    return {key: tally for key, tally in counted.counters.items() if key.revision == TOTAL}


def test_counts_by_subject_dimensions_and_quarter_hour():
    events = [
        use(1, 2),
        use(2, 3, minutes=14),
        use(3, 5, minutes=15),
        use(4, 7, m="b"),
        use(5, 11, subject="c2"),
    ]
    assert totals(events) == {
        CounterKey("c1", TOTAL, ("a",), AT): Tally(2, Decimal(5)),
        CounterKey("c1", TOTAL, ("a",), AT + timedelta(minutes=15)): Tally(1, Decimal(5)),
        CounterKey("c1", TOTAL, ("b",), AT): Tally(1, Decimal(7)),
        CounterKey("c2", TOTAL, ("a",), AT): Tally(1, Decimal(11)),
    }


def test_void_and_amend():
    events = [correct(VOID, 1, 1), use(1, 2), use(2, 3), correct(AMEND, 2, 2, data={"n": 30, "m": "b"})]
    assert totals(events) == {CounterKey("c1", TOTAL, ("b",), AT): Tally(1, Decimal(30))}
    moved = [use(1, 2), correct(AMEND, 1, 1, time="2026-03-05T15:00:00Z")]
    assert totals(moved) == {
        CounterKey("c1", TOTAL, ("a",), AT + timedelta(minutes=30)): Tally(1, Decimal(2))
    }


def test_the_latest_correction_holds_and_can_bring_an_event_back():
    events = [
        use(1, 2),
        correct(VOID, 1, 1, seconds=5),
        correct(AMEND, 1, 2, seconds=9, data={"n": 8, "m": "a"}),
    ]
    assert [tally.total for tally in totals(events).values()] == [8]


def test_what_a_meter_cannot_take_is_reported_and_counts_for_the_others():
    result = recount(1, [use(1, "many"), use(2, 1)], METERS)
    assert [(each.meter, each.id, each.field) for each in result.refused] == [
        ("total", "e1", "data.n"),
        ("newest", "e1", "data.n"),
    ]
    counted = [0, 0, 0]
    for key, tally in result.counters.items():
        counted[[meter.fingerprint for meter in METERS.meters].index(key.revision)] += tally.n
    assert counted == [1, 1, 2]


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        (VOID, {}, "data.source"),
        (VOID, {"source": "/s"}, "data.id"),
        (VOID, {"source": "/s", "id": 5}, "data.id"),
        (VOID, {"source": "/s", "id": "e1", "data": {}}, "data.data"),
        (VOID, {"source": "/fix", "id": "x1"}, "data.id"),
        (AMEND, {"source": "/s", "id": "e1"}, "data"),
        (AMEND, {"source": "/s", "id": "e1", "data": []}, "data.data"),
        (AMEND, {"source": "/s", "id": "e1", "time": "today"}, "data.time"),
        (AMEND, {"source": "/s", "id": "e1", "date": "today"}, "data.date"),
    ],
)
def test_bad_corrections_name_the_member(kind, data, field):
    with pytest.raises(InvalidInputError) as refused:
        parse_correction(1, Event("x1", "/fix", kind, "", AT, data))
    assert refused.value.field == field


def test_a_correction_cannot_be_corrected():
    void = Event("x1", "/fix", VOID, "", AT, {"source": "/s", "id": "e1"})
    of_void = Event("x2", "/fix", VOID, "", AT, {"source": "/fix", "id": "x1"})
    assert effective(void, parse_correction(1, of_void)) is void


corrections = st.builds(
    lambda kind, target, number, seconds, n: correct(
        kind, target, number, seconds=seconds, **({"data": {"n": n, "m": "b"}} if kind == AMEND else {})
    ),
    st.sampled_from([VOID, AMEND]),
    st.integers(0, 3),
    st.integers(0, 999),
    st.integers(0, 2),
    st.integers(0, 9),
)
uses = st.builds(
    lambda number, n, m, minutes, subject: use(number, n, m=m, minutes=minutes, subject=subject),
    st.integers(0, 5),
    st.integers(-5, 5) | st.just("refused"),
    st.sampled_from("ab"),
    st.integers(0, 40),
    st.sampled_from(["c1", "c2"]),
)
histories = st.lists(uses | corrections, max_size=12, unique_by=lambda event: (event.source, event.id))


@given(histories, st.randoms(use_true_random=False))
def test_any_order_of_arrival_gives_the_same_counters(events, random):
    counted = recount(1, events, METERS, collect_corrections(1, events))
    shuffled = list(events)
    random.shuffle(shuffled)
    again = recount(1, shuffled, METERS, collect_corrections(1, shuffled))
    assert again.counters == counted.counters
    assert sorted(each.id for each in again.refused) == sorted(each.id for each in counted.refused)


@given(histories, st.integers(0, 12))
def test_a_history_may_be_recounted_in_pieces(events, cut):
    holding = collect_corrections(1, events)
    whole = recount(1, events, METERS, holding).counters
    first, second = (
        dict(recount(1, part, METERS, holding).counters) for part in (events[:cut], events[cut:])
    )
    for key, tally in second.items():
        first[key] = merge(first[key], tally) if key in first else tally
    assert first == whole


@given(st.lists(corrections, min_size=1, max_size=5, unique_by=lambda event: event.id))
def test_which_correction_holds_is_commutative(events):
    parsed = [parse_correction(1, event) for event in events]
    forwards = backwards = None
    for one, other in zip(parsed, reversed(parsed), strict=True):
        forwards, backwards = latest(forwards, one), latest(backwards, other)
    assert forwards == backwards == max(parsed, key=lambda each: (each.at, each.key))
    assert identity(1, "/s", "e0")[0] < 256

"""Corrections, meters defined later and live events commute: any order leaves the counters of a plain recount."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.ingesting import METERS, NOW, Worlds, amend, event, void, worlds
from valorem.core.time import QUARTER_HOUR_S
from valorem.engine.backfill import pending, run_backfill
from valorem.engine.ingest import Ingestor
from valorem.engine.meters import load_meters
from valorem.store.postgres import corrections, meters, recorded

QUARTER = timedelta(seconds=QUARTER_HOUR_S)
SETTINGS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def made(module_database_url: str) -> Iterator[Worlds]:
    with worlds(module_database_url) as found:
        yield found


def test_a_void_takes_the_event_out_of_every_meter(made: Worlds) -> None:
    world = made.new()
    world.ingest(event("1", 5), event("2", 9, model="large"), event("3", 2))
    assert world.ingest(void("v", "2")) == ["accepted"]
    assert world.count() == 2
    assert world.read(2).keys() == {("small",)}
    assert world.read(3)[()].high == 5
    assert world.read(6)[()].values == {"small": 2}
    assert world.ingest(void("v", "2")) == ["duplicate"]
    assert world.ingest(void("w", "2")) == ["accepted"]
    assert world.ingest(void("x", "1"), void("y", "3")) == ["accepted", "accepted"]
    assert all(world.read(revision) == {} for revision in range(1, 9))
    world.prove()


def test_an_amend_may_move_an_event_to_another_quarter_and_dimension(made: Worlds) -> None:
    world = made.new()
    world.ingest(event("1", 5), event("2", 7))
    moved = NOW - 5 * QUARTER
    assert world.ingest(amend("a", "1", time=moved, n=11, model="large")) == ["accepted"]
    assert world.read(2)[("large",)].total == 11
    assert world.read(3)[()].high == 11
    # Voiding the other leaves its quarter hour empty, and the moved one where it is.
    assert world.ingest(void("b", "2"), event("3", 1, at=moved + timedelta(seconds=1))) == ["accepted"] * 2
    assert world.ingest(void("c", "3")) == ["accepted"]
    assert world.read(5)[()].last == 11
    world.prove()


def test_the_latest_correction_holds_and_a_correction_is_not_corrected(made: Worlds) -> None:
    world = made.new()
    later = NOW + timedelta(seconds=60)
    world.ingest(event("1", 5))
    world.ingest(amend("a", "1", at=later, n=6, model="small"))
    world.ingest(void("v", "1"))
    assert world.read(2)[("small",)].total == 6
    undo = (
        event("x")
        .replace(b'"call"', b'"valorem.void"')
        .replace(b'"data": {"n": 1, "model": "small"}', b'"data": {"source": "/fix", "id": "a"}')
    )
    assert world.ingest(undo) == ["accepted"]
    assert world.read(2)[("small",)].total == 6
    world.prove()


def test_a_correction_is_refused_with_its_field(made: Worlds) -> None:
    world = made.new()
    late = NOW - timedelta(days=36)
    results = made.ingestor.ingest(
        world.workspace, [amend("a", "1", time=late), void("v", ""), amend("b", "1")]
    )
    assert [(one.status, one.field) for one in results] == [
        ("rejected", "data.time"),
        ("rejected", "data.id"),
        ("rejected", "data"),
    ]


def test_an_amend_that_a_meter_cannot_read_counts_nothing_there(made: Worlds) -> None:
    world = made.new()
    world.ingest(event("1", 5), amend("a", "1", n="many", model="small"), event("2", 1))
    assert world.count() == 2
    assert world.read(2)[("small",)].total == 1
    world.prove()


@st.composite
def histories(draw: st.DrawFn) -> list[bytes]:
    """Events of two subjects over three quarter hours, and corrections of them, some of events never sent."""
    numbers = st.integers(-3, 9)
    names = [str(i) for i in range(draw(st.integers(1, 6)))]
    models = st.sampled_from(["small", "large"])
    instants = st.integers(0, 2).map(lambda i: NOW - i * QUARTER)
    history = [
        event(
            name,
            draw(numbers),
            model=draw(models),
            subject=draw(st.sampled_from(["ada", "bob"])),
            at=draw(instants),
        )
        for name in names
    ]
    targets = st.sampled_from([*names, "never"])
    for i in range(draw(st.integers(0, 6))):
        at = NOW + timedelta(seconds=draw(st.integers(0, 2)))
        if draw(st.booleans()):
            history.append(void(f"v{i}", draw(targets), at=at))
        else:
            time = draw(st.none() | instants)
            data = {"n": draw(numbers), "model": draw(models)} if time is None or draw(st.booleans()) else {}
            history.append(amend(f"a{i}", draw(targets), at=at, time=time, **data))
    return history


@SETTINGS
@given(data=st.data(), history=histories())
def test_any_order_and_split_leaves_the_same_counters(
    made: Worlds, data: st.DataObject, history: list[bytes]
) -> None:
    """The recount is a function of the set of events alone, so agreeing with it means that order did not matter."""
    world = made.new()
    order = data.draw(st.permutations(history))
    sizes = data.draw(st.lists(st.integers(1, 5), min_size=1, max_size=4))
    start = turn = 0
    while start < len(order):
        size = sizes[turn % len(sizes)]
        # Every batch repeats one event of an earlier one: a retry changes nothing.
        world.ingest(*order[start : start + size], *order[: min(start, 1)])
        start, turn = start + size, turn + 1
    world.prove()
    with world.engine.transaction(world.workspace) as tx:
        recorded_events = sum(1 for _ in recorded.scan(tx.connection, world.workspace))
    assert recorded_events == len(history)


@SETTINGS
@given(data=st.data(), history=histories())
def test_a_meter_defined_later_counts_as_if_it_had_always_been_there(
    made: Worlds, data: st.DataObject, history: list[bytes]
) -> None:
    """Live events and corrections come in before, during and after the backfill."""
    order = data.draw(st.permutations(history))
    cut = data.draw(st.integers(0, len(order)))
    world = made.new(METERS[:1])
    for raw in order[:cut]:
        world.ingest(raw)
    world.activate(*METERS)
    for raw in order[cut:]:
        if data.draw(st.booleans()):
            run_backfill(world.engine, world.workspace, max_batches=1)
        world.ingest(raw)
    while run_backfill(world.engine, world.workspace, max_batches=2).remaining:
        pass
    with world.engine.transaction(world.workspace) as tx:
        assert not pending(tx, list(load_meters(tx.connection, world.workspace).compiled))
    world.prove()


def test_backfill_says_what_is_pending_and_goes_on_where_it_stopped(made: Worlds) -> None:
    world = made.new(METERS[:1])
    for i in range(7):
        world.ingest(event(str(i), i))
    world.activate(*METERS[:2])
    with world.engine.transaction(world.workspace) as tx:
        assert pending(tx, [2])
        assert pending(tx, [1, 2])
        assert not pending(tx, [1])
    progress = run_backfill(world.engine, world.workspace, max_batches=3)
    assert (progress.batches, progress.events, progress.remaining) == (3, 3, 4)
    world.ingest(event("live", 100), void("v", "1"), void("w", "6"))
    world.activate(*METERS[:3])
    progress = run_backfill(world.engine, world.workspace)
    assert progress.remaining == 0
    assert world.read(2)[("small",)].total == 0 + 2 + 3 + 4 + 5 + 100
    assert world.read(3)[()].high == 100
    with world.engine.transaction(world.workspace) as tx:
        assert not pending(tx, [1, 2, 3])
    world.prove()
    assert run_backfill(world.engine, world.workspace).batches == 0


def test_backfill_beside_live_events_and_corrections_of_many_threads(made: Worlds) -> None:
    world = made.new(METERS[:1])
    for start in range(0, 300, 10):
        world.ingest(*(event(str(i), i % 13, subject=f"s{i % 3}") for i in range(start, start + 10)))
    world.activate(*METERS)

    def correct(offset: int) -> None:
        for i in range(offset, 300, 9):
            world.ingest(void(f"v{i}", str(i)), event(f"new-{i}", i, subject=f"s{i % 3}"))

    def fill() -> None:
        while run_backfill(world.engine, world.workspace, max_batches=2).remaining:
            pass

    with ThreadPoolExecutor() as threads:
        for work in [*(threads.submit(correct, i) for i in range(3)), *(threads.submit(fill) for _ in "ab")]:
            work.result()
    world.prove()


def _meanwhile(
    monkeypatch: pytest.MonkeyPatch, module: Any, function: str, work: Callable[[], object]
) -> list[Thread]:
    """The first time the function has returned, do other work; go on when it is done, or waits for a lock."""
    original, begun = getattr(module, function), list[Thread]()

    def interrupted(*arguments: Any) -> Any:
        result = original(*arguments)
        if not begun:
            begun.append(Thread(target=work))
            begun[0].start()
            begun[0].join(0.7)
        return result

    monkeypatch.setattr(module, function, interrupted)
    return begun


def test_two_corrections_of_one_event_wait_for_each_other(
    made: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made.new()
    world.ingest(event("1", 5))
    other = Ingestor(made.engine, writers=1)
    second = amend("b", "1", at=NOW + timedelta(seconds=1), n=50, model="small")
    answers: list[str] = []
    threads = _meanwhile(
        monkeypatch,
        corrections,
        "load",
        lambda: answers.extend(one.status for one in other.ingest(world.workspace, [second])),
    )
    try:
        assert world.ingest(amend("a", "1", n=7, model="small")) == ["accepted"]
        threads[0].join()
    finally:
        other.drain()
    assert answers == ["accepted"]
    assert world.read(2)[("small",)].total == 50
    world.prove()


def test_a_backfill_waits_for_a_correction_that_counts_by_its_mark(
    made: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made.new(METERS[:1])
    world.ingest(event("1", 5))
    world.activate(*METERS)
    threads = _meanwhile(
        monkeypatch, meters, "hold_backfills", lambda: run_backfill(world.engine, world.workspace)
    )
    assert world.ingest(amend("a", "1", n=7, model="small")) == ["accepted"]
    threads[0].join()
    while run_backfill(world.engine, world.workspace).remaining:
        pass
    assert world.read(2)[("small",)].total == 7
    world.prove()

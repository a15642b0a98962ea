"""The export and what is read after it: the same answers before, in the midst of and after it, whatever was corrected."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from shutil import rmtree
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.ingesting import METERS, NOW, World, Worlds, amend, event, void, worlds
from valorem.core.errors import OverloadedError
from valorem.core.metering.event import Event
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import Tally
from valorem.core.time import quarter_hour_of
from valorem.engine.archive import Archive
from valorem.engine.backfill import run_backfill
from valorem.engine.browsing import events_of
from valorem.engine.events import RecordedEvent, browse_events, event_types, find_event
from valorem.engine.export import export_batches
from valorem.engine.meters import revision_ids
from valorem.store.postgres import counters, exports
from valorem.store.warehouse.clickhouse import ClickhouseWarehouse
from valorem.store.warehouse.connecting import ConnectingClient, connect
from valorem.store.warehouse.duckdb import DuckdbWarehouse

START = quarter_hour_of(NOW) - timedelta(days=10)
EDGES = [START, START + timedelta(days=4, minutes=15), quarter_hour_of(NOW) + timedelta(minutes=15)]
P90 = Meter(meter="p90", event="call", aggregate="percentile", value="data.n", percentile=Decimal("0.9"))
BY_MODEL = METERS[1]


@pytest.fixture(scope="module")
def database(module_database_url: str) -> Iterator[Worlds]:
    with worlds(module_database_url) as made:
        yield made


@pytest.fixture
def world(database: Worlds, tmp_path: Path) -> World:
    return stored(database.new((*METERS, P90)), tmp_path)


def stored(world: World, folder: Path) -> World:
    return replace(world, engine=replace(world.engine, warehouse=DuckdbWarehouse(folder)))


def archived(world: World, meter: Meter, until_seq: int | None = None) -> dict[Any, Tally]:
    with world.engine.transaction(world.workspace, snapshot=True) as tx:
        archive = Archive(tx, ["ada", "bob"], meter, EDGES[0], EDGES[-1], until_seq=until_seq)
        return {(segment, dimensions): tally for segment, dimensions, tally in archive.tallies(EDGES)}


def live(world: World, meter: Meter) -> dict[Any, Tally]:
    with world.engine.transaction(world.workspace, snapshot=True) as tx:
        revision = revision_ids(tx, [meter])[meter.fingerprint()]
        read = counters.read(tx.connection, world.workspace, ["ada", "bob"], revision, EDGES)
        return {(segment, dimensions): tally for segment, dimensions, tally in read}


def export(world: World, max_batches: int = 1000) -> int:
    return export_batches(world.engine, world.workspace, max_batches).complete_to


times = st.integers(0, 10 * 96 - 1).map(
    lambda quarter: START + timedelta(minutes=15 * quarter, seconds=quarter)
)


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    """Batches of events and corrections in any order, with exports in between."""
    steps: list[Any] = []
    for number in range(draw(st.integers(1, 14))):
        target = f"e{draw(st.integers(0, 6))}"
        kind = draw(st.sampled_from(["event", "event", "event", "void", "amend", "move", "export"]))
        if kind == "event":
            n = draw(st.sampled_from(["3", "-2.5", "0.000000000001", "999999999999999999"]))
            model = draw(st.sampled_from(["small", "large", "ünï"]))
            subject = draw(st.sampled_from(["ada", "bob", "eve"]))
            steps.append(event(target, n, model=model, subject=subject, at=draw(times)))
        elif kind == "void":
            steps.append(void(f"c{number}", target, at=NOW + timedelta(seconds=draw(st.integers(0, 3)))))
        elif kind == "amend":
            at = NOW + timedelta(seconds=draw(st.integers(0, 3)))
            steps.append(amend(f"c{number}", target, at=at, n=draw(st.integers(-5, 5)), model="amended"))
        elif kind == "move":
            at = NOW + timedelta(seconds=draw(st.integers(0, 3)))
            steps.append(amend(f"c{number}", target, at=at, time=draw(times)))
        else:
            steps.append("export")
    return steps


@pytest.mark.slow
@given(steps=histories())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_counters_and_archive_agree_whatever_was_exported_when(
    database: Worlds, tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    world = stored(database.new((*METERS, P90)), tmp_path_factory.mktemp("warehouse"))
    for step in steps:
        if step == "export":
            export(world)
        else:
            world.ingest(step)
    for meter in METERS:
        assert archived(world, meter) == live(world, meter), meter.key
    percentile = archived(world, P90)
    export(world)
    for meter in METERS:
        assert archived(world, meter) == live(world, meter), meter.key
    assert archived(world, P90) == percentile


def test_an_answer_as_of_a_sequence_sees_nothing_later(world: World) -> None:
    answers: dict[int, Any] = {}
    batches = [
        event("a", 1, at=START),
        event("b", 2, at=START),
        void("v", "a"),
        amend("m", "b", n=7, model="x"),
        event("c", 4, at=START),
    ]
    for seq, raw in enumerate(batches, start=1):
        world.ingest(raw)
        answers[seq] = archived(world, BY_MODEL)
    for exported in (0, 1, 3, 5):
        if exported:
            export(world, exported - export(world, 0))
        for seq, answer in answers.items():
            assert archived(world, BY_MODEL, until_seq=seq) == answer, (exported, seq)


def test_a_meter_defined_after_the_export_catches_up(world: World) -> None:
    world.ingest(event("a", 3, at=START), event("b", 4, at=START, model="large"))
    assert export(world) == 1
    later = Meter(meter="doubled", event="call", aggregate="sum", value="2 * data.n")
    world.activate(*METERS, P90, later)
    world.ingest(event("c", 5, at=START))
    expected = {(0, ()): Tally(3, Decimal(24))}
    assert archived(world, later) == expected
    assert export(world, 1) == 1
    assert archived(world, later) == expected
    assert export(world) == 2
    assert archived(world, later) == expected
    run_backfill(world.engine, world.workspace)
    assert live(world, later) == expected


def test_a_lost_folder_fills_itself_again(world: World, tmp_path: Path) -> None:
    world.ingest(event("a", 3, at=START))
    export(world)
    rmtree(tmp_path / f"workspace={world.workspace}")
    world.ingest(event("b", 4, at=START))
    assert archived(world, BY_MODEL) == live(world, BY_MODEL)
    progress = export_batches(world.engine, world.workspace)
    assert (progress.complete_to, progress.batches, progress.remaining) == (2, 2, 0)
    assert archived(world, BY_MODEL) == live(world, BY_MODEL)


@pytest.mark.parametrize("dies", ["before writing", "after writing", "after the cursor"])
def test_an_export_that_dies_is_done_again_without_a_trace(
    world: World, monkeypatch: pytest.MonkeyPatch, dies: str
) -> None:
    world.ingest(event("a", 3, at=START))
    world.ingest(event("b", 4, at=START))

    def die(*_: Any) -> None:
        raise KeyboardInterrupt

    def after(real: Callable[..., Any]) -> Callable[..., Any]:
        def then_die(*args: Any) -> None:
            real(*args)
            raise KeyboardInterrupt

        return then_die

    with monkeypatch.context() as patch:
        if dies == "before writing":
            patch.setattr(DuckdbWarehouse, "write", die)
        elif dies == "after writing":
            patch.setattr(DuckdbWarehouse, "write", after(DuckdbWarehouse.write))
        else:
            patch.setattr(exports, "move_cursor", after(exports.move_cursor))
        with pytest.raises(KeyboardInterrupt):
            export_batches(world.engine, world.workspace)
    assert archived(world, BY_MODEL) == live(world, BY_MODEL)
    assert export_batches(world.engine, world.workspace).remaining == 0
    assert archived(world, BY_MODEL) == live(world, BY_MODEL)
    with world.engine.transaction(world.workspace) as tx:
        row = tx.connection.execute("SELECT seq FROM warehouse_cursor").fetchone()
        assert row == {"seq": 2}


@pytest.mark.parametrize("exported", [0, 2, 4])
@pytest.mark.parametrize("limit", [1, 2, 50])
def test_pages_of_events_add_up_to_the_quantity(world: World, exported: int, limit: int) -> None:
    """The events behind a line, page by page: their values add up to it, each event is there once, voided ones are not."""
    world.ingest(*(event(f"e{n}", n, at=START + timedelta(hours=n), model=f"m{n % 2}") for n in range(8)))
    world.ingest(void("v", "e2"), amend("m", "e4", n=100, model="m0"))
    if exported:
        export(world, exported)
    world.ingest(*(event(f"l{n}", n, at=START + timedelta(hours=n, minutes=1), model="m0") for n in range(4)))
    world.ingest(amend("x", "e6", time=START - timedelta(days=5)), void("w", "l3"))
    if exported > 2:
        export(world)
    seen: list[Event] = []
    total, after = Decimal(0), None
    while True:
        with world.engine.transaction(world.workspace) as tx:
            page = events_of(
                tx, subjects=["ada"], meter=BY_MODEL, dimensions={"model": "m0"},
                start=EDGES[0], end=EDGES[-1], after=after, limit=limit,
            )  # fmt: skip
        assert len(page.items) <= limit
        seen += [one.event for one in page.items]
        total += sum(one.value for one in page.items)
        after = page.next
        if after is None:
            break
    assert [one.id for one in seen] == sorted(
        (one.id for one in seen), key=lambda id_: (int(id_[1:]), id_[0])
    )
    assert {one.id for one in seen} == {"e0", "e4", "l0", "l1", "l2"}
    assert total == sum(
        tally.total for (_, dimensions), tally in live(world, BY_MODEL).items() if dimensions == ("m0",)
    )
    assert next(one.data for one in seen if one.id == "e4") == {"n": 100, "model": "m0"}


@pytest.mark.parametrize("exported", [0, 1, 9])
def test_everything_recorded_can_be_browsed_and_found(world: World, exported: int) -> None:
    world.ingest(*(event(f"e{n}", n, at=START + timedelta(hours=n)) for n in range(5)))
    if exported:
        export(world)
    world.ingest(event("other", 1, at=START, type="chat"), void("v", "e1"), amend("m", "e2", n=9, model="x"))
    if exported > 1:
        export(world)
    shown: list[RecordedEvent] = []
    after: str | None = None
    with world.engine.transaction(world.workspace) as tx:
        while True:
            page = browse_events(tx, subjects=["ada"], after=after, limit=2)
            shown += page.items
            after = page.next
            if after is None:
                break
        assert [one.id for one in shown if one.type == "call"] == ["e0", "e1", "e2", "e3", "e4"]
        assert {one.id: one.state for one in shown if one.state != "recorded"} == {
            "e1": "voided",
            "e2": "amended",
        }
        assert next(one.data["n"] for one in shown if one.id == "e2") == 9
        assert event_types(tx, subjects=["ada"]) == {"call": 5, "chat": 1}
        assert event_types(tx, subjects=["nobody"]) == {}
        late = browse_events(tx, subjects=["ada"], start=START + timedelta(hours=3), types=["call"])
        assert [one.id for one in late.items] == ["e3", "e4"]
        found = find_event(tx, "/app", "e1")
        assert found.event is not None
        assert (found.event.state, len(found.corrections)) == ("voided", 1)


def test_a_warehouse_that_is_away_changes_no_answer(database: Worlds) -> None:
    pytest.importorskip("clickhouse_connect", reason="the client of ClickHouse is not installed")
    world = database.new((*METERS, P90))
    world.ingest(*(event(str(i), i, model=f"m{i % 3}") for i in range(20)), void("v", "3"))
    expected = live(world, BY_MODEL)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        away = ClickhouseWarehouse(connect(f"clickhouse://127.0.0.1:{taken.getsockname()[1]}"))
        world = replace(world, engine=replace(world.engine, warehouse=away))
        assert archived(world, BY_MODEL) == expected
        with world.engine.transaction(world.workspace, snapshot=True) as tx:
            assert len(browse_events(tx, subjects=["ada"]).items) == 20
            assert event_types(tx, subjects=["ada"]) == {"call": 20}
        with pytest.raises(OverloadedError):
            export(world)


def test_the_distributed_warehouse_answers_like_the_counters(database: Worlds, tmp_path: Path) -> None:
    pytest.importorskip("chdb", reason="ClickHouse in process is not installed (pip install chdb, 0.5 GB)")
    world = database.new((*METERS, P90))
    client = ConnectingClient(f"chdb://{tmp_path}/history")
    world = replace(world, engine=replace(world.engine, warehouse=ClickhouseWarehouse(client)))
    try:
        world.ingest(*(event(str(i), i, model=f"m{i % 3}") for i in range(20)), void("v", "3"))
        assert export(world) == 1
        world.ingest(event("later", 7), void("v2", "4"))
        for meter in METERS:
            if not meter.aggregation.values:
                assert archived(world, meter) == live(world, meter)
        with world.engine.transaction(world.workspace, snapshot=True) as tx:
            assert len(browse_events(tx, subjects=["ada"]).items) == 21
    finally:
        client.close()

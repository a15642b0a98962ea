import asyncio
import threading
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest

from tests.engine.ingesting import METERS, NOW, Worlds, event, void, worlds
from valorem.core.errors import InvalidInputError, NotFoundError, OverloadedError
from valorem.core.limits import DAY_S, Limits
from valorem.core.metering.meter import Meter
from valorem.engine import recording
from valorem.engine.audit import list_audit, verify_audit
from valorem.engine.ingest import Ingestor
from valorem.store.postgres import ingest as store
from valorem.store.postgres import recorded


@pytest.fixture(scope="module")
def made(module_database_url: str) -> Iterator[Worlds]:
    with worlds(module_database_url) as found:
        yield found


def test_a8_each_item_has_its_own_result_and_a_bad_one_spoils_nothing(made: Worlds) -> None:
    world = made.new()
    broken = InvalidInputError("an event is missing between two commas")
    raws: list[bytes | InvalidInputError] = [
        event("1", 5),
        event("1", 5),
        event("1", 6),
        event("2", "many"),
        b"{",
        broken,
        event("3", 7),
    ]
    results = made.ingestor.ingest(world.workspace, raws)
    assert [one.status for one in results] == [
        "accepted",
        "duplicate",
        "conflict",
        "rejected",
        "rejected",
        "rejected",
        "accepted",
    ]
    assert results[3].field == "data.n"
    assert "needed by the meter" in (results[3].reason or "")
    assert results[5].reason == broken.message
    assert world.read(2)[("small",)].total == 12
    world.prove()


def test_a4_a8_a_whole_batch_sent_again_counts_nothing(made: Worlds) -> None:
    world = made.new()
    raws = [event(str(i), i) for i in range(1000)]
    raws[500] = event("500", "x")
    first = world.ingest(*raws)
    assert first.count("accepted") == 999
    again = world.ingest(*raws)
    assert (again.count("duplicate"), again.count("rejected")) == (999, 1)
    assert world.count() == 999
    assert world.sequences() == [1]
    world.prove()


def test_a5_the_first_event_of_an_identity_stays(made: Worlds) -> None:
    world = made.new()
    assert world.ingest(event("1", 5)) == ["accepted"]
    assert world.ingest(event("1", 6)) == ["conflict"]
    assert world.ingest(event("1", 5, subject="bob")) == ["conflict"]
    # An honest retry behind a conflicting event in one batch is still a retry.
    assert world.ingest(event("1", 6), event("1", 5)) == ["conflict", "duplicate"]
    assert world.read(2)[("small",)].total == 5
    assert world.count("bob") == 0


def test_a5_a_conflict_leaves_an_entry_in_the_audit_log(made: Worlds) -> None:
    world = made.new()
    world.ingest(event("1", 5), event("2", 5))
    world.ingest(event("1", 6), event("2", 5), event("3", 5), event("2", 7))
    with world.engine.transaction(world.workspace) as tx:
        (entry,) = list_audit(tx.connection, world.workspace)
        assert verify_audit(tx.connection, world.workspace).broken_at is None
    assert (entry.deed.actor, entry.deed.action, entry.deed.object) == (
        "ingest",
        "events.conflict",
        "2 refused",
    )
    assert entry.deed.after == {
        "events": [{"source": "/app", "id": name, "subject": "ada"} for name in ("1", "2")]
    }


def test_a_number_written_another_way_is_the_same_fact(made: Worlds) -> None:
    world = made.new()
    assert world.ingest(event("1", 1)) == ["accepted"]
    assert world.ingest(event("1").replace(b'"n": 1', b'"n":1.00')) == ["duplicate"]


@pytest.mark.parametrize(
    ("one", "other"),
    [(("a-b", "c"), ("a", "b-c")), (("a", "\u00e9"), ("a", "e\u0301")), (("a\x1fb", "c"), ("a", "b\x1fc"))],
)
def test_a6_sources_and_ids_never_run_together(
    made: Worlds, one: tuple[str, str], other: tuple[str, str]
) -> None:
    world = made.new()
    raws = [event(id_, source=source) for source, id_ in (one, other)]
    assert world.ingest(*raws) == ["accepted", "accepted"]


def test_a6_workspaces_are_sealed(made: Worlds) -> None:
    one, other = made.new(), made.new()
    assert one.ingest(event("1")) == ["accepted"]
    assert other.ingest(event("1", 9)) == ["accepted"]
    assert one.count() == other.count() == 1
    one.prove()
    other.prove()


def test_an_unknown_workspace_is_said_to_be_unknown(made: Worlds) -> None:
    with pytest.raises(NotFoundError):
        made.ingestor.ingest(999_999, [event("1")])


@pytest.mark.parametrize(
    ("offset_s", "status"),
    [(-35 * DAY_S - 1, "rejected"), (-35 * DAY_S, "accepted"), (300, "accepted"), (301, "rejected")],
)
def test_a7_a16_the_accept_window_is_exact(made: Worlds, offset_s: int, status: str) -> None:
    world = made.new()
    result = made.ingestor.ingest(world.workspace, [event("1", at=NOW + timedelta(seconds=offset_s))])[0]
    assert result.status == status
    assert (result.field, result.hint is not None) == (
        ("time", True) if status == "rejected" else (None, False)
    )


@pytest.mark.parametrize("days", [34, 35, 36, 39, 40, 41, 42, 80])
def test_a7_a_retry_never_counts_twice_however_late(database_url: str, days: int) -> None:
    """Keys are forgotten only after their events are refused as too old."""
    with worlds(database_url) as made:
        world = made.new()
        sent = [event(str(s), at=NOW + timedelta(seconds=s)) for s in (-35 * DAY_S, -1, 0, 1, 300)]
        assert set(world.ingest(*sent)) == {"accepted"}
        for second in (-1, 0, 1):
            world.clock[0] = NOW + timedelta(days=days, seconds=second)
            with world.engine.transaction(world.workspace) as tx:
                before = (tx.now - timedelta(seconds=tx.limits.key_retention_s)).date()
                store.forget_keys(tx.connection, before)
            assert "accepted" not in world.ingest(*sent)
        assert world.count() == 5


def test_forgotten_keys_are_gone(database_url: str) -> None:
    with worlds(database_url) as made:
        world = made.new()
        world.ingest(event("1"), event("2"))
        with world.engine.transaction(world.workspace) as tx:
            assert store.forget_keys(tx.connection, NOW.date()) == 0
            assert store.forget_keys(tx.connection, NOW.date() + timedelta(days=1)) == 2


def test_an_event_without_time_happens_when_it_is_received(made: Worlds) -> None:
    world = made.new()
    assert world.ingest(event("1", at=None)) == ["accepted"]
    made.clock[0] = NOW + timedelta(minutes=20)
    try:
        assert world.ingest(event("1", at=None)) == ["duplicate"]
    finally:
        made.clock[0] = NOW
    world.prove()


def test_a_sandbox_lives_by_its_own_clock(database_url: str) -> None:
    with worlds(database_url) as made:
        world = made.new()
        later = NOW + timedelta(days=400)
        with made.engine.database.system() as connection:
            connection.execute(
                "UPDATE workspace SET kind = 'sandbox', clock_at = %s WHERE id = %s", (later, world.workspace)
            )
        assert world.ingest(event("1", at=NOW)) == ["rejected"]
        assert world.ingest(event("2", at=later)) == ["accepted"]


def test_every_aggregation_counts(made: Worlds) -> None:
    world = made.new()
    world.ingest(
        event("1", 5, at=NOW - timedelta(seconds=10)),
        event("2", "2.5", model="large"),
        event("3", 9, at=NOW - timedelta(seconds=20)),
    )
    assert {key: tally.n for key, tally in world.read(1).items()} == {("small",): 2, ("large",): 1}
    assert world.read(3)[()].high == 9
    assert world.read(4)[("large",)].low == Decimal("2.5")
    assert world.read(5)[()].last == Decimal("2.5")
    assert world.read(6)[()].values == {"small": 2, "large": 1}
    assert world.read(8)[()].total == Decimal("16.5")
    world.prove()


def test_an_event_is_found_by_its_identity(made: Worlds) -> None:
    world = made.new()
    raws = [event(str(i), i) for i in range(50)]
    world.ingest(*raws[:20])
    world.ingest(raws[3], *raws[20:])
    world.ingest(void("v", "33"), void("w", "nobody"))
    with world.engine.transaction(world.workspace) as tx:
        found = recorded.find(tx.connection, world.workspace, "/app", "33")
        assert found is not None
        assert found.event is not None
        assert found.event.raw == raws[33]
        assert (found.event.seq, found.event.place) == (2, 14)
        assert [one.raw for one in found.corrections] == [void("v", "33")]
        waiting = recorded.find(tx.connection, world.workspace, "/app", "nobody")
        assert waiting is not None
        assert waiting.event is None
        assert recorded.find(tx.connection, world.workspace, "/app", "50") is None


def test_line_breaks_inside_an_event_do_not_cut_it(made: Worlds) -> None:
    world = made.new()
    raw = event("1", 4).replace(b", ", b",\n\r\n ")
    assert world.ingest(raw, event("2")) == ["accepted", "accepted"]
    world.prove()


def test_a4_threads_that_send_the_same_events_count_them_once(made: Worlds) -> None:
    world = made.new()
    raws = [event(str(i), i, subject=f"s{i % 7}") for i in range(400)]
    accepted: list[int] = []
    failed: list[BaseException] = []

    def send(offset: int) -> None:
        try:
            mine = raws[offset:] + raws[:offset]
            for start in range(0, len(mine), 25):
                statuses = world.ingest(*mine[start : start + 25], void(f"v{start % 4}", str(start)))
                accepted.append(statuses[:-1].count("accepted"))
        except BaseException as error:  # noqa: BLE001 - the test's own thread must tell
            failed.append(error)

    threads = [threading.Thread(target=send, args=(offset,)) for offset in range(0, 400, 50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sum(accepted) == 400
    sequences = world.sequences()
    assert sequences == list(range(1, len(sequences) + 1))
    world.prove()


def test_a4_two_engines_on_one_database_count_once(module_database_url: str, made: Worlds) -> None:
    world = made.new()
    other = Ingestor(made.engine, writers=1)
    try:
        raws = [event(str(i), i) for i in range(300)]
        results: list[str] = []

        def send(ingestor: Ingestor) -> None:
            for start in range(0, 300, 30):
                results.extend(
                    one.status for one in ingestor.ingest(world.workspace, raws[start : start + 30])
                )

        threads = [threading.Thread(target=send, args=(one,)) for one in (other, made.ingestor)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        other.drain()
    assert results.count("accepted") == results.count("duplicate") == 300
    world.prove()


def test_meters_that_change_in_flight_redo_the_batch(made: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    world = made.new(METERS[:1])
    world.ingest(event("1"))
    record = recording.record
    changed: list[bool] = []

    def change_first(*arguments: object) -> object:
        if not changed:
            changed.append(True)
            world.activate(*METERS[:2])
        return record(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "record", change_first)
    assert world.ingest(event("2", 7)) == ["accepted"]
    assert changed
    assert world.read(2)[("small",)].total == 7
    assert world.sequences() == [1, 2]


def test_an_event_is_refused_only_by_meters_of_the_newest_catalog(database_url: str) -> None:
    with worlds(database_url, writers=1) as made:
        world = made.new(METERS[:2])
        sent = event("1").replace(b'"n"', b'"tokens"')
        assert world.ingest(sent) == ["rejected"]
        mended = METERS[1].model_copy(update={"value": "data.tokens"})
        world.activate(METERS[0], Meter.model_validate(mended.model_dump()))
        assert world.ingest(sent) == ["accepted"]
        assert world.read(2) == {}
        assert world.read(3)[("small",)].total == 1
        world.prove()


def test_a_request_that_breaks_the_shared_transaction_breaks_only_itself(
    made: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = made.new()
    prepare = recording.prepare

    def fail_on_poison(workspace: int, raws: list[bytes], *more: object) -> object:
        if b"poison" in raws:
            raise RuntimeError("unforeseen")
        return prepare(workspace, raws, *more)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "prepare", fail_on_poison)

    async def together() -> list[object]:
        requests: list[list[bytes]] = [[event(str(i))] for i in range(20)]
        requests[7] = [b"poison"]
        return await asyncio.gather(
            *(made.ingestor.submit(world.workspace, one) for one in requests), return_exceptions=True
        )

    answers = asyncio.run(together())
    assert [i for i, answer in enumerate(answers) if isinstance(answer, BaseException)] == [7]
    assert world.count() == 19
    world.prove()


def test_requests_that_wait_share_a_transaction(made: Worlds) -> None:
    world = made.new()
    world.ingest(event("first"))

    async def together() -> None:
        await asyncio.gather(*(made.ingestor.submit(world.workspace, [event(str(i))]) for i in range(200)))

    asyncio.run(together())
    assert world.count() == 201
    assert len(world.sequences()) < 100
    world.prove()


def test_overload_is_said_before_anything_is_accepted(made: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    world = made.new()
    held, go = threading.Event(), threading.Event()
    record = recording.record

    def slow(*arguments: object) -> object:
        held.set()
        assert go.wait(30)
        return record(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(recording, "record", slow)
    small = Ingestor(made.engine, writers=1, queue_events=10)

    async def crowd() -> list[object]:
        first = asyncio.create_task(small.submit(world.workspace, [event("first")]))
        await asyncio.to_thread(held.wait, 30)
        others = [
            asyncio.create_task(small.submit(world.workspace, [event(f"{i}.{j}") for j in range(4)]))
            for i in range(4)
        ]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    try:
        answers = asyncio.run(crowd())
    finally:
        go.set()
        small.drain()
    assert [type(answer) for answer in answers] == [list, list, list, OverloadedError, OverloadedError]
    assert world.count() == 9


def test_draining_commits_what_was_taken_and_refuses_the_rest(made: Worlds) -> None:
    world = made.new()
    ingestor = Ingestor(made.engine, writers=2)

    async def drain_midway() -> list[object]:
        sent = [asyncio.create_task(ingestor.submit(world.workspace, [event(str(i))])) for i in range(100)]
        await asyncio.sleep(0)
        await asyncio.to_thread(ingestor.drain)
        return await asyncio.gather(*sent, return_exceptions=True)

    answers = asyncio.run(drain_midway())
    assert world.count() == sum(isinstance(answer, list) for answer in answers)
    with pytest.raises(OverloadedError, match="shutting down"):
        ingestor.ingest(world.workspace, [event("late")])
    ingestor.drain()


def test_connections_that_break_are_replaced_and_nothing_counts_twice(made: Worlds) -> None:
    world = made.new()
    stop = threading.Event()

    def break_connections() -> None:
        with psycopg.connect(made.engine.database.url, autocommit=True) as connection:
            while not stop.wait(0.1):
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'valorem ingest' AND datname = current_database()"
                )

    saboteur = threading.Thread(target=break_connections)
    saboteur.start()
    try:
        statuses = [
            status
            for start in range(0, 600, 10)
            for status in world.ingest(*(event(str(i), i) for i in range(start, start + 10)))
        ]
    finally:
        stop.set()
        saboteur.join()
    assert statuses == ["accepted"] * 600
    assert world.count() == 600
    world.prove()


def test_a_commit_whose_answer_was_lost_is_recognised(made: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    world = made.new()
    lost: list[bool] = []
    ingestor = Ingestor(made.engine, writers=1)
    record = recording.record

    def commit_then_break(connection: psycopg.Connection[object], *rest: object) -> object:
        results = record(connection, *rest)  # type: ignore[arg-type]
        if not lost:
            lost.append(True)
            connection.execute("COMMIT")
            connection.close()
        return results

    monkeypatch.setattr(recording, "record", commit_then_break)
    try:
        statuses = [one.status for one in ingestor.ingest(world.workspace, [event("1"), event("1")])]
    finally:
        ingestor.drain()
    assert lost
    assert statuses == ["accepted", "duplicate"]
    assert world.count() == 1
    assert world.sequences() == [1]
    world.prove()


def test_limits_are_the_engine_s(database_url: str) -> None:
    with worlds(database_url, limits=Limits(attribute_bytes=8)) as made:
        world = made.new()
        result = made.ingestor.ingest(world.workspace, [event("123456789")])[0]
        assert (result.status, result.field) == ("rejected", "id")


def test_it_runs_on_each_server(each_database_url: str) -> None:
    with worlds(each_database_url) as made:
        world = made.new()
        assert world.ingest(void("v", "2"), event("1", 3), event("2", 4)) == ["accepted"] * 3
        assert world.read(3)[()].high == 3
        world.prove()

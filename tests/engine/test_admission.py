"""What the workspace's own past refuses: too many combinations of dimensions, corrections that come too late."""

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.engine.ingesting import METERS, NOW, Worlds, amend, event, void, worlds
from valorem.core.limits import DAY_S, Limits
from valorem.engine import admission
from valorem.engine.jobs import JOBS
from valorem.store.postgres import recorded

FEW = 5


@pytest.fixture(scope="module")
def made(module_database_url: str) -> Iterator[Worlds]:
    with worlds(module_database_url, limits=Limits(dimension_combinations=FEW), writers=1) as found:
        yield found


def forget(world: object) -> None:
    job = next(job for job in JOBS if job.name == "forget")
    assert job.verb(world.engine, world.workspace) is False  # type: ignore[attr-defined]


def test_a_subject_has_so_many_combinations_and_no_more(made: Worlds) -> None:
    world = made.new()
    results = made.ingestor.ingest(world.workspace, [event(str(i), model=f"m{i % 8}") for i in range(16)])
    assert [one.status for one in results] == (["accepted"] * FEW + ["rejected"] * 3) * 2
    assert results[6].field == "data"
    assert "the meter calls tells 5 combinations of model apart" in (results[6].reason or "")
    # What is known goes on counting, another subject has its own, and after a restart nothing is different.
    assert world.ingest(event("a", model="m0"), event("b", model="m7", subject="bob")) == ["accepted"] * 2
    with worlds(made.engine.database.url, limits=made.engine.limits) as restarted:
        again = restarted.ingestor.ingest(
            world.workspace, [event("c", model="m4"), event("d", model="m5"), event("1", model="m1")]
        )
    assert [one.status for one in again] == ["accepted", "rejected", "duplicate"]
    assert len(world.read(1)) == FEW
    world.prove()


def test_meters_without_dimensions_know_no_such_limit(made: Worlds) -> None:
    world = made.new([METERS[5]])
    assert set(world.ingest(*(event(str(i), model=f"m{i}") for i in range(50)))) == {"accepted"}


@pytest.mark.slow
def test_a_hundred_thousand_names_and_values_leave_memory_flat(
    made: Worlds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "_REMEMBERED", 1000)
    world = made.new(METERS[:2])
    accepted = 0
    for start in range(0, 100_000, 5_000):
        raws = [
            event(str(i), model=f"model-{i}").replace(b'"n"', b'"property-%d": 1, "n"' % i)
            for i in range(start, start + 5_000)
        ]
        accepted += world.ingest(*raws).count("accepted")
    assert accepted == FEW
    with made.engine.transaction(world.workspace) as tx:
        kept = tx.connection.execute(
            "SELECT (SELECT count(*) FROM counter) AS counters, (SELECT count(*) FROM event_key) AS keys,"
            " (SELECT count(*) FROM dimension_combination) AS combinations"
        ).fetchone()
    assert kept == {"counters": FEW * 2, "keys": FEW, "combinations": FEW * 2}
    world.prove()


def test_what_a_writer_remembers_is_bounded(made: Worlds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "_REMEMBERED", 50)
    world = made.new(METERS[:1])
    deciding = admission.Admission(made.engine.limits)
    monkeypatch.setattr(admission.Admission, "refused", _remembering(deciding))
    for i in range(40):
        world.ingest(*(event(f"{i}.{j}", subject=f"s{i}.{j}") for j in range(10)))
        assert len(deciding._remembered) <= 50
    assert world.count("s39.9") == 1


def _remembering(deciding: admission.Admission) -> object:
    refused = admission.Admission.refused
    return lambda _self, *arguments: refused(deciding, *arguments)


def test_a_correction_of_a_forgotten_event_comes_too_late(database_url: str) -> None:
    with worlds(database_url) as made:
        world = made.new()
        assert world.ingest(event("old", 5), event("other", 7)) == ["accepted"] * 2
        later = NOW + timedelta(days=42)
        world.clock[0] = later
        assert world.ingest(void("v1", "other", at=later)) == ["accepted"]
        forget(world)
        results = made.ingestor.ingest(
            world.workspace,
            [
                void("v2", "old", at=later),
                amend("a2", "old", at=later, n=1, model="small"),
                void("v3", "to come", at=later),
                event("to come", 3, at=later),
                event("new", 11, at=later),
            ],
        )
        assert [one.status for one in results] == ["rejected", "rejected", "accepted", "accepted", "accepted"]
        assert results[0].field == "data.id"
        assert "more than 40 days ago" in (results[0].reason or "")
        assert world.ingest(void("v4", "not yet", at=later)) == ["accepted"]
        assert world.ingest(event("not yet", 9, at=later)) == ["accepted"]
        assert sum(tally.total for tally in world.read(2).values()) == 5 + 11
        world.prove()


def test_keys_are_forgotten_by_the_clock_of_their_workspace(database_url: str) -> None:
    """A sandbox may live in the past: what is old for the live workspace is new there."""
    with worlds(database_url) as made:
        world, sandbox = made.new(), made.new()
        past = NOW - timedelta(days=200)
        with made.engine.database.system() as connection:
            connection.execute(
                "UPDATE workspace SET kind = 'sandbox', clock_at = %s WHERE id = %s",
                (past, sandbox.workspace),
            )
        assert sandbox.ingest(event("1", at=past)) == ["accepted"]
        assert world.ingest(event("1")) == ["accepted"]
        forget(world)
        forget(sandbox)
        assert sandbox.ingest(event("1", at=past)) == ["duplicate"]
        assert world.ingest(event("1")) == ["duplicate"]


def test_the_keys_of_history_are_never_forgotten(database_url: str) -> None:
    with worlds(database_url) as made:
        world = made.new()
        long_ago = NOW - timedelta(days=300)
        sent = event("1", at=long_ago, source="backfill:2025")
        assert world.ingest(sent) == ["accepted"]
        world.clock[0] = NOW + timedelta(seconds=2 * made.engine.limits.key_retention_s)
        forget(world)
        assert world.ingest(sent) == ["duplicate"]
        with made.engine.transaction(world.workspace) as tx:
            assert recorded.find(tx.connection, world.workspace, "backfill:2025", "1") is not None
        assert made.engine.limits.accept_late_s < 300 * DAY_S
        world.prove()


@pytest.mark.parametrize("order", ["after", "same batch", "before"])
def test_an_amend_brings_no_more_combinations_than_an_event_may(made: Worlds, order: str) -> None:
    world = made.new()
    world.ingest(*(event(str(i), model=f"m{i}") for i in range(FEW)))
    one = event("x", model="m0")
    known, new = amend("known", "x", n=7, model="m1"), amend("new", "x", n=7, model="m9")
    if order == "after":
        assert world.ingest(one) == ["accepted"]
        assert world.ingest(new) == ["rejected"]
        assert world.ingest(known) == ["accepted"]
    elif order == "same batch":
        assert world.ingest(one, new) == ["accepted", "rejected"]
        later = amend("newer", "x", at=NOW + timedelta(seconds=1), n=7, model="m9")
        assert world.ingest(event("y"), known, later) == ["rejected", "accepted", "rejected"]
    else:
        assert world.ingest(new) == ["accepted"]  # what it means is known once its event comes
        (refused,) = made.ingestor.ingest(world.workspace, [one])
        assert (refused.status, refused.field) == ("rejected", "data")
    with made.engine.transaction(world.workspace) as tx:
        models = tx.connection.execute(
            "SELECT count(DISTINCT dimensions) AS n FROM counter WHERE revision = 1"
        )
        assert models.fetchone() == {"n": FEW}
    assert len(world.read(1)) == FEW
    world.prove()

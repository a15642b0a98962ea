"""Usage: by period, hour, day and month of a zone, grouped and filtered, from counters or recorded events alike."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.engine.ingesting import World, Worlds, event, worlds
from valorem.core.errors import InvalidInputError, NotFoundError
from valorem.core.limits import Limits
from valorem.core.metering.event import EPOCH
from valorem.core.metering.tally import EMPTY, merge, value
from valorem.core.numbers import plain
from valorem.engine.archive import Archive
from valorem.engine.backfill import run_backfill
from valorem.engine.catalog import apply_catalog, current_catalog
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import add_alias, create_customer
from valorem.engine.export import export_batches
from valorem.engine.usage import UsageReport, usage
from valorem.store.warehouse.duckdb import DuckdbWarehouse

NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
CATALOG = {
    "meters/tokens.yaml": "meter: tokens\nevent: call\naggregate: sum\nvalue: data.n\nunit: token\n"
    "dimensions: {model: data.model}\n",
    "meters/largest.yaml": "meter: largest\nevent: call\naggregate: max\nvalue: data.n\n",
    "meters/models.yaml": "meter: models\nevent: call\naggregate: unique\nvalue: \"coalesce(data.model, 'none')\"\n",
    "meters/p50.yaml": "meter: p50\nevent: call\naggregate: percentile\npercentile: 50%\nvalue: data.n\n",
    "meters/storage.yaml": "meter: storage\nevent: call\naggregate: time_weighted_sum\nvalue: data.n\nunit: GB·s\n",
    "meters/blocks.yaml": "meter: blocks\nevent: call\naggregate: sum\nvalue: data.n\nunit: block\n"
    "convert: {divide: 3, rounding: up}\n",
    "plans/basic.yaml": "plan: basic\nname: Basic\ncurrency: USD\nevery: month\nfees: {base: {amount: 10}}\n"
    "prices: {tokens: {model: per_unit, amount: 1}}\n",
}
BERLIN = "Europe/Berlin"


@pytest.fixture(scope="module")
def database(module_database_url: str) -> Iterator[Worlds]:
    with worlds(
        module_database_url, limits=Limits(accept_late_s=60 * 86_400, key_retention_s=70 * 86_400)
    ) as made:
        made.clock[0] = NOW
        yield made


@pytest.fixture
def world(database: Worlds) -> World:
    world = database.new(())
    with world.engine.transaction(world.workspace) as tx:
        apply_catalog(tx, CATALOG, message="first", author="test")
        create_customer(tx, key="ada", name="Ada", currency="USD", zone=BERLIN)
    return world


def ask(world: World, meter: str = "tokens", **more: Any) -> UsageReport:
    with world.engine.transaction(world.workspace, snapshot=True, read_only=True) as tx:
        return usage(tx, customer="ada", meter=meter, **more)


def quantities(report: UsageReport) -> list[tuple[Decimal, int]]:
    return [(row.quantity, row.events) for row in report.rows]


def test_a_customer_without_contract_is_measured_by_calendar_months_of_its_zone(world: World) -> None:
    world.ingest(
        event("october", 1, at=datetime(2026, 10, 31, 22, 59, 59, tzinfo=UTC)),
        event("november", 2, at=datetime(2026, 10, 31, 23, tzinfo=UTC)),
        event("later", 4, at=NOW),
    )
    report = ask(world)
    assert (report.start, report.end) == (
        datetime(2026, 10, 31, 23, tzinfo=UTC),
        datetime(2026, 11, 30, 23, tzinfo=UTC),
    )
    assert quantities(report) == [(Decimal(6), 2)]
    assert (report.total, report.unit, report.zone, report.source) == (
        Decimal(6),
        "token",
        BERLIN,
        "counters",
    )
    assert report.as_of == NOW
    assert ask(world, "largest").total == 4


def test_the_day_on_which_clocks_go_back_has_25_hours(world: World) -> None:
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)  # local midnight of the 25th
    world.ingest(
        *(event(f"h{hour}", 1, at=start + timedelta(hours=hour, minutes=1)) for hour in range(-1, 27))
    )
    days = ask(world, by="day", start=start - timedelta(hours=24), end=start + timedelta(hours=49))
    assert quantities(days) == [(Decimal(1), 1), (Decimal(25), 25), (Decimal(2), 2)]
    assert days.rows[1].end - days.rows[1].start == timedelta(hours=25)
    hours = ask(world, by="hour", start=start, end=start + timedelta(hours=25))
    assert quantities(hours) == [(Decimal(1), 1)] * 25


def test_hours_follow_a_zone_that_is_off_by_three_quarters(database: Worlds) -> None:
    world = database.new(())
    with world.engine.transaction(world.workspace) as tx:
        apply_catalog(tx, CATALOG, message="first", author="test")
        create_customer(tx, key="ada", name="Ada", currency="USD", zone="Asia/Kathmandu")  # +05:45
    world.ingest(event("a", 1, at=datetime(2026, 11, 1, 10, 14, tzinfo=UTC)))
    world.ingest(event("b", 2, at=datetime(2026, 11, 1, 10, 15, tzinfo=UTC)))
    report = ask(
        world,
        by="hour",
        start=datetime(2026, 11, 1, 9, 15, tzinfo=UTC),
        end=datetime(2026, 11, 1, 12, tzinfo=UTC),
    )
    assert [f"{row.start:%H:%M} {plain(row.quantity)}" for row in report.rows] == ["09:15 1", "10:15 2"]


def test_periods_are_those_of_the_running_contract(world: World) -> None:
    start = datetime(2026, 9, 14, 22, tzinfo=UTC)
    with world.engine.transaction(world.workspace) as tx:
        new = NewContract(customer="ada", plan="basic", start=start, anchor="start")
        contract = create_contract(tx, new)
    world.ingest(
        event("first", 1, at=start + timedelta(days=1)),
        event("second", 2, at=datetime(2026, 10, 15, tzinfo=UTC)),
    )
    report = ask(world)
    assert (report.start, report.end) == (
        datetime(2026, 10, 14, 22, tzinfo=UTC),
        datetime(2026, 11, 14, 23, tzinfo=UTC),
    )
    assert quantities(report) == [(Decimal(2), 1)]
    both = ask(world, start=start, contract=contract.id)
    assert quantities(both) == [(Decimal(1), 1), (Decimal(2), 1)]
    assert both.rows[0].end == report.start


def test_rows_are_told_apart_by_dimensions_and_filtered(world: World) -> None:
    world.ingest(
        event("a", 1, model="small", at=NOW),
        event("b", 2, model="large", at=NOW),
        event("c", 4, model="large", at=NOW, data={"n": 4}),
    )
    grouped = ask(world, dimensions=["model"])
    assert [(row.dimensions, row.quantity) for row in grouped.rows] == [
        ({"model": None}, Decimal(4)),
        ({"model": "large"}, Decimal(2)),
        ({"model": "small"}, Decimal(1)),
    ]
    assert ask(world, filter={"model": "large"}).total == 2
    assert ask(world, filter={"model": ["large", "small"]}).total == 3
    assert ask(world, filter={"model": "none"}).total is None
    with pytest.raises(InvalidInputError, match=r"no dimension 'colour'.*it has model"):
        ask(world, dimensions=["colour"])
    with pytest.raises(NotFoundError, match="no meter 'cats'"):
        ask(world, "cats")


def test_an_alias_added_later_brings_its_events_with_it(world: World) -> None:
    world.ingest(event("a", 5, subject="ada@example.com", at=NOW))
    assert ask(world).total is None
    with world.engine.transaction(world.workspace) as tx:
        add_alias(tx, "ada", "ada@example.com")
    assert ask(world).total == 5


def test_a_percentile_is_read_from_recorded_events_and_says_so(world: World) -> None:
    world.ingest(*(event(f"e{n}", n, at=NOW - timedelta(days=n)) for n in range(1, 6)))
    report = ask(world, "p50", by="day", start=NOW - timedelta(days=6), end=NOW)
    assert report.source == "recorded events"
    assert quantities(report) == [(Decimal(n), 1) for n in range(5, 0, -1)]
    assert report.total == 3


def test_a_meter_still_being_counted_is_read_from_recorded_events(world: World) -> None:
    world.ingest(event("a", 5, at=NOW))
    later = {"meters/double.yaml": "meter: double\nevent: call\naggregate: sum\nvalue: data.n * 2\n"}
    with world.engine.transaction(world.workspace) as tx:
        apply_catalog(tx, CATALOG | later, message="second", author="test")
    assert (ask(world, "double").source, ask(world, "double").total) == ("recorded events", Decimal(10))
    run_backfill(world.engine, world.workspace)
    assert (ask(world, "double").source, ask(world, "double").total) == ("counters", Decimal(10))


def test_a_level_is_carried_into_every_hour_and_not_into_the_future(world: World) -> None:
    start = NOW - timedelta(hours=3)
    world.ingest(
        event("up", 10, at=start - timedelta(days=2)), event("down", -4, at=start + timedelta(minutes=90))
    )
    report = ask(world, "storage", by="hour", start=start, end=NOW + timedelta(days=1))
    assert quantities(report) == [
        (Decimal(36_000), 0),
        (Decimal(10 * 1800 + 6 * 1800), 1),
        (Decimal(21_600), 0),
    ]
    assert report.total == sum(row.quantity for row in report.rows)


def test_a_conversion_rounds_what_is_invoiced_and_not_its_parts(world: World) -> None:
    world.ingest(event("a", 4, at=NOW - timedelta(days=2)), event("b", 4, at=NOW - timedelta(days=1)))
    report = ask(world, "blocks", by="day")
    assert [row.quantity for row in report.rows] == [Decimal("1.333333333333")] * 2
    assert report.total == 3
    assert quantities(ask(world, "blocks")) == [(Decimal(3), 2)]


def test_too_many_rows_are_refused_with_the_way_out(world: World) -> None:
    with pytest.raises(InvalidInputError, match="ask for less time"):
        ask(world, by="hour", start=NOW - timedelta(days=365), end=NOW)
    with pytest.raises(InvalidInputError, match="quarter-hour grid"):
        ask(world, start=NOW + timedelta(seconds=1))


@pytest.mark.parametrize("meter", ["tokens", "largest", "models", "storage"])
@pytest.mark.parametrize("by", ["hour", "day", "month", "period"])
def test_counters_and_recorded_events_answer_alike(world: World, tmp_path: Path, meter: str, by: str) -> None:
    world.ingest(
        *(
            event(f"e{n}", n - 7, model=f"m{n % 3}", at=NOW - timedelta(hours=7 * n, minutes=n))
            for n in range(20)
        )
    )
    stored = replace(world, engine=replace(world.engine, warehouse=DuckdbWarehouse(tmp_path)))
    assert export_batches(stored.engine, stored.workspace).remaining == 0
    start, end = NOW - timedelta(days=5), NOW
    report = ask(world, meter, by=by, start=start, end=end)
    edges = sorted({row.start for row in report.rows} | {row.end for row in report.rows} | {start, end})
    with stored.engine.transaction(stored.workspace, snapshot=True) as tx:
        kind = current_catalog(tx)[1].meters[meter]
        before = EMPTY
        for _, _, tally in Archive(tx, ["ada"], kind, EPOCH, start).tallies([EPOCH, start]):
            before = merge(before, tally)
        whole = EMPTY
        for _, _, tally in Archive(tx, ["ada"], kind, start, end).tallies(edges):
            whole = merge(whole, tally)
        assert report.total == value(kind.aggregation, whole, start, end, before=before)
    assert sum(row.events for row in report.rows) == whole.n

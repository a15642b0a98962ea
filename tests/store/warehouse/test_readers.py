"""One suite for every reader: what an engine's SQL aggregates equals the plain fold in Python, to the last digit."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from valorem.core.ids import identity
from valorem.core.metering.aggregation import AGGREGATIONS, Aggregation
from valorem.core.metering.tally import Tally, fold, percentile, value
from valorem.core.numbers import plain
from valorem.store.warehouse.clickhouse import ClickhouseWarehouse
from valorem.store.warehouse.duckdb import DuckdbWarehouse
from valorem.store.warehouse.rows import (
    CorrectionRow,
    Export,
    Position,
    Question,
    ReadingRow,
    Readings,
    Warehouse,
)

START = datetime(2026, 3, 29, tzinfo=UTC)
EDGES = [START, START + timedelta(hours=23), START + timedelta(days=3), START + timedelta(days=5)]
NUMBERS = ["count", "sum", "average", "min", "max", "latest", "time_weighted_sum", "percentile"]
MOST = Decimal("999999999999999999.999999999999")


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    pytest.importorskip("chdb", reason="ClickHouse in process is not installed (pip install chdb, 0.5 GB)")
    import clickhouse_connect

    client = clickhouse_connect.get_client(interface="chdb", path=str(tmp_path_factory.mktemp("clickhouse")))
    yield client
    client.close()


@pytest.fixture(params=["duckdb", "clickhouse"])
def make(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Warehouse]:
    """Makes an empty warehouse."""
    if request.param == "duckdb":
        return lambda: DuckdbWarehouse(tmp_path_factory.mktemp("warehouse"))
    client = request.getfixturevalue("clickhouse")

    def fresh() -> Warehouse:
        for table in ("event", "reading", "correction", "covered"):
            client.command(f"DROP TABLE IF EXISTS {table} SYNC")
        return ClickhouseWarehouse(client)

    return fresh


def numbers() -> st.SearchStrategy[Decimal]:
    scaled = st.integers(-(10**30) + 1, 10**30 - 1).map(lambda units: Decimal(units).scaleb(-12))
    return st.one_of(
        scaled, st.sampled_from([MOST, -MOST, Decimal(0), Decimal("1e-12"), Decimal("-1e-12"), Decimal(7)])
    )


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=6)
instants = st.one_of(
    st.sampled_from(
        [*EDGES, EDGES[1] - timedelta(microseconds=1), datetime(1969, 12, 31, 23, 59, 59, 999999, UTC)]
    ),
    st.integers(-3600 * 10**6, 6 * 86400 * 10**6).map(lambda us: START + timedelta(microseconds=us)),
)


@st.composite
def reading_rows(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> list[ReadingRow]:
    several = st.tuples(
        st.sampled_from(["ada", "bob", "çà't", "other"]),
        instants,
        st.sampled_from([b"", b"1\0", b"2\0"]),
        st.tuples(st.one_of(st.none(), texts), st.sampled_from([None, "", "a", "A"])),
        values,
        st.integers(1, 3),
    )
    return [
        ReadingRow(0, seq, 0, identity(1, "source", number), order, subject, time, dimensions, read)
        for number, (subject, time, order, dimensions, read, seq) in enumerate(
            draw(st.lists(several, max_size=25))
        )
    ]


QUESTION = Question(1, ("ada", "bob", "çà't"), EDGES[0], EDGES[-1], 5, 2, frozenset({"call"}))


def folded(rows: list[ReadingRow], aggregation: Aggregation) -> dict[Any, Tally]:
    """The recount in Python: the reader that the others are held to."""
    groups: dict[Any, list[Any]] = {}
    for row in rows:
        if row.subject in QUESTION.subjects and EDGES[0] <= row.time < EDGES[-1]:
            segment = max(index for index, edge in enumerate(EDGES) if edge <= row.time)
            read = (
                plain(row.value) if aggregation.needs_events and isinstance(row.value, Decimal) else row.value
            )
            groups.setdefault((segment, row.dimensions), []).append((read, row.time, row.order + row.key))
    counted = AGGREGATIONS["unique"] if aggregation.needs_events else aggregation
    return {place: fold(counted, readings) for place, readings in groups.items()}


def export(rows: list[ReadingRow], *, text: bool, corrections: list[CorrectionRow] | None = None) -> Export:
    readings = Readings(5, 2, text, rows)
    return Export(1, 0, 1, 3, frozenset({"corrections", 5}), (), corrections or (), (readings,))


SETTINGS = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("name", NUMBERS)
@given(rows=reading_rows(numbers()))
@SETTINGS
def test_numbers_aggregate_as_in_the_recount(
    make: Callable[[], Warehouse], name: str, rows: list[ReadingRow]
) -> None:
    aggregation = AGGREGATIONS[name]
    if name == "count":
        rows = [row._replace(value=Decimal(1)) for row in rows]
    warehouse = make()
    warehouse.write(export(rows, text=False))
    expected = folded(rows, aggregation)
    found = {
        (segment, dimensions): tally
        for segment, dimensions, tally in warehouse.tallies(QUESTION, aggregation, EDGES, ())
    }
    assert found == expected
    for (segment, _), tally in found.items():
        if name == "percentile":
            seen = [Decimal(text) for text, count in tally.values.items() for _ in range(count)]
            sent = [
                row.value
                for row in rows
                if row.subject in QUESTION.subjects
                and (segment, row.dimensions) in found
                and found[segment, row.dimensions] is tally
                and EDGES[segment] <= row.time < EDGES[segment + 1]
            ]
            assert percentile(seen, Decimal("0.9")) == percentile(sent, Decimal("0.9"))  # type: ignore[arg-type]
        else:
            start, end = EDGES[segment], EDGES[segment + 1]
            assert value(aggregation, tally, start, end) == value(
                aggregation, expected[segment, _], start, end
            )


@given(rows=reading_rows(texts))
@SETTINGS
def test_distinct_texts_are_told_apart_as_in_the_recount(
    make: Callable[[], Warehouse], rows: list[ReadingRow]
) -> None:
    warehouse = make()
    warehouse.write(export(rows, text=True))
    found = warehouse.tallies(QUESTION, AGGREGATIONS["unique"], EDGES, ())
    assert {(segment, dimensions): tally for segment, dimensions, tally in found} == folded(
        rows, AGGREGATIONS["unique"]
    )


@given(rows=reading_rows(numbers()), data=st.data())
@SETTINGS
def test_corrected_events_are_left_out_whether_exported_or_newer(
    make: Callable[[], Warehouse], rows: list[ReadingRow], data: st.DataObject
) -> None:
    keys = [row.key for row in rows]
    exported = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
    newer = data.draw(st.sets(st.sampled_from(keys))) if keys else set()
    corrections = [
        CorrectionRow(0, 2, 0, identity("void", key), key, START, b"{}") for key in sorted(exported)
    ]
    warehouse = make()
    warehouse.write(export(rows, text=False, corrections=corrections))
    left = [row for row in rows if row.key not in exported | newer]
    found = warehouse.tallies(QUESTION, AGGREGATIONS["sum"], EDGES, sorted(newer))
    assert {(segment, dimensions): tally for segment, dimensions, tally in found} == folded(
        left, AGGREGATIONS["sum"]
    )


@given(
    rows=reading_rows(numbers()),
    first=st.none() | st.lists(st.none() | texts, max_size=2),
    second=st.none() | st.lists(st.sampled_from([None, "", "a", "A"]), max_size=2),
)
@SETTINGS
def test_dimension_values_asked_for_are_the_only_ones_counted(
    make: Callable[[], Warehouse],
    rows: list[ReadingRow],
    first: list[str | None] | None,
    second: list[str | None] | None,
) -> None:
    where = {place: tuple(values) for place, values in enumerate((first, second)) if values is not None}
    left = [row for row in rows if all(row.dimensions[place] in values for place, values in where.items())]
    warehouse = make()
    warehouse.write(export(rows, text=False))
    question = replace(QUESTION, where=where)
    found = warehouse.tallies(question, AGGREGATIONS["sum"], EDGES, ())
    assert {(segment, dimensions): tally for segment, dimensions, tally in found} == folded(
        left, AGGREGATIONS["sum"]
    )
    assert len(warehouse.page(question, None, 100, ())) == sum(tally.n for _, _, tally in found)


@given(rows=reading_rows(numbers()), size=st.integers(1, 7))
@SETTINGS
def test_pages_hold_every_reading_once_in_order(
    make: Callable[[], Warehouse], rows: list[ReadingRow], size: int
) -> None:
    warehouse = make()
    warehouse.write(export(rows, text=False))
    wanted = [row for row in rows if row.subject in QUESTION.subjects and EDGES[0] <= row.time < EDGES[-1]]
    seen: list[ReadingRow] = []
    after: Position | None = None
    while page := warehouse.page(QUESTION, after, size, ()):
        assert len(page) <= size
        seen += page
        after = Position(page[-1].time, page[-1].key, page[-1].place)
    assert seen == sorted(wanted, key=lambda row: (row.time, row.key))


def test_a_cut_off_takes_no_later_sequence_and_a_repeat_changes_nothing(
    make: Callable[[], Warehouse],
) -> None:
    rows = [
        ReadingRow(
            0, seq, 0, identity(seq), b"", "ada", START + timedelta(hours=seq), (None, "a"), Decimal(seq)
        )
        for seq in (1, 2, 3)
    ]
    warehouse = make()
    for _ in range(3):
        warehouse.write(export(rows, text=False))
    totals = {}
    for until in (0, 1, 2, 3):
        question = Question(1, ("ada",), EDGES[0], EDGES[-1], 5, 2, frozenset({"call"}), {0: until})
        totals[until] = sum(
            tally.total for _, _, tally in warehouse.tallies(question, AGGREGATIONS["sum"], EDGES, ())
        )
    assert totals == {0: 0, 1: 1, 2: 3, 3: 6}
    assert warehouse.covered(1, 5) == {0: 3}
    assert warehouse.covered(1, 6) == {}
    assert warehouse.covered(2, 5) == {}
    other = Question(2, ("ada",), EDGES[0], EDGES[-1], 5, 2, frozenset({"call"}))
    assert warehouse.tallies(other, AGGREGATIONS["sum"], EDGES, ()) == []


def test_sums_of_many_of_the_greatest_values_do_not_overflow(
    make: Callable[[], Warehouse], tmp_path: Path
) -> None:
    rows = [
        ReadingRow(
            0, 1, 0, identity(number), b"", "ada", START + timedelta(microseconds=number), (None, None), MOST
        )
        for number in range(20_000)
    ]
    warehouse = make()
    warehouse.write(export(rows, text=False))
    ((_, _, tally),) = warehouse.tallies(QUESTION, AGGREGATIONS["time_weighted_sum"], EDGES, ())
    assert tally == fold(AGGREGATIONS["time_weighted_sum"], [(row.value, row.time, row.key) for row in rows])


def test_questions_may_be_asked_from_several_threads(tmp_path: Path) -> None:
    rows = [
        ReadingRow(
            0,
            1,
            0,
            identity(number),
            b"",
            "ada",
            START + timedelta(minutes=number),
            (None, None),
            Decimal(number),
        )
        for number in range(100)
    ]
    warehouse = DuckdbWarehouse(tmp_path)
    warehouse.write(export(rows, text=False))

    def ask(number: int) -> Decimal:
        newer = [identity(number)]
        return sum(
            (tally.total for _, _, tally in warehouse.tallies(QUESTION, AGGREGATIONS["sum"], EDGES, newer)),
            Decimal(0),
        )

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(40))) == [4950 - number for number in range(40)]

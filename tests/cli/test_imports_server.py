"""Imports against a real engine over its HTTP interface: exact totals, nothing twice, history of any age."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from tests.cli.test_imports import AZURE, IMAGES, SIMPLE, real, write
from valorem.app import assemble
from valorem.cli.importing.mapping import history, parse_map
from valorem.cli.importing.progress import progress_path
from valorem.cli.importing.reading import open_table
from valorem.cli.importing.running import import_table
from valorem.cli.imports import ClientSink
from valorem.client import Client
from valorem.engine.engine import Engine
from valorem.engine.export import export_batches
from valorem.engine.ingest import Ingestor
from valorem.engine.keys import issue_key
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database
from valorem.store.warehouse.duckdb import DuckdbWarehouse

REAL_NOW = datetime(2026, 11, 10, 12, tzinfo=UTC)
CATALOG = {
    "meters/tokens.yaml": "meter: tokens\nevent: llm.call\naggregate: sum\nunit: token\n"
    "each: {kind: {input: data.input_tokens, output: data.output_tokens}}\n",
    "meters/images.yaml": "meter: images\nevent: image.request\naggregate: sum\nvalue: data.images\n",
    "meters/calls.yaml": "meter: calls\nevent: call\naggregate: sum\nvalue: data.tokens\n",
}


@dataclass
class Site:
    """A server without a network, and a client of one sandbox of it."""

    engine: Engine
    client: Client
    workspace: int


@pytest.fixture
def site(database_url: str, tmp_path: Path) -> Iterator[Site]:
    database = Database(database_url)
    engine = Engine(database, lambda: REAL_NOW, warehouse=DuckdbWarehouse(tmp_path / "warehouse"))
    ingestor = Ingestor(engine)
    try:
        made = create_workspace(
            engine, name="try", kind="sandbox", clock_at=datetime(2023, 11, 17, tzinfo=UTC)
        )
        issued = issue_key(engine, made.id, name="test", scopes=["admin"])
        with Client(key=issued.key, app=assemble(engine, ingestor)) as client:
            client.apply_catalog(CATALOG, message="first", author="test")
            yield Site(engine, client, made.id)
    finally:
        ingestor.drain()
        database.close()


def run(site: Site, path: Path, text: str, *, as_history: bool = False) -> dict[str, int]:
    mapping = parse_map("map.yaml", text)
    mapping = history(mapping) if as_history else mapping
    return import_table(open_table(path), mapping, ClientSink(site.client)).progress.counts


def test_the_llm_trace_is_counted_to_the_token_and_once(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(real("azure_llm_conversation_2023.csv").read_bytes())
    few = AZURE.replace("spread_rows_over: 200", "spread_rows_over: 5")
    assert run(site, path, few)["accepted"] == 19_366
    progress_path(open_table(path)).unlink()
    again = run(site, path, few)
    assert (again["accepted"], again["duplicate"]) == (0, 19_366)
    counted = {"input": Decimal(0), "output": Decimal(0)}
    for number in range(1, 6):
        site.client.create_customer(f"team-{number}", f"Team {number}", "USD")
    while export_batches(site.engine, site.workspace).remaining:
        pass
    for number in range(1, 6):
        for row in site.client.usage(f"team-{number}", "tokens", dimensions=("kind",)).rows:
            counted[row.dimensions["kind"] or ""] += row.quantity
    assert counted == {"input": Decimal(22_361_870), "output": Decimal(4_088_665)}


def test_rows_outside_the_accept_window_are_refused_and_taken_as_history(site: Site, tmp_path: Path) -> None:
    site.client.advance_clock(to=datetime(2025, 6, 1, tzinfo=UTC))
    path = write(tmp_path / "old.csv", "who,at,tokens\na,2024-03-05 14:30,1\na,2025-05-31 10:00,2\n")
    counts = run(site, path, SIMPLE)
    assert (counts["accepted"], counts["rejected"]) == (1, 1)
    refused = (tmp_path / "old.csv.refused.csv").read_text()
    assert "older than the accept window" in refused
    progress_path(open_table(path)).unlink()
    for expected in ("accepted", "duplicate"):
        assert run(site, path, SIMPLE, as_history=True)[expected] == 2
        progress_path(open_table(path)).unlink()
    site.client.advance_clock(to=datetime(2026, 6, 1, tzinfo=UTC))
    assert run(site, path, SIMPLE, as_history=True)["duplicate"] == 2


def test_the_image_trace_is_counted_for_each_group(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "images.csv"
    path.write_bytes(real("genai_image_requests_2024.csv").read_bytes())
    site.client.advance_clock(to=datetime(2024, 12, 20, tzinfo=UTC))
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:3001]) + "\n")
    mapping = "\n".join(line for line in IMAGES.splitlines() if "skip_when" not in line)
    counts = run(site, path, mapping)
    expected: dict[str, Decimal] = {}
    for line in lines[1:3001]:
        cells = line.split(",")
        if cells[7]:
            expected[cells[4]] = expected.get(cells[4], Decimal(0)) + Decimal(cells[7])
    assert counts["accepted"] + counts["refused"] == 3000
    busiest = max(expected, key=lambda group: expected[group])
    site.client.create_customer(busiest, "Busiest", "USD")
    usage = site.client.usage(
        busiest, "images", start=datetime(2024, 11, 1, tzinfo=UTC), end=datetime(2024, 12, 20, tzinfo=UTC)
    )
    assert usage.total == expected[busiest]
    assert timedelta(0) < usage.end - usage.start

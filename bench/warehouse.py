"""History: how fast events reach the warehouse, and one customer's month from each place it can be read from."""

import json
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from bench.frame import Fresh, Measurement, Size
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import EMPTY, merge
from valorem.core.time import write_instant
from valorem.engine.archive import Archive
from valorem.engine.engine import Engine
from valorem.engine.export import export_batches
from valorem.engine.ingest import Ingestor
from valorem.engine.meters import activate, revision_ids
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres import counters
from valorem.store.postgres.database import Database
from valorem.store.warehouse.duckdb import DuckdbWarehouse
from valorem.store.warehouse.folder import Folder

EVENTS, CUSTOMERS, BATCH, REPEATS = 200_000, 1_000, 1_000, 7
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
METER = Meter(
    meter="tokens", event="llm.call", aggregate="sum", value="data.tokens", dimensions={"model": "data.model"}
)


def run(fresh: Fresh, _size: Size) -> Iterator[Measurement]:
    with tempfile.TemporaryDirectory(prefix="valorem-bench-") as folder:
        root = Path(folder)
        database = Database(fresh())
        engine = Engine(database, lambda: NOW, warehouse=DuckdbWarehouse(root / "warehouse"))
        ingestor = Ingestor(engine)
        try:
            workspace = create_workspace(engine, name="bench", kind="live").id
            with engine.transaction(workspace) as tx:
                activate(tx, [METER])
            yield from _filled(engine, ingestor, workspace)
            yield from _read(engine, workspace, root)
        finally:
            ingestor.drain()
            database.close()


def _filled(engine: Engine, ingestor: Ingestor, workspace: int) -> Iterator[Measurement]:
    dice = random.Random(7)
    for first in range(0, EVENTS, BATCH):
        ingestor.ingest(workspace, [_event(dice, number) for number in range(first, first + BATCH)])
    began = time.perf_counter()
    while export_batches(engine, workspace).remaining:
        pass
    took_s = time.perf_counter() - began
    yield Measurement("export", {"events": EVENTS, "events/s": EVENTS / took_s})


def _event(dice: random.Random, number: int) -> bytes:
    at = START + timedelta(seconds=dice.randrange(30 * 86_400))
    data = {"tokens": dice.randrange(1, 100_000), "model": dice.choice(["small", "medium", "large"])}
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"e{number}",
            "source": "bench",
            "type": "llm.call",
            "subject": f"customer-{dice.randrange(CUSTOMERS):04}",
            "time": write_instant(at),
            "data": data,
        }
    ).encode()


def _read(engine: Engine, workspace: int, root: Path) -> Iterator[Measurement]:
    """One customer's month, from everywhere; every place must give the same number."""
    unsorted = root / "unsorted"
    _shuffled(root / "warehouse", unsorted, workspace)
    places: dict[str, Callable[[str], Decimal]] = {
        "live counters": lambda subject: _counted(engine, workspace, subject),
        "warehouse, sorted by customer": lambda subject: _archived(engine, workspace, subject),
        "the same files, not sorted": lambda subject: _archived(
            replace(engine, warehouse=DuckdbWarehouse(unsorted)), workspace, subject
        ),
        "recorded batches": lambda subject: _archived(replace(engine, warehouse=None), workspace, subject),
    }
    expected: dict[str, Decimal] = {}
    for name, read in places.items():
        took_ms = []
        for number in range(REPEATS):
            subject = f"customer-{number * 37:04}"
            began = time.perf_counter()
            quantity = read(subject)
            took_ms.append((time.perf_counter() - began) * 1000)
            assert expected.setdefault(subject, quantity) == quantity, (name, subject)
        yield Measurement(f"a customer's month: {name}", {"median_ms": sorted(took_ms)[REPEATS // 2]})


def _counted(engine: Engine, workspace: int, subject: str) -> Decimal:
    with engine.transaction(workspace, read_only=True) as tx:
        revision = revision_ids(tx, [METER])[METER.fingerprint()]
        rows = counters.read(tx.connection, workspace, [subject], revision, [START, END])
    return sum((tally.total for _, _, tally in rows), Decimal(0))


def _archived(engine: Engine, workspace: int, subject: str) -> Decimal:
    whole = EMPTY
    with engine.transaction(workspace, read_only=True) as tx:
        for _, _, tally in Archive(tx, [subject], METER, START, END).tallies([START, END]):
            whole = merge(whole, tally)
    return whole.total


def _shuffled(source: Path, target: Path, workspace: int) -> None:
    """A copy of the warehouse with the rows of every file in no order."""
    shutil.copytree(source, target)
    dice = random.Random(7)
    folder = Folder(target, workspace)
    for file in folder.manifest().files:
        table = pq.read_table(folder.path / file.path, partitioning=None)
        order = list(range(table.num_rows))
        dice.shuffle(order)
        pq.write_table(
            table.take(pa.array(order)), folder.path / file.path, row_group_size=16_384, compression="zstd"
        )

"""Outcomes as kept: events (a million of 200,000 outcomes with ``--full``) recorded and kept, then previews and one more event.

Beside each, the same number by folding all evidence: what a reader would do where nothing is kept. Times are of the
processor, of this program and without that of the database; memory is the most a program of its own took.
"""

import json
import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from resource import RUSAGE_SELF, getrusage
from statistics import median
from typing import Any

from bench.frame import Fresh, Measurement, Size
from bench.outcomes import DEFINITION, story
from valorem.core.limits import Limits
from valorem.core.time import write_instant
from valorem.engine.catalog import apply_catalog
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.invoices import preview_invoice
from valorem.engine.outcome_deals import Proposal, Signer, propose, sign_definition
from valorem.engine.outcome_keeping import keep_outcomes
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres import kept_outcomes
from valorem.store.postgres.database import Database

START, DAYS = datetime(2026, 1, 1, tzinfo=UTC), 90
NOW = START + timedelta(days=75, minutes=7)
BATCH, MORE = 1000, 20
PLAN = "plan: bare\nname: Bare\ncurrency: USD\nevery: month\n"
YEAR_S = 366 * 86_400


def run(fresh: Fresh, size: Size) -> Iterator[Measurement]:
    """Recording, keeping, previews, and one more event."""
    url = fresh()
    for part in (_record, _keep, _preview, _folded):
        with get_context("spawn").Pool(1) as pool:  # a process each, so that its memory can be told
            yield pool.apply(part, (url, size.outcomes))


def _engine(url: str) -> Engine:
    return Engine(Database(url), lambda: NOW, limits=Limits(accept_late_s=YEAR_S, key_retention_s=2 * YEAR_S))


def _record(url: str, outcomes: int) -> Measurement:
    engine = _engine(url)
    workspace = create_workspace(engine, name="bench", clock_at=NOW + timedelta(minutes=8)).id
    with engine.transaction(workspace) as tx:
        apply_catalog(tx, {"plans/bare.yaml": PLAN}, message="bench", author="bench")
        create_customer(tx, key="acme", name="Acme", currency="USD")
        contract = create_contract(tx, NewContract(customer="acme", plan="bare", start=START)).id
        written = DEFINITION.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        del written["outcome"]
        proposal = Proposal(contract, DEFINITION.outcome, written, START, START, retroactive=True)
        version = propose(tx, proposal, by="bench")
        for party in ("vendor", "customer"):
            signer = Signer(party, party, "owner", "api_key", "bench")
            sign_definition(
                tx, contract, DEFINITION.outcome, number=version.number, digest=version.digest, signer=signer
            )
    ingestor = Ingestor(engine)
    places = sorted(_places(outcomes))
    began = time.process_time()
    for start in range(0, len(places), BATCH):
        batch = places[start : start + BATCH]
        results = ingestor.ingest(workspace, [_event(*each) for each in batch])
        assert all(each.status == "accepted" for each in results), results[:3]
    took_s = time.process_time() - began
    ingestor.drain()
    engine.database.close()
    return Measurement(
        "record events", {"events": len(places), "events/s": len(places) / took_s, "peak_mib": _peak_mib()}
    )


def _keep(url: str, outcomes: int) -> Measurement:
    engine = _engine(url)
    workspace, _ = _sold(engine)
    before_mib = _peak_mib()
    began, runs = time.process_time(), 1
    while keep_outcomes(engine, workspace):
        runs += 1
    took_s = time.process_time() - began
    count = outcomes * 5
    engine.database.close()
    return Measurement(
        "keep what was recorded",
        {
            "events": count,
            "events/s": count / took_s,
            "transactions": runs,
            "peak_mib": _peak_mib() - before_mib,
        },
    )


def _preview(url: str, _: int) -> Measurement:
    """A preview of what is kept, then after each of some more events, each about one outcome."""
    engine = _engine(url)
    workspace, contract = _sold(engine)
    before_mib = _peak_mib()
    alone_s, found = _timed(engine, workspace, contract)
    ingestor = Ingestor(engine)
    later_s = []
    for number in range(MORE):
        raw = _event(NOW - timedelta(minutes=5), number * 1000, 9, "reopened")
        assert ingestor.ingest(workspace, [raw])[0].status == "accepted"
        later_s.append(_timed(engine, workspace, contract)[0])
    keep_s = _cpu(lambda: keep_outcomes(engine, workspace))
    ingestor.drain()
    engine.database.close()
    return Measurement(
        "preview as kept",
        {
            "ms": alone_s * 1e3,
            "ms_after_one_more_event": median(later_s) * 1e3,
            "ms_to_keep_20_more": keep_s * 1e3,
            "peak_mib": _peak_mib() - before_mib,
            "so_far": found,
        },
    )


def _folded(url: str, _: int) -> Measurement:
    """The same preview by folding all evidence."""
    engine = _engine(url)
    workspace, contract = _sold(engine)
    kept_s, kept = _timed(engine, workspace, contract)
    with engine.transaction(workspace) as tx:
        kept_outcomes.forget(tx.connection, kept_outcomes.KeptFor(workspace, contract, DEFINITION.outcome))
    before_mib = _peak_mib()
    took_s, found = _timed(engine, workspace, contract)
    assert found == kept, (found, kept)
    engine.database.close()
    return Measurement(
        "preview by folding all",
        {
            "ms": took_s * 1e3,
            "times_as_kept": took_s / kept_s,
            "peak_mib": _peak_mib() - before_mib,
            "so_far": found,
        },
    )


def _timed(engine: Engine, workspace: int, contract: str) -> tuple[float, str]:
    began = time.process_time()
    with engine.transaction(workspace, snapshot=True, read_only=True) as tx:
        total = preview_invoice(tx, contract, at=NOW).so_far.total
    return time.process_time() - began, str(total)


def _cpu(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def _sold(engine: Engine) -> tuple[int, str]:
    with engine.database.system() as connection:
        row = connection.execute("SELECT workspace, contract FROM outcome_version LIMIT 1").fetchone()
    assert row is not None
    return row["workspace"], row["contract"]


def _places(outcomes: int) -> Iterator[tuple[datetime, int, int, str]]:
    """When each event of each conversation happens, and what it is."""
    dice = random.Random(7)
    for number in range(outcomes):
        at = START + timedelta(seconds=dice.randrange((DAYS - 20) * 86_400))
        for step, kind in enumerate(story(number)):
            at += timedelta(minutes=dice.randrange(1, 60)) + timedelta(days=2) * (kind == "reopened")
            yield at, number, step, kind


def _event(at: datetime, number: int, step: int, kind: str) -> bytes:
    data: dict[str, Any] = {
        "key": f"conversation-{number}",
        "actor": "bot" if kind in ("touched", "solved") else "customer",
        "channel": ("chat", "mail", "voice")[number % 3],
        "turns": 3,
    }
    event = {
        "specversion": "1.0",
        "id": f"{number}-{step}",
        "source": "/desk",
        "type": kind,
        "subject": "acme",
        "time": write_instant(at),
        "data": data,
    }
    return json.dumps(event).encode()


def _peak_mib() -> float:
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024

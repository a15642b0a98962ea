"""Outcomes kept as evidence comes: whatever is kept, and however far it lags, the counters are those of the whole fold."""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.billing import Shop, Shops, shops, void
from tests.engine.dealing import RESOLUTION, all_verify, deal, fact, outcome_total, send
from valorem.core.contracts.contract import Contract
from valorem.core.outcomes.charging import billable
from valorem.core.outcomes.keeping import borders, coarse
from valorem.core.outcomes.tallies import Count, Slot, tally
from valorem.core.time import write_instant
from valorem.engine.aliases import attach_alias
from valorem.engine.contracts import get_contract
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.invoices import preview_invoice
from valorem.engine.outcome_keeping import Kept, keep, keep_outcomes, kept_counters, kept_of
from valorem.engine.outcomes import definitions_of, evidence_of, periods_before
from valorem.store.postgres import kept_outcomes

JANUARY = datetime(2026, 1, 1, tzinfo=UTC)
VALUED = RESOLUTION.replace("key: data.key\n", "key: data.key\nalias_of: data.into\n").replace(
    "window: 24 hours\n",
    "window: 24 hours\nbills: value\nvalue: {amount: data.worth}\ndimensions: {channel: data.channel}\n",
)
VALUED = VALUED.replace(
    "  - {event: reopened, kind: refute}\n",
    "  - {event: reopened, kind: refute}\n  - {event: worth, kind: restate}\n  - {event: merged, kind: touch}\n",
)
PLAN = "plan: bare\nname: Bare\ncurrency: USD\nevery: month\noutcomes: [resolution]\n"


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


def amend(target: bytes, at: datetime, name: str, **data: Any) -> bytes:
    known = json.loads(target)
    return json.dumps(
        {
            "specversion": "1.0",
            "id": name,
            "source": "/fix",
            "type": "valorem.amend",
            "time": write_instant(at),
            "data": {"source": known["source"], "id": known["id"], "data": known["data"] | data},
        }
    ).encode()


def folded(
    tx: Transaction, kept: Kept, off: Mapping[str, Decimal], seen_at: datetime | None
) -> dict[int, dict[Slot, Count]]:
    """The counters by folding everything."""
    events = evidence_of(tx, kept.subjects, kept.definitions).events
    if seen_at is not None:
        events = tuple(each for each in events if each[0].time is not None and each[0].time <= seen_at)
    governed = kept.definitions.fold(events, kept.frame).values()
    found = {}
    for version in kept.definitions.versions:
        own = [each for each in governed if each.version is version]
        counted = tally(billable(own, off, seen_at))
        found[version.number] = {
            slot: count
            for slot, count in counted.items()
            if slot.series in ("confirmed", "reversed", "restated")
        }
    return {number: tallies for number, tallies in found.items() if tallies}


def asked(tx: Transaction, contract: str) -> Kept:
    row = get_contract(tx, contract).contract
    definitions = definitions_of(tx, contract)["resolution"]
    return kept_of(row, tx.workspace.id, get_customer(tx, row.customer).subjects, definitions)


def same(shop: Shop, contract: Contract, off: Mapping[str, Decimal], seen_at: datetime | None) -> bool:
    """Whether the counters read as kept are those of the fold; False where nothing is kept."""
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        kept = asked(tx, contract.id)
        periods = [period.interval for period in periods_before(get_contract(tx, contract.id).contract, 6)]
        found = kept_counters(tx, kept, periods, off=off, seen_at=seen_at)
        if found is None:
            return False
        edges = borders(kept.definitions, periods, kept.frame, seen_at)
        expected = folded(tx, kept, off, seen_at)
    assert {n: coarse(each, edges) for n, each in found.items() if each} == {
        n: coarse(each, edges) for n, each in expected.items()
    }
    return True


@pytest.mark.parametrize("seed", range(2))
def test_counters_as_kept_are_those_of_the_fold_whatever_happens(opened: Shops, seed: int) -> None:
    """Late evidence, corrections, merges, an amendment, another subject, disputes, instants in the middle of a quarter hour."""
    chance = random.Random(seed)
    shop = opened.open({"outcomes/resolution.yaml": VALUED, "plans/bare.yaml": PLAN})
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    sent: list[bytes] = []
    compared = 0
    for step in range(12):
        now = JANUARY + timedelta(days=7 * step, minutes=15 * chance.randrange(4))
        shop.go(now)
        batch = []
        for number in range(chance.randrange(1, 7)):
            kind = chance.choice(["solved", "solved", "solved", "yes", "reopened", "worth", "merged"])
            at = now + timedelta(minutes=3 - chance.randrange(60 * 24 * chance.choice([1, 1, 20])))
            data: dict[str, Any] = {
                "worth": chance.randrange(1, 100),
                "channel": chance.choice(["chat", "mail"]),
                "seq": f"{step}-{number}",
            }
            if kind == "merged":
                data["into"] = f"c{chance.randrange(8)}"
            if chance.random() < 0.1:
                del data["worth"]  # cannot be read where it is needed
            subject = chance.choice(["acme", "acme", "other"])
            batch.append(fact(subject, kind, f"c{chance.randrange(8)}", max(at, JANUARY), **data))
        if sent and chance.random() < 0.5:
            target = chance.choice(sent)
            batch.append(amend(target, now, f"amend-{step}", key=f"c{chance.randrange(8)}", worth=7))
        if sent and chance.random() < 0.4:
            known = json.loads(chance.choice(sent))
            batch.append(void(known["id"], now, source=known["source"]))
        unique = {json.loads(each)["id"]: each for each in batch}
        shop.ingestor.ingest(shop.workspace, list(unique.values()))
        sent += [each for each in unique.values() if b"valorem." not in each]
        if step == 5:
            with shop.engine.transaction(shop.workspace) as tx:
                attach_alias(tx, "acme", "other")
        if step == 8:
            since = JANUARY + timedelta(days=56 + 7)
            deal(
                shop,
                contract,
                "vendor",
                "customer",
                effective_from=since,
                retroactive=False,
                live_from=since,
                definition=_amended(),
            )
        if chance.random() < 0.6:
            with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
                keep(tx, contract.id, "resolution", most=chance.choice([1, 5, 1000]))
        off = {
            f"c{n}": chance.choice([Decimal(1), Decimal("0.5")]) for n in range(8) if chance.random() < 0.2
        }
        instants = [None, now, now - timedelta(minutes=chance.randrange(60 * 24 * 3), seconds=7)]
        compared += sum(same(shop, contract, off, seen_at) for seen_at in instants)
    assert compared > 8
    shop.go(JANUARY + timedelta(days=150))
    all_verify(shop, contract)  # what was billed as kept is what folding all of the evidence comes to


def _amended() -> dict[str, Any]:
    return {
        "source": {"system": "desk"},
        "evidence": [
            {"event": "solved", "kind": "success"},
            {"event": "reopened", "kind": "refute"},
        ],
        "key": "data.key",
        "window": "36 hours",
        "currency": "USD",
        "cap": {"quantity": "3", "per": "day"},
        "price": {"model": "per_unit", "amount": "2"},
    }


def test_an_invoice_and_a_preview_read_what_is_kept_and_no_evidence(
    opened: Shops, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = opened.open({"outcomes/resolution.yaml": RESOLUTION, "plans/bare.yaml": PLAN})
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"c{n}", JANUARY + timedelta(hours=n)) for n in range(60)))
    send(shop, fact("acme", "reopened", "c0", JANUARY + timedelta(days=3)))
    while keep_outcomes(shop.engine, shop.workspace):
        pass
    before = _previewed(shop, contract)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("all evidence was read")

    with monkeypatch.context() as patch:
        patch.setattr("valorem.engine.outcomes.counted_events", refuse)
        assert _previewed(shop, contract) == before
        shop.go(datetime(2026, 2, 2, tzinfo=UTC))
    assert outcome_total(shop, contract) == 3 * Decimal("0.99") + 56 * Decimal("0.5")
    all_verify(shop, contract)


def _previewed(shop: Shop, contract: Contract) -> tuple[Decimal, Decimal]:
    with shop.engine.transaction(shop.workspace, snapshot=True, read_only=True) as tx:
        found = preview_invoice(tx, contract.id)
    return found.so_far.total, found.projected.total


def test_what_was_kept_on_another_basis_is_not_read_and_is_kept_anew(opened: Shops) -> None:
    shop = opened.open({"outcomes/resolution.yaml": RESOLUTION, "plans/bare.yaml": PLAN})
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact(subject, "solved", f"{subject}-1", JANUARY) for subject in ("acme", "second")))
    keep_outcomes(shop.engine, shop.workspace)
    assert same(shop, contract, {}, None)
    with shop.engine.transaction(shop.workspace) as tx:
        attach_alias(tx, "acme", "second")
    assert not same(shop, contract, {}, None)
    keep_outcomes(shop.engine, shop.workspace)
    assert same(shop, contract, {}, None)
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        kept = asked(tx, contract.id)
        assert len(kept_outcomes.results(tx.connection, kept.place, ["acme-1", "second-1"])) == 2

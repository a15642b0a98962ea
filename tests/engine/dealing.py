"""What the tests of outcomes share: a definition that is signed or not, evidence of it, and what was billed."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.engine.billing import JANUARY, Shop
from valorem.core.contracts.contract import Contract
from valorem.core.outcomes.signing import DefinitionVersion, Party
from valorem.core.time import parse_instant, write_instant
from valorem.engine.clock import advance_clock
from valorem.engine.invoices import verify_invoice
from valorem.engine.outcome_deals import Proposal, Signer, propose, sign_definition

RESOLUTION = """
outcome: resolution
name: Resolved conversation
source: {system: desk}
evidence:
  - {event: solved, kind: success}
  - {event: yes, kind: confirm}
  - {event: reopened, kind: refute}
key: data.key
window: 24 hours
currency: USD
price:
  model: graduated
  tiers: [{up_to: 3, unit: 0.99}, {unit: 0.5}]
disputes: {days: 30, reasons: [not_ours]}
agreement: {threshold: 0.9, cycles: 1}
"""
CATALOG = {
    "outcomes/resolution.yaml": RESOLUTION,
    "plans/agents.yaml": "plan: agents\nname: Agents\ncurrency: USD\nevery: month\n"
    "fees: {seat: {amount: 29, per: seat}}\noutcomes: [resolution]\n",
    "plans/bare.yaml": "plan: bare\nname: Bare\ncurrency: USD\nevery: month\noutcomes: [resolution]\n",
}


def fact(customer: str, kind: str, key: str, at: datetime, **data: Any) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{kind}-{key}-{write_instant(at)}",
            "source": "/desk",
            "type": kind,
            "subject": customer,
            "time": write_instant(at),
            "data": {"key": key, **data},
        }
    ).encode()


def day(number: int, hour: int = 12, month: int = 1) -> datetime:
    return datetime(2026, month, number, hour, tzinfo=UTC)


def signer(party: Party) -> Signer:
    return Signer(party, f"{party} person", "owner", "api_key", "key_test")


def deal(
    shop: Shop,
    contract: Contract,
    *parties: Party,
    live: bool = True,
    outcome: str = "resolution",
    **proposal: Any,
) -> DefinitionVersion:
    terms: dict[str, Any] = {
        "effective_from": JANUARY,
        "retroactive": True,
        "live_from": JANUARY if live else None,
    }
    with shop.engine.transaction(shop.workspace) as tx:
        version = propose(tx, Proposal(contract.id, outcome, **(terms | proposal)), by="key_test")
        for party in parties:
            version = sign_definition(
                tx,
                contract.id,
                outcome,
                number=version.number,
                digest=version.digest,
                signer=signer(party),
            )
    return version


def send(shop: Shop, *events: bytes) -> None:
    """Send events once the last of them has happened."""
    latest = max(parse_instant(json.loads(each)["time"]) for each in events)
    with shop.engine.transaction(shop.workspace) as tx:
        ahead = latest > tx.now
    if ahead:
        advance_clock(shop.engine, shop.workspace, to=latest)
    results = shop.ingestor.ingest(shop.workspace, list(events))
    assert {each.status for each in results} <= {"accepted", "duplicate"}, results


def outcome_total(shop: Shop, contract: Contract) -> Decimal:
    return sum(
        (
            line.amount
            for document in shop.documents(contract=contract.id)
            for line in document.lines
            if line.kind == "outcome"
        ),
        Decimal(0),
    )


def all_verify(shop: Shop, contract: Contract) -> None:
    finals = shop.headers(contract=contract.id, status="finalised")
    assert finals
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        for header in finals:
            found = verify_invoice(tx, header.id)
            assert found.same, header

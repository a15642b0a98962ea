"""After the proof, the demonstration's company goes on: agents paid in credits, limits, tickets paid once they stay resolved.

So that whoever looks around finds every page of the console at work, and not invoices alone.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import Any

from valorem.cli.demo.story import Story
from valorem.cli.demo.traffic import calls
from valorem.cli.listening import listening
from valorem.client import Client
from valorem.client.settlement_values import Payment
from valorem.client.values import InvoiceHeader

MARCH = datetime(2026, 3, 1, tzinfo=UTC)
NOW = datetime(2026, 3, 18, 9, 30, tzinfo=UTC)
_BATCH = 1000
_MARCH_CALLS = 9000
_TASKS = ("write", "write", "write", "image", "research")
#: (key, name, seats, agent runs a day): one far below its limits, one near them, one that reached them.
_STUDIOS = (
    ("northwind", "Northwind Robotics", 12, 24),
    ("lumen", "Lumen Health", 6, 11),
    ("tidepool", "Tidepool Games", 9, 52),
)
_PAID_SHARE = 0.82


def furnish(story: Story, theirs: Client) -> None:
    """Play the first half of March: a price change, three customers on a plan with credits, payments, notices.

    Args:
        story: The story so far.
        theirs: A client with a key of the customers' side, which may sign outcomes.
    """
    client = story.client
    files = {**_files("catalog"), **_files("studio")}
    client.apply_catalog(
        files, message="Studio plan with agents; Team seats at 32", author="dana@example.com"
    )
    with _told(client):
        contracts = {key: _sign_up(client, key, name, seats) for key, name, seats, _ in _STUDIOS}
        _sign_outcome(client, theirs, contracts["lumen"])
        _settle(client)
        client.add_alert_rule("change", at=["200%"], on="tokens", customer="northwind")
        client.create_budget("northwind", 900, name="March", at=["50%", "100%"])
        for day in range((NOW - MARCH).days + 1):
            until = min(MARCH + timedelta(days=day + 1), NOW)
            client.advance_clock(to=until)
            _send(client, [*_day_of_agents(day, until), *_day_of_tickets(day, until)])
        _send(client, [each.event() for each in calls("mar", _MARCH_CALLS, MARCH, NOW)])
        _send(client, [each for key, *_ in _STUDIOS for each in _their_calls(key)])
    client.buy_credits("tidepool", "agent_credits", pack="boost", id="boost-1")
    client.give_credits(
        "northwind", "agent_credits", 500, id="welcome", source="promotional", lasts="3 months"
    )
    client.set_top_up("northwind", "agent_credits", threshold=400, pack="boost")
    client.place_hold("report-7", "northwind", "agent_credits", 60, lasts_s=86_400)
    client.change_contract(
        contracts["northwind"],
        [{"kind": "seats", "key": "seat", "quantity": "15"}],
        effective="period_end",
        reason="three more from April, by mail",
    )


def _files(folder: str) -> dict[str, str]:
    root = resources.files("valorem.cli.demo") / folder
    return {
        f"{kind.name}/{file.name}": file.read_text(encoding="utf-8")
        for kind in root.iterdir()
        for file in kind.iterdir()
    }


@contextmanager
def _told(client: Client) -> Iterator[None]:
    """An endpoint that takes what it is sent for as long as the demonstration plays."""
    with listening() as receiver:
        client.create_endpoint(receiver.url, topics=["alert.*", "invoice.*"])
        yield


def _sign_up(client: Client, key: str, name: str, seats: int) -> str:
    client.create_customer(key, name, "USD")
    return client.create_contract(key, "studio", start=MARCH, seats={"seat": seats}).id


def _sign_outcome(client: Client, theirs: Client, contract: str) -> None:
    made = client.propose_outcome(
        contract, "resolved_ticket", effective_from=MARCH, live_from=MARCH, retroactive=True
    )
    signed = (contract, "resolved_ticket", made.number, made.digest)
    client.sign_outcome(*signed, "Vera Vendor", "Head of sales")
    theirs.sign_outcome_as_customer(*signed, "Luis Lumen", "Head of support")


def _settle(client: Client) -> None:
    """Most invoices are paid; one is partly paid, one credited in part, one written off."""
    chance = random.Random("payments")  # noqa: S311 - made up, the same on every machine
    after: str | None = None
    open_: list[InvoiceHeader] = []
    while True:
        page = client.list_invoices(status="issued", after=after, limit=200)
        for header in page.items:
            if header.total and header.total > 0 and header.issued_at < MARCH:
                if chance.random() < _PAID_SHARE:
                    _pay(client, header)
                else:
                    open_.append(header)
        if (after := page.next) is None:
            break
    first, second, third = open_[:3]
    client.pay_invoice(
        first.id, amount=(first.total or 0) // 2, reference="bank 0402", provider="bank_transfer"
    )
    client.issue_credit_note(second.id, "an outage on 12 January", lines={"1": "10.00"})
    client.write_off_invoice(third.id, "the customer is insolvent")


def _pay(client: Client, header: InvoiceHeader) -> Payment:
    return client.pay_invoice(header.id, provider="bank_transfer", reference=f"bank {header.number}")


def _day_of_agents(day: int, until: datetime) -> Iterator[dict[str, Any]]:
    chance = random.Random(f"agents {day}")  # noqa: S311
    for key, _, seats, runs in _STUDIOS:
        for number in range(runs + chance.randrange(9)):
            yield {
                "specversion": "1.0",
                "id": f"run-{key}-{day}-{number}",
                "source": "demo/agents",
                "type": "agent.run",
                "subject": key,
                "time": _at(day, chance, until),
                "data": {"task": chance.choice(_TASKS), "user": f"user-{chance.randrange(seats)}"},
            }


def _day_of_tickets(day: int, until: datetime) -> Iterator[dict[str, Any]]:
    chance = random.Random(f"tickets {day}")  # noqa: S311
    for number in range(20 + chance.randrange(15)):
        states = ("resolved", "reopened") if chance.random() < 0.12 else ("resolved",)
        for place, state in enumerate(states):
            yield {
                "specversion": "1.0",
                "id": f"ticket-{day}-{number}-{place}",
                "source": "demo/desk",
                "type": "ticket.updated",
                "subject": "lumen",
                "time": _at(day, chance, until),
                "data": {"ticket": f"T-{day:02d}{number:02d}", "state": state},
            }


def _their_calls(key: str) -> Iterator[dict[str, Any]]:
    for each in calls(f"studio-{key}", 1500, MARCH, NOW):
        yield {**each.event(), "subject": key}


def _at(day: int, chance: random.Random, until: datetime) -> str:
    start = MARCH + timedelta(days=day)
    at = start + timedelta(seconds=chance.randrange(max(1, int((until - start).total_seconds()))))
    return f"{at:%Y-%m-%dT%H:%M:%S}Z"


def _send(client: Client, events: list[dict[str, Any]]) -> None:
    events.sort(key=lambda event: str(event["time"]))
    for first in range(0, len(events), _BATCH):
        client.send_events(events[first : first + _BATCH])

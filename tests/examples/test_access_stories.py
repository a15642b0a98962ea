# mypy: disable-error-code=union-attr
"""The example catalogs of limits and included usage, sold and used: what is told when, what stops, and what is billed."""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from tests.engine.billing import JANUARY
from tests.engine.limiting import NOON, Doorkeeper, doorkeepers
from valorem.core.time import write_instant
from valorem.engine.engine import Engine
from valorem.engine.upgrading import Upgrade, upgrade

CATALOGS = Path(__file__).parents[2] / "examples" / "catalogs"
_numbers = count(1)


def catalog(name: str) -> Mapping[str, str]:
    folder = CATALOGS / name
    return {
        str(file.relative_to(folder)): file.read_text(encoding="utf-8") for file in folder.rglob("*.yaml")
    }


@contextmanager
def shop(url: str, name: str) -> Iterator[Doorkeeper]:
    with ExitStack() as stack:
        yield stack.enter_context(doorkeepers(url, catalog(name)))


def send(
    door: Doorkeeper, customer: str, event: str, times: int = 1, at: datetime = NOON, **data: Any
) -> None:
    lines = [
        json.dumps(
            {
                "specversion": "1.0",
                "id": f"e{next(_numbers)}",
                "source": "/app",
                "type": event,
                "subject": customer,
                "time": write_instant(at),
                "data": data,
            }
        ).encode()
        for _ in range(times)
    ]
    assert {one.status for one in door.shop.ingestor.ingest(door.shop.workspace, lines)} == {"accepted"}


def lines_of(door: Doorkeeper) -> list[tuple[str, Decimal]]:
    door.shop.go(datetime(2026, 2, 1, tzinfo=UTC) + timedelta(hours=2))
    return [(line.key, line.amount) for invoice in door.shop.documents() for line in invoice.lines]


def test_a_copilot_pack_warns_at_70_and_90_and_stops_at_125_percent(database_url):
    """Two packs of 25,000; who has a licence of its own uses nothing of them and is never stopped."""
    with shop(database_url, "credits_with_soft_limit") as door:
        door.shop.sell("contoso", "pack", start=JANUARY, seats={"pack": Decimal(2)})
        for step, wanted in ((34, []), (1, ["70%"]), (10, ["70%", "90%"]), (5, ["100%", "70%", "90%"])):
            send(door, "contoso", "copilot.message", step * 100, kind="grounding", licence="none", agent="hr")
            assert [threshold for _, threshold in door.crossed()] == wanted
        send(door, "contoso", "copilot.message", 200, kind="grounding", licence="m365_copilot", agent="hr")
        state = door.ask("contoso", "copilot", 10, licence="none").verdict.state
        assert (state.used, state.limit.max, state.reason, state.over) == (
            50_000,
            50_000,
            "over_soft_limit",
            0,
        )
        send(door, "contoso", "copilot.message", 1250, kind="grounding", licence="none", agent="hr")
        assert [threshold for _, threshold in door.crossed()] == ["100%", "125%", "70%", "90%"]
        stopped = door.ask("contoso", "copilot", 1, licence="none")
        assert (stopped.verdict.allowed, stopped.verdict.reason) == (False, "limit_reached")
        assert stopped.offer.plan == "pay_as_you_go"
        assert door.ask("contoso", "copilot", 1, licence="m365_copilot").verdict.reason == "zero_rated"
        assert {row["payload"]["customer"] for row in door.notices("expansion.signal")} == {"contoso"}


def test_pay_as_you_go_warns_of_what_is_included_and_bills_the_rest(database_url):
    with shop(database_url, "credits_with_soft_limit") as door:
        door.shop.sell("contoso", "pay_as_you_go", start=JANUARY, seats={"seat": Decimal(10)})
        send(door, "contoso", "copilot.message", 700, kind="agent_action", licence="none", agent="hr")
        assert door.crossed() == [("included:messages", "70%")]
        assert door.notices("expansion.signal") == []
        send(door, "contoso", "copilot.message", 500, kind="agent_action", licence="none", agent="hr")
        assert door.crossed() == [("included:messages", "70%"), ("included:messages", "90%")]
        (signal,) = door.notices("expansion.signal")
        assert (signal["payload"]["customer"], signal["payload"]["on"]) == ("contoso", "messages")
        lines = lines_of(door)
        assert ("messages", Decimal("10.00")) in lines  # 6,000 of which 5,000 are included, at a cent
        assert lines.count(("seat", Decimal("300.00"))) == 2  # January's in advance, and February's


def test_seats_and_usage_overage_is_billed_and_sales_hear_of_it(database_url):
    with shop(database_url, "hybrid_team") as door:
        door.shop.sell("acme", "team", start=JANUARY, seats={"seat": Decimal(3)})
        call: dict[str, Any] = {"status": "ok", "model": "m", "input_tokens": 90_000, "output_tokens": 10_000}
        send(door, "acme", "llm.call", 14, **call)
        send(door, "acme", "llm.call", 3, **{**call, "status": "failed"})
        assert door.crossed() == [("included:tokens", "70%")]
        send(door, "acme", "llm.call", 11, **call)
        assert door.crossed() == [("included:tokens", "70%"), ("included:tokens", "90%")]
        assert len(door.notices("expansion.signal")) == 1
        lines = lines_of(door)
        assert ("tokens", Decimal("6.00")) in lines  # 2.5M used, 2M included, 12 a million
        assert ("seat", Decimal("60.00")) in lines


def test_the_free_plan_gates_prompts_and_upgrades(database_url):
    with shop(database_url, "freemium") as door:
        door.shop.sell("ada", "free", start=NOON)
        engine: Engine = door.shop.engine
        assert door.ask("ada", "batch_upload").verdict.reason == "gate_closed"
        assert door.ask("ada", "sso").offer.text == "Single sign-on is part of Pro."
        for day in range(8):
            door.shop.go(NOON + timedelta(days=day))
            send(door, "ada", "document.summarised", 3, NOON + timedelta(days=day), status="ok", user="ada")
            opened = door.ask("ada", "batch_upload").verdict.allowed
            assert opened is (day == 7)  # a week old, and 20 summaries done
        for _ in range(7):
            send(door, "ada", "document.summarised", 1, NOON + timedelta(days=7), status="ok", user="ada")
        denied = door.ask("ada", "summaries")
        assert (denied.verdict.allowed, denied.offer.fees) == (False, {"base": 20})
        with engine.transaction(door.shop.workspace) as tx:
            upgrade(tx, Upgrade("ada", "pro", {}), "test")
        state = door.ask("ada", "summaries", user="ada").verdict
        assert state.allowed
        assert state.states[0].used == 10  # what was used today stays used
        assert door.ask("ada", "sso").verdict.allowed

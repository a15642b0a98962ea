"""Checks answered on this side: never older than declared, never more than was left, and with a rule for outages."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from valorem.client import limit_values as v
from valorem.client.checking import LocalChecks
from valorem.client.errors import ConnectionFailedError

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Server:
    """Stands for the server: one hard limit, and whether it can be reached."""

    remaining: int = 10
    reachable: bool = True
    outage: str = "closed"
    asked: int = 0
    clock: list[float] = field(default_factory=lambda: [0.0])

    def check(self, customer: str, feature: str, **_: Any) -> v.Check:
        self.asked += 1
        if not self.reachable:
            raise ConnectionFailedError("gone")
        limit = {
            "window": "day",
            "kind": "hard",
            "used": "0",
            "limit": str(self.remaining),
            "remaining": str(self.remaining),
            "over": "0",
            "resets_at": None,
            "origin": "plan",
        }
        result = {
            "feature": feature, "allowed": self.remaining > 0, "reason": "within_limit" if self.remaining else "limit_reached",
            "kind": "metered", "value": True, "used": "0", "limit": "10", "remaining": str(self.remaining), "window": "day",
            "resets_at": None, "unit": None, "origin": "plan", "limits": [limit], "opens_at": None, "prompt": None,
            "outage": self.outage, "text": "",
        }  # fmt: skip
        found = {
            "customer": customer,
            "as_of": "2026-01-01T00:00:00Z",
            "allowed": result["allowed"],
            "stale": False,
            "results": [result],
        }
        return msgspec.json.decode(msgspec.json.encode(found), type=v.Check)


def local(server: Server, **more: Any) -> LocalChecks:
    return LocalChecks(server, stale_s=5.0, clock=lambda: server.clock[0], **more)


def test_one_question_serves_many_checks_until_it_is_too_old():
    server = Server()
    checks = local(server)
    for second in range(5):
        server.clock[0] = second
        answer = checks.check("ada", "jobs")
        assert answer.age_s == second
    assert server.asked == 1
    server.clock[0] = 5.0
    assert checks.check("ada", "jobs").age_s == 0
    assert server.asked == 2


def test_no_more_is_let_pass_than_was_left():
    server = Server(remaining=3)
    checks = local(server)
    assert [checks.check("ada", "jobs").allowed for _ in range(5)] == [True, True, True, False, False]
    assert checks.check("ada", "jobs").used_since == 3
    assert checks.check("bob", "jobs", quantity=Decimal(4)).allowed is False


def test_a_denied_answer_stays_denied():
    assert local(Server(remaining=0)).check("ada", "jobs").allowed is False


@pytest.mark.parametrize(("outage", "allowed"), [("closed", False), ("open", True)])
def test_an_outage_follows_the_feature_s_rule(outage, allowed):
    server = Server(outage=outage)
    checks = local(server)
    checks.check("ada", "jobs")
    server.reachable, server.clock[0] = False, 60.0
    answer = checks.check("ada", "jobs")
    assert (answer.allowed, answer.outage, answer.age_s) == (allowed, True, 60.0)


@pytest.mark.parametrize(("default", "allowed"), [("closed", False), ("open", True)])
def test_what_was_never_known_follows_the_default(default, allowed):
    answer = local(Server(reachable=False), default=default).check("ada", "jobs")
    assert (answer.allowed, answer.outage, answer.result) == (allowed, True, None)


def test_a_soft_limit_lets_pass_up_to_where_it_stops_after_all():
    class Soft(Server):
        def check(self, customer: str, feature: str, **more: Any) -> v.Check:
            found = super().check(customer, feature, **more)
            (result,) = found.results
            limit = msgspec.structs.replace(
                result.limits[0], kind="soft", used=Decimal(9), held=Decimal(1), stops_at=Decimal(12)
            )
            return msgspec.structs.replace(found, results=[msgspec.structs.replace(result, limits=[limit])])

    checks = local(Soft())
    assert [checks.check("ada", "jobs").allowed for _ in range(3)] == [True, True, False]

"""Checks on the live counters: as soon as the answer to an event is given, and never more permissive."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.engine.billing import void
from tests.engine.limiting import JANUARY, NOON, Doorkeeper, doorkeepers
from valorem.core.errors import ConflictError, InvalidInputError, NotFoundError, OverloadedError
from valorem.engine.budgets import set_budget
from valorem.engine.checking import Checker
from valorem.engine.concessions import end_concession, grant_concession
from valorem.engine.consuming import Consumer


@pytest.fixture
def door(database_url: str) -> Iterator[Doorkeeper]:
    with doorkeepers(database_url) as opened:
        yield opened


def test_a_customer_at_its_cap_is_stopped_at_the_next_check_after_the_ack(door):
    door.shop.sell("ada", "free", start=JANUARY)
    for number in range(10):
        result = door.ask("ada")
        assert result.verdict.allowed
        assert result.verdict.state.used == number
        door.shop.use("ada", 1, NOON)
    denied = door.ask("ada").verdict
    assert (denied.allowed, denied.reason, denied.state.remaining) == (False, "limit_reached", 0)
    assert denied.state.resets_at == datetime(2026, 1, 11, tzinfo=UTC)
    assert denied.origin == "plan"


def test_the_tightest_of_several_limits_answers(door):
    door.shop.sell("ada", "free", start=JANUARY)
    for day in range(1, 10):
        for _ in range(10):
            door.shop.use("ada", 1, datetime(2026, 1, day, 3, tzinfo=UTC))
    for _ in range(5):
        door.shop.use("ada", 1, NOON)
    state = door.ask("ada").verdict.state
    assert (str(state.limit.window), state.used, state.remaining) == ("month", 95, 5) or (
        str(state.limit.window) == "day" and state.remaining == 5
    )
    assert not door.ask("ada", quantity=6).verdict.allowed
    assert door.ask("ada", quantity=5).verdict.allowed


def test_the_prompt_says_what_the_next_plan_gives_and_costs(door):
    door.shop.sell("ada", "free", start=JANUARY)
    for _ in range(10):
        door.shop.use("ada", 1, NOON)
    offer = door.ask("ada").offer
    assert (offer.plan, offer.plan_name, offer.limit, offer.window) == ("business", "Business", 500, "day")
    assert offer.fees == {"base": Decimal(100)}
    sso = door.ask("ada", "sso")
    assert (sso.verdict.reason, sso.offer.text) == ("not_granted", "Business has single sign-on")


def test_features_of_every_kind(door):
    door.shop.sell("ada", "free", start=JANUARY)
    assert not door.ask("ada", "sso").verdict.allowed
    assert door.ask("ada", "projects").verdict.value == 3
    assert door.ask("ada", "projects", 3).verdict.allowed
    assert door.ask("ada", "projects", 4).verdict.reason == "value_exceeded"
    gate = door.ask("ada", "export").verdict
    assert (gate.reason, gate.opens_at) == ("gate_closed", datetime(2026, 1, 15, tzinfo=UTC))
    door.shop.go(datetime(2026, 1, 15, tzinfo=UTC))
    assert door.ask("ada", "export").verdict.allowed
    with pytest.raises(NotFoundError, match="no feature"):
        door.ask("ada", "nonsense")


def test_who_has_no_contract_has_nothing(door):
    assert door.ask("nobody").verdict.reason == "not_granted"


def test_a_contract_is_seen_by_the_very_next_check(door):
    assert not door.ask("ada").verdict.allowed
    door.shop.sell("ada", "free", start=JANUARY)
    assert door.ask("ada").verdict.allowed


def test_concessions_show_their_origin_and_end(door):
    door.shop.sell("ada", "free", start=JANUARY)
    for _ in range(10):
        door.shop.use("ada", 1, NOON)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        made = grant_concession(
            tx, "ada", "batch_jobs", raised_by=Decimal(5), origin="promotion", since=JANUARY
        )
        grant_concession(tx, "ada", "sso", value=True, since=JANUARY)
    raised = door.ask("ada").verdict
    assert (raised.allowed, raised.origin, raised.state.remaining) == (True, "promotion", 5)
    assert door.ask("ada", "sso").verdict.origin == "override"
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        end_concession(tx, "ada", made.id)
    assert not door.ask("ada").verdict.allowed


def test_a_thousand_consuming_checks_on_a_hard_limit_of_500_give_exactly_500(door):
    door.shop.sell("ada", "business", start=JANUARY)
    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(lambda number: door.consume("ada", f"job-{number}"), range(1000)))
    statuses = [one.status for one in outcomes]
    assert (statuses.count("recorded"), statuses.count("denied")) == (500, 500)
    assert door.ask("ada").verdict.state.used == 500
    again = [door.consume("ada", f"job-{number}") for number in range(0, 1000, 100)]
    assert {(one.status, before.status) for one, before in zip(again, outcomes[::100], strict=True)} <= {
        ("duplicate", "recorded"),
        ("denied", "denied"),
    }


def test_consuming_checks_through_two_processes_worth_of_consumers_share_one_limit(door):
    door.shop.sell("ada", "free", start=JANUARY)
    with doorkeepers_of(door) as other, ThreadPoolExecutor(8) as pool:
        doors = (door, other)
        outcomes = list(
            pool.map(lambda number: doors[number % 2].consume("ada", f"j{number}").status, range(40))
        )
    assert outcomes.count("recorded") == 10


def test_a_use_says_what_is_wrong_with_it(door):
    door.shop.sell("ada", "free", start=JANUARY)
    assert door.consume("ada", "one").status == "recorded"
    with pytest.raises(ConflictError):
        door.consume("ada", "one", n=2)
    with pytest.raises(InvalidInputError, match="nothing that batch_jobs counts"):
        door.consume("ada", "two", type="other")
    with pytest.raises(InvalidInputError, match="happens now"):
        door.consume("ada", "three", time="2026-01-01T00:00:00Z")


def test_a_hard_budget_stops_at_the_next_check(door):
    door.shop.sell("ada", "business", start=JANUARY)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        set_budget(tx, "ada", {"amount": 50, "kind": "hard"})
    door.shop.use("ada", 124, NOON)
    assert door.ask("ada").verdict.allowed
    door.shop.use("ada", 1, NOON)
    assert door.ask("ada").verdict.reason == "budget_reached"
    assert door.consume("ada", "more").status == "denied"


def test_a_denied_check_is_noted_once_a_window(door):
    door.shop.sell("ada", "free", start=JANUARY)
    for _ in range(10):
        door.shop.use("ada", 1, NOON)
    for _ in range(3):
        door.ask("ada")
    assert [row["payload"]["plan_offered"] for row in door.notices("paywall.hit")] == ["business"]
    door.shop.go(NOON.replace(minute=15) + timedelta(days=1))
    for _ in range(10):
        door.shop.use("ada", 1, NOON + timedelta(days=1))
    door.ask("ada")
    assert len(door.notices("paywall.hit")) == 2


def test_without_a_database_each_feature_has_its_own_rule(door, monkeypatch):
    door.shop.sell("ada", "free", start=JANUARY)
    assert door.ask("ada").verdict.allowed

    def gone(*_: object, **__: object) -> None:
        raise OverloadedError("gone")

    monkeypatch.setattr(door.checker, "_look", gone)
    said = door.ask("ada").verdict
    assert (said.allowed, said.reason) == (False, "outage")


@contextmanager
def doorkeepers_of(door: Doorkeeper) -> Iterator[Doorkeeper]:
    """Another process that checks in the same shop: it shares nothing but the database."""
    checker = Checker(door.shop.engine)
    consumer = Consumer(door.shop.engine, checker.knowledge)
    try:
        yield Doorkeeper(door.shop, checker, consumer)
    finally:
        consumer.close()
        checker.close()


def test_what_is_kept_between_checks_is_never_older_than_the_last_ack(door):
    """Calm and busy in turn: another customer's events, the customer's own, and corrections."""
    door.shop.sell("ada", "business", start=JANUARY)
    door.shop.sell("bob", "business", start=JANUARY)
    used = 0
    for number in range(12):
        for _ in range(number % 3):
            assert door.ask("ada").verdict.state.used == used
        if number % 4 == 3:
            door.shop.use("bob", 1, NOON)
        else:
            door.shop.use("ada", 1, NOON, name=f"a{number}")
            used += 1
        assert door.ask("ada").verdict.state.used == used
    door.shop.ingestor.ingest(door.shop.workspace, [void("a0", NOON)])
    assert door.ask("ada").verdict.state.used == used - 1

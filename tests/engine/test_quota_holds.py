# mypy: disable-error-code=union-attr
"""Holds inside a check: what is reserved is nobody else's, is taken by its own use, and comes back by itself."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.crediting import CREDITS
from tests.engine.limiting import JANUARY, NOON, Doorkeeper, doorkeepers
from valorem.core.entitlements.check import Asked
from valorem.core.errors import ConflictError, InvalidInputError, NotFoundError, UnprocessableError
from valorem.engine.access import access_of
from valorem.engine.consuming import Consumed, Consumption
from valorem.engine.credits.reading import balance
from valorem.engine.quota_holding import (
    HeldCheck,
    NewHold,
    check_and_hold,
    list_quota_holds,
    release_quota_hold,
)


@pytest.fixture
def door(database_url: str) -> Iterator[Doorkeeper]:
    with doorkeepers(database_url) as opened:
        opened.shop.sell("ada", "free", start=JANUARY)
        yield opened


def hold(
    door: Doorkeeper, name: str, quantity: object = 1, feature: str = "batch_jobs", **more: Any
) -> HeldCheck:
    asked = Asked(feature, Decimal(str(quantity)), more.pop("dimensions", {}))
    new = NewHold(name, timedelta(seconds=more.pop("lasts_s", 600)), **more)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        return check_and_hold(tx, door.checker.knowledge, "ada", asked, new)


def take(door: Doorkeeper, name: str, held: str) -> Consumed:
    event = {"id": name, "source": "/app", "type": "call", "subject": "ada", "data": {"n": 1, "user": "ann"}}
    return door.consumer.consume(door.shop.workspace, Consumption("batch_jobs", event, held))


def release(door: Doorkeeper, name: str) -> None:
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        release_quota_hold(tx, "ada", name)


def left(door: Doorkeeper) -> Decimal:
    state = door.ask("ada").verdict.state
    assert state is not None
    return state.remaining


def test_what_is_held_is_nobody_else_s_until_it_is_given_back(door):
    found = hold(door, "h", 7)
    assert (found.allowed, found.hold.quantity, found.result.verdict.state.held) == (True, 7, 7)
    state = door.ask("ada", quantity=4).verdict.state
    assert (state.used, state.held, state.remaining, state.reason) == (0, 7, 3, "limit_reached")
    assert door.ask("ada", quantity=3).verdict.allowed
    assert not hold(door, "i", 4).allowed
    release(door, "h")
    release(door, "h")
    assert left(door) == 10
    assert hold(door, "i", 4).allowed


def test_the_same_id_is_the_same_hold_and_another_use_of_it_a_conflict(door):
    first, again = hold(door, "h", 7), hold(door, "h", 7)
    assert (again.allowed, again.hold) == (True, first.hold)
    assert left(door) == 3
    with pytest.raises(ConflictError):
        hold(door, "h", 6)
    release(door, "h")
    with pytest.raises(UnprocessableError, match="released"):
        hold(door, "h", 7)


def test_a_use_takes_its_hold_s_place(door):
    assert hold(door, "h", 10).allowed
    assert door.consume("ada", "stranger").status == "denied"
    taken = take(door, "job", "h")
    assert (taken.status, taken.result.verdict.state.used, taken.result.verdict.state.held) == (
        "recorded",
        1,
        0,
    )
    assert take(door, "job", "h").status == "duplicate"
    with pytest.raises(ConflictError, match="settled"):
        take(door, "other", "h")
    with pytest.raises(ConflictError):
        release(door, "h")
    assert left(door) == 9
    with pytest.raises(NotFoundError):
        take(door, "other", "never")


def test_it_ends_by_itself(door):
    assert hold(door, "h", 10, lasts_s=1800).allowed
    door.shop.go(NOON + timedelta(minutes=15))
    assert not door.ask("ada").verdict.allowed
    door.shop.go(NOON + timedelta(minutes=30))
    assert door.ask("ada").verdict.allowed
    with pytest.raises(UnprocessableError, match="expired"):
        release(door, "h")
    assert take(door, "late", "h").status == "recorded"  # checked like any other use
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        assert list_quota_holds(tx, "ada") == []


def test_what_cannot_be_held_is_told(door):
    with pytest.raises(UnprocessableError, match="nothing to hold"):
        hold(door, "h", feature="projects")
    with pytest.raises(InvalidInputError):
        hold(door, "h", 0)
    with pytest.raises(InvalidInputError, match="names their type"):
        hold(door, "h", 1, credit="ai")


def test_many_at_once_hold_no_more_than_there_is(door):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: hold(door, f"h{number}", 2).allowed, range(16)))
    assert found.count(True) == 5
    assert left(door) == 0
    with ThreadPoolExecutor(8) as pool:
        pool.map(
            lambda number: take(door, f"job{number}", f"h{number}"), [n for n, ok in enumerate(found) if ok]
        )
    assert left(door) == 5


def test_a_denied_use_is_noted_for_the_funnel_like_a_denied_check(door):
    assert hold(door, "h", 10).allowed
    assert door.consume("ada", "stranger").status == "denied"
    assert [row["payload"]["prompt"] for row in door.notices("paywall.hit")] == ["upgrade_to_business"]


def test_quota_and_credits_are_held_together_or_not_at_all(database_url):
    catalog = {
        **CREDITS,
        "plans/team.yaml": CREDITS["plans/team.yaml"] + "limits: {actions: {max: 5, window: day}}\n",
    }
    with doorkeepers(database_url, catalog) as door:
        door.shop.sell("ada", "team", start=JANUARY, seats={"seat": Decimal(1)})
        found = hold(door, "a", 2, "actions", credit="ai", amount=Decimal(80), dimensions={"user": "ann"})
        assert (found.allowed, found.credits.hold.state, found.hold.quantity) == (True, "held", 2)
        short = hold(door, "b", 1, "actions", credit="ai", amount=Decimal(21))
        assert (short.allowed, short.credits.hold.shortfall, short.hold) == (False, 1, None)
        full = hold(door, "c", 4, "actions", credit="ai", amount=Decimal(20))
        assert (full.allowed, full.credits) == (False, None)
        with door.shop.engine.transaction(door.shop.workspace) as tx:
            assert (balance(tx, "ada", "ai").held, len(list_quota_holds(tx, "ada"))) == (80, 1)


def test_every_face_shows_the_same_left_with_what_is_held_taken_off(door: Doorkeeper) -> None:
    door.consume("ada", "one")
    hold(door, "h", 4)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        (shown,) = [each for each in access_of(tx, "ada") if each.feature == "batch_jobs"]
    checked = door.ask("ada").verdict.states
    assert [(one.used, one.held, one.remaining) for one in checked] == [(1, 4, 5), (1, 4, 95)]
    assert [(one.state.used, one.state.held, one.state.remaining) for one in shown.standings] == [
        (one.used, one.held, one.remaining) for one in checked
    ]

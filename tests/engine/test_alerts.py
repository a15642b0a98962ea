"""Alerts: each crossing told once, in the transaction of the event that crossed."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from tests.engine.billing import call, void
from tests.engine.limiting import JANUARY, NOON, Doorkeeper, doorkeepers
from valorem.engine.alerts import run_alerts
from valorem.engine.aliases import attach_alias
from valorem.engine.budgets import list_budgets, set_budget
from valorem.engine.ingest import Ingestor
from valorem.engine.rules import add_rule


@pytest.fixture
def door(database_url: str) -> Iterator[Doorkeeper]:
    with doorkeepers(database_url) as opened:
        yield opened


def test_each_threshold_is_told_once_and_in_order(door):
    door.shop.sell("ada", "free", start=JANUARY)
    for number in range(8):
        assert door.crossed() == []
        door.shop.use("ada", 1, NOON, name=f"a{number}")
    assert door.crossed() == [("limit:batch_jobs:day", "80%")]
    door.shop.use("ada", 1, NOON, name="a7")  # a duplicate
    door.shop.use("ada", 1, NOON)
    door.shop.use("ada", 1, NOON)
    assert door.crossed() == [("limit:batch_jobs:day", "100%"), ("limit:batch_jobs:day", "80%")]
    payload = door.notices("alert.crossed")[0]["payload"]
    assert (payload["level"], payload["of"], payload["window_end"]) == ("10", "10", "2026-01-11T00:00:00Z")


def test_a_batch_that_jumps_over_several_thresholds_tells_each(door):
    door.shop.sell("bob", "business", start=JANUARY)
    door.shop.use("bob", 600, NOON)
    assert door.crossed() == [
        ("included:tokens", "70%"),
        ("included:tokens", "90%"),
        ("spend", "100%"),
        ("spend", "400"),
        ("spend", "80%"),
    ]
    assert [row["payload"]["alert"] for row in door.notices("expansion.signal")] == ["included:tokens"]


def test_spend_is_what_the_invoice_says(door):
    door.shop.sell("bob", "business", start=JANUARY)
    door.shop.use("bob", 249, NOON)  # 100 + (249 - 100) × 2 = 398
    assert ("spend", "400") not in door.crossed()
    door.shop.use("bob", 1, NOON)
    assert ("spend", "400") in door.crossed()


def test_a_new_window_tells_again(door):
    door.shop.sell("ada", "free", start=JANUARY)
    for day in (0, 1):
        at = NOON + timedelta(days=day)
        door.shop.go(at)
        for _ in range(10):
            door.shop.use("ada", 1, at)
    assert door.crossed().count(("limit:batch_jobs:day", "100%")) == 2


def test_a_recovery_is_told_and_arms_again_only_where_the_rule_says_so(door):
    door.shop.sell("ada", "free", start=JANUARY)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        add_rule(tx, "ada", {"kind": "usage", "on": "jobs", "at": [5], "re_arm": "recovery"})
    for number in range(10):
        door.shop.use("ada", 1, NOON, name=f"a{number}")
    for number in range(6):
        door.shop.ingestor.ingest(door.shop.workspace, [void(f"a{number}", NOON)])
    assert ("usage:jobs", "5") in door.crossed("alert.recovered")
    assert ("limit:batch_jobs:day", "80%") in door.crossed("alert.recovered")
    for _ in range(6):
        door.shop.use("ada", 1, NOON)
    assert door.crossed().count(("usage:jobs", "5")) == 2
    assert door.crossed().count(("limit:batch_jobs:day", "80%")) == 1


def test_use_before_the_contract_and_under_an_alias_counts(door):
    for _ in range(9):
        door.shop.use("org_1", 1, NOON)
    door.shop.sell("ada", "free", start=JANUARY)
    assert door.crossed() == []
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        attach_alias(tx, "ada", "org_1")
    assert door.crossed() == [("limit:batch_jobs:day", "80%")]
    door.shop.use("ada", 1, NOON)
    assert ("limit:batch_jobs:day", "100%") in door.crossed()


def test_budgets_tell_and_follow_their_amount(door):
    door.shop.sell("bob", "business", start=JANUARY)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        kept = set_budget(tx, "bob", {"amount": 100})
    door.shop.use("bob", 140, NOON)
    assert (f"budget:{kept.id}", "80%") in door.crossed()
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        set_budget(tx, "bob", {"amount": 1000}, budget=kept.id)
    assert (f"budget:{kept.id}", "80%") in door.crossed("alert.recovered")


def test_time_alone_brings_expiry(door):
    door.shop.sell("ada", "free", start=JANUARY, end=datetime(2026, 2, 1, tzinfo=UTC))
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        add_rule(tx, "ada", {"kind": "expiry", "before": ["7 days"]})
    run_alerts(door.shop.engine, door.shop.workspace)
    assert door.crossed() == []
    door.shop.go(datetime(2026, 1, 26, tzinfo=UTC))
    run_alerts(door.shop.engine, door.shop.workspace)
    run_alerts(door.shop.engine, door.shop.workspace)
    assert door.crossed() == [("expiry:contract", "7 days")]


@pytest.mark.parametrize("seed", range(3))
def test_every_crossing_once_under_concurrency_whatever_the_order(door, seed):
    """Customers, writers and processes at once; buckets and meters apart, so that no counter row is shared."""
    chance = random.Random(seed)
    customers = [f"c{number}" for number in range(4)]
    for customer in customers:
        door.shop.sell(customer, "business", start=JANUARY)
    calls = [
        call(
            customer,
            3,
            NOON - timedelta(minutes=15 * chance.randrange(40)),
            name=f"{customer}-{number}",
            model="ab"[number % 2],
        )
        for customer in customers
        for number in range(60)
    ]
    sent = [*calls, *chance.sample(calls, 60)]
    chance.shuffle(sent)
    batches = [sent[start : start + 5] for start in range(0, len(sent), 5)]
    other = Ingestor(door.shop.engine, writers=2)
    try:
        with ThreadPoolExecutor(8) as pool:
            doors = (door.shop.ingestor, other)
            list(
                pool.map(lambda n: doors[n % 2].ingest(door.shop.workspace, batches[n]), range(len(batches)))
            )
    finally:
        other.drain()
    crossed = door.crossed()
    assert len(crossed) == len(customers) * 2, (
        crossed
    )  # 180 tokens of 100 included; 100 + 160 of 400 and of 1000
    assert {alert for alert, _ in crossed} == {"included:tokens"}
    objects = [(row["object"], row["payload"]["threshold"]) for row in door.notices("alert.crossed")]
    assert len(set(objects)) == len(objects)
    door.shop.engine.real_now()


def test_what_time_shows_a_projected_bill_and_a_sudden_change(door):
    door.shop.sell("bob", "business", start=JANUARY)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        add_rule(tx, "bob", {"kind": "projected", "at": [500]})
        add_rule(tx, "bob", {"kind": "change", "on": "tokens", "at": ["300%"]})
    for day in range(1, 9):
        door.shop.use("bob", 10, datetime(2026, 1, day, 13, tzinfo=UTC))
    door.shop.go(datetime(2026, 1, 10, 12, 15, tzinfo=UTC))
    assert not [each for each in door.crossed() if each[0] in ("projected", "change:tokens")]
    door.shop.use("bob", 100, datetime(2026, 1, 10, 12, 5, tzinfo=UTC))
    door.shop.go(datetime(2026, 1, 10, 14, tzinfo=UTC))
    # 180 tokens in 9.6 of 31 days come to about 580: 100 + (580 - 100) × 2 is past 500; the last day is ten times the usual
    assert [each for each in door.crossed() if each[0] in ("projected", "change:tokens")] == [
        ("change:tokens", "300%"),
        ("projected", "500"),
    ]


def test_a_budget_for_one_meter_and_one_for_everything(door):
    door.shop.sell("bob", "business", start=JANUARY)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        workload = set_budget(tx, "bob", {"amount": 100, "meter": "tokens", "at": ["100%"]})
        everything = set_budget(tx, "bob", {"amount": 200, "of": "everything", "at": ["100%"]})
    door.shop.use("bob", 149, NOON)
    assert not [each for each in door.crossed() if each[0].startswith("budget")]
    door.shop.use("bob", 1, NOON)
    told = [each for each in door.crossed() if each[0].startswith("budget")]
    assert told == sorted([(f"budget:{workload.id}", "100%"), (f"budget:{everything.id}", "100%")])
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        spent = {one.id: one.spent for one in list_budgets(tx, "bob")}
    assert spent == {workload.id: 100, everything.id: 200}


def test_a_member_s_budget_is_what_its_own_use_costs(database_url):
    """Priced by two models, watched by user: use without the member's name is nobody's business here."""
    catalog = {
        "meters/tokens.yaml": "meter: tokens\nevent: call\naggregate: sum\nvalue: data.n\n"
        "dimensions: {model: data.model, user: data.user}\n",
        "plans/pro.yaml": "plan: pro\nname: Pro\ncurrency: USD\n"
        "prices: {tokens: {model: matrix, rates: [{model: a, amount: 2}, {model: b, amount: 5}]}}\n",
    }
    with doorkeepers(database_url, catalog) as door:
        door.shop.sell("bob", "pro", start=JANUARY)
        with door.shop.engine.transaction(door.shop.workspace) as tx:
            kept = set_budget(tx, "bob", {"amount": 50, "where": {"user": "ann"}, "at": ["100%"]})
        for number, (user, model, n) in enumerate(
            [("ann", "a", 10), ("ann", "b", 5), ("cid", "b", 100), ("ann", "a", 2)]
        ):
            event = json.loads(call("bob", n, NOON, name=f"e{number}", model=model))
            event["data"]["user"] = user
            door.shop.ingestor.ingest(door.shop.workspace, [json.dumps(event).encode()])
            with door.shop.engine.transaction(door.shop.workspace) as tx:
                (state,) = list_budgets(tx, "bob")
            assert state.spent == [20, 45, 45, 49][number]
        assert door.crossed() == []
        event["id"], event["data"]["n"] = "last", 1
        door.shop.ingestor.ingest(door.shop.workspace, [json.dumps(event).encode()])
        assert door.crossed() == [(f"budget:{kept.id}", "100%")]


ROLLING = {
    "meters/jobs.yaml": "meter: jobs\nevent: call\naggregate: count\n",
    "plans/free.yaml": "plan: free\nname: Free\ncurrency: USD\nlimits: {jobs: {max: 4, window: rolling 5 hours}}\n"
    "alerts: {limits: [100%]}\n",
}


def test_a_rolling_window_recovers_by_time_alone_and_tells_again(database_url):
    with doorkeepers(database_url, ROLLING) as door:
        door.shop.sell("ada", "free", start=JANUARY)
        for _ in range(4):
            door.shop.use("ada", 1, NOON)
        assert door.crossed() == [("limit:jobs:rolling 5 hours", "100%")]
        assert not door.ask("ada", "jobs").verdict.allowed
        state = door.ask("ada", "jobs").verdict.state
        assert state is not None
        back = state.resets_at
        assert back == NOON + timedelta(hours=5, minutes=15)
        door.shop.go(back - timedelta(minutes=15))
        assert (door.crossed("alert.recovered"), door.ask("ada", "jobs").verdict.allowed) == ([], False)
        door.shop.go(back + timedelta(hours=3))  # past it: the clock stops where the use leaves the window
        assert door.crossed("alert.recovered") == [("limit:jobs:rolling 5 hours", "100%")]
        assert door.notices("alert.recovered")[0]["payload"]["at"] == "2026-01-10T17:15:00Z"
        assert door.ask("ada", "jobs").verdict.allowed
        for _ in range(4):
            door.shop.use("ada", 1, back + timedelta(hours=3))
        assert len(door.crossed()) == 2


def test_late_use_in_a_window_that_has_ended_tells_nothing(door):
    """Its alert would warn of nothing that can still be helped; it is billed, and seen in the usage."""
    door.shop.sell("ada", "free", start=JANUARY)
    door.shop.go(NOON + timedelta(days=1))
    for _ in range(12):
        door.shop.use("ada", 1, NOON)
    assert door.crossed() == []
    assert door.ask("ada").verdict.allowed
    for _ in range(8):
        door.shop.use("ada", 1, NOON + timedelta(days=1))
    assert door.crossed() == [("limit:batch_jobs:day", "80%")]


def test_a_customer_s_own_rule_takes_the_place_of_its_plan_s_and_several_of_its_own_add_up(door):
    door.shop.sell("bob", "business", start=JANUARY)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        add_rule(tx, "bob", {"kind": "included", "on": "tokens", "at": ["50%"]})
        add_rule(tx, "bob", {"kind": "included", "on": "tokens", "at": ["60%"]})
        add_rule(tx, None, {"kind": "included", "on": "tokens", "at": ["40%"]})
    door.shop.use("bob", 95, NOON)
    assert [each for each in door.crossed() if each[0] == "included:tokens"] == [
        ("included:tokens", "50%"),
        ("included:tokens", "60%"),
    ]


def watched_until(door, customer: str) -> datetime | None:
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        row = tx.connection.execute(
            "SELECT until FROM alert_watch WHERE customer = %s AND revision = 0", (customer,)
        ).fetchone()
    return None if row is None else row["until"]


def test_a_sudden_change_is_looked_for_only_where_something_is_used(door):
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        add_rule(tx, None, {"kind": "change", "on": "tokens", "at": ["300%"]})
    for name in ("ida", "bob"):
        door.shop.sell(name, "free", start=JANUARY)
    for day in range(1, 9):
        door.shop.use("bob", 10, datetime(2026, 1, day, 13, tzinfo=UTC))
    door.shop.go(NOON + timedelta(hours=2))
    assert watched_until(door, "ida") == NOON + timedelta(days=1)  # nothing is used: a look a day
    assert watched_until(door, "bob") == datetime(
        2026, 1, 11, 13, 15, tzinfo=UTC
    )  # until a day leaves the usual ones
    door.shop.use("ida", 1, NOON + timedelta(hours=2))
    assert watched_until(door, "ida") == NOON + timedelta(hours=2, minutes=15)
    door.shop.use("bob", 100, NOON + timedelta(hours=2))
    door.shop.go(NOON + timedelta(hours=2, minutes=15))
    assert [each for each in door.crossed() if each[0] == "change:tokens"] == [("change:tokens", "300%")]

"""Checks, budgets, alerts, endpoints and reports through the client, over the whole application without a network."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.engine.billing import JANUARY
from tests.engine.limiting import FREEMIUM, NOON
from valorem.app import assemble
from valorem.client import ApiError, Client
from valorem.client.call import Call
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.keys import issue_key
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    database = Database(database_url)
    engine = Engine(database, lambda: datetime(2026, 6, 1, tzinfo=UTC))
    ingestor = Ingestor(engine)
    workspace = create_workspace(engine, name="one", clock_at=NOON)
    key = issue_key(engine, workspace.id, name="test", scopes=["admin"]).key
    try:
        with Client(app=assemble(engine, ingestor, loopback=True), key=key) as client:
            client.apply_catalog(FREEMIUM, message="open", author="test")
            client.create_customer("ada", "Ada", "USD", aliases=["org_1"])
            client.create_contract("ada", "free", start=JANUARY)
            yield client
    finally:
        ingestor.drain()
        database.close()


def use(number: int) -> dict[str, object]:
    return {"id": f"u{number}", "source": "/t", "type": "call", "data": {"n": 1, "model": "a", "user": "ann"}}


def test_a_check_answers_with_everything_a_caller_needs(client: Client) -> None:
    for number in range(10):
        assert client.check("ada", "batch_jobs", consume=use(number)).consumed == "recorded"
    found = client.check("org_1", ["batch_jobs", "sso", "projects"])
    assert (found.customer, found.allowed, found.as_of, found.stale) == ("ada", False, NOON, False)
    jobs, sso, projects = found.results
    assert (jobs.reason, jobs.used, jobs.limit, jobs.remaining) == ("limit_reached", 10, 10, 0)
    assert (jobs.window, jobs.resets_at, jobs.origin) == ("day", datetime(2026, 1, 11, tzinfo=UTC), "plan")
    assert [(each.window, each.remaining) for each in jobs.limits] == [
        ("day", Decimal(0)),
        ("month", Decimal(90)),
    ]
    assert jobs.prompt is not None
    assert (jobs.prompt.plan, jobs.prompt.fees, jobs.prompt.limit) == (
        "business",
        {"base": Decimal(100)},
        500,
    )
    assert (sso.allowed, sso.reason) == (False, "not_granted")
    assert (projects.allowed, projects.value) == (True, "3")
    assert client.check("ada", "batch_jobs", consume=use(3)).consumed == "duplicate"
    assert client.check("ada", "batch_jobs", consume=use(11)).consumed == "denied"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"customer": "ada"}, "body"),
        ({"customer": "ada", "feature": "batch_jobs", "features": ["sso"]}, "body"),
        ({"customer": "ada", "feature": "batch_jobs", "quantity": 0.5e400}, None),
        ({"customer": "ada", "feature": "batch_jobs", "balance": 5}, "balance"),
        ({"customer": "ada", "feature": "batch_jobs", "consume": {"id": "x"}}, "consume.type"),
        (
            {"customer": "ada", "feature": "batch_jobs", "consume": {**use(1), "subject": "bob"}},
            "consume.subject",
        ),
        (
            {
                "customer": "ada",
                "feature": "batch_jobs",
                "consume": {**use(1), "time": "2026-01-10T12:00:00Z"},
            },
            "consume.time",
        ),
    ],
)
def test_a_check_that_asks_nothing_is_told_so(
    client: Client, body: dict[str, object], field: str | None
) -> None:
    if body.get("quantity"):
        body["quantity"] = "1e400"
    with pytest.raises(ApiError) as refused:
        client.call(Call("POST", "/v1/check", dict, body=body))
    assert refused.value.status == 400
    if field is not None:
        assert refused.value.field == field


def test_concessions_budgets_and_rules_over_the_client(client: Client) -> None:
    made = client.grant_concession("ada", "batch_jobs", raised_by=5, origin="promotion")
    assert client.check("ada", "batch_jobs").results[0].limit == 15
    client.end_concession("ada", made.id)
    assert [one.id for one in client.list_concessions("ada").items] == [made.id]
    client.grant_concession("ada", "sso", value=True)
    assert client.check("ada", "sso").results[0].origin == "override"
    budget = client.create_budget("ada", "50", kind="hard", at=["50%"])
    (shown,) = client.list_budgets("ada").items
    assert (shown.id, shown.spent, shown.left) == (budget.id, Decimal(0), Decimal(50))
    client.remove_budget("ada", budget.id)
    assert client.list_budgets("ada").items == []
    rule = client.add_alert_rule("usage", ["3"], customer="ada", on="jobs")
    for number in range(3):
        client.check("ada", "batch_jobs", consume=use(number))
    (crossed,) = client.list_crossings(customer="ada").items
    assert (crossed.alert, crossed.threshold, crossed.level) == ("usage:jobs", "3", Decimal(3))
    assert [one.id for one in client.list_alert_rules(customer="ada").items] == [rule.id]
    client.remove_alert_rule(rule.id, customer="ada")


def test_endpoints_keep_their_secret_to_themselves(client: Client) -> None:
    made = client.create_endpoint("https://example.com/hooks", topics=["alert.*"])
    assert made.secret is not None
    assert made.secret.startswith("whsec_")
    (listed,) = client.list_endpoints().items
    assert not hasattr(listed, "secret")
    rotated = client.rotate_endpoint_secret(made.id)
    assert rotated.secret not in (None, made.secret)
    assert client.update_endpoint(made.id, state="disabled").reason == "disabled by hand"
    assert client.list_deliveries(made.id).items == []
    client.delete_endpoint(made.id)
    for url in ("https://169.254.169.254/", "http://example.com/", "https://user@example.com/"):
        with pytest.raises(ApiError) as refused:
            client.create_endpoint(url)
        assert (refused.value.status, refused.value.field) == (400, "url")
    with pytest.raises(ApiError, match="no topic"):
        client.create_endpoint("https://example.com/", topics=["alert.nonsense"])


def test_an_upgrade_keeps_what_was_used_and_is_one_call(client: Client) -> None:
    for number in range(10):
        client.check("ada", "batch_jobs", consume=use(number))
    assert not client.check("ada", "batch_jobs").allowed
    seen = client.upgrade("ada", "business", preview=True)
    assert seen.difference == Decimal("170.97")  # 22 of January's 31 days, and February in advance
    done = client.upgrade("ada", "business", id="checkout-1")
    assert client.upgrade("ada", "business", id="checkout-1").edit == done.edit
    with pytest.raises(ApiError, match="already"):
        client.upgrade("ada", "business")
    with pytest.raises(ApiError) as unknown:
        client.upgrade("ada", "nonesuch")
    assert (unknown.value.status, unknown.value.field) == (404, "plan")
    after = client.check("ada", "batch_jobs").results[0]
    assert (after.allowed, after.used, after.limit) == (True, Decimal(10), Decimal(500))


def test_the_weekly_report_is_computed_from_what_happened(client: Client) -> None:
    client.create_customer("bob", "Bob", "USD")
    client.create_contract("bob", "free", start=JANUARY)
    (contract,) = client.list_contracts(customer="ada").items
    for number in range(10):
        client.check("ada", "batch_jobs", consume=use(number))
    client.check("ada", "batch_jobs")
    client.change_contract(contract.id, [{"kind": "plan", "plan": "business"}], effective="now")
    client.advance_clock(to=NOON + timedelta(hours=1))
    report = client.weekly_report(plan="free")
    found = {step.step: step.customers for step in report.funnel.steps}
    assert found == {
        "signed_up": 2,
        "activated": 1,
        "at_80": 1,
        "at_cap": 1,
        "prompt_shown": 1,
        "upgraded": 1,
    }
    assert report.crossed == {"limit": 2}
    assert report.walls == {"batch_jobs": 1}
    assert "first success" in report.markdown
    assert report.html.startswith("<!doctype html>")
    assert {one.plan for one in report.margins} == {"free", "business"}


def test_a_customer_s_own_budget_is_its_own_and_the_vendor_s_is_not(client: Client) -> None:
    ours = client.create_budget("ada", 100)
    own = client.create_budget("ada", 50, where={"user": "ann"}, kind="hard", as_customer=True)
    assert (ours.set_by, own.set_by, own.where) == ("vendor", "customer", {"user": "ann"})
    assert client.replace_budget("ada", own.id, 60, as_customer=True).amount == 60
    for refused in (
        lambda: client.replace_budget("ada", ours.id, 1, as_customer=True),
        lambda: client.remove_budget("ada", ours.id, as_customer=True),
    ):
        with pytest.raises(ApiError) as error:
            refused()
        assert error.value.status == 403
    client.remove_budget("ada", own.id, as_customer=True)
    client.remove_budget("ada", ours.id)
    assert client.list_budgets("ada").items == []


def test_which_share_of_revenue_stays_from_month_to_month(client: Client) -> None:
    client.create_customer("bob", "Bob", "USD")
    client.create_contract("bob", "business", start=JANUARY)
    client.create_customer("cid", "Cid", "USD")
    gone = client.create_contract("cid", "business", start=JANUARY)
    client.advance_clock(to=NOON + timedelta(days=1))
    assert client.retention().items == []
    client.change_contract(gone.id, [{"kind": "cancel"}], effective="period_end")
    client.advance_clock(to=datetime(2026, 2, 2, tzinfo=UTC))
    (moved,) = client.retention(months=3).items
    assert (moved.currency, moved.start, moved.churned, moved.end) == ("USD", 200, 100, 100)
    assert (moved.net_retention, moved.gross_retention) == (Decimal("0.5"), Decimal("0.5"))


def test_a_hybrid_plan_is_foretold_and_leaves_so_much_a_unit(client: Client) -> None:
    files = dict(FREEMIUM)
    files["meters/tokens.yaml"] += "cost: {amount: 0.5}\n"
    client.apply_catalog(files, message="costs", author="test")
    client.create_customer("bob", "Bob", "USD")
    contract = client.create_contract("bob", "business", start=datetime(2025, 12, 1, tzinfo=UTC)).id
    december, january = datetime(2025, 12, 8, tzinfo=UTC), datetime(2026, 1, 4, tzinfo=UTC)
    client.send_events(
        [
            {"specversion": "1.0", "id": f"e{place}", "source": "/t", "type": "call", "subject": "bob"}
            | {"time": at.isoformat(), "data": {"n": n, "model": "a", "user": "u"}}
            for place, (at, n) in enumerate(
                [(december, 200), (december + timedelta(days=15), 50), (january, 150)]
            )
        ]
    )
    found = client.contract_forecast(contract, periods=3)
    # 150 of 9.5 days come to 489.47… in 31: 100 are included, the rest costs 2 each; the fee is due anyway.
    assert (found.running.projected.fixed, found.running.projected.variable) == (100, Decimal("778.95"))
    assert found.running.actual is None
    # In December first as much as the plan's maximum lets through.
    assert [each.projected.variable for each in found.past] == [900, 600, Decimal("466.67")]
    assert {(each.actual.fixed, each.actual.variable) for each in found.past if each.actual} == {(100, 300)}
    assert [(each.elapsed, each.fixed, each.variable) for each in found.accuracy] == [
        (Decimal("0.25"), 0, 2),
        (Decimal("0.5"), 0, 1),
        (Decimal("0.75"), 0, Decimal("0.555567")),
    ]
    margins = client.contract_margins(contract)
    assert (margins.revenue, margins.cost, margins.margin) == (200, 75, 125)
    (tokens,) = [each for each in margins.meters if each.meter == "tokens"]
    assert (tokens.quantity, tokens.revenue, tokens.cost, tokens.margin) == (150, 100, 75, 25)
    assert (tokens.revenue_per_unit, tokens.cost_per_unit) == (Decimal("0.666666666667"), Decimal("0.5"))
    earlier = client.contract_margins(contract, end=datetime(2026, 1, 1, tzinfo=UTC), start=december)
    assert [each.quantity for each in earlier.meters if each.meter == "tokens"] == [250]
    with pytest.raises(ApiError, match="does not run between"):
        client.contract_margins(contract, start=december, end=december)

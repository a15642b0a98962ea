"""The calls about access and notices: checks, concessions, budgets, alerts, webhooks."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.client import limit_values as v
from valorem.client.call import Call, Method, quoted
from valorem.client.values import Page

Amount = Decimal | int | str


def check(
    customer: str,
    feature: str | Sequence[str],
    *,
    quantity: Amount | None = None,
    dimensions: Mapping[str, str] | None = None,
    consume: Mapping[str, Any] | None = None,
    hold: str | None = None,
    lasts_s: int | None = None,
    credit: str | None = None,
    amount: Amount | None = None,
) -> Call[v.Check]:
    """May this customer use a feature now, or several?

    Args:
        customer: Its key, or another subject of it.
        feature: One feature, or several.
        quantity: How much is about to be used; 1 where left out.
        dimensions: Whose use it is: the user, the API key, the model.
        consume: The CloudEvent that is the use, without a time: recorded if and only if the check allows it.
        hold: Your own id of a hold: reserves the quantity if the check allows it. With ``consume``: the hold that was placed
            for this use, and ends with it.
        lasts_s: For how long it reserves; ten minutes where left out.
        credit: A credit type of which ``amount`` is reserved as well.
        amount: The most the work can cost in it.
    """
    held = {"id": hold, "lasts_s": lasts_s, "credit": credit, "amount": amount}
    body: dict[str, Any] = {
        "customer": customer,
        "quantity": quantity,
        "dimensions": None if dimensions is None else dict(dimensions),
        "consume": consume,
        "hold": None if hold is None else {name: value for name, value in held.items() if value is not None},
    }
    if isinstance(feature, str):
        body["feature"] = feature
    else:
        body["features"] = [
            {"feature": each, "quantity": quantity, "dimensions": dict(dimensions or {})} for each in feature
        ]
        body["quantity"] = body["dimensions"] = None
    return Call("POST", "/v1/check", v.Check, body=body)


def list_quota_holds(customer: str) -> Call[Page[v.QuotaHold]]:
    """What is reserved of a customer's features now."""
    return Call("GET", "/v1/check/holds", Page[v.QuotaHold], query={"customer": customer})


def release_quota_hold(customer: str, hold: str) -> Call[v.QuotaHold]:
    """Give back what a hold reserves of a feature."""
    path = f"/v1/check/holds/{quoted(hold)}/release"
    return Call("POST", path, v.QuotaHold, body={"customer": customer})


def grant_concession(
    customer: str,
    feature: str,
    *,
    origin: str = "override",
    value: bool | Amount | None = None,
    limits: Sequence[Mapping[str, Any]] | None = None,
    raised_by: Amount | None = None,
    zero_rated: Mapping[str, Sequence[str]] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    reason: str = "",
) -> Call[v.Concession]:
    """Give a customer more, or less, of a feature than its plan does."""
    body = {
        "customer": customer,
        "feature": feature,
        "origin": origin,
        "value": value,
        "limits": limits,
        "raised_by": raised_by,
        "zero_rated": zero_rated,
        "since": since,
        "until": until,
        "reason": reason,
    }
    return Call("POST", "/v1/concessions", v.Concession, body=body, once=True)


def list_concessions(customer: str) -> Call[Page[v.Concession]]:
    """A customer's concessions."""
    return Call("GET", "/v1/concessions", Page[v.Concession], query={"customer": customer})


def end_concession(customer: str, concession: str) -> Call[None]:
    """Let a concession end now."""
    path = f"/v1/concessions/{quoted(concession)}"
    return Call("DELETE", path, type(None), query={"customer": customer})


def create_budget(
    customer: str,
    amount: Amount,
    *,
    window: str | None = None,
    kind: str | None = None,
    of: str | None = None,
    meter: str | None = None,
    where: Mapping[str, str] | None = None,
    at: Sequence[str] | None = None,
    name: str | None = None,
    as_customer: bool = False,
) -> Call[v.Budget]:
    """Set a budget for a customer; a hard one stops further use.

    With ``as_customer`` it is done with the customer's own rights, and is its own.
    """
    terms = {"window": window, "kind": kind, "of": of, "meter": meter, "where": where, "at": at, "name": name}
    body = {"customer": customer, "amount": amount, "as_customer": as_customer, **terms}
    return Call("POST", "/v1/budgets", v.Budget, body=body, once=True)


def replace_budget(
    customer: str,
    budget: str,
    amount: Amount,
    *,
    window: str | None = None,
    kind: str | None = None,
    of: str | None = None,
    meter: str | None = None,
    where: Mapping[str, str] | None = None,
    at: Sequence[str] | None = None,
    name: str | None = None,
    as_customer: bool = False,
) -> Call[v.Budget]:
    """Replace a budget's terms; what it has crossed stays crossed unless it has recovered."""
    terms = {"window": window, "kind": kind, "of": of, "meter": meter, "where": where, "at": at, "name": name}
    body = {"customer": customer, "amount": amount, "as_customer": as_customer, **terms}
    return Call("PUT", f"/v1/budgets/{quoted(budget)}", v.Budget, body=body, once=True)


def list_budgets(customer: str) -> Call[Page[v.Budget]]:
    """A customer's budgets and what is spent of each."""
    return Call("GET", "/v1/budgets", Page[v.Budget], query={"customer": customer})


def remove_budget(customer: str, budget: str, *, as_customer: bool = False) -> Call[None]:
    """Remove a budget."""
    query = {"customer": customer, "as_customer": "true" if as_customer else None}
    return Call("DELETE", f"/v1/budgets/{quoted(budget)}", type(None), query=query)


def list_crossings(*, customer: str | None = None, limit: int | None = None) -> Call[Page[v.Crossing]]:
    """What was crossed, newest first."""
    query = {"customer": customer, "limit": limit}
    return Call("GET", "/v1/alerts", Page[v.Crossing], query=query)


def add_alert_rule(
    kind: str,
    at: Sequence[str] = (),
    *,
    customer: str | None = None,
    on: str | None = None,
    before: Sequence[str] = (),
    re_arm: str = "window",
    recovered: bool = True,
) -> Call[v.AlertRule]:
    """Be told of one thing more, about one customer or about all."""
    body = {
        "kind": kind,
        "at": list(at),
        "customer": customer,
        "on": on,
        "before": list(before),
        "re_arm": re_arm,
        "recovered": recovered,
    }
    return Call("POST", "/v1/alerts/rules", v.AlertRule, body=body, once=True)


def list_alert_rules(*, customer: str | None = None) -> Call[Page[v.AlertRule]]:
    """The rules of one customer, or those for all."""
    return Call("GET", "/v1/alerts/rules", Page[v.AlertRule], query={"customer": customer})


def remove_alert_rule(rule: str, *, customer: str | None = None) -> Call[None]:
    """Remove a rule."""
    return Call("DELETE", f"/v1/alerts/rules/{quoted(rule)}", type(None), query={"customer": customer})


def create_endpoint(
    url: str,
    *,
    kind: str = "webhook",
    topics: Sequence[str] = (),
    customer: str | None = None,
    digest: str | None = None,
) -> Call[v.SecretEndpoint]:
    """Make an endpoint for notices; a webhook's secret is in this answer and nowhere else."""
    body = {"url": url, "kind": kind, "topics": list(topics), "customer": customer, "digest": digest}
    return Call("POST", "/v1/webhooks", v.SecretEndpoint, body=body, once=True)


def list_endpoints() -> Call[Page[v.Endpoint]]:
    """The endpoints."""
    return Call("GET", "/v1/webhooks", Page[v.Endpoint])


def get_endpoint(endpoint: str) -> Call[v.Endpoint]:
    """One endpoint."""
    return Call("GET", f"/v1/webhooks/{quoted(endpoint)}", v.Endpoint)


def update_endpoint(
    endpoint: str,
    *,
    topics: Sequence[str] | None = None,
    digest: str | None = None,
    state: str | None = None,
) -> Call[v.Endpoint]:
    """Change what an endpoint is told, or whether it is called."""
    body = {"topics": topics, "digest": digest, "state": state}
    return Call("PATCH", f"/v1/webhooks/{quoted(endpoint)}", v.Endpoint, body=body, once=True)


def delete_endpoint(endpoint: str) -> Call[None]:
    """Remove an endpoint."""
    return Call("DELETE", f"/v1/webhooks/{quoted(endpoint)}", type(None))


def rotate_endpoint_secret(endpoint: str) -> Call[v.SecretEndpoint]:
    """Sign with a new secret; for a day with the old one as well."""
    return Call("POST", f"/v1/webhooks/{quoted(endpoint)}/rotate", v.SecretEndpoint, once=True)


def test_endpoint(endpoint: str) -> Call[v.Endpoint]:
    """Send a ``webhook.test``."""
    return Call("POST", f"/v1/webhooks/{quoted(endpoint)}/test", v.Endpoint, once=True)


def replay_endpoint(endpoint: str, since: datetime, until: datetime) -> Call[v.Replay]:
    """Send again what happened in an interval, under the same ids."""
    body = {"since": since, "until": until}
    return Call("POST", f"/v1/webhooks/{quoted(endpoint)}/replay", v.Replay, body=body, once=True)


def list_deliveries(
    endpoint: str, *, state: str | None = None, limit: int | None = None
) -> Call[Page[v.Delivery]]:
    """An endpoint's deliveries, newest first."""
    query = {"state": state, "limit": limit}
    return Call("GET", f"/v1/webhooks/{quoted(endpoint)}/deliveries", Page[v.Delivery], query=query)


def list_attempts(endpoint: str, message: str) -> Call[Page[v.Attempt]]:
    """Every attempt of one delivery."""
    path = f"/v1/webhooks/{quoted(endpoint)}/deliveries/{quoted(message)}"
    return Call("GET", path, Page[v.Attempt])


def weekly_report(*, plan: str | None = None, end: datetime | None = None) -> Call[v.WeeklyReport]:
    """How customers of a free plan fared in the week before an instant."""
    return Call("GET", "/v1/reports/weekly", v.WeeklyReport, query={"plan": plan, "end": end})


def retention(*, months: int | None = None) -> Call[Page[v.MonthMoved]]:
    """How invoiced revenue moved from month to month, and which share of it stayed."""
    return Call("GET", "/v1/reports/retention", Page[v.MonthMoved], query={"months": months})


def contract_forecast(contract: str, *, periods: int | None = None) -> Call[v.ContractForecasts]:
    """What a contract's running period will come to, and how far such forecasts of earlier periods were off."""
    query = {"contract": contract, "periods": periods}
    return Call("GET", "/v1/reports/forecast", v.ContractForecasts, query=query)


def contract_margins(
    contract: str, *, start: datetime | None = None, end: datetime | None = None
) -> Call[v.ContractMargins]:
    """What a contract brought and cost, in all and by the unit of each meter."""
    query = {"contract": contract, "start": start, "end": end}
    return Call("GET", "/v1/reports/margins", v.ContractMargins, query=query)


class LimitMethods:
    """The calls as methods."""

    check = Method(check)
    list_quota_holds = Method(list_quota_holds)
    release_quota_hold = Method(release_quota_hold)
    grant_concession = Method(grant_concession)
    list_concessions = Method(list_concessions)
    end_concession = Method(end_concession)
    create_budget = Method(create_budget)
    replace_budget = Method(replace_budget)
    list_budgets = Method(list_budgets)
    remove_budget = Method(remove_budget)
    list_crossings = Method(list_crossings)
    add_alert_rule = Method(add_alert_rule)
    list_alert_rules = Method(list_alert_rules)
    remove_alert_rule = Method(remove_alert_rule)
    create_endpoint = Method(create_endpoint)
    list_endpoints = Method(list_endpoints)
    get_endpoint = Method(get_endpoint)
    update_endpoint = Method(update_endpoint)
    delete_endpoint = Method(delete_endpoint)
    rotate_endpoint_secret = Method(rotate_endpoint_secret)
    test_endpoint = Method(test_endpoint)
    replay_endpoint = Method(replay_endpoint)
    list_deliveries = Method(list_deliveries)
    list_attempts = Method(list_attempts)
    weekly_report = Method(weekly_report)
    retention = Method(retention)
    contract_forecast = Method(contract_forecast)
    contract_margins = Method(contract_margins)

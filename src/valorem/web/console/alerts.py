"""Alerts and notices: what was crossed, and was somebody told?"""

from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from valorem.core.delivery.topics import TOPICS
from valorem.core.errors import InvalidInputError, NotFoundError, ValoremError
from valorem.core.time import write_instant
from valorem.engine import webhooks
from valorem.engine.alerts import list_crossings
from valorem.engine.catalog import current_catalog
from valorem.engine.engine import Transaction
from valorem.engine.overview import customer_names
from valorem.engine.rules import add_rule, list_rules, remove_rule
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit

Kind = Literal["webhook", "slack", "email"]
State = Literal["active", "disabled"]
_MOST = 100
_REPLAYS_OF = {
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(days=7),
    "month": timedelta(days=31),
}


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/alerts", _show)
    site.action("/alerts/rules", "customers", _add_rule)
    site.action("/alerts/rules/remove", "customers", _remove_rule)
    site.action("/alerts/endpoints", "keys", _create)
    site.page("/alerts/endpoints/{id}", _endpoint)
    site.action("/alerts/endpoints/{id}/test", "keys", _test)
    site.action("/alerts/endpoints/{id}/replay", "keys", _replay)
    site.action("/alerts/endpoints/{id}/delete", "keys", _delete)
    site.action("/alerts/endpoints/{id}/rotate", "keys", _rotate)
    site.action("/alerts/endpoints/{id}/state", "keys", _state)
    site.page("/alerts/endpoints/{id}/{message}", _attempts)


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, *, secret: str | None = None, refused: ValoremError | None = None) -> Page:
    with visit.reading() as tx:
        crossings = list_crossings(tx, customer=visit.query("customer") or None, limit=_MOST)
        endpoints = webhooks.list_endpoints(tx)
        names = customer_names(tx)
        rules = list_rules(tx)
        meters = _meters(tx)
        now = tx.now
    values: dict[str, Any] = {
        "here": "alerts",
        "customer": visit.query("customer"),
        "open": [each for _, each in crossings if each.recovered_at is None],
        "rules": rules,
        "meters": meters,
        "now": now,
        "crossings": [
            (customer, each, None if not each.whole else each.level / each.whole)
            for customer, each in crossings
        ],
        "endpoints": endpoints,
        "names": names,
        "topics": tuple(TOPICS),
        "secret": secret,
        "refused": refused,
        "form": visit.form,
    }
    return Page("console/alerts.html", values, 200 if refused is None else refused.status)


def _meters(tx: Transaction) -> list[str]:
    try:
        return sorted(current_catalog(tx)[1].meters)
    except NotFoundError:
        return []  # no catalog has been applied


def _add_rule(visit: Visit) -> Answer:
    form = visit.form
    at = [part.strip() for part in form.get("at", "").split(",") if part.strip()]
    terms = {"kind": form.get("kind", ""), "on": form.get("on", "").strip() or None, "at": at}
    try:
        with visit.acting() as tx:
            made = add_rule(tx, None, {name: value for name, value in terms.items() if value is not None})
            after = {"kind": made.rule.kind, "on": made.rule.on, "at": at}
            visit.note(tx, visit.deed("alert_rule.add", made.id, after=after))
    except ValoremError as error:
        return _page(visit, refused=error)
    return Go(f"{visit.home}/alerts", "It is watched from now on.")


def _remove_rule(visit: Visit) -> Answer:
    rule = visit.form.get("rule", "")
    with visit.acting() as tx:
        remove_rule(tx, None, rule)
        visit.note(tx, visit.deed("alert_rule.remove", rule))
    return Go(f"{visit.home}/alerts", "It is watched no more.")


def _create(visit: Visit) -> Answer:
    form = visit.form
    kind: Kind | None = next((each for each in get_args(Kind) if each == form.get("kind")), None)
    topics = [part.strip() for part in form.get("topics", "").split(",") if part.strip()]
    try:
        if kind is None:
            raise InvalidInputError("there is no such kind", field="kind")
        with visit.acting() as tx:
            made = webhooks.create_endpoint(
                tx,
                kind=kind,
                address=form.get("address", "").strip(),
                topics=topics,
            )
            visit.note(
                tx, visit.deed("endpoint.create", made.id, after={"kind": kind, "address": made.address})
            )
    except ValoremError as error:
        return _page(visit, refused=error)
    return _page(visit, secret=made.secret)


def _endpoint(visit: Visit) -> Page:
    return _endpoint_page(visit)


def _endpoint_page(visit: Visit, secret: str | None = None) -> Page:
    with visit.reading() as tx:
        endpoint = webhooks.get_endpoint(tx, visit.path("id"))
        deliveries = webhooks.list_deliveries(tx, endpoint.id, limit=_MOST)
        now = tx.now
    values = {
        "here": "alerts",
        "endpoint": endpoint,
        "deliveries": deliveries,
        "delivered": sum(each.state == "delivered" for each in deliveries),
        "secret": secret,
        "now": now,
    }
    return Page("console/endpoint.html", values)


def _attempts(visit: Visit) -> Page:
    """Every attempt of one delivery."""
    try:
        message = UUID(visit.path("message"))
    except ValueError:
        raise NotFoundError("there is no such delivery") from None
    with visit.reading() as tx:
        endpoint = webhooks.get_endpoint(tx, visit.path("id"))
        attempts = webhooks.list_attempts(tx, endpoint.id, message)
    values = {"here": "alerts", "endpoint": endpoint, "message": message, "attempts": attempts}
    return Page("console/delivery.html", values)


def _rotate(visit: Visit) -> Answer:
    """A new secret; the old one signs beside it for a while, so that the receiver can change over."""
    with visit.acting() as tx:
        made = webhooks.rotate_secret(tx, visit.path("id"), real_now=visit.engine.real_now())
        visit.note(tx, visit.deed("endpoint.rotate", made.id))
    return _endpoint_page(visit, made.secret)


def _state(visit: Visit) -> Answer:
    state: State = "active" if visit.form.get("do") == "enable" else "disabled"
    with visit.acting() as tx:
        webhooks.update_endpoint(tx, visit.path("id"), state=state, real_now=visit.engine.real_now())
        visit.note(tx, visit.deed("endpoint.state", visit.path("id"), after={"state": state}))
    said = "It is told again." if state == "active" else "It is told nothing until it is active again."
    return Go(f"{visit.home}/alerts/endpoints/{visit.path('id')}", said)


def _test(visit: Visit) -> Answer:
    with visit.acting() as tx:
        webhooks.send_test(tx, visit.path("id"))
        visit.note(tx, visit.deed("endpoint.test", visit.path("id")))
    return Go(f"{visit.home}/alerts/endpoints/{visit.path('id')}", "A test is on its way.")


def _replay(visit: Visit) -> Answer:
    length = _REPLAYS_OF.get(visit.form.get("of", ""), timedelta(hours=1))
    now: datetime = visit.engine.real_now()
    with visit.acting() as tx:
        count = webhooks.replay(
            tx, visit.path("id"), tx.now - length, tx.now + timedelta(seconds=1), real_now=now
        )
        after = {"since": write_instant(tx.now - length), "messages": count}
        visit.note(tx, visit.deed("endpoint.replay", visit.path("id"), after=after))
    return Go(
        f"{visit.home}/alerts/endpoints/{visit.path('id')}", f"{count} are sent again, under the same ids."
    )


def _delete(visit: Visit) -> Answer:
    with visit.acting() as tx:
        before = webhooks.get_endpoint(tx, visit.path("id"))
        webhooks.delete_endpoint(tx, before.id)
        visit.note(tx, visit.deed("endpoint.delete", before.id, before={"address": before.address}))
    return Go(f"{visit.home}/alerts", "It is told nothing any more.")

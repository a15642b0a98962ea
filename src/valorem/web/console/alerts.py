"""Alerts and notices: what was crossed, and was somebody told?"""

from datetime import datetime, timedelta
from typing import Any, Literal, get_args

from valorem.core.delivery.topics import TOPICS
from valorem.core.errors import InvalidInputError, ValoremError
from valorem.core.time import write_instant
from valorem.engine import webhooks
from valorem.engine.alerts import list_crossings
from valorem.engine.overview import customer_names
from valorem.web.site import Answer, Go, Page, Site, Visit

Kind = Literal["webhook", "slack", "email"]
_MOST = 100
_REPLAYS_OF = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/alerts", _show)
    site.action("/alerts/endpoints", "keys", _create)
    site.page("/alerts/endpoints/{id}", _endpoint)
    site.action("/alerts/endpoints/{id}/test", "keys", _test)
    site.action("/alerts/endpoints/{id}/replay", "keys", _replay)
    site.action("/alerts/endpoints/{id}/delete", "keys", _delete)


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, *, secret: str | None = None, refused: ValoremError | None = None) -> Page:
    with visit.reading() as tx:
        crossings = list_crossings(tx, customer=visit.query("customer") or None, limit=_MOST)
        endpoints = webhooks.list_endpoints(tx)
        names = customer_names(tx)
    values: dict[str, Any] = {
        "here": "alerts",
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
    with visit.reading() as tx:
        endpoint = webhooks.get_endpoint(tx, visit.path("id"))
        deliveries = webhooks.list_deliveries(tx, endpoint.id, limit=_MOST)
    return Page("console/endpoint.html", {"here": "alerts", "endpoint": endpoint, "deliveries": deliveries})


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

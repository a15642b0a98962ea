"""Search: one word that leads anywhere; the same for the page and for the command palette."""

from collections.abc import Iterator
from typing import Any

from starlette.responses import JSONResponse, Response

from valorem.core.errors import NotFoundError
from valorem.engine.catalog import current_catalog
from valorem.engine.credit_notes import get_credit_note
from valorem.engine.engine import Transaction
from valorem.engine.overview import Hit, find_names
from valorem.engine.people import Action
from valorem.web.navigation import navigation
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit
from valorem.web.templating import segment

_MOST = 30
#: What can be done from anywhere, for those whose role allows it; each is also a link or a button on a page.
_DEEDS: tuple[tuple[str, Action, str], ...] = (
    ("New customer", "customers", "/new-customer"),
    ("Change prices", "catalog", "/catalog/change"),
    ("Make an API key", "keys", "/settings/keys"),
    ("Invite somebody", "people", "/settings/people"),
    ("Make a sandbox", "keys", "/settings/workspaces"),
    ("Tell somebody of alerts", "keys", "/alerts#told"),
    ("Check every ledger", "read", "/credits"),
    ("Close what is due", "invoices", "/invoices"),
    ("Who owes what", "read", "/dunning"),
)


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/search", _show)
    site.page("/search.json", _json)


def _show(visit: Visit) -> Answer:
    text = visit.query("q")
    found = _find(visit, text)
    if len(found) == 1:
        return Go(found[0]["to"])
    return Page("console/search.html", {"here": "", "text": text, "found": found})


def _json(visit: Visit) -> Response:
    return JSONResponse({"items": _find(visit, visit.query("q"))[:8]}, headers={"Cache-Control": "no-store"})


def _find(visit: Visit, text: str) -> list[dict[str, Any]]:
    if not text:
        return []
    with visit.reading() as tx:
        found = [
            {"name": _name(hit), "kind": hit.kind, "to": _to(visit, hit)}
            for hit in find_names(tx, text, limit=_MOST)
        ]
        found += _sold(tx, visit, text.lower())
    return [*found, *_places(visit, text.lower())]


def _sold(tx: Transaction, visit: Visit, text: str) -> Iterator[dict[str, Any]]:
    """Plans and meters of the newest catalog, and the credit note of that number."""
    try:
        note = get_credit_note(tx, text.upper()).row
        yield {"name": note.number, "kind": "credit note", "to": f"{visit.home}/credit-notes/{note.number}"}
    except NotFoundError:
        pass  # it is no number of a note
    try:
        catalog = current_catalog(tx)[1]
    except NotFoundError:
        return  # no catalog has been applied
    for plan in catalog.plans.values():
        if text in plan.key.lower() or text in plan.name.lower():
            yield {"name": plan.name, "kind": "plan", "to": f"{visit.home}/catalog#plan-{plan.key}"}
    for meter in catalog.meters.values():
        if text in meter.key.lower() or text in (meter.name or "").lower():
            yield {"name": meter.name or meter.key, "kind": "meter", "to": f"{visit.home}/meters"}


def _places(visit: Visit, text: str) -> Iterator[dict[str, Any]]:
    """Pages, and what can be done on them."""
    for _, links in navigation(visit.workspace.kind):
        for link in links:
            if text in link.name.lower():
                yield {"name": link.name, "kind": "page", "to": f"{visit.home}{link.path}"}
    for name, needs, path in _DEEDS:
        if text in name.lower() and visit.may(needs):
            yield {"name": name, "kind": "do", "to": f"{visit.home}{path}"}


def _name(hit: Hit) -> str:
    return f"{hit.name} ({hit.key})" if hit.kind == "customer" else f"{hit.key}, {hit.name}"


def _to(visit: Visit, hit: Hit) -> str:
    return f"{visit.home}/{hit.kind}s/{segment(hit.key)}"

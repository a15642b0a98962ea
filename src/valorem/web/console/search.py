"""Search: one word that leads anywhere; the same for the page and for the command palette."""

from typing import Any

from starlette.responses import JSONResponse, Response

from valorem.engine.overview import Hit, find_names
from valorem.web.render import segment
from valorem.web.site import Answer, Go, Page, Site, Visit

_MOST = 30


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
        hits = find_names(tx, text, limit=_MOST)
    return [{"name": _name(hit), "kind": hit.kind, "to": _to(visit, hit)} for hit in hits]


def _name(hit: Hit) -> str:
    return f"{hit.name} ({hit.key})" if hit.kind == "customer" else f"{hit.key}, {hit.name}"


def _to(visit: Visit, hit: Hit) -> str:
    return f"{visit.home}/{hit.kind}s/{segment(hit.key)}"

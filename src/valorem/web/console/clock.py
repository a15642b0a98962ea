"""The clock of a sandbox: what happens next, and go there."""

from datetime import datetime

from valorem.core.errors import InvalidInputError, ValoremError
from valorem.core.time import write_instant
from valorem.engine.clock import advance_clock, get_clock
from valorem.engine.overview import Due, customer_names, upcoming
from valorem.web.formats import day_text, plural
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit

_NEXT = 10


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/clock", _show)
    site.action("/clock/advance", "clock", _advance)


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, refused: ValoremError | None = None) -> Page:
    with visit.reading() as tx:
        clock = get_clock(tx)
        due = upcoming(tx, limit=_NEXT)
        names = customer_names(tx)
    values = {
        "here": "clock",
        "clock": clock,
        "due": [
            (each, _said(each, names.get(each.customer, each.customer)), write_instant(each.at))
            for each in due
        ],
        "refused": refused,
        "form": visit.form,
    }
    return Page("console/clock.html", values, 200 if refused is None else refused.status)


def _said(due: Due, name: str) -> str:
    if due.kind == "draft":
        return f"{due.count} {plural('draft', due.count)} {'becomes' if due.count == 1 else 'become'} final"
    if due.count == 1:
        return f"a period of {name} ends, and its invoice is drafted"
    return f"periods of {due.count} contracts end, and their invoices are drafted"


def _advance(visit: Visit) -> Answer:
    text = visit.form.get("to", "").strip()
    try:
        report = advance_clock(visit.engine, visit.workspace.id, to=_instant(text))
    except ValoremError as error:
        return _page(visit, error)
    done = report.closed
    deed = visit.deed(
        "clock.advance",
        visit.workspace.name,
        before={"clock": write_instant(report.before)},
        after={
            "clock": write_instant(report.now),
            "drafted": done.drafted,
            "finalised": done.finalised,
        },
    )
    visit.note_done(deed)
    said = [f"{done.drafted} {plural('invoice', done.drafted)} drafted"] if done.drafted else []
    said += [f"{done.finalised} {plural('invoice', done.finalised)} made final"] if done.finalised else []
    return Go(
        f"{visit.home}/clock", f"It is {day_text(report.now)} now. {', '.join(said) or 'Nothing fell due'}."
    )


def _instant(text: str) -> datetime:
    """What the page's own buttons send, or a browser's field for date and time, read as UTC."""
    try:
        return datetime.fromisoformat(text.removesuffix("Z") + "+00:00")
    except ValueError:
        raise InvalidInputError(
            f"{text[:40]!r} is no date and time", field="to", hint="write it as 2026-03-05T00:00"
        ) from None

"""Limits of one customer: what will stop or warn it, which comes first, and what it was given beside its plan."""

from collections.abc import Mapping
from typing import Any

from valorem.core.errors import InvalidInputError, NotFoundError, ValoremError
from valorem.core.numbers import ONE, parse_decimal, plain
from valorem.core.time import write_instant
from valorem.engine.access import Access, access_of
from valorem.engine.alerts import list_crossings
from valorem.engine.budgets import list_budgets, remove_budget, set_budget
from valorem.engine.catalog import current_catalog
from valorem.engine.concessions import end_concession, grant_concession, list_concessions
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.rules import list_rules
from valorem.web.edges import Edge, edges_of
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit
from valorem.web.templating import segment

_LATELY = 20


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/customers/{key:path}/limits", _show)
    site.action("/customers/{key:path}/limits/budget", "customers", _set_budget)
    site.action("/customers/{key:path}/limits/budget/remove", "customers", _remove_budget)
    site.action("/customers/{key:path}/limits/raise", "customers", _raise)
    site.action("/customers/{key:path}/limits/end", "customers", _end)


def edges_for(tx: Transaction, customer: str, currency: str) -> tuple[list[Access], list[Edge]]:
    """What a customer may do, and everything that warns or stops it; nothing before a catalog was applied."""
    try:
        access = access_of(tx, customer)
    except NotFoundError:
        return [], []
    return access, edges_of(access, list_budgets(tx, customer), currency)


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, refused: ValoremError | None = None) -> Page:
    key = visit.path("key")
    with visit.reading() as tx:
        customer = get_customer(tx, key)
        access, edges = edges_for(tx, key, customer.currency)
        crossings = list_crossings(tx, customer=key, limit=_LATELY)
        given = [each for each in list_concessions(tx, key) if each.until is None or each.until > tx.now]
        rules = [*list_rules(tx, key), *list_rules(tx)]
        meters, features = _names(tx)
        now = tx.now
    values: dict[str, Any] = {
        "here": "customers",
        "customer": customer,
        "access": access,
        "edges": edges,
        "crossings": [each for _, each in crossings],
        "given": given,
        "rules": rules,
        "meters": meters,
        "features": features,
        "now": now,
        "refused": refused,
        "form": visit.form,
    }
    return Page("console/customer_limits.html", values, 200 if refused is None else refused.status)


def _names(tx: Transaction) -> tuple[Mapping[str, str], Mapping[str, str]]:
    try:
        catalog = current_catalog(tx)[1]
    except NotFoundError:
        return {}, {}  # no catalog has been applied
    meters = {key: meter.name or key for key, meter in catalog.meters.items()}
    return meters, {key: feature.name or key for key, feature in catalog.features.items()}


def _to(visit: Visit) -> str:
    return f"{visit.home}/customers/{segment(visit.path('key'))}/limits"


def _set_budget(visit: Visit) -> Answer:
    key, form = visit.path("key"), visit.form
    try:
        with visit.acting() as tx:
            at = [part.strip() for part in form.get("at", "").split(",") if part.strip()]
            terms = {
                "amount": parse_decimal(form.get("amount", "").strip(), "amount"),
                "window": form.get("window") or None,
                "kind": "hard" if form.get("kind") == "hard" else "notify",
                "of": "everything" if form.get("of") == "everything" else "usage",
                "meter": form.get("meter") or None,
                "name": form.get("name", "").strip() or None,
                "at": at or None,
            }
            made = set_budget(tx, key, {name: value for name, value in terms.items() if value is not None})
            after = {"budget": made.id, "amount": plain(made.budget.amount), "kind": made.budget.kind}
            visit.note(tx, visit.deed("budget.set", key, after=after))
    except ValoremError as error:
        return _page(visit, error)
    return Go(_to(visit), "The budget counts from the start of its window, what was spent before included.")


def _remove_budget(visit: Visit) -> Answer:
    key, budget = visit.path("key"), visit.form.get("budget", "")
    with visit.acting() as tx:
        remove_budget(tx, key, budget)
        visit.note(tx, visit.deed("budget.remove", key, before={"budget": budget}))
    return Go(_to(visit), "The budget is removed.")


def _raise(visit: Visit) -> Answer:
    """Raise every limit of a feature by so much, by agreement or as a promotion."""
    key, form = visit.path("key"), visit.form
    try:
        with visit.acting() as tx:
            by = parse_decimal(form.get("by", "").strip(), "by")
            if by < ONE:
                raise InvalidInputError(f"raised by {plain(by)}", field="by", hint="use one or more")
            made = grant_concession(
                tx,
                key,
                form.get("feature", ""),
                origin="promotion" if form.get("origin") == "promotion" else "override",
                raised_by=by,
                reason=form.get("reason", "").strip(),
            )
            after = {"concession": made.id, "feature": made.feature, "raised_by": plain(by)}
            visit.note(
                tx, visit.deed("limit.raise", key, after={**after, "since": write_instant(made.since)})
            )
    except ValoremError as error:
        return _page(visit, error)
    return Go(_to(visit), f"Every limit on {made.feature} is {plain(by)} higher.")


def _end(visit: Visit) -> Answer:
    key, given = visit.path("key"), visit.form.get("concession", "")
    with visit.acting() as tx:
        end_concession(tx, key, given)
        visit.note(tx, visit.deed("limit.end", key, before={"concession": given}))
    return Go(_to(visit), "It has ended.")

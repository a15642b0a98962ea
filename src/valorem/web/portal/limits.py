"""Limits: what happens at the edge, when it resets, who can raise it; and the budgets and notices customers set themselves."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.core.alerts.budgets import Budget
from valorem.core.errors import InvalidInputError, NotFoundError, ValoremError
from valorem.core.numbers import ONE, ZERO, exact, parse_decimal, plain
from valorem.engine import budgets as verbs
from valorem.engine import webhooks
from valorem.engine.alerts import list_crossings
from valorem.engine.budgeting import BudgetState
from valorem.engine.engine import Transaction
from valorem.engine.invoices import list_invoices
from valorem.store.postgres.webhooks import Endpoint
from valorem.web.page import Page
from valorem.web.portal import figures, said
from valorem.web.portal.site import Answer, Go, Guest, PortalSite

_TOLD = 20
_WINDOWS = ("billing period", "month", "week", "day")
_SHARES = ("50", "80", "90", "100")
_USUAL = 6


@dataclass(frozen=True, slots=True)
class Told:
    """Something the customer was told."""

    at: datetime
    text: str
    recovered_at: datetime | None


def add(site: PortalSite) -> None:
    """Add the pages."""
    site.page("/limits", _show)
    site.action("/budgets", _set_budget)
    site.action("/budgets/{budget}/remove", _remove_budget)
    site.action("/notices", _set_notice)
    site.action("/notices/{endpoint}/remove", _remove_notice)


def _show(guest: Guest) -> Page:
    return _page(guest)


def _page(guest: Guest, refused: ValoremError | None = None) -> Page:
    with guest.reading() as tx:
        access = figures.limits_of(tx, guest)
        budgets = verbs.list_budgets(tx, guest.key)
        running = figures.running(tx, guest, previews=False)
        meters = figures.meter_names(tx, running[0]) if running else {}
        names = {**meters, **{each.feature: each.name for each in access}}
        told = [
            Told(
                each.crossed_at,
                said.crossing_text(guest.words, each, budgets, names, guest.customer.currency),
                each.recovered_at,
            )
            for _, each in list_crossings(tx, customer=guest.key, limit=_TOLD)
        ]
        notices = _notices(tx, guest)
        proposed = None if guest.form or budgets else _proposed(tx, guest)
        now = tx.now
    zone = running[0].contract.time_zone if running else guest.customer.zone
    values = {
        "here": "limits",
        "access": access,
        "budgets": budgets,
        "overlaps": _overlaps(budgets),
        "meters": meters,
        "told": told,
        "notices": notices,
        "proposed": proposed,
        "windows": _WINDOWS,
        "shares": _SHARES,
        "form": guest.form,
        "refused": refused,
        "said": said,
        "share": figures.share,
        "zone": zone,
        "now": now,
    }
    return Page("limits.html", values, 200 if refused is None else refused.status)


@exact
def _proposed(tx: Transaction, guest: Guest) -> Decimal | None:
    """A quarter above the largest of the last bills, in round numbers; None before the first bill."""
    totals = [
        each.total
        for each in list_invoices(tx, customer=guest.key, newest_first=True, limit=_USUAL)
        if each.number is not None and each.total is not None and each.total > 0
    ]
    if not totals:
        return None
    wanted = max(totals) * 5 / 4
    step = ONE.scaleb(max(wanted.adjusted() - 1, 0))
    return (wanted / step).to_integral_value() * step


def _overlaps(budgets: list[BudgetState]) -> frozenset[str]:
    """Budgets that never say anything first: another for the same thing and window is as small or smaller, and as hard."""
    found = set()
    for one in budgets:
        for other in budgets:
            same = _scope(one.budget) == _scope(other.budget)
            before = (other.budget.amount, other.id) < (one.budget.amount, one.id)
            if (
                one.id != other.id
                and same
                and before
                and (other.budget.kind == "hard" or one.budget.kind == "notify")
            ):
                found.add(one.id)
    return frozenset(found)


def _scope(budget: Budget) -> tuple[object, ...]:
    return str(budget.window), budget.of, budget.meter, tuple(sorted(budget.where.items()))


def _set_budget(guest: Guest) -> Answer:
    """Set a budget. One that is passed already is told of at once, so the page asks first."""
    try:
        terms = _terms(guest)
        with guest.acting() as tx:
            made = verbs.set_budget(tx, guest.key, terms, by_customer=True)
            state = next(each for each in verbs.list_budgets(tx, guest.key) if each.id == made.id)
            if not state.left and guest.field("anyway") != "yes":
                raise AlreadySpentError(state)
            guest.note(tx, "budget.set", made.id, amount=plain(made.budget.amount), kind=made.budget.kind)
    except ValoremError as error:
        if error.code == "not_found":
            raise
        return _page(guest, error)
    return Go(f"{guest.home}/limits", "budget_set")


class AlreadySpentError(InvalidInputError):
    """A budget that would be used up the moment it is set.

    Args:
        state: How it would stand.
    """

    code = "already_spent"

    def __init__(self, state: BudgetState) -> None:
        super().__init__(
            "this much is spent already", field="amount", hint="set it all the same, or choose more"
        )
        self.spent = state.spent


def _terms(guest: Guest) -> dict[str, Any]:
    amount = guest.words.read_number(guest.field("amount"))
    if amount is None or amount <= ZERO:
        raise InvalidInputError("this is no amount", field="amount", hint="write 250 or 99.50")
    amount = parse_decimal(amount, "amount")
    shares = [each for each in _SHARES if guest.field(f"at-{each}")] or ["100"]
    of = guest.field("of")
    return {
        "amount": plain(amount),
        "window": guest.field("window"),
        "kind": "hard" if guest.field("kind") == "hard" else "notify",
        "of": "everything" if of == "everything" else "usage",
        "meter": of.removeprefix("meter:") if of.startswith("meter:") else None,
        "at": [f"{each}%" for each in shares],
        "name": guest.field("name") or None,
    }


def _remove_budget(guest: Guest) -> Answer:
    with guest.acting() as tx:
        verbs.remove_budget(tx, guest.key, guest.path("budget"), by_customer=True)
        guest.note(tx, "budget.remove", guest.path("budget"))
    return Go(f"{guest.home}/limits", "budget_removed")


def _notices(tx: Transaction, guest: Guest) -> list[Endpoint]:
    """The mail addresses that are told about this customer alone."""
    return [
        each for each in webhooks.list_endpoints(tx) if each.customer == guest.key and each.kind == "email"
    ]


def _set_notice(guest: Guest) -> Answer:
    """Write to an address when something is crossed."""
    try:
        with guest.acting() as tx:
            address = guest.field("address")
            if len(_notices(tx, guest)) >= 5:
                raise InvalidInputError("at most five addresses", field="address", hint="remove one first")
            made = webhooks.create_endpoint(
                tx, kind="email", address=address, topics=_TOPICS, customer=guest.key
            )
            guest.note(tx, "notice.set", made.id, address=address)
    except ValoremError as error:
        return _page(guest, error)
    return Go(f"{guest.home}/limits", "notice_set")


def _remove_notice(guest: Guest) -> Answer:
    with guest.acting() as tx:
        wanted = guest.path("endpoint")
        if wanted not in {each.id for each in _notices(tx, guest)}:
            raise NotFoundError("there is no such address")
        webhooks.delete_endpoint(tx, wanted)
        guest.note(tx, "notice.remove", wanted)
    return Go(f"{guest.home}/limits", "notice_removed")


#: What customers are told of: what they can do something about.
_TOPICS = ("alert.*",)

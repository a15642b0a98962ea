"""Limits and budgets in words: what each does at its edge, with a verb, and how near it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.alerts.budgets import Budget
from valorem.core.entitlements.check import LimitState
from valorem.core.entitlements.limits import Limit
from valorem.core.numbers import ZERO, exact, plain
from valorem.engine.access import Access
from valorem.engine.budgeting import BudgetState
from valorem.web.formats import plural, quantity_text

_SET_BY = {
    "plan": "the plan",
    "add-on": "an add-on",
    "trial": "the trial",
    "promotion": "a promotion",
    "override": "an agreement with the customer",
}


@dataclass(frozen=True, slots=True)
class Edge:
    """One limit or budget of a customer, as a row of a table.

    Attributes:
        what: What it limits.
        scope: Over which time, and for whom.
        used: In the window so far.
        held: Reserved besides.
        most: The limit, or the amount.
        unit: Of both: the meter's, or a currency.
        money: Whether they are amounts.
        does: What happens at the edge, with a verb.
        blocks: Whether it stops anything.
        resets_at: When use begins again at nothing.
        origin: Who set it, in words.
        word: How near it is.
        tone: The same as a state.
        id: Of a budget, by which it is removed.
    """

    what: str
    scope: str
    used: Decimal
    held: Decimal
    most: Decimal
    unit: str
    money: bool
    does: str
    blocks: bool
    resets_at: datetime | None
    origin: str
    word: str
    tone: str
    id: str | None = None

    @property
    @exact
    def share(self) -> Decimal:
        """How much of it is used up, held included; above one where it was passed."""
        return (self.used + self.held) / self.most if self.most else Decimal(1) if self.used else ZERO


def edges_of(access: Sequence[Access], budgets: Sequence[BudgetState], currency: str) -> list[Edge]:
    """Everything that warns or stops a customer, the one that binds first at the top."""
    found = [_limit(each, standing.state, standing.value) for each in access for standing in each.standings]
    found += [_budget(each, currency) for each in budgets]
    return sorted(found, key=lambda edge: (-edge.share, not edge.blocks, edge.what, edge.scope))


def _limit(access: Access, state: LimitState, value: str | None) -> Edge:
    limit = state.limit
    scope = str(limit.window)
    if limit.each is not None:
        scope += f", {limit.each} {value}"
    if limit.where:
        scope += ", " + ", ".join(f"{name} {' or '.join(values)}" for name, values in limit.where.items())
    word, tone = _nearness(state.used + state.held, limit.max)
    return Edge(
        access.name,
        scope,
        state.used,
        state.held,
        limit.max,
        access.unit or "unit",
        money=False,
        does=does_at(limit, access.unit or "unit"),
        blocks=limit.kind == "hard" or limit.enforce_at is not None,
        resets_at=state.resets_at,
        origin=_SET_BY.get(state.origin, state.origin),
        word=word,
        tone=tone,
    )


def _budget(state: BudgetState, currency: str) -> Edge:
    budget = state.budget
    scope = str(budget.window) + ("" if budget.of == "everything" else ", usage alone")
    if budget.where:
        scope += ", " + ", ".join(f"{name} {value}" for name, value in budget.where.items())
    word, tone = _nearness(state.spent, budget.amount)
    return Edge(
        f"Budget {budget.name}" if budget.name else f"Budget of {budget.meter}" if budget.meter else "Budget",
        scope,
        state.spent,
        ZERO,
        budget.amount,
        currency,
        money=True,
        does=budget_does(budget),
        blocks=budget.kind == "hard",
        resets_at=None if state.span is None else state.span.end,
        origin="the customer" if budget.set_by == "customer" else "us, for this customer",
        word=word,
        tone=tone,
        id=state.id,
    )


def does_at(limit: Limit, unit: str) -> str:
    """What a limit does at its edge."""
    if limit.kind == "hard":
        return "Blocks new use"
    if limit.kind == "throttle" and limit.slow_to is not None:
        most = limit.slow_to.max
        return f"Slows down to {quantity_text(most)} {plural(unit, most)} in any {limit.slow_to.window}"
    if limit.enforce_at is not None:
        return f"Warns, and blocks at {plain(limit.enforce_at * 100)} %"
    return "Warns only; use goes on"


def budget_does(budget: Budget) -> str:
    """What a budget does at its edge."""
    if budget.kind == "hard":
        return "Blocks new use that costs money"
    return f"Tells at {', '.join(str(each) for each in budget.at)}; use goes on"


def _nearness(used: Decimal, most: Decimal) -> tuple[str, str]:
    if used > most:
        return "passed", "bad"
    if used == most:
        return "reached", "bad"
    if used * 5 >= most * 4:
        return "near", "warn"
    return "fine", "good"

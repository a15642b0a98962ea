"""How budgets stand: how much of each is spent, from the counters as they are."""

from dataclasses import dataclass
from decimal import Decimal

from valorem.core.alerts.budgets import Budget
from valorem.core.contracts.contract import Contract
from valorem.core.entitlements.windows import Span, span_at
from valorem.core.numbers import ZERO
from valorem.core.periods import Interval
from valorem.engine.engine import Transaction
from valorem.engine.spending import Spending, period_at, spending_of
from valorem.store.postgres import alerts


@dataclass(frozen=True, slots=True)
class KeptBudget:
    """A budget of one customer, under its id."""

    id: str
    budget: Budget

    @property
    def kind(self) -> str:
        """Whether it stops use or only tells."""
        return self.budget.kind


@dataclass(frozen=True, slots=True)
class BudgetState:
    """How a budget stands.

    Attributes:
        id: Its id.
        budget: What was set.
        spent: In its window so far.
        left: Until the amount; zero once it is passed.
        span: The running window; None while no contract runs.
    """

    id: str
    budget: Budget
    spent: Decimal
    left: Decimal
    span: Span | None


def read_budgets(tx: Transaction, customer: str) -> list[KeptBudget]:
    """A customer's budgets, the oldest first."""
    found = alerts.load(tx.connection, tx.workspace.id, "budget", customer)
    return [KeptBudget(one.id, Budget.model_validate(one.terms)) for one in found]


def hard_stop(tx: Transaction, customer: str, meter: str) -> KeptBudget | None:
    """The hard budget that use of a meter would pass, where one is used up."""
    hard = [each for each in read_budgets(tx, customer) if each.budget.kind == "hard"]
    concerned = [each for each in hard if each.budget.meter in (None, meter)]
    spending = spending_of(tx, customer) if concerned else None
    if spending is None:
        return None
    return next((each for each in concerned if not budget_state(tx, spending, each).left), None)


def budget_span(tx: Transaction, contract: Contract, budget: Budget) -> Span:
    """The window of a budget that holds this instant."""
    period = period_at(contract, tx.now)
    return span_at(budget.window, tx.now, zone=contract.time_zone, since=contract.start, period=period)


def spent_under(tx: Transaction, spending: Spending, budget: Budget) -> tuple[Decimal, Span]:
    """What is spent of a budget in its running window."""
    span = budget_span(tx, spending.terms.contract, budget)
    spent = spending.between(
        Interval(span.start, span.end), of=budget.of, meter=budget.meter, where=dict(budget.where)
    )
    return spent, span


def budget_state(tx: Transaction, spending: Spending | None, kept: KeptBudget) -> BudgetState:
    """How one budget stands; nothing is spent while no contract runs."""
    if spending is None:
        return BudgetState(kept.id, kept.budget, ZERO, kept.budget.amount, None)
    spent, span = spent_under(tx, spending, kept.budget)
    return BudgetState(kept.id, kept.budget, spent, max(ZERO, kept.budget.amount - spent), span)

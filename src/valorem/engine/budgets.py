"""Budgets: set by whoever sells or by the customer itself; each change is told of by what it crosses at once."""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from valorem.core.alerts.budgets import Budget
from valorem.core.errors import ForbiddenError, InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.ids import part_of
from valorem.engine.alerts import arm
from valorem.engine.budgeting import BudgetState, KeptBudget, budget_state, read_budgets
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.spending import spending_of
from valorem.store.postgres import alerts as store

_MOST_BUDGETS = 100
_WINDOWS = ("calendar", "billing_period")


def set_budget(
    tx: Transaction,
    customer: str,
    terms: Mapping[str, Any],
    *,
    budget: str | None = None,
    by_customer: bool = False,
) -> KeptBudget:
    """Set a budget for a customer, or change one.

    Args:
        tx: The transaction.
        customer: The customer's key.
        terms: The budget's fields.
        budget: The id of the one to replace.
        by_customer: Whether the customer itself asks; it may set and change its own budgets only.

    Raises:
        NotFoundError: If there is no such customer or budget.
        InvalidInputError: Naming the field.
        ForbiddenError: If a customer would change a budget that is not its own.
    """
    get_customer(tx, customer)
    made = read_budget({**terms, "set_by": "customer"} if by_customer else terms)
    if made.window.kind not in _WINDOWS:
        raise InvalidInputError(
            f"a budget has no window {made.window}", field="window", hint="day, week, month or billing period"
        )
    kept = {each.id: each.budget for each in read_budgets(tx, customer)}
    written = made.model_dump(mode="json")
    if budget is None:
        if len(kept) >= _MOST_BUDGETS:
            raise UnprocessableError(f"a customer has at most {_MOST_BUDGETS} budgets", field="customer")
        budget = new_id("bud", part_of(tx.workspace.id, customer), tx.now)
        store.insert(tx.connection, tx.workspace.id, "budget", customer, budget, written, tx.now)
    else:
        _check_own(kept, budget, by_customer=by_customer)
        store.update(tx.connection, tx.workspace.id, "budget", customer, budget, written)
    arm(tx, customer)
    return KeptBudget(budget, made)


def remove_budget(tx: Transaction, customer: str, budget: str, *, by_customer: bool = False) -> None:
    """Remove a budget.

    Raises:
        NotFoundError: If there is none.
        ForbiddenError: If a customer would remove one that is not its own.
    """
    kept = {each.id: each.budget for each in read_budgets(tx, customer)}
    _check_own(kept, budget, by_customer=by_customer)
    store.delete(tx.connection, tx.workspace.id, "budget", customer, budget)
    arm(tx, customer)


def list_budgets(tx: Transaction, customer: str) -> list[BudgetState]:
    """A customer's budgets and what is spent of each, as of this instant.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    kept = read_budgets(tx, customer)
    spending = spending_of(tx, customer) if kept else None
    return [budget_state(tx, spending, each) for each in kept]


def read_budget(terms: Mapping[str, Any]) -> Budget:
    """Check a budget's fields.

    Raises:
        InvalidInputError: Naming the field.
    """
    try:
        return Budget.model_validate(dict(terms))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInputError(first["msg"], field=".".join(map(str, first["loc"])) or "budget") from None


def _check_own(kept: Mapping[str, Budget], budget: str, *, by_customer: bool) -> None:
    if budget not in kept:
        raise NotFoundError(f"there is no budget {budget[:60]!r}", field="budget")
    if by_customer and kept[budget].set_by != "customer":
        raise ForbiddenError("this budget was not set by the customer", hint="ask whoever set it")

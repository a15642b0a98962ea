"""``/v1/budgets``: amounts that a customer's use should not pass; some stop it, some only tell."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Page, Text
from valorem.core.alerts.budgets import Budget
from valorem.engine import budgets
from valorem.engine.engine import Transaction

router = APIRouter(prefix="/v1/budgets", tags=["budgets"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("limits:write"))]


class BudgetTerms(Body):
    """What a budget says.

    Attributes:
        amount: In the contract's currency.
        window: ``day``, ``week``, ``month`` or ``billing period``.
        kind: ``hard`` denies further use; ``notify`` only tells.
        of: What use is charged, or everything, fees too.
        meter: Only what this meter's use is charged.
        where: Only use with these values of dimensions, such as a member's.
        at: When to tell.
        set_by: Whose budget it is.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"amount": "250", "kind": "hard", "at": ["80%", "100%"]}]}
    )

    amount: Exact
    window: Text = "billing period"
    kind: Literal["hard", "notify"] = "notify"
    of: Literal["usage", "everything"] = "usage"
    meter: Name | None = None
    where: dict[str, Name] = Field(default_factory=dict)
    at: Annotated[list[Text], Field(min_length=1, max_length=25)] = Field(
        default_factory=lambda: ["80%", "100%"]
    )
    set_by: Literal["vendor", "customer"] = "vendor"
    name: Text | None = None


class NewBudget(BudgetTerms):
    """A budget for a customer.

    Attributes:
        as_customer: Act with the customer's own rights, for a page of your own that it uses: the budget is its own, and
            one of yours is refused.
    """

    customer: Name
    as_customer: bool = False


class BudgetAnswer(Answer):
    """A budget, and in lists what is spent of it in its running window."""

    id: str
    amount: ExactOut
    window: str
    kind: Literal["hard", "notify"]
    of: Literal["usage", "everything"]
    meter: str | None
    where: dict[str, str]
    at: list[str]
    set_by: Literal["vendor", "customer"]
    name: str | None
    spent: ExactOut | None = None
    left: ExactOut | None = None
    window_start: Instant | None = None
    window_end: Instant | None = None

    @classmethod
    def of_budget(cls, key: str, budget: Budget) -> "BudgetAnswer":
        """Its terms alone."""
        return cls(
            id=key,
            amount=budget.amount,
            window=str(budget.window),
            kind=budget.kind,
            of=budget.of,
            meter=budget.meter,
            where=dict(budget.where),
            at=[str(each) for each in budget.at],
            set_by=budget.set_by,
            name=budget.name,
        )


@router.post("", status_code=201, response_model=BudgetAnswer)
def create_budget(body: NewBudget, caller: Writer) -> Response:
    """Set a budget for a customer."""
    terms = body.model_dump(exclude={"customer", "as_customer"})

    def effect(tx: Transaction) -> BudgetAnswer:
        made = budgets.set_budget(tx, body.customer, terms, by_customer=body.as_customer)
        return BudgetAnswer.of_budget(made.id, made.budget)

    return caller.once(effect)


@router.put("/{budget}", response_model=BudgetAnswer)
def replace_budget(budget: str, body: NewBudget, caller: Writer) -> Response:
    """Replace a budget's terms; what it has crossed stays crossed unless it has recovered."""
    terms = body.model_dump(exclude={"customer", "as_customer"})

    def effect(tx: Transaction) -> BudgetAnswer:
        made = budgets.set_budget(tx, body.customer, terms, budget=budget, by_customer=body.as_customer)
        return BudgetAnswer.of_budget(made.id, made.budget)

    return caller.once(effect, status=200)


@router.get("")
def list_budgets(caller: Reader, customer: Annotated[str, Query(max_length=255)]) -> Page[BudgetAnswer]:
    """A customer's budgets and what is spent of each, as of this instant."""
    with caller.reading() as tx:
        found = budgets.list_budgets(tx, customer)
    items = [
        BudgetAnswer.of_budget(one.id, one.budget).model_copy(
            update={
                "spent": one.spent,
                "left": one.left,
                "window_start": None if one.span is None else one.span.start,
                "window_end": None if one.span is None else one.span.resets_at,
            }
        )
        for one in found
    ]
    return Page(items=items)


@router.delete("/{budget}", status_code=204)
def remove_budget(
    budget: str,
    caller: Writer,
    *,
    customer: Annotated[str, Query(max_length=255)],
    as_customer: Annotated[bool, Query(description="with the customer's own rights")] = False,
) -> None:
    """Remove a budget."""
    caller.acting(lambda tx: budgets.remove_budget(tx, customer, budget, by_customer=as_customer))

"""``/v1/alerts``: what has been crossed, and rules beside those of plans."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, ExactOut, Instant, Name, Page, Text
from valorem.core.alerts.kinds import AlertKind
from valorem.engine import alerts, rules

router = APIRouter(prefix="/v1/alerts", tags=["alerts"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("limits:write"))]


class NewRule(Body):
    """One thing more to be told of.

    Attributes:
        customer: Only about this customer; every one where left out.
        kind: ``included``, ``limit``, ``usage``, ``spend``, ``projected`` (the running period's bill to come), ``change``
            (the last day beside the days before), ``balance`` (credits left), ``depletion`` (credits run out at the pace
            of the last week), ``credit_expiry`` (credits end unused) or ``expiry`` (the contract or its trial ends).
        on: The meter, for ``limit`` the feature, for credits their type; all there are where left out.
        at: Shares (``80%``) or amounts; for ``balance`` what it falls below.
        before: For ``expiry``, ``depletion`` and ``credit_expiry``: how long before (``7 days``).
        re_arm: Once in a window, or again after a recovery.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"customer": "acme", "kind": "usage", "on": "tokens", "at": ["1M"]}]}
    )

    customer: Name | None = None
    kind: AlertKind
    on: Name | None = None
    at: Annotated[list[Text], Field(max_length=25)] = Field(default_factory=list)
    before: Annotated[list[Text], Field(max_length=25)] = Field(default_factory=list)
    re_arm: Literal["window", "recovery"] = "window"
    recovered: bool = True


class RuleAnswer(Answer):
    """A rule under its id."""

    id: str
    customer: str | None
    kind: str
    on: str | None
    at: list[str]
    before: list[str]
    re_arm: Literal["window", "recovery"]
    recovered: bool

    @classmethod
    def of(cls, kept: rules.KeptRule) -> "RuleAnswer":
        """From the engine's value."""
        written: dict[str, Any] = kept.rule.model_dump(mode="json")
        return cls(id=kept.id, customer=kept.customer, **written)


class CrossingAnswer(Answer):
    """A threshold that was crossed, and when it was back."""

    customer: str
    alert: str
    threshold: str
    level: ExactOut
    whole: ExactOut | None
    window_start: Instant
    window_end: Instant | None
    crossed_at: Instant
    recovered_at: Instant | None


@router.get("")
def list_crossings(
    caller: Reader,
    customer: Annotated[str | None, Query(max_length=255)] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[CrossingAnswer]:
    """What was crossed, newest first."""
    with caller.reading() as tx:
        found = alerts.list_crossings(tx, customer=customer, limit=limit)
    return Page(
        items=[
            CrossingAnswer(
                customer=key,
                alert=one.alert,
                threshold=one.threshold,
                level=one.level,
                whole=one.whole,
                window_start=one.window_start,
                window_end=one.window_end,
                crossed_at=one.crossed_at,
                recovered_at=one.recovered_at,
            )
            for key, one in found
        ]
    )


@router.post("/rules", status_code=201, response_model=RuleAnswer)
def add_rule(body: NewRule, caller: Writer) -> Response:
    """Tell of one thing more; what is crossed already is told at once for one customer, within moments for all."""
    terms = body.model_dump(exclude={"customer"})
    return caller.once(lambda tx: RuleAnswer.of(rules.add_rule(tx, body.customer, terms)))


@router.get("/rules")
def list_rules(
    caller: Reader, customer: Annotated[str | None, Query(max_length=255)] = None
) -> Page[RuleAnswer]:
    """The rules of one customer, or those for all."""
    with caller.reading() as tx:
        return Page(items=[RuleAnswer.of(one) for one in rules.list_rules(tx, customer)])


@router.delete("/rules/{rule}", status_code=204)
def remove_rule(
    rule: str, caller: Writer, customer: Annotated[str | None, Query(max_length=255)] = None
) -> None:
    """Remove a rule."""
    caller.acting(lambda tx: rules.remove_rule(tx, customer, rule))

"""``/v1/check``: may this customer do that, how much is left, and what to show when it may not."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field, model_validator

from valorem.api.access import Caller, Needs, check_scope
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name
from valorem.core.entitlements.check import Asked, LimitState, say
from valorem.core.entitlements.prompts import Offer
from valorem.core.errors import InvalidInputError
from valorem.engine.checking import CheckResult
from valorem.engine.consuming import Consumption

router = APIRouter(prefix="/v1/check", tags=["check"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Dimensions = Annotated[dict[str, Name], Field(max_length=20)]


class Question(Body):
    """One feature, how much of it, and whose use it is."""

    feature: Name
    quantity: Exact | None = None
    dimensions: Dimensions = Field(default_factory=dict)


class CheckBody(Body):
    """One question, or several about the same customer.

    Attributes:
        customer: Its key, or another subject of it.
        feature: One feature.
        features: Several, by key or as questions of their own.
        quantity: How much is about to be used; 1 where left out. For a value feature how many there would be.
        dimensions: Whose use it is: the user, the API key, the model.
        consume: The CloudEvent that is this use, without a time: it is recorded if and only if the check allows it, and its
            source and id make a repeat harmless.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"customer": "acme", "feature": "batch_jobs", "quantity": "1"},
                {"customer": "acme", "features": ["batch_jobs", "sso"]},
                {
                    "customer": "acme",
                    "feature": "batch_jobs",
                    "consume": {"id": "job-17", "source": "/app", "type": "job.started", "data": {}},
                },
            ]
        }
    )

    customer: Name
    feature: Name | None = None
    features: Annotated[list[Name | Question], Field(max_length=50)] = Field(default_factory=list)
    quantity: Exact | None = None
    dimensions: Dimensions = Field(default_factory=dict)
    consume: dict[str, Any] | None = None

    @model_validator(mode="after")
    def _asks(self) -> "CheckBody":
        if (self.feature is None) == (not self.features):
            raise ValueError("ask for one feature, or for several in features")
        if self.consume is not None and self.feature is None:
            raise ValueError("a use is of one feature: write it as feature")
        return self

    def asked(self) -> list[Asked]:
        """The questions."""
        if self.feature is not None:
            return [Asked(self.feature, self.quantity, self.dimensions)]
        return [
            Asked(each) if isinstance(each, str) else Asked(each.feature, each.quantity, each.dimensions)
            for each in self.features
        ]


class LimitAnswer(Answer):
    """Where one limit stands."""

    window: str
    kind: Literal["hard", "soft", "throttle"]
    used: ExactOut
    limit: ExactOut
    remaining: ExactOut
    over: ExactOut
    resets_at: Instant | None
    origin: str

    @classmethod
    def of(cls, state: LimitState) -> "LimitAnswer":
        """From the engine's value."""
        return cls(
            window=str(state.limit.window),
            kind=state.limit.kind,
            used=state.used,
            limit=state.limit.max,
            remaining=state.remaining,
            over=state.over,
            resets_at=state.resets_at,
            origin=state.origin,
        )


class PromptAnswer(Answer):
    """What to show: the plan that gives more, what it gives of this feature, and its fixed amounts."""

    key: str
    text: str
    link: str | None
    plan: str | None
    plan_name: str | None
    limit: ExactOut | None
    window: str | None
    value: bool | ExactOut | str | None
    fees: dict[str, ExactOut] | None
    currency: str | None
    every: str | None

    @classmethod
    def of(cls, offer: Offer) -> "PromptAnswer":
        """From the engine's value."""
        return cls.model_validate(offer)


class CheckResultAnswer(Answer):
    """The answer for one feature.

    Attributes:
        reason: Why, or why not.
        value: A value feature's value; true or false for others.
        used: Under the limit that answers: the one that stops it, else the tightest. Null without limits, as are the next
            four.
        origin: Who granted it, or who set that limit.
        limits: Every limit on the feature.
        opens_at: When a gate that is closed now opens.
        outage: What to answer while Valorem cannot be reached.
        text: The answer in words.
    """

    feature: str
    allowed: bool
    reason: str
    kind: str
    value: bool | ExactOut | str
    used: ExactOut | None
    limit: ExactOut | None
    remaining: ExactOut | None
    window: str | None
    resets_at: Instant | None
    unit: str | None
    origin: str
    limits: list[LimitAnswer]
    opens_at: Instant | None
    prompt: PromptAnswer | None
    outage: Literal["closed", "open"]
    text: str

    @classmethod
    def of(cls, result: CheckResult) -> "CheckResultAnswer":
        """From the engine's value."""
        said, state = result.verdict, result.verdict.state
        value: bool | Decimal | str = said.value
        return cls(
            feature=said.feature,
            allowed=said.allowed,
            reason=said.reason,
            kind=said.kind,
            value=value,
            used=None if state is None else state.used,
            limit=None if state is None else state.limit.max,
            remaining=None if state is None else state.remaining,
            window=None if state is None else str(state.limit.window),
            resets_at=None if state is None else state.resets_at,
            unit=result.unit,
            origin=said.origin,
            limits=[LimitAnswer.of(each) for each in said.states],
            opens_at=said.opens_at,
            prompt=None if result.offer is None else PromptAnswer.of(result.offer),
            outage="open" if result.outage == "open" else "closed",
            text=say(said),
        )


class CheckAnswer(Answer):
    """The answers, all as of one instant: every event acknowledged before it is in.

    Attributes:
        customer: Whose; null where the subject is nobody's.
        allowed: Whether everything asked for is.
        stale: Whether nothing could be looked up, so that each feature's outage rule answers.
        consumed: ``recorded``, ``duplicate`` (it was recorded and allowed before) or ``denied``; null for a mere check.
    """

    customer: str | None
    as_of: Instant
    allowed: bool
    stale: bool
    results: list[CheckResultAnswer]
    consumed: Literal["recorded", "duplicate", "denied"] | None = None


@router.post("")
def check(body: CheckBody, caller: Reader) -> CheckAnswer:
    """Check features of a customer on the live counters, and record a use if it is allowed."""
    services: Any = caller.request.app.state
    if body.consume is not None:
        return _consume(body, caller, services)
    report = services.checker.check(caller.workspace.id, body.customer, body.asked())
    results = [CheckResultAnswer.of(each) for each in report.results]
    return CheckAnswer(
        customer=report.customer,
        as_of=report.as_of,
        allowed=all(each.allowed for each in results),
        stale=report.stale,
        results=results,
    )


def _consume(body: CheckBody, caller: Caller, services: Any) -> CheckAnswer:
    check_scope(caller.principal, "events:write")
    assert body.consume is not None
    assert body.feature is not None
    event = {"subject": body.customer, **body.consume}
    if event["subject"] != body.customer:
        raise InvalidInputError(
            "the use is another customer's", field="consume.subject", hint="leave the subject out"
        )
    consumed = services.consumer.consume(caller.workspace.id, Consumption(body.feature, event))
    return CheckAnswer(
        customer=consumed.customer,
        as_of=consumed.as_of,
        allowed=consumed.status != "denied",
        stale=False,
        results=[CheckResultAnswer.of(consumed.result)],
        consumed=consumed.status,
    )

"""``/v1/check``: may this customer do that, how much is left, and what to show when it may not."""

from asyncio import get_running_loop
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from valorem.api.access import Caller, Needs, check_scope
from valorem.api.direct import DirectRoute
from valorem.api.holds import HoldAnswer
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Page
from valorem.core.entitlements.check import Asked, LimitState, say
from valorem.core.entitlements.limits import stops_at
from valorem.core.entitlements.prompts import Offer
from valorem.core.errors import InvalidInputError
from valorem.engine.checking import CheckResult
from valorem.engine.consuming import Consumption
from valorem.engine.quota_holding import NewHold, check_and_hold, list_quota_holds, release_quota_hold

router = APIRouter(prefix="/v1/check", tags=["check"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("events:write"))]
Dimensions = Annotated[dict[str, Name], Field(max_length=20)]


class Question(Body):
    """One feature, how much of it, and whose use it is."""

    feature: Name
    quantity: Exact | None = None
    dimensions: Dimensions = Field(default_factory=dict)


class HoldBody(Body):
    """What to reserve if the check allows it.

    Attributes:
        id: Your own; the same id is the same hold.
        lasts_s: For how many seconds, counted by the server.
        credit: A credit type of which ``amount`` is reserved as well; settle or release that at ``/v1/holds``.
        amount: The most the work can cost in it.
    """

    id: Annotated[Name, Field(max_length=200)]
    lasts_s: Annotated[int, Field(ge=1, le=30 * 86_400)] = 600
    credit: Name | None = None
    amount: Exact | None = None


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
        hold: Reserves the quantity if the check allows it, so that nobody else's check may have it. With ``consume``: the
            hold that was placed for this use, which may have what that reserves and ends it.
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
                {
                    "customer": "acme",
                    "feature": "batch_jobs",
                    "quantity": "5",
                    "hold": {"id": "job-17", "lasts_s": 900},
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
    hold: HoldBody | None = None

    @model_validator(mode="after")
    def _asks(self) -> "CheckBody":
        if (self.feature is None) == (not self.features):
            raise ValueError("ask for one feature, or for several in features")
        if self.consume is not None and self.feature is None:
            raise ValueError("a use is of one feature: write it as feature")
        if self.hold is not None and self.feature is None:
            raise ValueError("a hold is of one feature: write it as feature")
        if self.hold is not None and self.consume is not None and self.hold.credit is not None:
            raise ValueError("credits that are held are settled at /v1/holds: leave credit out")
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
    """Where one limit stands.

    Attributes:
        limit: Its ``max``.
        stops_at: Past what it stops: 125 of 100 for a soft limit enforced at 125%; null where it never does, as a throttle,
            which slows down.
        remaining: Until ``limit``, without what is held.
        held: Use that is reserved.
    """

    window: str
    kind: Literal["hard", "soft", "throttle"]
    used: ExactOut
    limit: ExactOut
    stops_at: ExactOut | None
    remaining: ExactOut
    over: ExactOut
    held: ExactOut
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
            stops_at=stops_at(state.limit),
            remaining=state.remaining,
            over=state.over,
            held=state.held,
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


class QuotaHoldAnswer(Answer):
    """Use of a feature that is reserved until it is consumed, released or expires."""

    id: str
    feature: str
    quantity: ExactOut
    dimensions: dict[str, str]
    state: Literal["held", "settled", "released", "expired"]
    at: Instant
    expires: Instant
    resolved_at: Instant | None


class CheckAnswer(Answer):
    """The answers, all as of one instant: every event acknowledged before it is in.

    Attributes:
        customer: Whose; null where the subject is nobody's.
        allowed: Whether everything asked for is.
        stale: Whether nothing could be looked up, so that each feature's outage rule answers.
        consumed: ``recorded``, ``duplicate`` (it was recorded and allowed before) or ``denied``; null for a mere check.
        hold: The quota that is reserved now; null where none was asked for, or it was denied.
        credit_hold: The credits that are; its ``state`` is ``refused`` where there were not enough.
    """

    customer: str | None
    as_of: Instant
    allowed: bool
    stale: bool
    results: list[CheckResultAnswer]
    consumed: Literal["recorded", "duplicate", "denied"] | None = None
    hold: QuotaHoldAnswer | None = None
    credit_hold: HoldAnswer | None = None


async def check(body: CheckBody, caller: Reader) -> Response:
    """Check features of a customer on the live counters; record a use, or reserve one, if it is allowed."""
    # Written where the work is done: to hand an answer over to be checked again costs more than the check.
    if body.consume is not None or body.hold is not None:
        return await run_in_threadpool(_written, _act, body, caller)
    # In threads of the checks' own, which never wait for a lock, so that no check waits for other requests either.
    threads = caller.request.app.state.checker.threads
    return await get_running_loop().run_in_executor(threads, _written, _look, body, caller)


router.add_api_route(
    "", check, methods=["POST"], response_model=CheckAnswer, route_class_override=DirectRoute
)


def _written(answer: Callable[[CheckBody, Caller], CheckAnswer], body: CheckBody, caller: Caller) -> Response:
    return Response(answer(body, caller).model_dump_json(), media_type="application/json")


def _act(body: CheckBody, caller: Caller) -> CheckAnswer:
    services: Any = caller.request.app.state
    if body.consume is not None:
        return _consume(body, caller, services)
    assert body.hold is not None
    return _hold(body, body.hold, caller, services)


def _look(body: CheckBody, caller: Caller) -> CheckAnswer:
    services: Any = caller.request.app.state
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
    hold = None if body.hold is None else body.hold.id
    consumed = services.consumer.consume(caller.workspace.id, Consumption(body.feature, event, hold))
    return CheckAnswer(
        customer=consumed.customer,
        as_of=consumed.as_of,
        allowed=consumed.status != "denied",
        stale=False,
        results=[CheckResultAnswer.of(consumed.result)],
        consumed=consumed.status,
    )


def _hold(body: CheckBody, wanted: HoldBody, caller: Caller, services: Any) -> CheckAnswer:
    check_scope(caller.principal, "events:write")
    new = NewHold(wanted.id, timedelta(seconds=wanted.lasts_s), wanted.credit, wanted.amount)
    asked = body.asked()[0]
    found = caller.acting(
        lambda tx: check_and_hold(tx, services.checker.knowledge, body.customer, asked, new)
    )
    if not found.result.verdict.allowed:
        services.checker.paywalls.note(caller.workspace.id, found.known, [found.result], found.as_of)
    return CheckAnswer(
        customer=found.customer,
        as_of=found.as_of,
        allowed=found.allowed,
        stale=False,
        results=[CheckResultAnswer.of(found.result)],
        hold=None if found.hold is None else QuotaHoldAnswer.model_validate(found.hold),
        credit_hold=None if found.credits is None else HoldAnswer.model_validate(found.credits.hold),
    )


@router.get("/holds")
def list_holds(caller: Reader, customer: Annotated[str, Query(max_length=255)]) -> Page[QuotaHoldAnswer]:
    """What is reserved of a customer's features now."""
    with caller.reading() as tx:
        return Page(items=[QuotaHoldAnswer.model_validate(one) for one in list_quota_holds(tx, customer)])


class ReleaseBody(Body):
    """Whose hold it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer": "acme"}]})

    customer: Name


@router.post("/holds/{hold_id}/release")
def release_hold(
    hold_id: Annotated[str, Path(max_length=200, description="your own id of the hold")],
    body: ReleaseBody,
    caller: Writer,
) -> QuotaHoldAnswer:
    """Give back what a hold reserves; again changes nothing."""
    return caller.acting(
        lambda tx: QuotaHoldAnswer.model_validate(release_quota_hold(tx, body.customer, hold_id))
    )

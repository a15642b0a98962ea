"""``/v1/webhooks``: where notices go, and every attempt to bring them there."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name, Page, Text
from valorem.engine import webhooks
from valorem.engine.engine import Transaction
from valorem.store.postgres.webhooks import Endpoint

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("webhooks:write"))]
Topics = Annotated[list[Name], Field(max_length=50)]
Digest = Literal["at_once", "hourly", "daily"]
Kind = Literal["webhook", "slack", "email"]


class NewEndpoint(Body):
    """An endpoint to make.

    Attributes:
        url: A public https URL, or for ``email`` a mail address.
        kind: ``webhook`` follows the Standard Webhooks specification; ``slack`` is anything that takes Slack's incoming
            webhooks.
        topics: What it is told: ``alert.crossed``, ``alert.*``; everything where left out.
        customer: Only about this customer.
        digest: For mail and Slack: together by the hour or the day.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"url": "https://example.com/hooks", "topics": ["alert.*"]}]}
    )

    url: Text
    kind: Kind = "webhook"
    topics: Topics = Field(default_factory=list)
    customer: Name | None = None
    digest: Digest = "at_once"


class EndpointChange(Body):
    """What to change; what is left out stays. ``active`` calls a disabled endpoint again, at once with what waits."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"state": "active"}]})

    topics: Topics | None = None
    digest: Digest | None = None
    state: Literal["active", "disabled"] | None = None


class EndpointAnswer(Answer):
    """An endpoint. ``reason`` says why a disabled one is; ``failures`` counts those in a row."""

    id: str
    kind: Kind
    url: str
    topics: list[str]
    customer: str | None
    digest: Digest
    state: Literal["active", "disabled"]
    reason: str | None
    failures: int
    created_at: Instant

    @classmethod
    def members(cls, one: Endpoint) -> dict[str, Any]:
        """From the engine's value."""
        return {
            "id": one.id,
            "kind": one.kind,
            "url": one.address,
            "topics": list(one.topics),
            "customer": one.customer,
            "digest": one.digest,
            "state": one.state,
            "reason": one.reason,
            "failures": one.health.failures,
            "created_at": one.created_at,
        }


class SecretEndpointAnswer(EndpointAnswer):
    """An endpoint with its signing secret, shown this once; null for what is not signed, and in a repeated answer."""

    secret: str | None


class DeliveryAnswer(Answer):
    """A message on its way to an endpoint. ``message`` is its ``webhook-id``, the same in every attempt."""

    message: str
    topic: str
    object: str
    state: Literal["pending", "delivered", "failed"]
    attempts: int
    next_at: Instant
    created_at: Instant
    finished_at: Instant | None
    last_status: int | None
    last_error: str | None


class AttemptAnswer(Answer):
    """One attempt: what the receiver answered, without secrets, or what went wrong."""

    number: int
    at: Instant
    status: int | None
    error: str | None
    answer: str | None
    took_ms: int


class Range(Body):
    """An interval of the workspace's time."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"since": "2026-03-01T00:00:00Z", "until": "2026-03-02T00:00:00Z"}]}
    )

    since: Instant
    until: Instant


class ReplayAnswer(Answer):
    """How many messages are sent again."""

    messages: int


@router.post("", status_code=201, response_model=SecretEndpointAnswer)
def create_endpoint(body: NewEndpoint, caller: Writer) -> Response:
    """Make an endpoint. Its secret is in this answer and nowhere else."""
    loopback = bool(caller.request.app.state.loopback)

    def effect() -> SecretEndpointAnswer:
        with caller.engine.transaction(caller.workspace.id) as tx:
            made = webhooks.create_endpoint(
                tx,
                kind=body.kind,
                address=body.url,
                topics=body.topics,
                customer=body.customer,
                digest=body.digest,
                loopback=loopback,
            )
        return SecretEndpointAnswer(**EndpointAnswer.members(made), secret=made.secret)

    return caller.once_around(effect, kept=_without_secret)


@router.get("")
def list_endpoints(caller: Reader) -> Page[EndpointAnswer]:
    """The endpoints."""
    with caller.reading() as tx:
        found = webhooks.list_endpoints(tx)
    return Page(items=[EndpointAnswer(**EndpointAnswer.members(one)) for one in found])


@router.get("/{endpoint}")
def get_endpoint(endpoint: str, caller: Reader) -> EndpointAnswer:
    """One endpoint."""
    with caller.reading() as tx:
        return EndpointAnswer(**EndpointAnswer.members(webhooks.get_endpoint(tx, endpoint)))


@router.patch("/{endpoint}", response_model=EndpointAnswer)
def update_endpoint(endpoint: str, body: EndpointChange, caller: Writer) -> Response:
    """Change what an endpoint is told, or whether it is called."""
    real_now = caller.engine.real_now()
    return caller.once(
        lambda tx: EndpointAnswer(
            **EndpointAnswer.members(
                webhooks.update_endpoint(
                    tx, endpoint, topics=body.topics, digest=body.digest, state=body.state, real_now=real_now
                )
            )
        ),
        status=200,
    )


@router.delete("/{endpoint}", status_code=204)
def delete_endpoint(endpoint: str, caller: Writer) -> None:
    """Remove an endpoint, and what was still to be sent to it."""
    caller.acting(lambda tx: webhooks.delete_endpoint(tx, endpoint))


@router.post("/{endpoint}/rotate", response_model=SecretEndpointAnswer)
def rotate_secret(endpoint: str, caller: Writer) -> Response:
    """Sign with a new secret; for a day with the old one as well."""

    def effect() -> SecretEndpointAnswer:
        with caller.engine.transaction(caller.workspace.id) as tx:
            made = webhooks.rotate_secret(tx, endpoint, real_now=caller.engine.real_now())
        return SecretEndpointAnswer(**EndpointAnswer.members(made), secret=made.secret)

    return caller.once_around(effect, status=200, kept=_without_secret)


@router.post("/{endpoint}/test", status_code=202, response_model=EndpointAnswer)
def send_test(endpoint: str, caller: Writer) -> Response:
    """Send a ``webhook.test`` to every endpoint that takes it."""

    def effect(tx: Transaction) -> EndpointAnswer:
        webhooks.send_test(tx, endpoint)
        return EndpointAnswer(**EndpointAnswer.members(webhooks.get_endpoint(tx, endpoint)))

    return caller.once(effect, status=202)


@router.post("/{endpoint}/replay", status_code=202, response_model=ReplayAnswer)
def replay(endpoint: str, body: Range, caller: Writer) -> Response:
    """Send again everything the endpoint wants of what happened in an interval, under the same ids."""
    real_now = caller.engine.real_now()
    return caller.once(
        lambda tx: ReplayAnswer(
            messages=webhooks.replay(tx, endpoint, body.since, body.until, real_now=real_now)
        ),
        status=202,
    )


@router.get("/{endpoint}/deliveries")
def list_deliveries(
    endpoint: str,
    caller: Reader,
    state: Literal["pending", "delivered", "failed"] | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[DeliveryAnswer]:
    """An endpoint's deliveries, newest first."""
    with caller.reading() as tx:
        found = webhooks.list_deliveries(tx, endpoint, state=state, limit=limit)
    return Page(
        items=[
            DeliveryAnswer(
                message=f"msg_{one.message.hex}",
                topic=one.topic,
                object=one.object,
                state=one.state,
                attempts=one.attempts,
                next_at=one.next_at,
                created_at=one.created_at,
                finished_at=one.finished_at,
                last_status=one.last_status,
                last_error=one.last_error,
            )
            for one in found
        ]
    )


@router.get("/{endpoint}/deliveries/{message}")
def list_attempts(
    endpoint: str, message: Annotated[str, Field(pattern="^msg_[0-9a-f]{32}$")], caller: Reader
) -> Page[AttemptAnswer]:
    """Every attempt of one delivery."""
    with caller.reading() as tx:
        found = webhooks.list_attempts(tx, endpoint, UUID(hex=message.removeprefix("msg_")))
    return Page(items=[AttemptAnswer.model_validate(one) for one in found])


def _without_secret(answer: SecretEndpointAnswer) -> SecretEndpointAnswer:
    return answer.model_copy(update={"secret": None})

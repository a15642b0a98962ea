"""``/v1/events``: facts come in; each is accepted, a duplicate, a conflict or rejected, and the answer says which.

The one hot path: its body goes straight to the ingestor, without the framework's validation in between.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Any, Literal, Protocol

import anyio.to_thread
import msgspec
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from valorem.api.access import Caller, Gate, Needs, check_scope
from valorem.api.body import unpacked
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.problems import error_response, request_id_of
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Instant, Page, written
from valorem.core.errors import ConflictError, InvalidInputError, ValoremError
from valorem.core.limits import Limits
from valorem.core.metering.batch import split_batch
from valorem.engine import customers, events
from valorem.engine.events import RecordedEvent
from valorem.engine.heard import STATUSES
from valorem.engine.results import ACCEPTED, ItemResult

router = APIRouter(prefix="/v1/events", tags=["events"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
SCOPE = "events:write"
_SINGLE, _EITHER = "application/cloudevents+json", "application/json"


class Submits(Protocol):
    """Whoever makes events durable; answers once they are."""

    async def submit(self, workspace: int, raws: Sequence[bytes | InvalidInputError]) -> Sequence[ItemResult]:
        """Record events; one result each, in order.

        Raises:
            OverloadedError: Nothing was accepted.
        """
        ...


class RecordedAnswer(Answer):
    """A recorded event as it counts. ``state``: as it was sent, as amended, or no more."""

    id: str
    source: str
    type: str
    subject: str
    time: Instant
    data: dict[str, Any]
    state: Literal["recorded", "amended", "voided"]


class FoundAnswer(Answer):
    """One event, and everything that corrected it.

    Attributes:
        event: As it counts; null while only corrections of it have arrived.
        received: The very text that was received.
        corrections: The text of every correction, in order of arrival.
    """

    event: RecordedAnswer | None
    received: str | None
    corrections: list[str]


class RecordedPageAnswer(Page[RecordedAnswer]):
    """A page of recorded events in order of time."""


@router.get("/find")
def find_event(
    caller: Reader,
    source: Annotated[str, Query(min_length=1, max_length=255)],
    id: Annotated[str, Query(min_length=1, max_length=255)],  # noqa: A002 - CloudEvents calls it so
) -> FoundAnswer:
    """One recorded event by its source and id, as it was received and as it counts."""
    with caller.reading() as tx:
        found = events.find_event(tx, source, id)
    return FoundAnswer(
        event=None if found.event is None else _recorded(found.event),
        received=None if found.raw is None else found.raw.decode(),
        corrections=[raw.decode() for raw in found.corrections],
    )


@router.get("")
def list_events(
    caller: Reader,
    customer: Annotated[str, Query(max_length=255)],
    start: Annotated[Instant | None, Query()] = None,
    end: Annotated[Instant | None, Query()] = None,
    type: Annotated[list[str] | None, Query(max_length=50, description="may be repeated")] = None,  # noqa: A002
    after: After = None,
    limit: Limit = 50,
) -> RecordedPageAnswer:
    """A customer's recorded events in order of time, voided ones too."""
    with caller.reading() as tx:
        subjects = customers.get_customer(tx, customer).subjects
        page = events.browse_events(
            tx, subjects=subjects, start=start, end=end, types=type, after=read_cursor(after), limit=limit
        )
    return RecordedPageAnswer(
        items=[_recorded(event) for event in page.items], next=cursor_of(page.next) if page.next else None
    )


def _recorded(event: RecordedEvent) -> RecordedAnswer:
    return RecordedAnswer(
        id=event.id,
        source=event.source,
        type=event.type,
        subject=event.subject,
        time=event.time,
        data=written(event.data),
        state=event.state,
    )


async def ingest(request: Request) -> Response:
    """Record one event, a batch or a stream of lines."""
    services: Any = request.app.state
    principal = await _principal(services.gate, request.headers.get("authorization"))
    check_scope(principal, SCOPE)
    limits: Limits = services.engine.limits
    body = await unpacked(request.scope["state"]["body"], request.headers.get("content-encoding"), limits)
    content_type = request.headers.get("content-type")
    raws = split_batch(body, content_type, limits)
    results = await services.ingestor.submit(principal.workspace.id, raws)
    counts = dict.fromkeys(STATUSES, 0)
    for result in results:
        counts[result.status] += 1
    services.metrics.note_events(counts)
    services.heard.note(principal.workspace.id, services.engine.real_now(), counts, raws, results)
    if _is_single(content_type, body) and (refusal := _refusal(results[0])) is not None:
        return error_response(request_id_of(request), refusal)
    return Response(_answer(counts, results), media_type="application/json")


async def _principal(gate: Gate, authorization: str | None) -> Any:
    known = gate.remembered(authorization)
    return known if known is not None else await anyio.to_thread.run_sync(gate.principal, authorization)


def _is_single(content_type: str | None, body: bytes) -> bool:
    media_type = (content_type or "application/json").split(";")[0].strip().lower()
    return media_type == _SINGLE or (media_type == _EITHER and body.lstrip()[:1] != b"[")


def _refusal(result: ItemResult) -> ValoremError | None:
    reason = result.reason or result.status
    if result.status == "rejected":
        return InvalidInputError(reason, field=result.field, hint=result.hint)
    if result.status == "conflict":
        return ConflictError(reason, field=result.field, hint=result.hint)
    return None


_ACCEPTED_ITEM = b'{"status":"accepted"}'


def _answer(counts: dict[str, int], results: Sequence[ItemResult]) -> bytes:
    head = msgspec.json.encode(counts)
    items = [_ACCEPTED_ITEM if result is ACCEPTED else _item(result) for result in results]
    return head[:-1] + b',"items":[' + b",".join(items) + b"]}"


@lru_cache(maxsize=4096)
def _item(result: ItemResult) -> bytes:
    members = {
        "status": result.status,
        "field": result.field,
        "reason": result.reason,
        "hint": result.hint,
    }
    return msgspec.json.encode(
        {name: text.encode("utf-8", "replace").decode() for name, text in members.items() if text is not None}
    )

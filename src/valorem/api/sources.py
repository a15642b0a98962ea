"""``/v1/sources``: other systems whose records become events; their messages, readings, secrets and gaps."""

from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import ConfigDict, Field, JsonValue
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.catalog import Files
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name, Page, Text, written
from valorem.core.metering.event import Event
from valorem.core.sources.mapping import Unread
from valorem.core.sources.signatures import Received
from valorem.engine.connectors import holding, listing, secrets
from valorem.engine.connectors.listing import SourceView
from valorem.engine.connectors.polling import poll_source
from valorem.engine.connectors.receiving import receive
from valorem.engine.connectors.taking import Taken, find_source, retry_parked
from valorem.engine.engine import Transaction
from valorem.engine.workspaces import get_workspace

router = APIRouter(tags=["sources"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("catalog:write"))]
Releaser = Annotated[Caller, Depends(Needs("invoices:write"))]
Key = Annotated[str, Path(max_length=63)]


class SourceAnswer(Answer):
    """A source and where it stands.

    Attributes:
        kind: How it is read; ``webhook`` where it only sends.
        system: What outcome definitions call it.
        webhook: Where it sends its messages; null where it sends none.
        fresh: Whether it keeps to the freshness it promises, with every record read.
        lag_s: Seconds since everything was known; null where that never was.
        last_event_at: The greatest time of its events.
        received_at: When a record or message last came.
        read_at: When reading last came to the end.
        complete_until: Everything before this has been read.
        next_at: When it is read again.
        parked: Records that could not be read.
        error: Of the last reading.
    """

    source: str
    name: str
    kind: str
    system: str
    webhook: str | None
    freshness_s: int
    fresh: bool
    lag_s: int | None
    events: int
    last_event_at: Instant | None
    received_at: Instant | None
    tried_at: Instant | None
    read_at: Instant | None
    complete_until: Instant | None
    next_at: Instant | None
    parked: int
    failures: int
    error: str | None
    hint: str | None


class FileAnswer(Answer):
    """A file of a source; ``refused`` says why it was not taken."""

    name: str
    digest: str
    rows: int
    refused: str | None
    taken_at: Instant


class SourceDetailAnswer(SourceAnswer):
    """A source with its files and its definition as the catalog says it."""

    files: list[FileAnswer]
    definition: dict[str, Any]


class ParkedAnswer(Answer):
    """A record that could not be read or recorded; it is kept until it can."""

    id: str
    via: Literal["webhook", "poll"]
    event: str
    field: str | None
    reason: str
    hint: str | None
    attempts: int
    parked_at: Instant
    record: str


class DryRunBody(Body):
    """What to look at: given records or messages, else the first records of the source itself.

    Attributes:
        files: A catalog that has not been applied; the newest version where left out.
        records: Records, or whole messages as they are sent.
        limit: Most events.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"records": [{"id": 7, "status": "solved"}], "limit": 20}]}
    )

    files: Files | None = None
    records: Annotated[list[JsonValue], Field(max_length=1000)] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 20


class DryEventAnswer(Answer):
    """An event as it would be recorded."""

    id: str
    type: str
    subject: str
    time: Instant | None
    data: dict[str, Any]


class UnreadAnswer(Answer):
    """A record that could not be read: its place, counted from 1, and why."""

    record: int
    event: str
    field: str | None
    reason: str
    hint: str | None


class DryRunAnswer(Answer):
    """What records would become. Nothing was written."""

    records: int
    events: list[DryEventAnswer]
    ignored: int
    unread: list[UnreadAnswer]


class PollBody(Body):
    """How to read."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"everything": False}]})

    everything: bool = False


class TakenAnswer(Answer):
    """What became of records: new events, known already, no rule is for them, or parked."""

    records: int
    events: int
    known: int
    ignored: int
    parked: int


class PollAnswer(TakenAnswer):
    """What a reading did."""

    pages: int
    full: bool
    files: list[str]
    refused: dict[str, str]


class ReceiptAnswer(TakenAnswer):
    """What became of a message; ``repeated`` where the very same came before."""

    repeated: bool


class SecretBody(Body):
    """A secret of another system. It is sealed, and never shown again."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "zendesk_token", "secret": "whsec_…"}]}
    )

    name: Name
    secret: Annotated[Text, Field(min_length=1, max_length=10_000)]


class SecretAnswer(Answer):
    """A secret's name, and when it was set."""

    name: str
    set_at: Instant


class WaitAnswer(Answer):
    """An invoice that waits for a source, and since when; or who let it go, and why."""

    invoice: str
    reasons: list[str]
    since: Instant
    released_at: Instant | None
    released_by: str | None
    reason: str | None


class ReleaseBody(Body):
    """Why an invoice may go with what is known."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "the help desk was retired"}]})

    reason: Annotated[Text, Field(min_length=1, max_length=500)]


@router.get("/v1/sources")
def list_sources(caller: Reader) -> Page[SourceAnswer]:
    """The sources of the catalog, with the freshness of each."""
    with caller.reading() as tx:
        found = listing.list_sources(tx)
    return Page(items=[SourceAnswer(**_source(each, caller)) for each in found])


@router.get("/v1/sources/{source}")
def get_source(source: Key, caller: Reader) -> SourceDetailAnswer:
    """One source, with its files."""
    with caller.reading() as tx:
        found, files = listing.show_source(tx, source), listing.list_files(tx, source)
    return SourceDetailAnswer(
        **_source(found, caller),
        files=[FileAnswer.model_validate(each) for each in files[:200]],
        definition=found.definition.model_dump(mode="json", by_alias=True, exclude_none=True),
    )


@router.post("/v1/sources/{source}/dry_run")
def dry_run_source(source: Key, body: DryRunBody, caller: Reader) -> DryRunAnswer:
    """What the first records would become. Writes nothing."""
    found = listing.dry_run(
        caller.engine,
        caller.workspace.id,
        source,
        files=body.files,
        records=body.records,
        limit=body.limit,
    )
    return DryRunAnswer(
        records=found.records,
        events=[_event(each) for each in found.events],
        ignored=found.ignored,
        unread=[_unread(place, each) for place, each in found.unread],
    )


@router.post("/v1/sources/{source}/poll", response_model=PollAnswer)
def poll(source: Key, body: PollBody, caller: Writer) -> Response:
    """Read a source to its end, now."""
    taker = caller.request.app.state.taker

    def effect() -> PollAnswer:
        report = poll_source(taker, caller.workspace.id, source, everything=body.everything)
        return PollAnswer(
            **_taken(report.taken),
            pages=report.pages,
            full=report.full,
            files=list(report.files),
            refused=dict(report.refused),
        )

    return caller.once_around(effect, status=200)


@router.get("/v1/sources/{source}/parked")
def list_parked(source: Key, caller: Reader, after: After = None, limit: Limit = 50) -> Page[ParkedAnswer]:
    """Records that could not be read, as they came."""
    with caller.reading() as tx:
        found = listing.list_parked(tx, source, after=read_cursor(after), limit=limit + 1)
    items = [
        ParkedAnswer(
            id=each.id,
            via=each.via,
            event=each.event,
            field=each.field,
            reason=each.reason,
            hint=each.hint,
            attempts=each.attempts,
            parked_at=each.parked_at,
            record=each.record.decode(),
        )
        for each in found[:limit]
    ]
    return Page(items=items, next=cursor_of(items[-1].id) if len(found) > limit else None)


@router.post("/v1/sources/{source}/retry", response_model=TakenAnswer)
def retry(source: Key, caller: Writer) -> Response:
    """Read parked records again, by the mapping as it is now."""
    taker = caller.request.app.state.taker

    def effect() -> TakenAnswer:
        with caller.engine.transaction(caller.workspace.id) as tx:
            definition = find_source(tx, source)
        return TakenAnswer(**_taken(retry_parked(taker, caller.workspace.id, definition)))

    return caller.once_around(effect, status=200)


@router.get("/v1/source_secrets")
def list_secrets(caller: Reader) -> Page[SecretAnswer]:
    """The names of the secrets, and when each was set; never the secrets."""
    with caller.reading() as tx:
        found = secrets.list_secrets(tx)
    return Page(items=[SecretAnswer(name=name, set_at=at) for name, at in found.items()])


@router.post("/v1/source_secrets", response_model=SecretAnswer)
def set_secret(body: SecretBody, caller: Writer) -> Response:
    """Keep a secret under a name, in place of the one before."""
    return caller.once(
        lambda tx: SecretAnswer(name=body.name, set_at=secrets.set_secret(tx, body.name, body.secret)),
        status=200,
    )


@router.delete("/v1/source_secrets/{name}", status_code=204)
def delete_secret(name: Annotated[str, Path(max_length=63)], caller: Writer) -> None:
    """Forget a secret."""
    with caller.engine.transaction(caller.workspace.id) as tx:
        secrets.delete_secret(tx, name)


@router.get("/v1/source_waits")
def list_waits(caller: Reader) -> Page[WaitAnswer]:
    """Invoices that wait for what a source has not told yet."""
    with caller.reading() as tx:
        return Page(items=[WaitAnswer.model_validate(each) for each in holding.list_waiting(tx)])


@router.post("/v1/source_waits/{invoice}/release", response_model=WaitAnswer)
def release_invoice(
    invoice: Annotated[str, Path(max_length=64)], body: ReleaseBody, caller: Releaser
) -> Response:
    """Let an invoice go with what is known; it becomes final at the next closing."""

    def effect(tx: Transaction) -> WaitAnswer:
        by = f"key {caller.principal.key_id}"
        return WaitAnswer.model_validate(holding.release(tx, invoice, by=by, reason=body.reason))

    return caller.once(effect, status=200)


@router.post("/v1/sources/webhooks/{workspace}/{source}", include_in_schema=False)
def take_message(
    workspace: Annotated[str, Path(max_length=63)],
    source: Key,
    request: Request,
) -> ReceiptAnswer:
    """Where another system sends its messages; the signature is the key. Order and repetition do not matter."""
    services: Any = request.app.state
    headers = {name.lower(): value for name, value in request.headers.items()}
    message = Received(request.method, str(request.url), headers, request.scope["state"]["body"])
    receipt = receive(services.taker, get_workspace(services.engine, workspace).id, source, message)
    return ReceiptAnswer(repeated=receipt.repeated, **_taken(receipt.taken))


def _taken(taken: Taken) -> dict[str, int]:
    return {
        "records": taken.records,
        "events": taken.events,
        "known": taken.known,
        "ignored": taken.ignored,
        "parked": taken.parked,
    }


def _source(view: SourceView, caller: Caller) -> dict[str, Any]:
    definition, state = view.definition, view.state
    base = str(caller.request.base_url).rstrip("/")
    return {
        "source": definition.source,
        "name": definition.name or definition.source,
        "kind": definition.kind,
        "system": definition.called,
        "webhook": None
        if definition.webhook is None
        else f"{base}/v1/sources/webhooks/{caller.workspace.name}/{definition.source}",
        "freshness_s": definition.freshness // timedelta(seconds=1),
        "fresh": view.fresh,
        "lag_s": None if view.lag is None else view.lag // timedelta(seconds=1),
        "events": state.events,
        "last_event_at": state.last_event_at,
        "received_at": state.received_at,
        "tried_at": state.tried_at,
        "read_at": state.read_at,
        "complete_until": state.complete_until,
        "next_at": state.next_at,
        "parked": view.parked,
        "failures": state.failures,
        "error": state.error,
        "hint": state.hint,
    }


def _event(event: Event) -> DryEventAnswer:
    return DryEventAnswer(
        id=event.id, type=event.type, subject=event.subject, time=event.time, data=written(event.data)
    )


def _unread(place: int, one: Unread) -> UnreadAnswer:
    return UnreadAnswer(record=place, event=one.rule, field=one.field, reason=one.reason, hint=one.hint)

"""``valorem webhooks``: endpoints for notices, their deliveries, and a receiver for development."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Annotated

import typer

from valorem.cli.listening import listening
from valorem.cli.output import Json, err, say, show_json, table
from valorem.cli.parameters import Customer, an_instant
from valorem.cli.session import client_of
from valorem.client import ConnectionFailedError
from valorem.client.limit_values import Endpoint, SecretEndpoint
from valorem.core.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="Where notices go.")
Topics = Annotated[
    list[str] | None,
    typer.Option("--topic", help="alert.crossed, alert.*, …; may be repeated; all where left out."),
]


@app.command()
def create(
    context: typer.Context,
    url: Annotated[str, typer.Argument(help="A public https URL; with --kind email a mail address.")],
    kind: Annotated[str, typer.Option(help="webhook, slack or email.")] = "webhook",
    topic: Topics = None,
    customer: Customer = None,
    digest: Annotated[str | None, typer.Option(help="For mail and Slack: at_once, hourly or daily.")] = None,
    as_json: Json = False,
) -> None:
    """Make an endpoint. A webhook's secret is shown this once."""
    made = client_of(context).create_endpoint(
        url, kind=kind, topics=topic or [], customer=customer, digest=digest
    )
    _show(made, as_json=as_json)


@app.command(name="list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the endpoints."""
    page = client_of(context).list_endpoints()
    if as_json:
        show_json(page)
        return
    table(
        ("id", "kind", "where", "topics", "customer", "state", "failures", "reason"),
        [
            (e.id, e.kind, e.url, e.topics or "all", e.customer, e.state, e.failures, e.reason)
            for e in page.items
        ],
        right=("failures",),
    )


@app.command()
def enable(context: typer.Context, endpoint: str) -> None:
    """Call a disabled endpoint again, at once with what waits."""
    client_of(context).update_endpoint(endpoint, state="active")
    say(f"{endpoint} is called again")


@app.command()
def disable(context: typer.Context, endpoint: str) -> None:
    """Call an endpoint no more; what happens meanwhile waits."""
    client_of(context).update_endpoint(endpoint, state="disabled")
    say(f"{endpoint} is not called any more")


@app.command()
def delete(context: typer.Context, endpoint: str) -> None:
    """Remove an endpoint, and what was still to be sent to it."""
    client_of(context).delete_endpoint(endpoint)
    say(f"{endpoint} is removed")


@app.command()
def rotate(context: typer.Context, endpoint: str, as_json: Json = False) -> None:
    """Sign with a new secret; for a day with the old one as well."""
    _show(client_of(context).rotate_endpoint_secret(endpoint), as_json=as_json)


@app.command()
def test(context: typer.Context, endpoint: str) -> None:
    """Send a test."""
    client_of(context).test_endpoint(endpoint)
    say(f"a webhook.test is on its way; see: valorem webhooks deliveries {endpoint}")


@app.command()
def replay(
    context: typer.Context,
    endpoint: str,
    since: Annotated[str, typer.Option(help="From this instant or day.")],
    until: Annotated[str, typer.Option(help="Before this instant or day.")],
) -> None:
    """Send again what happened in an interval, under the same ids."""
    first, last = an_instant(since, "--since"), an_instant(until, "--until")
    if first is None or last is None:
        raise InvalidInputError("an interval has two ends", field="--since", hint="give --since and --until")
    sent = client_of(context).replay_endpoint(endpoint, first, last)
    say(f"{sent.messages} messages are sent again")


@app.command()
def deliveries(
    context: typer.Context,
    endpoint: str,
    state: Annotated[str | None, typer.Option(help="pending, delivered or failed.")] = None,
    message: Annotated[str | None, typer.Option(help="Every attempt of this one.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Most rows.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what was sent to an endpoint, and what became of it."""
    client = client_of(context)
    if message is not None:
        attempts = client.list_attempts(endpoint, message)
        if as_json:
            show_json(attempts)
            return
        table(
            ("attempt", "when", "status", "error", "answer", "ms"),
            [(a.number, a.at, a.status, a.error, a.answer, a.took_ms) for a in attempts.items],
            right=("attempt", "status", "ms"),
        )
        return
    page = client.list_deliveries(endpoint, state=state, limit=limit)
    if as_json:
        show_json(page)
        return
    table(
        ("message", "topic", "about", "state", "attempts", "next", "status", "error"),
        [
            (
                d.message,
                d.topic,
                d.object,
                d.state,
                d.attempts,
                d.next_at if d.state == "pending" else None,
                d.last_status,
                d.last_error,
            )
            for d in page.items
        ],
        right=("attempts", "status"),
    )


@app.command()
def listen(
    context: typer.Context,
    topic: Topics = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="On this machine; 0 takes a free one.")] = 0,
    count: Annotated[int, typer.Option(min=0, help="Stop after so many; 0 goes on until interrupted.")] = 0,
    as_json: Json = False,
) -> None:
    """Receive webhooks on this machine: verify each signature and print it. For development.

    The server must run on this machine, with VALOREM_WEBHOOKS_TO_THIS_MACHINE=yes.
    """
    with listening(port) as receiver, _stopped_like_interrupted():
        made = client_of(context).create_endpoint(receiver.url, topics=topic or [])
        try:
            err.print(f"listening at {receiver.url} as {made.id}; interrupt to stop")
            receiver.print_all(made.secret or "", count, as_json=as_json)
        finally:
            try:
                client_of(context).delete_endpoint(
                    made.id
                )  # a server that was started again may be elsewhere
            except ConnectionFailedError:
                err.print(f"the server is away; later: valorem webhooks delete {made.id}")


@contextmanager
def _stopped_like_interrupted() -> Iterator[None]:
    """Let a stop and an interrupt both end the block in order, also where a shell ignores interrupts for what it started."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _show(endpoint: Endpoint, *, as_json: bool) -> None:
    if as_json:
        show_json(endpoint)
        return
    say(f"{endpoint.id} · {endpoint.kind} · {endpoint.url}", "bold")
    if isinstance(endpoint, SecretEndpoint) and endpoint.secret is not None:
        say(f"signing secret, shown this once: {endpoint.secret}")

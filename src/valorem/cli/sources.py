"""``valorem sources``: other systems whose records become events; look, try, read, and see what is missing."""

import json
import sys
from decimal import Decimal
from getpass import getpass
from pathlib import Path
from typing import Annotated, Any

import typer

from valorem.cli.catalog import read_folder
from valorem.cli.output import Json, cell, more, say, show_json, table
from valorem.cli.parameters import After, Limit
from valorem.cli.session import client_of
from valorem.client.source_values import TakenRecords
from valorem.core.errors import InvalidInputError

app = typer.Typer(no_args_is_help=True, help="Other systems whose records become events.")
Source = Annotated[str, typer.Argument(help="The source's key in the catalog.")]
Invoice = Annotated[str, typer.Argument(help="The invoice's id.")]


@app.command(name="list")
def list_(context: typer.Context, as_json: Json = False) -> None:
    """List the sources, and how fresh each is."""
    freshness(context, as_json=as_json)


@app.command()
def freshness(context: typer.Context, as_json: Json = False) -> None:
    """Show how fresh each source is: its last event, its last whole reading, and how far behind that is."""
    page = client_of(context).list_sources()
    if as_json:
        show_json(page)
        return
    if not page.items:
        say("no source: a file below sources/ of the catalog makes one", "dim")
        return
    table(
        ("source", "kind", "fresh", "behind", "last event", "read", "events", "parked", "problem"),
        [
            (
                one.source,
                one.kind,
                "yes" if one.fresh else "no",
                _length(one.lag_s),
                one.last_event_at,
                one.read_at,
                one.events,
                one.parked,
                one.error,
            )
            for one in page.items
        ],
        right=("events", "parked"),
    )
    waiting = client_of(context).list_waiting_invoices()
    for wait in waiting.items:
        say(f"invoice {wait.invoice} waits since {cell(wait.since)}: {'; '.join(wait.reasons)}", "yellow")


@app.command()
def show(context: typer.Context, source: Source, as_json: Json = False) -> None:
    """Show one source: where it stands, and its files."""
    found = client_of(context).get_source(source)
    if as_json:
        show_json(found)
        return
    say(f"{found.name} ({found.source}), {found.kind}, called {found.system} by outcomes", "bold")
    if found.webhook:
        say(f"messages go to {found.webhook}")
    behind = "never read whole" if found.lag_s is None else f"{_length(found.lag_s)} behind"
    say(
        f"{'fresh' if found.fresh else 'not fresh'}: {behind}; {found.events:,} events, {found.parked:,} parked"
    )
    if found.error:
        say(f"{found.error}" + (f"\n→ {found.hint}" if found.hint else ""), "red")
    if found.files:
        table(
            ("file", "rows", "taken", "refused"),
            [(each.name, each.rows, each.taken_at, each.refused) for each in found.files],
            right=("rows",),
        )


@app.command(name="dry-run")
def dry_run(
    context: typer.Context,
    source: Source,
    catalog: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="A catalog folder that has not been applied."),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="JSON records or messages to look at, instead of reading."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="Most events.")] = 20,
    as_json: Json = False,
) -> None:
    """Show the first events that a source's records would become. Writes nothing."""
    found = client_of(context).dry_run_source(
        source,
        files=None if catalog is None else read_folder(catalog),
        records=None if records is None else _records(records),
        limit=limit,
    )
    if as_json:
        show_json(found)
        return
    say(f"{found.records} records: {len(found.events)} events, {found.ignored} that no rule is for", "bold")
    table(
        ("type", "subject", "time", "data", "id"),
        [
            (one.type, one.subject, one.time, json.dumps(one.data, ensure_ascii=False), one.id)
            for one in found.events
        ],
    )
    for wrong in found.unread:
        place = f" {wrong.field}:" if wrong.field else ""
        say(f"record {wrong.record}, {wrong.event}:{place} {wrong.reason}", "red")
        if wrong.hint:
            say(f"    → {wrong.hint}")


@app.command()
def poll(
    context: typer.Context,
    source: Source,
    everything: Annotated[bool, typer.Option("--everything", help="Whatever was read before.")] = False,
    as_json: Json = False,
) -> None:
    """Read a source to its end, now."""
    report = client_of(context).poll_source(source, everything=everything)
    if as_json:
        show_json(report)
        return
    _show_taken(report)
    for name in report.files:
        say(f"took {name}")
    for name, why in report.refused.items():
        say(f"did not take {name}: {why}", "yellow")


@app.command()
def parked(
    context: typer.Context, source: Source, after: After = None, limit: Limit = 50, as_json: Json = False
) -> None:
    """Show the records that could not be read."""
    page = client_of(context).list_parked_records(source, after=after, limit=limit)
    if as_json:
        show_json(page)
        return
    if not page.items:
        say(f"every record of {source} could be read", "dim")
        return
    table(
        ("record", "rule", "field", "reason", "since", "tries"),
        [
            (one.record[:80], one.event, one.field, one.reason, one.parked_at, one.attempts)
            for one in page.items
        ],
        right=("tries",),
    )
    more(page.next)


@app.command()
def retry(context: typer.Context, source: Source, as_json: Json = False) -> None:
    """Read parked records again, by the mapping as it is now."""
    report = client_of(context).retry_parked_records(source)
    if as_json:
        show_json(report)
        return
    _show_taken(report)


@app.command()
def secret(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="As the catalog names it.")],
    forget: Annotated[bool, typer.Option("--forget", help="Remove it.")] = False,
) -> None:
    """Keep a secret of another system, sealed; asked for, or read from standard input."""
    client = client_of(context)
    if forget:
        client.delete_source_secret(name)
        say(f"{name} is forgotten")
        return
    given = getpass(f"{name}: ") if sys.stdin.isatty() else sys.stdin.read().rstrip("\r\n")
    if not given:
        raise InvalidInputError(
            "an empty text is no secret",
            field="secret",
            hint="write it, pipe it in, or take it away: --forget",
        )
    client.set_source_secret(name, given)
    say(f"{name} is kept, sealed")


@app.command()
def secrets(context: typer.Context, as_json: Json = False) -> None:
    """List the names of the secrets."""
    page = client_of(context).list_source_secrets()
    if as_json:
        show_json(page)
        return
    if not page.items:
        say("no secret is kept: valorem sources secret NAME", "dim")
        return
    table(("name", "set"), [(one.name, one.set_at) for one in page.items])


@app.command()
def release(
    context: typer.Context,
    invoice: Invoice,
    reason: Annotated[str, typer.Option(help="Why it may go with what is known.")],
) -> None:
    """Let an invoice go that waits for a source."""
    client_of(context).release_invoice(invoice, reason)
    say(f"{invoice} becomes final at the next closing")


def _show_taken(report: TakenRecords) -> None:
    say(
        f"{report.records:,} records: {report.events:,} events, {report.known:,} known already,"
        f" {report.ignored:,} that no rule is for",
        "bold",
    )
    if report.parked:
        say(f"{report.parked:,} could not be read: valorem sources parked", "red")


def _length(seconds: int | None) -> str | None:
    if seconds is None:
        return None
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _records(path: Path) -> list[Any]:
    text = path.read_text(encoding="utf-8")
    try:
        found = json.loads(text, parse_float=Decimal)
    except json.JSONDecodeError:
        try:
            found = [json.loads(line, parse_float=Decimal) for line in text.splitlines() if line.strip()]
        except json.JSONDecodeError as error:
            raise InvalidInputError(
                f"{path} is neither JSON nor lines of it: {error.msg} at line {error.lineno}",
                field="--records",
            ) from None
    return found if isinstance(found, list) else [found]

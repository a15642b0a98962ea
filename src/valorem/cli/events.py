"""``valorem events``: send facts, find one again."""

import itertools
import json
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from valorem.cli.imports import import_events
from valorem.cli.output import Json, err, say, show_json, table
from valorem.cli.parameters import an_instant, pairs
from valorem.cli.session import client_of
from valorem.client.values import EventResults
from valorem.core.errors import InvalidInputError
from valorem.core.limits import Limits
from valorem.core.metering.batch import split_batch
from valorem.core.time import write_instant

app = typer.Typer(no_args_is_help=True, help="Facts: what customers did.")
app.command("import")(import_events)
_BATCH = 1000
_SHOWN = 20
#: A file may hold any number of events; they are sent in batches.
_A_FILE = Limits(batch_events=2**40)


@app.command()
def send(
    context: typer.Context,
    files: Annotated[
        list[Path] | None,
        typer.Argument(help="CloudEvents, one a line or as a list; - reads the standard input."),
    ] = None,
    type_: Annotated[
        str | None, typer.Option("--type", help="Instead of files: send one event of this type.")
    ] = None,
    subject: Annotated[str | None, typer.Option(help="Whose usage it is.")] = None,
    data: Annotated[list[str] | None, typer.Option(help="name=value of its data; may be repeated.")] = None,
    event_id: Annotated[str | None, typer.Option("--id", help="Its id; made where left out.")] = None,
    source: Annotated[str, typer.Option(help="Who sends it.")] = "valorem-cli",
    at: Annotated[str | None, typer.Option("--time", help="When it happened; now where left out.")] = None,
    as_json: Json = False,
) -> None:
    """Send events; what was sent before counts once. Exits with 1 when any was rejected or in conflict."""
    if bool(files) == (type_ is not None):
        raise InvalidInputError("say what to send", hint="either files, or --type, --subject and --data")
    client = client_of(context)
    if type_ is not None:
        lines: Iterator[bytes] = iter([_one(type_, subject, data, event_id, source, at)])
    else:
        lines = itertools.chain.from_iterable(_lines_of(path) for path in files or [])
    total = EventResults(0, 0, 0, 0, [])
    refused: list[tuple[int, str, str, str, str]] = []
    with Progress(
        TextColumn("sending"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
    ) as bar:
        task = bar.add_task("sending", total=None)
        for number, batch in enumerate(iter(lambda: list(itertools.islice(lines, _BATCH)), [])):
            results = client.send_event_lines(b"\n".join(batch))
            total = _plus(total, results)
            refused += [
                (
                    number * _BATCH + place,
                    result.status,
                    result.field or "",
                    result.reason or "",
                    result.hint or "",
                )
                for place, result in enumerate(results.items, 1)
                if result.status in {"rejected", "conflict"}
            ]
            bar.update(task, advance=len(batch))
    _report(total, refused, as_json=as_json)


@app.command()
def find(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="Who sent it.")],
    event_id: Annotated[str, typer.Argument(metavar="ID", help="Its id.")],
) -> None:
    """Show one recorded event as it was received, and what corrected it."""
    show_json(client_of(context).find_event(source, event_id))


def _one(
    type_: str, subject: str | None, data: list[str] | None, event_id: str | None, source: str, at: str | None
) -> bytes:
    event: dict[str, Any] = {
        "specversion": "1.0",
        "id": event_id or uuid.uuid4().hex,
        "source": source,
        "type": type_,
        "data": pairs(data, "--data"),
    }
    if subject is not None:
        event["subject"] = subject
    if (instant := an_instant(at, "--time")) is not None:
        event["time"] = write_instant(instant)
    return json.dumps(event).encode()


def _lines_of(path: Path) -> Iterator[bytes]:
    if str(path) == "-":
        yield from _lines(sys.stdin.buffer)
        return
    try:
        with path.open("rb") as file:
            yield from _lines(file)
    except OSError as error:
        raise InvalidInputError(f"{path} cannot be read: {error.strerror}", field="files") from None


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The events of a file, each on one line: as they are, or the elements of one JSON list."""
    first = file.readline()
    if first.lstrip()[:1] == b"[":
        for element in split_batch(first + file.read(), limits=_A_FILE):
            if isinstance(element, InvalidInputError):
                raise element
            yield element.replace(b"\n", b" ").replace(b"\r", b" ")  # between tokens: text has none unescaped
        return
    for line in itertools.chain([first], file):
        if line.strip():
            yield line.strip()


def _plus(one: EventResults, other: EventResults) -> EventResults:
    return EventResults(
        one.accepted + other.accepted,
        one.duplicate + other.duplicate,
        one.conflict + other.conflict,
        one.rejected + other.rejected,
        [],
    )


def _report(total: EventResults, refused: list[tuple[int, str, str, str, str]], *, as_json: bool) -> None:
    if as_json:
        columns = ("event", "status", "field", "reason", "hint")
        show_json(
            {
                "accepted": total.accepted,
                "duplicate": total.duplicate,
                "conflict": total.conflict,
                "rejected": total.rejected,
                "refused": [dict(zip(columns, row, strict=True)) for row in refused],
            }
        )
    else:
        say(
            f"{total.accepted:,} accepted · {total.duplicate:,} duplicate · {total.conflict:,} conflict"
            f" · {total.rejected:,} rejected"
        )
        if refused:
            table(
                ("event", "status", "field", "reason"),
                [row[:4] for row in refused[:_SHOWN]],
                right=("event",),
            )
            if len(refused) > _SHOWN:
                say(f"and {len(refused) - _SHOWN} more; --json lists them all", "dim")
    if refused:
        raise typer.Exit(1)

"""``valorem events import``: usage recorded elsewhere, from a file, counted once however often it is sent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from valorem.cli.output import Json, err, say, show_json, table
from valorem.cli.session import client_of
from valorem.client import Client
from valorem.client.values import EventResult

if TYPE_CHECKING:
    from valorem.cli.importing.progress import Progress
    from valorem.cli.importing.shaping import Refused

_SHOWN = 20


class ClientSink:
    """Sends batches through the client, which repeats what was not accepted with the same ids."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def send(self, events: Sequence[Mapping[str, Any]]) -> Sequence[EventResult]:
        """Send a batch and return one outcome an event, in order."""
        return self._client.send_events(events).items


def import_events(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="CSV, NDJSON or Parquet.")],
    map_file: Annotated[Path, typer.Option("--map", help="YAML that says what the columns mean.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read every row and send none.")] = False,
    backfill: Annotated[
        bool,
        typer.Option(
            "--backfill", help="History older than events are accepted late: ids are kept for ever."
        ),
    ] = False,
    restart: Annotated[
        bool, typer.Option("--restart", help="Begin at the first row, whatever an earlier run has sent.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Import usage from a file. An interrupted run goes on where it stopped; nothing is ever counted twice.

    Exits with 1 when rows were refused: they are in a file beside the input, with the reasons.
    """
    # The readers bring PyArrow, which no other command should wait for.
    from valorem.cli.importing.mapping import history, read_map  # noqa: PLC0415
    from valorem.cli.importing.progress import progress_path  # noqa: PLC0415
    from valorem.cli.importing.reading import open_table  # noqa: PLC0415
    from valorem.cli.importing.running import import_table, rehearse  # noqa: PLC0415

    mapping, rows = read_map(map_file), open_table(file)
    if backfill:
        mapping = history(mapping)
    if dry_run:
        progress, events, refused = rehearse(rows, mapping)
        _show_rehearsal(progress, events, refused, as_json=as_json)
        return
    if restart:
        progress_path(rows).unlink(missing_ok=True)
    with _bar() as bar:
        task = bar.add_task(file.name, total=rows.size)
        report = import_table(
            rows,
            mapping,
            ClientSink(client_of(context)),
            on_progress=lambda progress: bar.update(task, completed=progress.position),
        )
    _show(report.progress, report.refused_path, as_json=as_json)


def _bar() -> ProgressBar:
    return ProgressBar(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=err,
        transient=True,
    )


def _show(progress: "Progress", refused_path: Path | None, *, as_json: bool) -> None:
    if as_json:
        refused = str(refused_path) if refused_path else None
        show_json({"rows": progress.rows, **progress.counts, "refused_file": refused})
    else:
        say(" · ".join([f"{progress.rows:,} rows", *_counts(progress)]))
        if refused_path:
            say(f"what was refused, and why: {refused_path}")
    if refused_path:
        raise typer.Exit(1)


def _show_rehearsal(
    progress: "Progress", events: list[dict[str, Any]], refused: list["Refused"], *, as_json: bool
) -> None:
    reasons = [(one.row.number, one.field, one.reason) for one in refused]
    if as_json:
        named = [dict(zip(("row", "field", "reason"), each, strict=True)) for each in reasons]
        show_json({"rows": progress.rows, **progress.counts, "events": events, "refused_rows": named})
        return
    say(" · ".join([f"{progress.rows:,} rows", *_counts(progress)]))
    table(
        ("id", "type", "subject", "time", "data"),
        [[event[name] for name in ("id", "type", "subject", "time", "data")] for event in events],
        title="the first events",
    )
    if reasons:
        table(("row", "field", "reason"), reasons[:_SHOWN], right=("row",), title="the first refused rows")
    say("nothing was sent", "dim")


def _counts(progress: "Progress") -> list[str]:
    return [f"{count:,} {status}" for status, count in progress.counts.items() if count]

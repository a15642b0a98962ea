"""Reading other systems: each page's events and the cursor in one transaction, so that a kill loses and doubles nothing."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from valorem.core.errors import ConflictError, OverloadedError, UnprocessableError, ValoremError
from valorem.core.sources.channels import FileTerms, RestTerms, SqlTerms
from valorem.core.sources.definition import SourceDefinition
from valorem.core.sources.frames import ReadPage, ReadRequest, SourceReader, SourceUnreachableError
from valorem.engine.catalog import current_catalog
from valorem.engine.connectors.secrets import open_secrets
from valorem.engine.connectors.taking import Taken, Taker, find_source, retry_parked
from valorem.engine.engine import Engine
from valorem.store.postgres import catalogs, source_records, sources
from valorem.store.postgres.database import Connection
from valorem.store.postgres.sources import CursorMovedError, SourceFile

log = logging.getLogger(__name__)
_LONGEST_PAUSE = timedelta(hours=1)
#: A page of an interface may skip a record once; what is missing twice in a row is gone.
_MISSED_TWICE = 2


@dataclass(frozen=True, slots=True)
class PollReport:
    """What one reading did.

    Attributes:
        source: Which.
        pages: How many.
        taken: What became of the records.
        files: Names of the files that were taken.
        refused: Files that were not, with the reason.
        full: Whether everything was read.
    """

    source: str
    pages: int = 0
    taken: Taken = field(default_factory=Taken)
    files: tuple[str, ...] = ()
    refused: tuple[tuple[str, str], ...] = ()
    full: bool = False


@dataclass(frozen=True, slots=True)
class _Reading:
    """One reading under way."""

    definition: SourceDefinition
    request: ReadRequest
    run: int
    moves: int
    began: datetime
    full: bool


def poll_source(taker: Taker, workspace: int, source: str, *, everything: bool = False) -> PollReport:
    """Read a source to its end.

    Args:
        taker: Takes the records.
        workspace: The workspace's id.
        source: Its key.
        everything: Read all there is, whatever was read before.

    Raises:
        NotFoundError: If there is no such source.
        UnprocessableError: If it is not read, only heard; or its secret is missing.
        SourceUnreachableError: If it could not be read to the end; what was read stays.
        ConflictError: If somebody else reads it at this moment.
    """
    reading, reader = _begin(taker.engine, workspace, source, everything=everything)
    try:
        report = _read(taker, workspace, reading, reader)
    except CursorMovedError:
        raise ConflictError(f"the source {source} is being read by somebody else", field="source") from None
    except OverloadedError:
        raise  # our own database is away; the other system did nothing wrong
    except ValoremError as error:
        _note_failed(taker.engine, workspace, reading.definition, error)
        raise
    retry_parked(taker, workspace, reading.definition, most=1000)
    if report.taken.records and report.taken.parked == report.taken.records:
        _note_failed(taker.engine, workspace, reading.definition, _drifted(taker.engine, workspace, source))
    return report


def poll_due(engine: Engine, workspace: int) -> bool:
    """Read every source that is due; whether any was."""
    if engine.reader is None:
        return False
    now = engine.real_now()
    with engine.transaction(workspace) as tx:
        if not catalogs.latest_version(tx.connection, workspace):
            return False
        _, catalog = current_catalog(tx)
        states = sources.load_states(tx.connection, workspace)
    due = [
        key
        for key, definition in sorted(catalog.sources.items())
        if definition.poll is not None
        and (key not in states or states[key].next_at is None or (states[key].next_at or now) <= now)
    ]
    if not due:
        return False
    taker = Taker(engine)
    try:
        for key in due:
            try:
                poll_source(taker, workspace, key)
            except (SourceUnreachableError, UnprocessableError, ConflictError) as error:
                log.warning("source %s of workspace %d: %s", key, workspace, error)
    finally:
        taker.close()
    return False


def _begin(engine: Engine, workspace: int, source: str, *, everything: bool) -> tuple[_Reading, SourceReader]:
    with engine.transaction(workspace) as tx:
        definition = find_source(tx, source)
        if definition.poll is None:
            raise UnprocessableError(
                f"the source {source} sends by itself and is not read",
                field="source",
                hint="add poll to its file",
            )
        if engine.reader is None:
            raise UnprocessableError(
                "this server reads no other systems",
                hint="pip install 'valorem[connectors]', and start it again",
            )
        before = sources.load_state(tx.connection, workspace, source)
        due = engine.real_now() + definition.poll.every
        run = sources.note_tried(tx.connection, workspace, source, tx.now, due)
        now = tx.now
        files = {each.name: each.digest for each in sources.load_files(tx.connection, workspace, source)}
    with engine.transaction(workspace) as tx:
        try:
            secrets = open_secrets(tx, definition)
        except UnprocessableError as error:
            sources.note_failed(
                tx.connection,
                workspace,
                source,
                error.message,
                error.hint,
                engine.real_now() + definition.poll.every,
            )
            refused: UnprocessableError | None = error
        else:
            refused = None
    if refused is not None:
        raise refused
    full = everything or _full_is_due(definition, before.full_at, now)
    request = ReadRequest(
        definition,
        secrets,
        {} if full else before.cursor,
        everything=full,
        known_files={} if everything else files,
    )
    return _Reading(definition, request, run, before.moves, now, full), engine.reader


def _full_is_due(definition: SourceDefinition, full_at: datetime | None, now: datetime) -> bool:
    poll = definition.poll
    if isinstance(poll, FileTerms) or poll is None or poll.all_every is None:
        return False
    return full_at is None or now - full_at >= poll.all_every


def _read(taker: Taker, workspace: int, reading: _Reading, reader: SourceReader) -> PollReport:
    report, moves = PollReport(reading.definition.source, full=reading.full), reading.moves
    pages = reader.read(reading.request, taker.engine.real_now())
    try:
        for page in pages:
            taken = _take_page(taker, workspace, reading, page, moves)
            moves += page.cursor is not None
            report = replace(
                report,
                pages=report.pages + 1,
                taken=report.taken + taken,
                files=(*report.files, page.file.name) if page.file is not None else report.files,
                refused=(*report.refused, *sorted(page.refused.items())),
            )
    finally:
        close = getattr(pages, "close", None)
        if close is not None:
            close()  # ends the process that reads, where one is left
    poll = reading.definition.poll
    times = _MISSED_TWICE if isinstance(poll, RestTerms) and poll.pages.shifts else 1
    if reading.full:
        report = replace(
            report,
            taken=report.taken + taker.take_missing(workspace, reading.definition, reading.run, times=times),
        )
    return report


def _take_page(taker: Taker, workspace: int, reading: _Reading, page: ReadPage, moves: int) -> Taken:
    source, file, poll = reading.definition.source, page.file, reading.definition.poll
    # What a corrected file lacks is gone; where each holds everything, what the newest lacks is.
    scope = None if file is None or (isinstance(poll, FileTerms) and poll.all_rows) else file.name

    def keep(connection: Connection) -> None:
        if page.cursor is not None:
            sources.move_cursor(connection, workspace, source, page.cursor, moves)
        for name, why in page.refused.items():
            sources.keep_file(
                connection, workspace, source, SourceFile(name, "", 0, why[:1000], reading.began)
            )
        if file is not None:
            sources.keep_file(
                connection,
                workspace,
                source,
                SourceFile(file.name, file.digest, file.rows, None, reading.began),
            )
            source_records.note_missing(connection, workspace, source, reading.run, file=scope)
        if page.done:
            if reading.full:
                source_records.note_missing(connection, workspace, source, reading.run)
            sources.note_read(
                connection, workspace, source, reading.began, reading.began - _overlap(reading.definition),
                full=reading.full,
            )  # fmt: skip

    taken = taker.take(
        workspace, reading.definition, page.records, via="poll", run=reading.run, full=reading.full,
        file=None if file is None else file.name, beside=keep,
    )  # fmt: skip
    if file is not None:
        taken += taker.take_missing(workspace, reading.definition, reading.run, times=1, file=scope)
    return taken


def _overlap(definition: SourceDefinition) -> timedelta:
    poll = definition.poll
    if isinstance(poll, RestTerms | SqlTerms) and poll.since is not None:
        return poll.since.overlap
    return timedelta(0)


def _drifted(engine: Engine, workspace: int, source: str) -> ValoremError:
    with engine.transaction(workspace) as tx:
        parked: Sequence[sources.Parked] = sources.load_parked(tx.connection, workspace, source, limit=1)
    why = f"{parked[0].field}: {parked[0].reason}" if parked else "they are parked"
    return UnprocessableError(
        f"none of the records could be read ({why})",
        hint="the other system has changed: change the mapping, apply it, then: valorem sources retry",
    )


def _note_failed(engine: Engine, workspace: int, definition: SourceDefinition, error: ValoremError) -> None:
    assert definition.poll is not None  # it was being read
    with engine.transaction(workspace) as tx:
        failures = sources.load_state(tx.connection, workspace, definition.source).failures
        pause = min(
            definition.poll.every * 2 ** min(failures, 10), max(_LONGEST_PAUSE, definition.poll.every)
        )
        if isinstance(error, SourceUnreachableError) and error.retry_after_s is not None:
            pause = timedelta(seconds=error.retry_after_s)
        sources.note_failed(
            tx.connection,
            workspace,
            definition.source,
            error.message[:1000],
            error.hint,
            engine.real_now() + pause,
        )

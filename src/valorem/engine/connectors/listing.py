"""What the sources are, how fresh each is, and what its records would become: looked at without writing anything."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from itertools import islice
from typing import Any

from valorem.core.catalog.tree import parse_catalog
from valorem.core.errors import NotFoundError, UnprocessableError
from valorem.core.metering.event import Event, decode_event
from valorem.core.sources.definition import SourceDefinition
from valorem.core.sources.frames import ReadRequest
from valorem.core.sources.freshness import is_fresh, lag_of
from valorem.core.sources.mapping import Record, RecordMap, Said, Unread, split_records
from valorem.core.sources.settling import settle
from valorem.engine.catalog import current_catalog
from valorem.engine.connectors.holding import heard_of
from valorem.engine.connectors.secrets import open_secrets
from valorem.engine.connectors.taking import as_record, find_source
from valorem.engine.engine import Engine, Transaction
from valorem.store.postgres import catalogs, sources
from valorem.store.postgres.sources import Parked, SourceFile, SourceState

_MOST_TRIED = 200


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source and where it stands.

    Attributes:
        definition: As the catalog says.
        state: Where it stands.
        parked: Records that could not be read.
        lag: How long ago everything was known; None where that never was.
        fresh: Whether it keeps its promise.
    """

    definition: SourceDefinition
    state: SourceState
    parked: int
    lag: timedelta | None
    fresh: bool


@dataclass(frozen=True, slots=True)
class DryRun:
    """What records would become.

    Attributes:
        records: How many were looked at.
        events: The first events, as they would be recorded.
        ignored: Records that no rule is for.
        unread: Records that could not be read: their place from 1, and why.
    """

    records: int
    events: tuple[Event, ...]
    ignored: int
    unread: tuple[tuple[int, Unread], ...]


def list_sources(tx: Transaction) -> list[SourceView]:
    """Every source of the newest catalog."""
    if not catalogs.latest_version(tx.connection, tx.workspace.id):
        return []
    _, catalog = current_catalog(tx)
    states = sources.load_states(tx.connection, tx.workspace.id)
    parked = sources.count_parked(tx.connection, tx.workspace.id)
    return [
        _view(tx, each, states.get(key) or SourceState(key, {}), parked.get(key, 0))
        for key, each in sorted(catalog.sources.items())
    ]


def show_source(tx: Transaction, source: str) -> SourceView:
    """One source.

    Raises:
        NotFoundError: If there is none.
    """
    find_source(tx, source)
    return next(each for each in list_sources(tx) if each.definition.source == source)


def list_files(tx: Transaction, source: str) -> list[SourceFile]:
    """The files of a source, taken and refused."""
    find_source(tx, source)
    return sources.load_files(tx.connection, tx.workspace.id, source)


def list_parked(tx: Transaction, source: str, *, after: str | None = None, limit: int = 50) -> list[Parked]:
    """Records that could not be read."""
    find_source(tx, source)
    return sources.load_parked(tx.connection, tx.workspace.id, source, after=after, limit=limit)


def dry_run(
    engine: Engine,
    workspace: int,
    source: str,
    *,
    files: Mapping[str, str] | None = None,
    records: Sequence[Any] | None = None,
    limit: int = 20,
) -> DryRun:
    """What a source's records would become: of those given, else of the first it has. Writes nothing.

    Args:
        engine: The engine.
        workspace: The workspace's id.
        source: Its key.
        files: A catalog that has not been applied.
        records: Instead of reading: records, or whole messages as they are sent.
        limit: Most events.

    Raises:
        CatalogError: If the files are no catalog.
        NotFoundError: If it has no such source.
        UnprocessableError: If no records are given and it cannot be read.
    """
    with engine.transaction(workspace, read_only=True) as tx:
        definition = find_source(tx, source) if files is None else _proposed(files, source)
        now = tx.now
        secrets = {} if records is not None else open_secrets(tx, definition)
    if records is not None:
        inside = definition.webhook.records if definition.webhook is not None else None
        found: Iterable[Record] = [
            one
            for each in records
            for one in _unwrapped(as_record(each), inside if definition.poll is None else None)
        ]
    elif definition.poll is None or engine.reader is None:
        raise UnprocessableError(
            f"the source {source} cannot be read from here",
            field="records",
            hint="give some records, or messages, to look at",
        )
    else:
        request = ReadRequest(definition, secrets, most_records=_MOST_TRIED)
        pages = engine.reader.read(request, engine.real_now())
        found = (as_record(one) for page in pages for one in page.records)
    mapping = RecordMap(definition)
    via = "webhook" if definition.poll is None else "poll"
    events: list[Event] = []
    unread: list[tuple[int, Unread]] = []
    count = ignored = 0
    for count, record in enumerate(islice(found, _MOST_TRIED), 1):
        said = mapping.read(record, via)  # type: ignore[arg-type]  # one of the two
        ignored += not said
        for one in said:
            if isinstance(one, Said):
                events += (decode_event(raw) for raw in settle(definition, one, None, now).events)
            else:
                unread.append((count, one))
        if len(events) >= limit:
            break
    return DryRun(count, tuple(events[:limit]), ignored, tuple(unread[:limit]))


def _unwrapped(record: Record, inside: str | None) -> list[Record]:
    return [record] if inside is None else split_records(record, inside)


def _proposed(files: Mapping[str, str], source: str) -> SourceDefinition:
    catalog = parse_catalog(files)
    if source not in catalog.sources:
        raise NotFoundError(
            f"there is no source {source[:60]!r} in these files",
            field="source",
            hint=f"they have {', '.join(sorted(catalog.sources)) or 'none'}",
        )
    return catalog.sources[source]


def _view(tx: Transaction, definition: SourceDefinition, state: SourceState, parked: int) -> SourceView:
    heard = heard_of(state, parked)
    return SourceView(
        definition, state, parked, lag_of(definition, heard, tx.now), is_fresh(definition, heard, tx.now)
    )

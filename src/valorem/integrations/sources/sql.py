"""Databases read by dlt's ``sql_database``: one table in the order of what changed, as one reading sees it."""

import os
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

from dlt.extract.exceptions import ResourceExtractionError
from dlt.sources.sql_database import sql_table
from sqlalchemy import Engine, create_engine, or_
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import parse_decimal
from valorem.core.sources.channels import SqlTerms
from valorem.core.sources.frames import ReadPage, ReadRequest, SourceUnreachableError
from valorem.core.sources.times import zone_named
from valorem.integrations.sources.exact import as_json


def read_sql(request: ReadRequest) -> Iterator[ReadPage]:
    """Read a table to its end.

    Raises:
        SourceUnreachableError: If the database cannot be reached, or has no such table or column.
    """
    terms = request.definition.poll
    assert isinstance(terms, SqlTerms)  # who calls this has looked
    url = request.secrets[terms.secret]
    for scheme in ("postgresql://", "postgres://"):
        if url.startswith(scheme):
            url = f"postgresql+psycopg://{url.removeprefix(scheme)}"
    try:
        yield from _pages(request, terms, create_engine(url, poolclass=NullPool))
    except (SQLAlchemyError, ResourceExtractionError, KeyError, ImportError) as error:
        cause = error.__cause__ if isinstance(error, ResourceExtractionError) else error
        # A driver's message may hold the address with its password; its first line never does.
        said = str(getattr(cause, "orig", None) or cause).strip().splitlines()
        raise SourceUnreachableError(
            f"the database cannot be read: {type(cause).__name__}: {(said or [''])[0][:300]}",
            hint="check the URL in the secret, the table's name, and that the account may read it",
        ) from None


def _pages(request: ReadRequest, terms: SqlTerms, engine: Engine) -> Iterator[ReadPage]:
    since, kept = terms.since, request.cursor.get("since")

    def in_order(query: Any, table: Any) -> Any:
        keys = list(table.primary_key.columns)
        if since is None:
            return query.order_by(*keys) if keys else query
        if since.at not in table.c:
            raise SourceUnreachableError(
                f"table {terms.table} has no column {since.at}",
                lasting=True,
                hint=f"it has {', '.join(column.name for column in table.c)}",
            )
        column = table.c[since.at]
        start = _start(terms, column.type, kept)
        if start is not None and not request.everything:
            query = query.where(or_(column >= start, column.is_(None)))
        return query.order_by(column, *keys)

    resource = sql_table(
        engine,
        terms.table,
        terms.schema_,
        chunk_size=terms.rows if request.most_records is None else min(terms.rows, request.most_records),
        backend="sqlalchemy",
        reflection_level="full",
        included_columns=list(terms.columns) or None,
        query_adapter_callback=in_order,
    )
    page: list[dict[str, Any]] = []
    furthest = kept
    for count, row in enumerate(resource, 1):
        record = {name: as_json(value) for name, value in row.items()}
        page.append(record)
        if since is not None and record.get(since.at) is not None:
            furthest = record[since.at]
        if len(page) >= terms.rows or count == request.most_records:
            yield ReadPage(tuple(page), None if since is None or furthest is None else {"since": furthest})
            page = []
        if count == request.most_records:
            return
    yield ReadPage(tuple(page), None if since is None or furthest is None else {"since": furthest}, done=True)


def _start(terms: SqlTerms, kind: Any, kept: Any) -> Any:
    """Where to begin, as the column holds it."""
    assert terms.since is not None  # who calls this has looked
    value = terms.since.start if kept is None else kept
    if value is None:
        return None
    try:
        python = kind.python_type
    except NotImplementedError:
        python = str
    if issubclass(python, datetime):
        instant = datetime.fromisoformat(str(value))
        if getattr(kind, "timezone", False) and instant.tzinfo is None:
            instant = instant.replace(tzinfo=zone_named(terms.since.zone or "UTC"))
        return instant if kept is None else instant - terms.since.overlap
    if issubclass(python, date):
        return (datetime.fromisoformat(str(value)) - (terms.since.overlap if kept is not None else 0 * terms.since.overlap)).date()  # fmt: skip
    if issubclass(python, int | float | Decimal):
        return parse_decimal(str(value))
    return _text_start(terms, str(value), first=kept is None)


def _text_start(terms: SqlTerms, value: str, *, first: bool) -> str:
    """A column of text that holds instants, as SQLite's do, still goes back by the overlap."""
    assert terms.since is not None  # who calls this has looked
    if first or terms.since.format != "rfc3339":
        return value
    try:
        instant = datetime.fromisoformat(value)
    except (ValueError, InvalidInputError):
        return value
    earlier = instant - terms.since.overlap
    text = earlier.isoformat(sep=value[10] if len(value) > 10 else "T", timespec="auto")
    return text.replace("+00:00", "Z") if value.endswith("Z") and earlier.tzinfo == UTC else text

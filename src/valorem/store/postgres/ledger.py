"""The ledger's entries: appended, read, never changed."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import LiteralString

from psycopg.types.json import Jsonb

from valorem.core.ledger.chain import Link, read_entry, write_entry
from valorem.core.ledger.entries import Entry
from valorem.core.periods import Interval
from valorem.store.postgres.credits import Place
from valorem.store.postgres.database import Connection

_ACCOUNT: LiteralString = "part = %s AND workspace = %s AND customer = %s AND credit = %s"


def links(
    connection: Connection,
    place: Place,
    *,
    after: int = 0,
    since: datetime | None = None,
    limit: int | None = None,
) -> Iterator[tuple[Link, datetime]]:
    """Entries in order from after a number on, or dated from an instant on, each with when it was booked."""
    rows = connection.execute(
        f"SELECT number, entry, digest, booked_at FROM ledger_entry WHERE {_ACCOUNT} AND number > %s"
        " AND (%s::timestamptz IS NULL OR at >= %s) ORDER BY number LIMIT %s",
        (*place.key, after, since, since, limit),
    )
    for row in rows:
        yield Link(row["number"], read_entry(row["entry"]), bytes(row["digest"])), row["booked_at"]


def of_kinds(
    connection: Connection,
    place: Place,
    kinds: Sequence[str],
    within: Interval,
    *,
    upto: int | None = None,
) -> Iterator[Entry]:
    """Entries of some kinds dated in an interval, in order; those up to a number where one is given."""
    rows = connection.execute(
        f"SELECT entry FROM ledger_entry WHERE {_ACCOUNT} AND at >= %s AND at < %s AND entry->>'kind' = ANY(%s)"
        " AND (%s::bigint IS NULL OR number <= %s) ORDER BY number",
        (*place.key, within.start, within.end, list(kinds), upto, upto),
    )
    for row in rows:
        yield read_entry(row["entry"])


def within(connection: Connection, place: Place, over: Interval) -> Iterator[Entry]:
    """Every entry dated in an interval, in order of number."""
    rows = connection.execute(
        f"SELECT entry FROM ledger_entry WHERE {_ACCOUNT} AND at >= %s AND at < %s ORDER BY number",
        (*place.key, over.start, over.end),
    )
    for row in rows:
        yield read_entry(row["entry"])


def append(connection: Connection, place: Place, new: tuple[Link, ...], version: int, now: datetime) -> None:
    """Append entries and say how far the ledger has come; the caller holds the account's lock."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO ledger_entry (part, workspace, customer, credit, number, at, entry, digest, booked_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                (*place.key, link.number, link.entry.at, Jsonb(write_entry(link.entry)), link.digest, now)
                for link in new
            ],
        )
    if new:
        connection.execute(
            f"UPDATE credit_account SET booked = %s, entries = %s, head = %s WHERE {_ACCOUNT}",
            (version, new[-1].number, new[-1].digest, *place.key),
        )
    else:
        connection.execute(f"UPDATE credit_account SET booked = %s WHERE {_ACCOUNT}", (version, *place.key))

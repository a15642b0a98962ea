"""Holds of credit accounts."""

from datetime import datetime
from typing import LiteralString

from psycopg.types.json import Jsonb

from valorem.core.ledger.holds import Hold
from valorem.core.ledger.standing import Parts
from valorem.core.ledger.standing_written import read_parts, write_parts
from valorem.core.ledger.written import read_workload, write_workload
from valorem.store.postgres.credits import Place
from valorem.store.postgres.database import Connection, Row

_ACCOUNT: LiteralString = "part = %s AND workspace = %s AND customer = %s AND credit = %s"


def find(connection: Connection, place: Place, name: str) -> Hold | None:
    """The record under an id."""
    row = connection.execute(
        f"SELECT * FROM credit_hold WHERE {_ACCOUNT} AND id = %s", (*place.key, name)
    ).fetchone()
    return None if row is None else read_hold(row)


def insert(connection: Connection, place: Place, hold: Hold) -> None:
    """Keep a new record, refused ones too: the same id always gets the same answer."""
    connection.execute(
        "INSERT INTO credit_hold (part, workspace, customer, credit, id, placed_at, amount, expires_at, work, state,"
        " resolved_at, shortfall) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *place.key,
            hold.id,
            hold.at,
            hold.amount,
            hold.expires,
            Jsonb(write_workload(hold.work)),
            hold.state,
            hold.resolved_at,
            hold.shortfall,
        ),
    )


def open_parts(connection: Connection, place: Place, now: datetime) -> dict[str, Parts | None]:
    """From which lots every hold takes its credits that reserves something at an instant; None where that is not known."""
    rows = connection.execute(
        f"SELECT id, parts FROM credit_hold WHERE {_ACCOUNT} AND state = 'held' AND expires_at > %s",
        (*place.key, now),
    )
    return {row["id"]: None if row["parts"] is None else read_parts(row["parts"]) for row in rows}


def keep_parts(connection: Connection, place: Place, name: str, parts: Parts) -> None:
    """Write from which lots a hold takes its credits."""
    connection.execute(
        f"UPDATE credit_hold SET parts = %s WHERE {_ACCOUNT} AND id = %s",
        (Jsonb(write_parts(parts)), *place.key, name),
    )


def resolve(connection: Connection, place: Place, hold: Hold) -> None:
    """Keep what became of it."""
    connection.execute(
        f"UPDATE credit_hold SET state = %s, resolved_at = %s, settled = %s WHERE {_ACCOUNT} AND id = %s",
        (hold.state, hold.resolved_at, hold.settled, *place.key, hold.id),
    )


def standing(connection: Connection, place: Place, since: datetime | None = None) -> list[Hold]:
    """Every hold that was not refused; of those resolved before ``since`` none."""
    rows = connection.execute(
        f"SELECT * FROM credit_hold WHERE {_ACCOUNT} AND state <> 'refused'"
        " AND (%s::timestamptz IS NULL OR placed_at >= %s OR resolved_at IS NULL OR resolved_at >= %s) ORDER BY placed_at, id",
        (*place.key, since, since, since),
    )
    return [read_hold(row) for row in rows]


def read_hold(row: Row) -> Hold:
    """A hold as its row has it."""
    return Hold(
        id=row["id"],
        at=row["placed_at"],
        amount=row["amount"],
        expires=row["expires_at"],
        work=read_workload(row["work"]),
        state=row["state"],
        resolved_at=row["resolved_at"],
        settled=row["settled"],
        shortfall=row["shortfall"],
    )

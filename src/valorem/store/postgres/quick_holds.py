"""Holds decided by an account's row alone: the hold and the row are written in one statement, or neither is."""

from datetime import datetime
from typing import LiteralString

from psycopg.types.json import Jsonb

from valorem.core.ledger.holds import Hold
from valorem.core.ledger.standing import Parts
from valorem.core.ledger.standing_written import read_parts, write_parts
from valorem.core.ledger.written import write_workload
from valorem.store.postgres.alerts import CREDITS
from valorem.store.postgres.credits import WRITTEN, AccountRow, Place, Written, standing_values
from valorem.store.postgres.database import Connection, Row
from valorem.store.postgres.holds import read_hold

_ACCOUNT: LiteralString = "part = %s AND workspace = %s AND customer = %s AND credit = %s"
_NAMES = (
    "available", "held", "overage", "version", "as_of", "counted", "steady_until", "standing", "stamp", "booked",
    "tend_at",
)  # fmt: skip
_SEEN: LiteralString = (
    "SELECT available, held, overage, version, as_of, counted, steady_until, standing, stamp, booked, tend_at,"
    " seen_counted, seen_catalog"
)
_READ: LiteralString = f"{_SEEN} FROM credit_account, LATERAL ({WRITTEN}) AS seen WHERE {_ACCOUNT}"
_LOCK: LiteralString = f"{_READ} FOR UPDATE OF credit_account"
# Both rows are locked, so both are read as the last commit left them, also where one had to be waited for.
_LOCK_BOTH: LiteralString = (
    f"{_SEEN}, hold.id, hold.placed_at, hold.amount, hold.expires_at, hold.work, hold.state, hold.resolved_at,"
    f" hold.settled, hold.shortfall, hold.parts FROM credit_account JOIN LATERAL ({WRITTEN}) AS seen ON true"
    " JOIN credit_hold AS hold USING (part, workspace, customer, credit)"
    f" WHERE {_ACCOUNT} AND hold.id = %s FOR UPDATE OF credit_account, hold"
)
_WATCHED: LiteralString = (
    "SELECT EXISTS (SELECT FROM stands) AS done, EXISTS (SELECT FROM alert_watch"
    " WHERE part = %s AND workspace = %s AND customer = %s AND revision = %s) AS watched"
)
_STAND: LiteralString = (
    "UPDATE credit_account SET available = %s, held = %s, overage = %s, version = %s, as_of = %s, counted = %s,"
    f" steady_until = %s, standing = %s WHERE {_ACCOUNT} AND EXISTS (SELECT FROM done)"
)
_PLACE: LiteralString = f"""
WITH done AS (
    INSERT INTO credit_hold (part, workspace, customer, credit, id, placed_at, amount, expires_at, work, state, shortfall,
        parts) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id
) {_STAND}
"""
_RESOLVE: LiteralString = f"""
WITH done AS (
    UPDATE credit_hold SET state = %s, resolved_at = %s, settled = %s WHERE {_ACCOUNT} AND id = %s AND state = 'held'
    RETURNING id
), stands AS ({_STAND} RETURNING version) {_WATCHED}
"""


def lock(connection: Connection, place: Place) -> tuple[AccountRow, Written] | None:
    """What an account's row decides by, locked, and how far the workspace has come; None where there is no row.

    It has nothing of the ledger and of closed periods, so it is only to be written by the functions of this module.
    """
    row = connection.execute(_LOCK, (*[place.workspace] * 3, *place.key)).fetchone()
    return None if row is None else _seen(place, row)


def read(connection: Connection, place: Place) -> tuple[AccountRow, Written] | None:
    """The same without locking it, for who only looks."""
    row = connection.execute(_READ, (*[place.workspace] * 3, *place.key)).fetchone()
    return None if row is None else _seen(place, row)


def lock_both(
    connection: Connection, place: Place, name: str
) -> tuple[AccountRow, Written, Hold, Parts | None] | None:
    """The same with the hold under an id, locked too, and from which lots it takes its credits where that is known."""
    row = connection.execute(_LOCK_BOTH, (*[place.workspace] * 3, *place.key, name)).fetchone()
    if row is None:
        return None
    return (*_seen(place, row), read_hold(row), None if row["parts"] is None else read_parts(row["parts"]))


def first_expiry(connection: Connection, place: Place, after: datetime) -> datetime | None:
    """When the next hold of an account expires that nobody has resolved."""
    row = connection.execute(
        f"SELECT expires_at FROM credit_hold WHERE {_ACCOUNT} AND state = 'held' AND expires_at > %s"
        " ORDER BY expires_at LIMIT 1",
        (*place.key, after),
    ).fetchone()
    return None if row is None else row["expires_at"]


def place_hold(connection: Connection, row: AccountRow, hold: Hold, parts: Parts) -> bool:
    """Keep a new hold with the row as it stands after it; False, and nothing is written, where its id is known."""
    done = connection.execute(
        _PLACE,
        (
            *row.place.key,
            hold.id,
            hold.at,
            hold.amount,
            hold.expires,
            Jsonb(write_workload(hold.work)),
            hold.state,
            hold.shortfall,
            Jsonb(write_parts(parts)),
            *standing_values(row),
            *row.place.key,
        ),
    )
    return done.rowcount == 1


def resolve_hold(connection: Connection, row: AccountRow, hold: Hold) -> bool | None:
    """Keep what became of a hold with the row as it stands after it; None where somebody else has resolved it.

    Returns:
        Whether anybody watches what the customer's credits come to.
    """
    place = row.place
    given = (
        hold.state,
        hold.resolved_at,
        hold.settled,
        *place.key,
        hold.id,
        *standing_values(row),
        *place.key,
    )
    done = connection.execute(
        _RESOLVE, (*given, place.part, place.workspace, place.customer, CREDITS)
    ).fetchone()
    assert done is not None  # it is one row of two answers
    return bool(done["watched"]) if done["done"] else None


def _seen(place: Place, row: Row) -> tuple[AccountRow, Written]:
    seen = Written(row["seen_counted"], row["seen_catalog"])
    return AccountRow(place, **{name: row[name] for name in _NAMES}), seen

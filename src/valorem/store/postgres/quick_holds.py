"""Holds decided by an account's row alone: the hold and the row are written in one statement, or neither is."""

from typing import LiteralString

from psycopg.types.json import Jsonb

from valorem.core.ledger.holds import Hold
from valorem.core.ledger.standing import Parts, read_parts, write_parts
from valorem.core.ledger.written import write_workload
from valorem.store.postgres.credits import WRITTEN, AccountRow, Place, Written
from valorem.store.postgres.database import Connection
from valorem.store.postgres.holds import read_hold

_ACCOUNT: LiteralString = "part = %s AND workspace = %s AND customer = %s AND credit = %s"
_NAMES = (
    "available", "held", "overage", "version", "as_of", "counted", "steady_until", "standing", "stamp", "booked",
    "tend_at",
)  # fmt: skip
_LOCK: LiteralString = (
    "SELECT available, held, overage, version, as_of, counted, steady_until, standing, stamp, booked, tend_at,"
    f" seen_counted, seen_catalog FROM credit_account, LATERAL ({WRITTEN}) AS seen WHERE {_ACCOUNT}"
    " FOR UPDATE OF credit_account"
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
) {_STAND}
"""


def lock(connection: Connection, place: Place) -> tuple[AccountRow, Written] | None:
    """What an account's row decides by, locked, and how far the workspace has come; None where there is no row.

    It has nothing of the ledger and of closed periods, so it is only to be written by the functions of this module.
    """
    row = connection.execute(_LOCK, (*[place.workspace] * 3, *place.key)).fetchone()
    if row is None:
        return None
    seen = Written(row["seen_counted"], row["seen_catalog"])
    return AccountRow(place, **{name: row[name] for name in _NAMES}), seen


def find(connection: Connection, place: Place, name: str) -> tuple[Hold, Parts | None] | None:
    """The record under an id, and from which lots it takes its credits where that is known."""
    row = connection.execute(
        f"SELECT * FROM credit_hold WHERE {_ACCOUNT} AND id = %s", (*place.key, name)
    ).fetchone()
    if row is None:
        return None
    return read_hold(row), None if row["parts"] is None else read_parts(row["parts"])


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
            *_standing(row),
        ),
    )
    return done.rowcount == 1


def resolve_hold(connection: Connection, row: AccountRow, hold: Hold) -> bool:
    """Keep what became of a hold with the row as it stands after it; False where somebody else has resolved it."""
    done = connection.execute(
        _RESOLVE,
        (hold.state, hold.resolved_at, hold.settled, *row.place.key, hold.id, *_standing(row)),
    )
    return done.rowcount == 1


def _standing(row: AccountRow) -> tuple[object, ...]:
    return (
        row.available,
        row.held,
        row.overage,
        row.version,
        row.as_of,
        row.counted,
        row.steady_until,
        None if row.standing is None else Jsonb(dict(row.standing)),
        *row.place.key,
    )

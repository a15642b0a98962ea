"""Quota holds."""

from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from valorem.core.entitlements.holds import QuotaHold
from valorem.core.ids import part_of
from valorem.store.postgres.database import Connection, Row

_KEY: LiteralString = "part = %s AND workspace = %s AND customer = %s"
_COLUMNS: LiteralString = "id, feature, quantity, dimensions, placed_at, expires_at, state, resolved_at"
#: A column of the check's own look: what holds of the customer still stand, without what an index must not know, the time.
STANDING: LiteralString = """
(SELECT jsonb_agg(jsonb_build_array(h.id, h.feature, h.quantity::text, h.dimensions, h.placed_at, h.expires_at))
    FROM quota_hold h WHERE h.part = %(part)s AND h.workspace = %(workspace)s AND h.customer = %(customer)s
        AND h.state = 'held' AND h.expires_at > %(at)s)
"""


def insert(connection: Connection, workspace: int, customer: str, hold: QuotaHold) -> None:
    """Keep a new hold."""
    connection.execute(
        "INSERT INTO quota_hold (part, workspace, customer, id, feature, quantity, dimensions, placed_at, expires_at,"
        " state) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part_of(workspace, customer),
            workspace,
            customer,
            hold.id,
            hold.feature,
            hold.quantity,
            Jsonb(dict(hold.dimensions)),
            hold.at,
            hold.expires,
            hold.state,
        ),
    )


def find(connection: Connection, workspace: int, customer: str, hold: str) -> QuotaHold | None:
    """The hold under an id."""
    row = connection.execute(
        f"SELECT {_COLUMNS} FROM quota_hold WHERE {_KEY} AND id = %s",
        (part_of(workspace, customer), workspace, customer, hold),
    ).fetchone()
    return None if row is None else _hold(row)


def standing(connection: Connection, workspace: int, customer: str, at: datetime) -> list[QuotaHold]:
    """Those that reserve something at an instant, the oldest first."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM quota_hold WHERE {_KEY} AND state = 'held' AND expires_at > %s ORDER BY placed_at, id",
        (part_of(workspace, customer), workspace, customer, at),
    )
    return [_hold(row) for row in rows]


def resolve(connection: Connection, workspace: int, customer: str, hold: QuotaHold) -> None:
    """Keep what became of it."""
    connection.execute(
        f"UPDATE quota_hold SET state = %s, resolved_at = %s WHERE {_KEY} AND id = %s",
        (hold.state, hold.resolved_at, part_of(workspace, customer), workspace, customer, hold.id),
    )


def forget(connection: Connection, workspace: int, before: datetime) -> int:
    """Forget holds that ended before an instant; how many."""
    return connection.execute(
        "DELETE FROM quota_hold WHERE workspace = %s AND expires_at < %s", (workspace, before)
    ).rowcount


def read_standing(found: list[list[Any]] | None) -> tuple[QuotaHold, ...]:
    """Holds as :data:`STANDING` gives them."""
    return tuple(
        QuotaHold(
            name,
            feature,
            Decimal(quantity),
            datetime.fromisoformat(at),
            datetime.fromisoformat(expires),
            dimensions,
        )
        for name, feature, quantity, dimensions, at, expires in found or ()
    )


def _hold(row: Row) -> QuotaHold:
    return QuotaHold(
        row["id"],
        row["feature"],
        row["quantity"],
        row["placed_at"],
        row["expires_at"],
        row["dimensions"],
        row["state"],
        row["resolved_at"],
    )

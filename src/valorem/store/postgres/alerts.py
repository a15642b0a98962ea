"""Alert rules, budgets, what is watched, and what has been crossed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, LiteralString

from psycopg.types.json import Jsonb

from valorem.core.ids import part_of
from valorem.store.postgres.database import Connection

#: The revision under which alerts that wait for time alone are watched.
TIME = 0
#: The revision that stands for credits given or taken by other means than usage.
CREDITS = -1
#: The revision under which stand the instants at which something is known to end.
ENDS = -2

_INSERTS: dict[str, LiteralString] = {
    table: f"INSERT INTO {table} (part, workspace, customer, id, terms, created_at) VALUES (%s, %s, %s, %s, %s, %s)"
    for table in ("budget", "alert_rule")
}
_LOADS: dict[str, LiteralString] = {
    table: f"SELECT id, terms, created_at FROM {table} WHERE part = %s AND workspace = %s AND customer = %s"
    " ORDER BY created_at, id"
    for table in ("budget", "alert_rule")
}
_UPDATES: dict[str, LiteralString] = {
    table: f"UPDATE {table} SET terms = %s WHERE part = %s AND workspace = %s AND customer = %s AND id = %s"
    for table in ("budget", "alert_rule")
}
_DELETES: dict[str, LiteralString] = {
    table: f"DELETE FROM {table} WHERE part = %s AND workspace = %s AND customer = %s AND id = %s"
    for table in ("budget", "alert_rule")
}
# Every row of a touched customer is locked, in one order: whoever works its alerts out next sees what this one wrote.
# Whoever pays for a customer, or did, is touched with it: what its spend has come to is worked out from the counters.
_ADD_UP: LiteralString = """
WITH RECURSIVE touched AS (
    SELECT s.customer, more.revision, sum(more.quantity) AS quantity, bool_or(more.anyway) AS anyway,
        max(more.latest) AS latest
    FROM unnest(%(subjects)s::text[], %(revisions)s::integer[], %(quantities)s::numeric[], %(anyway)s::boolean[],
        %(latest)s::timestamptz[]) AS more (subject, revision, quantity, anyway, latest)
    JOIN subject s ON s.workspace = %(workspace)s AND s.subject = more.subject
    GROUP BY 1, 2
), paid (customer, by_whom) AS (
    SELECT DISTINCT customer, customer FROM touched
    UNION SELECT paid.customer, a.parent FROM paid
    JOIN account a ON a.workspace = %(workspace)s AND a.customer = paid.by_whom AND a.payer = 'parent'
), added AS (
    SELECT paid.by_whom AS customer, revision, sum(quantity) AS quantity, bool_or(anyway) AS anyway, max(latest) AS latest
    FROM touched JOIN paid USING (customer) GROUP BY 1, 2
), held AS (
    SELECT w.part, w.customer, w.revision FROM alert_watch w
    WHERE w.workspace = %(workspace)s AND w.customer IN (SELECT customer FROM added)
    ORDER BY w.customer, w.revision FOR UPDATE
)
UPDATE alert_watch w SET level = w.level + added.quantity
FROM held JOIN added USING (customer, revision)
WHERE w.part = held.part AND w.workspace = %(workspace)s AND w.customer = held.customer AND w.revision = held.revision
RETURNING w.customer, added.anyway OR added.latest >= w.until OR w.level >= w.trigger AS near
"""


@dataclass(frozen=True, slots=True)
class Added:
    """What one transaction added to a subject's counters of one meter revision.

    Attributes:
        subject: The subject.
        revision: The meter revision.
        quantity: At least as much as any level can have risen.
        anyway: Whether levels may have changed in another way, so that they must be worked out.
        latest: The latest quarter hour.
    """

    subject: str
    revision: int
    quantity: Decimal
    anyway: bool
    latest: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored budget or rule."""

    id: str
    terms: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that was crossed.

    Attributes:
        alert: Which alert.
        threshold: As text.
        window_start: Start of the window.
        turn: How often it had been crossed and recovered in that window before.
        window_end: Its end; None where it has none.
        level: At the crossing.
        whole: What shares were shares of.
        crossed_at: When.
        recovered_at: When it was back; None while it is not.
    """

    alert: str
    threshold: str
    window_start: datetime
    turn: int
    window_end: datetime | None
    level: Decimal
    whole: Decimal | None
    crossed_at: datetime
    recovered_at: datetime | None


Table = Literal["budget", "alert_rule"]


def insert(
    connection: Connection,
    workspace: int,
    table: Table,
    customer: str,
    id: str,  # noqa: A002 - as the table names it
    terms: dict[str, Any],
    now: datetime,
) -> None:
    """Store a budget or a rule."""
    values = (part_of(workspace, customer), workspace, customer, id, Jsonb(terms), now)
    connection.execute(_INSERTS[table], values)


def load(connection: Connection, workspace: int, table: Table, customer: str) -> list[Stored]:
    """The budgets or rules of a customer, the oldest first."""
    rows = connection.execute(_LOADS[table], (part_of(workspace, customer), workspace, customer))
    return [Stored(**row) for row in rows]


def update(
    connection: Connection,
    workspace: int,
    table: Table,
    customer: str,
    id: str,  # noqa: A002 - as the table names it
    terms: dict[str, Any],
) -> bool:
    """Replace one; whether there was one."""
    values = (Jsonb(terms), part_of(workspace, customer), workspace, customer, id)
    return connection.execute(_UPDATES[table], values).rowcount > 0


def delete(connection: Connection, workspace: int, table: Table, customer: str, id: str) -> bool:  # noqa: A002
    """Remove one; whether there was one."""
    values = (part_of(workspace, customer), workspace, customer, id)
    return connection.execute(_DELETES[table], values).rowcount > 0


def watched_revisions(connection: Connection, workspace: int) -> frozenset[int]:
    """The meter revisions that any customer is watched by."""
    rows = connection.execute("SELECT revision FROM alert_revision WHERE workspace = %s", (workspace,))
    return frozenset(row["revision"] for row in rows)


def add_up(connection: Connection, workspace: int, added: Sequence[Added]) -> list[str]:
    """Note what was used, and lock what is watched of these customers until the transaction ends.

    Returns:
        The customers whose alerts must be worked out now, sorted.
    """
    rows = connection.execute(
        _ADD_UP,
        {
            "workspace": workspace,
            "subjects": [one.subject for one in added],
            "revisions": [one.revision for one in added],
            "quantities": [one.quantity for one in added],
            "anyway": [one.anyway for one in added],
            "latest": [one.latest for one in added],
        },
    )
    return sorted({row["customer"] for row in rows if row["near"]})


def lock(connection: Connection, workspace: int, customer: str) -> set[int]:
    """Lock everything that is watched of a customer; the revisions it is."""
    rows = connection.execute(
        "SELECT revision FROM alert_watch WHERE part = %s AND workspace = %s AND customer = %s"
        " ORDER BY revision FOR UPDATE",
        (part_of(workspace, customer), workspace, customer),
    )
    return {row["revision"] for row in rows}


def watch(
    connection: Connection,
    workspace: int,
    customer: str,
    triggers: Iterable[tuple[int, Decimal | None, datetime | None]],
    *,
    timed: bool,
) -> None:
    """Watch a customer by exactly these revisions, each with how much may be used, and until when nothing happens by itself.

    Unless ``timed``, when time itself is to be looked at may only come earlier.
    """
    part, rows = part_of(workspace, customer), sorted(triggers, key=lambda one: one[0])
    revisions = [revision for revision, _, _ in rows]
    connection.execute(
        "DELETE FROM alert_watch WHERE part = %s AND workspace = %s AND customer = %s AND revision <> ALL(%s)",
        (part, workspace, customer, revisions),
    )
    connection.execute(
        "INSERT INTO alert_watch AS known (part, workspace, customer, revision, level, trigger, until)"
        " SELECT %s, %s, %s, revision, 0, trigger, until"
        " FROM unnest(%s::integer[], %s::numeric[], %s::timestamptz[]) AS more (revision, trigger, until)"
        " ON CONFLICT (part, workspace, customer, revision)"
        " DO UPDATE SET level = 0, trigger = excluded.trigger, until = CASE WHEN known.revision IN (0, -2) AND NOT %s"
        " THEN least(known.until, excluded.until) ELSE excluded.until END",
        (
            part,
            workspace,
            customer,
            revisions,
            [trigger for _, trigger, _ in rows],
            [until for _, _, until in rows],
            timed,
        ),
    )
    connection.execute(
        "INSERT INTO alert_revision (workspace, revision) SELECT %s, unnest(%s::integer[]) ON CONFLICT DO NOTHING",
        (workspace, [revision for revision in revisions if revision > TIME]),
    )


def look_again(connection: Connection, workspace: int, now: datetime) -> None:
    """Let the alerts of every customer be worked out as soon as somebody looks at what is due."""
    connection.execute(
        "UPDATE alert_watch SET until = %s WHERE workspace = %s AND revision = 0", (now, workspace)
    )


def due(
    connection: Connection, workspace: int, now: datetime, *, limit: int, revision: int = TIME
) -> list[str]:
    """Customers whose alerts are to be worked out because of the time: all, or where something ends by then."""
    rows = connection.execute(
        "SELECT customer FROM alert_watch WHERE workspace = %s AND revision = %s AND until <= %s"
        " ORDER BY until, customer LIMIT %s",
        (workspace, revision, now, limit),
    )
    return [row["customer"] for row in rows]


def next_due_at(connection: Connection, workspace: int, *, revision: int = TIME) -> datetime | None:
    """The earliest instant at which alerts are to be worked out because of the time, or at which something ends."""
    row = connection.execute(
        "SELECT min(until) AS at FROM alert_watch WHERE workspace = %s AND revision = %s",
        (workspace, revision),
    ).fetchone()
    return None if row is None else row["at"]


def crossings(connection: Connection, workspace: int, customer: str, since: datetime) -> list[Crossing]:
    """Crossings in windows that end after an instant, or never."""
    rows = connection.execute(
        "SELECT alert, threshold, window_start, turn, window_end, level, whole, crossed_at, recovered_at"
        " FROM alert_crossing WHERE part = %s AND workspace = %s AND customer = %s"
        " AND (window_end IS NULL OR window_end > %s) ORDER BY crossed_at, alert, threshold, turn",
        (part_of(workspace, customer), workspace, customer, since),
    )
    return [Crossing(**row) for row in rows]


def cross(connection: Connection, workspace: int, customer: str, crossing: Crossing) -> bool:
    """Note a crossing; whether it is the first time."""
    row = connection.execute(
        "INSERT INTO alert_crossing (part, workspace, customer, alert, threshold, window_start, turn, window_end,"
        " level, whole, crossed_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING RETURNING turn",
        (
            part_of(workspace, customer),
            workspace,
            customer,
            crossing.alert,
            crossing.threshold,
            crossing.window_start,
            crossing.turn,
            crossing.window_end,
            crossing.level,
            crossing.whole,
            crossing.crossed_at,
        ),
    ).fetchone()
    return row is not None


def recover(connection: Connection, workspace: int, customer: str, crossing: Crossing, at: datetime) -> bool:
    """Note that a crossing is over; whether it was not yet."""
    row = connection.execute(
        "UPDATE alert_crossing SET recovered_at = %s WHERE part = %s AND workspace = %s AND customer = %s"
        " AND alert = %s AND threshold = %s AND window_start = %s AND turn = %s AND recovered_at IS NULL"
        " RETURNING turn",
        (
            at,
            part_of(workspace, customer),
            workspace,
            customer,
            crossing.alert,
            crossing.threshold,
            crossing.window_start,
            crossing.turn,
        ),
    ).fetchone()
    return row is not None


def load_crossings(
    connection: Connection, workspace: int, *, customer: str | None, limit: int
) -> list[tuple[str, Crossing]]:
    """The latest crossings, newest first, of one customer where given."""
    where: LiteralString = "" if customer is None else " AND part = %s AND customer = %s"
    chosen = () if customer is None else (part_of(workspace, customer), customer)
    rows = connection.execute(
        "SELECT customer, alert, threshold, window_start, turn, window_end, level, whole, crossed_at, recovered_at"
        f" FROM alert_crossing WHERE workspace = %s{where} ORDER BY crossed_at DESC, alert, threshold LIMIT %s",
        (workspace, *chosen, limit),
    )
    return [(row.pop("customer"), Crossing(**row)) for row in rows]

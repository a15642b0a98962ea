"""Credit accounts: what was granted, who has a seat, how usage stood when a period was closed, and top-up rules."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString

from psycopg.types.json import Jsonb

from valorem.core.ids import part_of
from valorem.core.ledger.account import Checkpoint
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.granting import Member
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.written import (
    read_burn,
    read_checkpoint,
    read_grant,
    write_burn,
    write_checkpoint,
    write_grant,
)
from valorem.core.metering.tally import Tally
from valorem.core.numbers import ZERO
from valorem.store.postgres.counters import Dimensions, read_dimensions
from valorem.store.postgres.database import Connection, Row

_ACCOUNT: LiteralString = "part = %s AND workspace = %s AND customer = %s AND credit = %s"
_BUCKETS: LiteralString = """
WITH wanted AS (SELECT * FROM unnest(%s::smallint[], %s::text[]) AS wanted (part, subject))
SELECT revision, bucket, dimensions, sum(n)::bigint AS n, sum(total) AS total, min(low) AS low, max(high) AS high,
    (array_agg(last ORDER BY last_at DESC, last_key DESC) FILTER (WHERE last_at IS NOT NULL))[1] AS last,
    max(last_at) AS last_at
FROM wanted JOIN counter USING (part, subject)
WHERE workspace = %s AND revision = ANY(%s) AND bucket >= %s AND bucket < %s
GROUP BY 1, 2, 3 HAVING sum(n) <> 0 ORDER BY 2, 1, 3
"""
# Counters only grow or are corrected, so equal sums, numbers and last row versions mean the same usage.
_COUNTED: LiteralString = """
WITH wanted AS (SELECT * FROM unnest(%s::smallint[], %s::text[]) AS wanted (part, subject))
SELECT coalesce(sum(n), 0) || ' ' || coalesce(sum(total), 0) || ' ' || count(*) || ' '
    || coalesce(sum(extract(epoch FROM bucket) * coalesce(total, n)), 0) AS stamp
FROM wanted JOIN counter USING (part, subject)
WHERE workspace = %s AND revision = ANY(%s) AND bucket >= %s
"""


WRITTEN: LiteralString = """
SELECT coalesce((SELECT seq FROM ingest_cursor WHERE part = 0 AND workspace = %s), 0) || ':'
        || coalesce((SELECT sum(done_seq) FROM meter_backfill WHERE workspace = %s), 0) AS seen_counted,
    coalesce((SELECT max(version) FROM catalog_version WHERE workspace = %s), 0)::text AS seen_catalog
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Which account: one customer's credits of one type."""

    workspace: int
    customer: str
    credit: str

    @property
    def part(self) -> int:
        """The customer's part."""
        return part_of(self.workspace, self.customer)

    @property
    def key(self) -> tuple[int, int, str, str]:
        """Of its rows."""
        return self.part, self.workspace, self.customer, self.credit


@dataclass(frozen=True, slots=True)
class Written:
    """How far a workspace has come.

    Attributes:
        counted: Changes with every commit that changes any counter of the workspace.
        catalog: The newest catalog version.
    """

    counted: str
    catalog: str


@dataclass(frozen=True, slots=True)
class AccountRow:
    """What is kept of an account.

    Attributes:
        place: Which.
        available: Credits that can be used, as of ``as_of``.
        held: Credits reserved.
        overage: Credits used that nothing paid for.
        version: Counts up with each change of what was recorded.
        as_of: The latest instant anything was decided at.
        counted: What the usage stood at then.
        steady_until: Until when ``standing`` decides holds by itself; None where it does not.
        standing: The lots in the order they are used, as written by :mod:`valorem.core.ledger.standing`.
        stamp: What else was written about the customer when that was true.
        entries: How many ledger entries there are.
        head: The digest of the last.
        booked: The version the ledger has caught up with.
        closed_until: The end of the last closed period.
        checkpoint: Where a replay goes on from there.
        tend_at: When credits next begin or end, or somebody should look again.
    """

    place: Place
    as_of: datetime
    available: Decimal = ZERO
    held: Decimal = ZERO
    overage: Decimal = ZERO
    version: int = 0
    counted: str = ""
    steady_until: datetime | None = None
    standing: Mapping[str, Any] | None = None
    stamp: str = ""
    entries: int = 0
    head: bytes | None = None
    booked: int = -1
    closed_until: datetime | None = None
    checkpoint: Checkpoint | None = None
    tend_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClosedPeriod:
    """A period whose burns are frozen.

    Attributes:
        start: Its first instant.
        end: Not in it.
        drawn: Its burns as they were drawn.
        known: What usage burned from ``known_since`` to its end, as it was known when it was closed.
        known_since: Usage before it is not looked at again.
    """

    start: datetime
    end: datetime
    drawn: tuple[Burn, ...]
    known: tuple[Burn, ...]
    known_since: datetime


@dataclass(frozen=True, slots=True)
class BucketRow:
    """What a meter counted in one quarter hour, for one combination of dimension values."""

    revision: int
    at: datetime
    dimensions: Dimensions
    tally: Tally


def lock(connection: Connection, place: Place, now: datetime) -> AccountRow:
    """The account's row, made where it is missing, locked until the transaction ends."""
    found = load(connection, place, lock=True)
    if found is not None:
        return found
    connection.execute(
        "INSERT INTO credit_account (part, workspace, customer, credit, as_of) VALUES (%s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (*place.key, now),
    )
    made = load(connection, place, lock=True)
    assert made is not None
    return made


def expect(connection: Connection, place: Place, now: datetime) -> None:
    """Have an account's row, so that somebody looks at it."""
    connection.execute(
        "INSERT INTO credit_account (part, workspace, customer, credit, as_of, tend_at)"
        " VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (*place.key, now, now),
    )


def wake(connection: Connection, workspace: int, customer: str, now: datetime) -> None:
    """Have a customer's accounts looked at; until then their rows decide nothing by themselves."""
    connection.execute(
        "UPDATE credit_account SET tend_at = least(tend_at, %s), steady_until = NULL, standing = NULL"
        " WHERE part = %s AND workspace = %s AND customer = %s",
        (now, part_of(workspace, customer), workspace, customer),
    )


def to_tend(
    connection: Connection, workspace: int, now: datetime, again_before: datetime, seq: str, *, limit: int
) -> list[Place]:
    """Accounts to look at: where credits begin or end, where nobody has looked for long, and where a top-up rule watches.

    Args:
        connection: The connection.
        workspace: The workspace's id.
        now: The workspace's time.
        again_before: Accounts that nobody has looked at since.
        seq: What was counted so far; a rule has nothing to watch where its account has seen the same.
        limit: So many.
    """
    rows = connection.execute(
        "SELECT workspace, customer, credit FROM credit_account AS a WHERE workspace = %s"
        " AND (tend_at <= %s OR as_of <= %s OR (split_part(counted, ' ', 1) <> %s AND EXISTS (SELECT FROM credit_recharge"
        " AS r WHERE (r.part, r.workspace, r.customer, r.credit) = (a.part, a.workspace, a.customer, a.credit))))"
        " ORDER BY part, customer, credit LIMIT %s",
        (workspace, now, again_before, seq, limit),
    )
    return [Place(row["workspace"], row["customer"], row["credit"]) for row in rows]


def next_tend_at(connection: Connection, workspace: int) -> datetime | None:
    """The next instant at which credits of any account begin or end."""
    row = connection.execute(
        "SELECT min(tend_at) AS at FROM credit_account WHERE workspace = %s", (workspace,)
    ).fetchone()
    return None if row is None else row["at"]


def load(connection: Connection, place: Place, *, lock: bool = False) -> AccountRow | None:
    """The account's row; None where nothing was ever recorded of it."""
    query: LiteralString = f"SELECT * FROM credit_account WHERE {_ACCOUNT}"
    row = connection.execute(query + (" FOR UPDATE" if lock else ""), place.key).fetchone()
    return None if row is None else _account(row)


def accounts(connection: Connection, workspace: int, customer: str | None = None) -> list[Place]:
    """Every account, or a customer's."""
    if customer is None:
        rows = connection.execute(
            "SELECT workspace, customer, credit FROM credit_account WHERE workspace = %s"
            " ORDER BY part, customer, credit",
            (workspace,),
        )
    else:
        rows = connection.execute(
            "SELECT workspace, customer, credit FROM credit_account"
            " WHERE part = %s AND workspace = %s AND customer = %s ORDER BY credit",
            (part_of(workspace, customer), workspace, customer),
        )
    return [Place(row["workspace"], row["customer"], row["credit"]) for row in rows]


def any_accounts(connection: Connection, workspace: int) -> bool:
    """Whether anybody has an account."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM credit_account WHERE workspace = %s) AS found", (workspace,)
    ).fetchone()
    return row is not None and bool(row["found"])


def _account(row: Row) -> AccountRow:
    written = row["checkpoint"]
    return AccountRow(
        place=Place(row["workspace"], row["customer"], row["credit"]),
        checkpoint=None if written is None else read_checkpoint(written),
        **{
            name: row[name]
            for name in (
                "available", "held", "overage", "version", "as_of", "counted", "steady_until", "standing",
                "stamp", "entries", "head", "booked", "closed_until", "tend_at",
            )
        },
    )  # fmt: skip


def store(connection: Connection, row: AccountRow) -> None:
    """Write what an account stands at; the caller holds its lock."""
    connection.execute(
        "UPDATE credit_account SET available = %s, held = %s, overage = %s, version = %s, as_of = %s, counted = %s,"
        f" steady_until = %s, standing = %s, stamp = %s, tend_at = %s WHERE {_ACCOUNT}",
        (*standing_values(row), row.stamp, row.tend_at, *row.place.key),
    )


def standing_values(row: AccountRow) -> tuple[object, ...]:
    """What an account stands at, as every statement that writes it names the columns: ``available`` to ``standing``."""
    return (
        row.available,
        row.held,
        row.overage,
        row.version,
        row.as_of,
        row.counted,
        row.steady_until,
        None if row.standing is None else Jsonb(dict(row.standing)),
    )


def grants(
    connection: Connection, place: Place, *, since: datetime | None = None, also: Sequence[str] = ()
) -> list[Grant]:
    """The recorded grants; with ``since`` those that ended before it only where ``also`` names them."""
    rows = connection.execute(
        f"SELECT id, terms FROM credit_grant WHERE {_ACCOUNT}"
        " AND (%s::timestamptz IS NULL OR ends_at IS NULL OR ends_at >= %s OR id = ANY(%s)) ORDER BY id",
        (*place.key, since, since, list(also)),
    )
    return [read_grant(row["id"], row["terms"]) for row in rows]


def has_grants(connection: Connection, place: Place) -> bool:
    """Whether any grant was ever recorded."""
    row = connection.execute(
        f"SELECT EXISTS (SELECT FROM credit_grant WHERE {_ACCOUNT}) AS found", place.key
    ).fetchone()
    return row is not None and bool(row["found"])


def paid_grants(connection: Connection, place: Place) -> set[str]:
    """Ids of the grants that were paid for."""
    rows = connection.execute(
        f"SELECT id FROM credit_grant WHERE {_ACCOUNT} AND terms->>'currency' IS NOT NULL", place.key
    )
    return {row["id"] for row in rows}


def find_grant(connection: Connection, place: Place, name: str) -> Grant | None:
    """The grant of an id."""
    row = connection.execute(
        f"SELECT id, terms FROM credit_grant WHERE {_ACCOUNT} AND id = %s", (*place.key, name)
    ).fetchone()
    return None if row is None else read_grant(row["id"], row["terms"])


def grant_page(
    connection: Connection, place: Place, *, after: str | None, limit: int
) -> list[tuple[Grant, datetime]]:
    """Recorded grants in order of id, from after an id on, each with when it was recorded."""
    rows = connection.execute(
        f"SELECT id, terms, recorded_at FROM credit_grant WHERE {_ACCOUNT} AND id > %s ORDER BY id LIMIT %s",
        (*place.key, after or "", limit),
    )
    return [(read_grant(row["id"], row["terms"]), row["recorded_at"]) for row in rows]


def named_grants(connection: Connection, place: Place, names: Sequence[str]) -> list[Grant]:
    """The recorded grants of these ids."""
    rows = connection.execute(
        f"SELECT id, terms FROM credit_grant WHERE {_ACCOUNT} AND id = ANY(%s)", (*place.key, list(names))
    )
    return [read_grant(row["id"], row["terms"]) for row in rows]


def known_grants(connection: Connection, place: Place, names: Sequence[str]) -> set[str]:
    """Which of some ids are recorded."""
    rows = connection.execute(
        f"SELECT id FROM credit_grant WHERE {_ACCOUNT} AND id = ANY(%s)", (*place.key, list(names))
    )
    return {row["id"] for row in rows}


def record_grants(connection: Connection, place: Place, new: Iterable[Grant], now: datetime) -> list[Grant]:
    """Record grants; one whose id is known stays as it is. Gives those that are new."""
    recorded = []
    for grant in new:
        row = connection.execute(
            "INSERT INTO credit_grant (part, workspace, customer, credit, id, starts_at, ends_at, terms, recorded_at)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING RETURNING id",
            (*place.key, grant.id, grant.start, grant.end, Jsonb(write_grant(grant)), now),
        ).fetchone()
        if row is not None:
            recorded.append(grant)
    return recorded


def change_grant(connection: Connection, place: Place, grant: Grant) -> None:
    """Write another end of a grant."""
    connection.execute(
        f"UPDATE credit_grant SET ends_at = %s, terms = %s WHERE {_ACCOUNT} AND id = %s",
        (grant.end, Jsonb(write_grant(grant)), *place.key, grant.id),
    )


def members(connection: Connection, workspace: int, customer: str) -> list[Member]:
    """Who has, or had, a seat of a customer."""
    rows = connection.execute(
        "SELECT member, since, until FROM credit_member WHERE part = %s AND workspace = %s AND customer = %s"
        " ORDER BY since, member",
        (part_of(workspace, customer), workspace, customer),
    )
    return [Member(row["member"], row["since"], row["until"]) for row in rows]


def set_member(connection: Connection, workspace: int, customer: str, member: Member) -> None:
    """Give somebody a seat, or let one end."""
    connection.execute(
        "INSERT INTO credit_member (part, workspace, customer, member, since, until) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (part, workspace, customer, member, since) DO UPDATE SET until = excluded.until",
        (part_of(workspace, customer), workspace, customer, member.key, member.since, member.until),
    )


def closed_periods(connection: Connection, place: Place, *, only_last: bool = False) -> list[ClosedPeriod]:
    """The closed periods in order; ``only_last`` leaves out all but the last."""
    order: LiteralString = "ORDER BY period_end DESC LIMIT 1" if only_last else "ORDER BY period_end"
    rows = connection.execute(
        f"SELECT period_start, period_end, drawn, known, known_since FROM credit_period WHERE {_ACCOUNT} {order}",
        place.key,
    )
    return [
        ClosedPeriod(
            row["period_start"],
            row["period_end"],
            tuple(map(read_burn, row["drawn"])),
            tuple(map(read_burn, row["known"])),
            row["known_since"],
        )
        for row in rows
    ]


def close_period(
    connection: Connection, place: Place, period: ClosedPeriod, checkpoint: Checkpoint, now: datetime
) -> None:
    """Freeze a period and let replays go on at its end."""
    connection.execute(
        "INSERT INTO credit_period (part, workspace, customer, credit, period_start, period_end, drawn, known, known_since,"
        " closed_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            *place.key,
            period.start,
            period.end,
            Jsonb([write_burn(burn) for burn in period.drawn]),
            Jsonb([write_burn(burn) for burn in period.known]),
            period.known_since,
            now,
        ),
    )
    connection.execute(
        f"UPDATE credit_account SET closed_until = %s, checkpoint = %s WHERE {_ACCOUNT}",
        (period.end, Jsonb(write_checkpoint(checkpoint)), *place.key),
    )


def buckets(
    connection: Connection,
    workspace: int,
    subjects: Sequence[str],
    revisions: Sequence[int],
    start: datetime,
    end: datetime,
) -> list[BucketRow]:
    """What meters counted in ``[start, end)``, by quarter hour and dimension values."""
    rows = connection.execute(
        _BUCKETS,
        (*_subjects(workspace, subjects), workspace, list(revisions), start, end),
    )
    return [
        BucketRow(
            row["revision"],
            row["bucket"],
            read_dimensions(row["dimensions"]),
            Tally(row["n"], row["total"] or ZERO, ZERO, row["low"], row["high"], row["last"], row["last_at"]),
        )
        for row in rows
    ]


def written(connection: Connection, workspace: int) -> Written:
    """How far a workspace has come."""
    row = connection.execute(WRITTEN, (workspace, workspace, workspace)).fetchone()
    assert row is not None  # it has no FROM
    return Written(row["seen_counted"], row["seen_catalog"])


def counted(
    connection: Connection,
    workspace: int,
    subjects: Sequence[str],
    revisions: Sequence[int],
    since: datetime,
) -> str:
    """A text that changes whenever the usage since an instant does."""
    if not revisions:
        return ""
    row = connection.execute(
        _COUNTED, (*_subjects(workspace, subjects), workspace, list(revisions), since)
    ).fetchone()
    assert row is not None
    return str(row["stamp"])


def _subjects(workspace: int, subjects: Sequence[str]) -> tuple[list[int], list[str]]:
    return [part_of(workspace, subject) for subject in subjects], list(subjects)

"""The audit log's rows: a chain for each workspace, and under workspace 0 one for the installation."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from valorem.store.postgres import locks
from valorem.store.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry as stored; ``document`` is canonical JSON of all of it, ``digest`` chains it to the one before."""

    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    document: str
    digest: bytes


def lock_head(connection: Connection, workspace: int) -> tuple[int, bytes]:
    """Let one transaction at a time append; returns the last sequence and digest (0 and nothing for an empty log)."""
    locks.wait_for(connection, locks.Lock.AUDIT, workspace)
    row = connection.execute(
        "SELECT seq, digest FROM audit_entry WHERE workspace = %s ORDER BY seq DESC LIMIT 1", (workspace,)
    ).fetchone()
    return (row["seq"], bytes(row["digest"])) if row else (0, b"")


def insert(connection: Connection, workspace: int, row: AuditRow) -> None:
    """Append one entry."""
    connection.execute(
        "INSERT INTO audit_entry (workspace, seq, at, actor, action, object, document, digest)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (workspace, row.seq, row.at, row.actor, row.action, row.object, row.document, row.digest),
    )


def load_page(
    connection: Connection, workspace: int, *, before: int | None = None, limit: int
) -> list[AuditRow]:
    """Entries, the newest first, from before a sequence on."""
    rows = connection.execute(
        "SELECT seq, at, actor, action, object, document, digest FROM audit_entry"
        " WHERE workspace = %s AND (%s::bigint IS NULL OR seq < %s) ORDER BY seq DESC LIMIT %s",
        (workspace, before, before, limit),
    )
    return [AuditRow(**{**row, "digest": bytes(row["digest"])}) for row in rows]


def scan(connection: Connection, workspace: int) -> Iterator[AuditRow]:
    """Every entry, the oldest first."""
    rows = connection.execute(
        "SELECT seq, at, actor, action, object, document, digest FROM audit_entry WHERE workspace = %s ORDER BY seq",
        (workspace,),
    )
    for row in rows:
        yield AuditRow(**{**row, "digest": bytes(row["digest"])})

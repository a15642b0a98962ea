"""API keys: only digests are stored."""

from dataclasses import dataclass
from datetime import datetime

from valorem.core.workspace import Workspace
from valorem.store.postgres.database import Connection, Row


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """What is known of a key: everything but the key itself."""

    id: str
    workspace: int
    name: str
    prefix: str
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None


_COLUMNS = (
    "k.id, k.workspace, k.name, k.prefix, k.scopes, k.created_at, k.expires_at, k.revoked_at, k.last_used_at"
)


def insert(connection: Connection, record: KeyRecord, digest: bytes) -> None:
    """Store a new key's digest."""
    connection.execute(
        "INSERT INTO api_key (id, workspace, name, prefix, digest, scopes, created_at, expires_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
        (
            record.id,
            record.workspace,
            record.name,
            record.prefix,
            digest,
            list(record.scopes),
            record.created_at,
            record.expires_at,
        ),
    )


def find(connection: Connection, digest: bytes) -> tuple[KeyRecord, Workspace] | None:
    """The key with this digest and its workspace."""
    row = connection.execute(
        f"SELECT {_COLUMNS}, w.name AS workspace_name, w.kind, w.clock_at"
        " FROM api_key k JOIN workspace w ON w.id = k.workspace WHERE k.digest = %s",
        (digest,),
    ).fetchone()
    if row is None:
        return None
    workspace = Workspace(
        id=row["workspace"],
        name=row.pop("workspace_name"),
        kind=row.pop("kind"),
        clock_at=row.pop("clock_at"),
    )
    return _record(row), workspace


def load_all(connection: Connection, workspace: int) -> list[KeyRecord]:
    """Every key of a workspace, revoked ones too, in order of creation."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM api_key k WHERE k.workspace = %s ORDER BY k.created_at, k.id", (workspace,)
    )
    return [_record(row) for row in rows]


def revoke(connection: Connection, workspace: int, key_id: str, now: datetime) -> bool:
    """Mark a key revoked; False if the workspace has no such key."""
    return (
        connection.execute(
            "UPDATE api_key SET revoked_at = coalesce(revoked_at, %s) WHERE id = %s AND workspace = %s RETURNING id",
            (now, key_id, workspace),
        ).fetchone()
        is not None
    )


def touch(connection: Connection, key_id: str, now: datetime) -> None:
    """Remember when a key was last used; a database that takes no writes is read on without it."""
    row = connection.execute("SELECT current_setting('transaction_read_only') AS read_only").fetchone()
    if row is None or row["read_only"] == "on":
        return
    connection.execute("UPDATE api_key SET last_used_at = %s WHERE id = %s", (now, key_id))


def _record(row: Row) -> KeyRecord:
    return KeyRecord(**{**row, "scopes": tuple(row["scopes"])})

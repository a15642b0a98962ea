"""Catalog versions: numbered from 1, immutable."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from valorem.store.postgres.database import Connection, Row


@dataclass(frozen=True, slots=True)
class CatalogVersion:
    """One applied version.

    Attributes:
        version: 1, 2, 3 and so on in its workspace.
        digest: SHA-256 (hex) of the files.
        files: Path to text, as applied; empty in listings.
        message: Why, in the author's words.
        author: Who applied it.
        created_at: When.
    """

    version: int
    digest: str
    files: Mapping[str, str]
    message: str
    author: str
    created_at: datetime


def latest_version(connection: Connection, workspace: int) -> int:
    """The newest version's number; 0 before the first."""
    row = connection.execute(
        "SELECT coalesce(max(version), 0) AS version FROM catalog_version WHERE workspace = %s", (workspace,)
    ).fetchone()
    assert row is not None
    return int(row["version"])


def insert(connection: Connection, workspace: int, version: CatalogVersion) -> None:
    """Store a new version."""
    connection.execute(
        "INSERT INTO catalog_version (workspace, version, digest, files, message, author, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s)",
        (
            workspace,
            version.version,
            bytes.fromhex(version.digest),
            Jsonb(dict(version.files)),
            version.message,
            version.author,
            version.created_at,
        ),
    )


def load(connection: Connection, workspace: int, version: int) -> CatalogVersion | None:
    """One version with its files."""
    row = connection.execute(
        "SELECT version, digest, files, message, author, created_at FROM catalog_version"
        " WHERE workspace = %s AND version = %s",
        (workspace, version),
    ).fetchone()
    return _version(row) if row else None


def load_digest(connection: Connection, workspace: int, version: int) -> str | None:
    """One version's digest (hex), without its files."""
    row = connection.execute(
        "SELECT digest FROM catalog_version WHERE workspace = %s AND version = %s", (workspace, version)
    ).fetchone()
    return bytes(row["digest"]).hex() if row else None


def load_log(
    connection: Connection, workspace: int, *, before: int | None, limit: int
) -> list[CatalogVersion]:
    """Versions without their files, newest first, from before a version on."""
    rows = connection.execute(
        "SELECT version, digest, '{}'::jsonb AS files, message, author, created_at FROM catalog_version"
        " WHERE workspace = %s AND version < %s ORDER BY version DESC LIMIT %s",
        (workspace, before if before is not None else 2**31 - 1, limit),
    )
    return [_version(row) for row in rows]


def _version(row: Row) -> CatalogVersion:
    return CatalogVersion(**{**row, "digest": bytes(row["digest"]).hex()})

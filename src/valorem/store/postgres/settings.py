"""A workspace's settings, section by section."""

from collections.abc import Mapping
from typing import Any

from psycopg.types.json import Jsonb

from valorem.store.postgres.database import Connection


def load(connection: Connection, workspace: int, section: str) -> Mapping[str, Any]:
    """One section; empty where nothing was set."""
    row = connection.execute(
        "SELECT settings -> %s AS section FROM workspace WHERE id = %s", (section, workspace)
    ).fetchone()
    return (row and row["section"]) or {}


def save(connection: Connection, workspace: int, section: str, settings: Mapping[str, Any]) -> None:
    """Put one section in the place of what it was."""
    connection.execute(
        "UPDATE workspace SET settings = settings || jsonb_build_object(%s::text, %s::jsonb) WHERE id = %s",
        (section, Jsonb(dict(settings)), workspace),
    )

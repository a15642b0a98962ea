"""Workspaces: their rows, and a sandbox's clock."""

from datetime import datetime

from valorem.core.errors import ConflictError, NotFoundError
from valorem.core.workspace import Workspace, WorkspaceKind
from valorem.store.postgres.database import Connection, Row

_COLUMNS = "id, name, kind, clock_at"


def create(
    connection: Connection, *, name: str, kind: WorkspaceKind, clock_at: datetime | None, now: datetime
) -> Workspace:
    """Insert a workspace under the next free id.

    Raises:
        ConflictError: If the name is taken.
    """
    connection.execute("LOCK TABLE workspace IN SHARE ROW EXCLUSIVE MODE")
    if connection.execute("SELECT 1 FROM workspace WHERE name = %s", (name,)).fetchone():
        raise ConflictError(
            f"there is already a workspace named {name!r}", field="name", hint="choose another name"
        )
    row = connection.execute(
        "INSERT INTO workspace (id, name, kind, clock_at, created_at)"
        " SELECT coalesce(max(id), 0) + 1, %s, %s, %s, %s FROM workspace RETURNING id, name, kind, clock_at",
        (name, kind, clock_at, now),
    ).fetchone()
    assert row is not None
    return _workspace(row)


def load(connection: Connection, workspace: int) -> Workspace:
    """One workspace by id.

    Raises:
        NotFoundError: If there is none.
    """
    row = connection.execute(f"SELECT {_COLUMNS} FROM workspace WHERE id = %s", (workspace,)).fetchone()
    return read(row, workspace)


def read(row: Row | None, workspace: int) -> Workspace:
    """A workspace as its row has it.

    Raises:
        NotFoundError: If there is none.
    """
    if row is None:
        raise NotFoundError(f"there is no workspace {workspace}")
    return _workspace(row)


def load_all(connection: Connection) -> list[Workspace]:
    """Every workspace, in order of creation."""
    return [_workspace(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM workspace ORDER BY id")]


def move_clock(connection: Connection, workspace: int, to: datetime) -> None:
    """Set a sandbox's clock; the verb has checked that it moves forward."""
    connection.execute(
        "UPDATE workspace SET clock_at = %s WHERE id = %s AND kind = 'sandbox'", (to, workspace)
    )


def _workspace(row: Row) -> Workspace:
    return Workspace(id=row["id"], name=row["name"], kind=row["kind"], clock_at=row["clock_at"])

"""Workspaces: make one, list them, find one by name."""

import re
from datetime import datetime

from valorem.core.errors import InvalidInputError, NotFoundError
from valorem.core.time import parse_grid_instant, quarter_hour_of
from valorem.core.workspace import Workspace, WorkspaceKind
from valorem.engine.engine import Engine
from valorem.store.postgres import workspaces

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,62}", re.ASCII)


def create_workspace(
    engine: Engine, *, name: str, kind: WorkspaceKind = "sandbox", clock_at: datetime | None = None
) -> Workspace:
    """Make a workspace.

    Args:
        engine: The engine.
        name: Lower-case letters, digits, ``-`` and ``_``, starting with a letter.
        kind: ``live`` follows real time, a ``sandbox`` has its own clock.
        clock_at: Where a sandbox's clock starts, on the quarter-hour grid; this quarter hour where left out.

    Raises:
        InvalidInputError: For a bad name, or a clock for a live workspace.
        ConflictError: If the name is taken.
    """
    if _NAME.fullmatch(name) is None:
        raise InvalidInputError(
            f"{name[:80]!r} is no workspace name",
            field="name",
            hint="use lower-case letters, digits, - and _, starting with a letter, at most 63",
        )
    if kind == "live" and clock_at is not None:
        raise InvalidInputError("a live workspace follows real time", field="clock_at", hint="leave it out")
    now = engine.real_now()
    if kind == "sandbox":
        clock_at = parse_grid_instant(clock_at, "clock_at") if clock_at else quarter_hour_of(now)
    with engine.database.system() as connection:
        return workspaces.create(connection, name=name, kind=kind, clock_at=clock_at, now=now)


def list_workspaces(engine: Engine) -> list[Workspace]:
    """Every workspace, in order of creation."""
    with engine.database.system() as connection:
        return workspaces.load_all(connection)


def get_workspace(engine: Engine, name: str) -> Workspace:
    """The workspace of that name.

    Raises:
        NotFoundError: With the names there are.
    """
    found = list_workspaces(engine)
    for workspace in found:
        if workspace.name == name:
            return workspace
    names = ", ".join(workspace.name for workspace in found)
    raise NotFoundError(
        f"there is no workspace {name!r}", field="workspace", hint=f"there is {names or 'none yet'}"
    )

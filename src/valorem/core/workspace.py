"""The workspace: a sealed world with its own customers, catalog, keys and clock."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

WorkspaceKind = Literal["live", "sandbox"]


@dataclass(frozen=True, slots=True)
class Workspace:
    """One sealed world.

    Attributes:
        id: Small number that every row carries.
        name: What people and keys call it.
        kind: ``live`` follows real time; a ``sandbox`` has a clock that moves only when told.
        clock_at: The sandbox's clock; None for live.
    """

    id: int
    name: str
    kind: WorkspaceKind
    clock_at: datetime | None

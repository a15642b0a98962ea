"""The engine: what every verb works with, and the one way to open a transaction."""

from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from valorem.core.billing.taxes import TaxProvider
from valorem.core.limits import Limits
from valorem.core.payments.provider import PaymentProvider
from valorem.core.sources.frames import SourceReader
from valorem.core.workspace import Workspace
from valorem.store.postgres import workspaces
from valorem.store.postgres.database import Connection, Database, Turn
from valorem.store.vault import Vault
from valorem.store.warehouse.rows import Warehouse

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Transaction:
    """One open transaction in one workspace; verbs take it first.

    Attributes:
        connection: Sees and writes this workspace's rows only.
        workspace: The workspace.
        now: The workspace's time when the transaction began: real time for live, its own clock for a sandbox.
        limits: The declared limits in force.
        warehouse: Where history is read faster than from recorded batches; None where there is none.
        vault: Seals secrets that are kept in the database.
        began_at: The real time when it began, for the audit log; :attr:`now` where left out.
        snapshot: Whether every statement sees the same instant.
        memo: What this transaction has read and nothing in it changes; a verb that changes it forgets it.
    """

    connection: Connection
    workspace: Workspace
    now: datetime
    limits: Limits
    warehouse: Warehouse | None = None
    vault: Vault = field(default_factory=Vault, repr=False)
    snapshot: bool = False
    began_at: datetime | None = None
    memo: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    def once(self, key: Hashable, read: Callable[[], R]) -> R:
        """Read something once in this transaction; ``key`` names it."""
        if key not in self.memo:
            self.memo[key] = read()
        found: R = self.memo[key]
        return found


@dataclass(frozen=True)
class Engine:
    """The database, the real clock and the limits that verbs work with.

    Args:
        database: Where the truth is.
        real_now: The real time; the composition root passes the system's clock, tests pass their own.
        limits: The declared limits.
        warehouse: Where history is exported to; None keeps it in the database alone.
        payments: Whoever takes money, by name.
        vault: Seals secrets that are kept in the database; without one they are kept as they are.
        taxes: An outside tax engine; None where there is none.
        reader: Reads other systems; None where none can be read.
    """

    database: Database
    real_now: Callable[[], datetime]
    limits: Limits = field(default_factory=Limits)
    warehouse: Warehouse | None = None
    payments: Mapping[str, PaymentProvider] = field(default_factory=dict)
    vault: Vault = field(default_factory=Vault, repr=False)
    taxes: TaxProvider | None = None
    reader: SourceReader | None = None

    @contextmanager
    def transaction(
        self, workspace: int, *, snapshot: bool = False, read_only: bool = False, turn: Turn | None = None
    ) -> Iterator[Transaction]:
        """Open a transaction in a workspace; it commits at the end of the block and rolls back on an error.

        Args:
            workspace: The workspace's id.
            snapshot: Let every statement see the same instant (invoices and invariants do).
            read_only: Refuse writes.
            turn: A lock to wait for before that instant (:func:`valorem.store.postgres.locks.turn_for`).

        Raises:
            NotFoundError: If there is no such workspace.
            OverloadedError: If no connection is free in time, or the database is away. Nothing was written.
        """
        with self.database.opened(workspace, snapshot=snapshot, read_only=read_only, turn=turn) as (
            connection,
            row,
        ):
            found = workspaces.read(row, workspace)
            began_at = self.real_now()
            yield Transaction(
                connection,
                found,
                found.clock_at or began_at,
                self.limits,
                self.warehouse,
                self.vault,
                snapshot,
                began_at,
            )

"""A connection for checks: sealed to one workspace for as long as it is used there, each look one round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.rows import dict_row

from valorem.store.postgres import limits
from valorem.store.postgres.database import Connection
from valorem.store.postgres.limits import Found, Stretch

_SEAL: LiteralString = (
    "SELECT set_config('role', 'valorem_app', false), set_config('valorem.workspace', %s, false)"
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What stood in the database besides the counters."""

    stamp: str
    clock_at: datetime | None


class CheckConnection:
    """One connection in autocommit mode; it only reads.

    Args:
        url: ``postgresql://…``.
    """

    def __init__(self, url: str) -> None:
        self.raw: Connection = psycopg.connect(
            url,
            row_factory=dict_row,
            application_name="valorem check",
            options="-c timezone=UTC -c jit=off -c default_transaction_read_only=on",
            prepare_threshold=0,
            autocommit=True,
        )
        self._workspace: int | None = None
        self.clock_at: datetime | None = None

    @property
    def closed(self) -> bool:
        """Whether it is of no use any more."""
        return self.raw.closed

    def close(self) -> None:
        """Close it."""
        self.raw.close()

    def enter(self, workspace: int) -> None:
        """See this workspace's rows, and no others."""
        if self._workspace != workspace:
            self.raw.execute(_SEAL, (str(workspace),))
            self._workspace = workspace
            self.clock_at = None

    def look(
        self,
        workspace: int,
        subject: str,
        customer: str | None,
        subjects: Sequence[str],
        stretches: Sequence[Stretch],
        *,
        detail: limits.Detail,
    ) -> tuple[Seen, list[list[Found]]]:
        """Read the stamp of a customer and the use in several stretches, in one round trip.

        The stamp is read first: what is written between the two makes the next check learn anew, never this one wrong
        about use.
        """
        with self.raw.pipeline():
            stamp = self.raw.execute(limits.STAMP, limits.stamp_values(workspace, subject, customer))
            use = None
            if stretches:
                use = self.raw.execute(
                    limits.USE[detail],
                    limits.use_values(workspace, subjects, stretches),
                )
            row = stamp.fetchone()
            assert row is not None
            found = limits.read_use([] if use is None else use.fetchall(), len(stretches))
        self.clock_at = row["clock_at"]
        return Seen(str(row["stamp"]), row["clock_at"]), found

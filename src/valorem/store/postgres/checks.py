"""A connection for checks: sealed to one workspace for as long as it is used there, each look one round trip."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

import psycopg
from psycopg.rows import dict_row

from valorem.core.entitlements.holds import QuotaHold
from valorem.store.postgres import limits, quota_holds
from valorem.store.postgres.database import Connection, Row
from valorem.store.postgres.limits import Found, Stretch

_SEAL: LiteralString = (
    "SELECT set_config('role', 'valorem_app', false), set_config('valorem.workspace', %s, false)"
)
_LOOK: LiteralString = limits.STAMP + ", " + quota_holds.STANDING + " AS held"


@dataclass(frozen=True, slots=True)
class Seen:
    """What stood in the database besides the counters.

    Attributes:
        stamp: Of the customer.
        clock_at: A sandbox's time.
        counted: Changes with every commit that changes any counter of the workspace.
        held: Use of the customer's features that is reserved.
    """

    stamp: str
    clock_at: datetime | None
    counted: tuple[int, int]
    held: tuple[QuotaHold, ...] = ()


@dataclass(frozen=True, slots=True)
class Looked:
    """What was counted in some stretches when ``counted`` was seen, or later."""

    counted: tuple[int, int]
    found: list[list[Found]]


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
        at: datetime,
        before: Looked | None = None,
    ) -> tuple[Seen, Looked]:
        """Read the stamp of a customer and the use in several stretches, in one round trip.

        The stamp is read first: what is written between the two makes the next check learn anew, never this one wrong
        about use.

        Args:
            workspace: The workspace's id.
            subject: The one asked about.
            customer: Its customer, as far as is known.
            subjects: The customer's.
            stretches: What to read.
            detail: How much of it.
            at: The instant; holds that have expired by then are left out.
            before: What the same stretches gave earlier; it is given again where nothing was counted since.
        """
        stamping = {**limits.stamp_values(workspace, subject, customer), "at": at}
        if before is not None:
            seen = self._seen(self.raw.execute(_LOOK, stamping).fetchone())
            if seen.counted == before.counted:
                return seen, before
            rows = self.raw.execute(limits.USE[detail], limits.use_values(workspace, subjects, stretches))
            return seen, Looked(seen.counted, limits.read_use(rows, len(stretches)))
        with self.raw.pipeline():
            stamp = self.raw.execute(_LOOK, stamping)
            use = None
            if stretches:
                use = self.raw.execute(
                    limits.USE[detail],
                    limits.use_values(workspace, subjects, stretches),
                )
            seen = self._seen(stamp.fetchone())
            found = limits.read_use([] if use is None else use.fetchall(), len(stretches))
        return seen, Looked(seen.counted, found)

    def _seen(self, row: Row | None) -> Seen:
        assert row is not None  # it has no FROM
        self.clock_at = row["clock_at"]
        return Seen(
            str(row["stamp"]),
            row["clock_at"],
            (row["seq"] or 0, int(row["recounted"])),
            quota_holds.read_standing(row["held"]) if row["held"] else (),
        )

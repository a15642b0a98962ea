"""What senders were told about their events since this process started, and why the last of them were refused.

Nothing of it decides anything or is stored: an event that is refused was never there. It is kept to be shown to whoever
looks for events that do not arrive.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock

from valorem.core.errors import InvalidInputError
from valorem.engine.results import ItemResult

STATUSES = ("accepted", "duplicate", "conflict", "rejected")
_KEPT = 50
#: Refusals kept of one request, so that one bad batch does not push out all others.
_KEPT_AT_ONCE = 10
_SHOWN = 400


@dataclass(frozen=True, slots=True)
class Refused:
    """An event that was not recorded.

    Attributes:
        at: When it came, in real time.
        status: ``rejected`` or ``conflict``.
        field: Which part of it is wrong.
        reason: What is wrong.
        sent: How it began.
    """

    at: datetime
    status: str
    field: str | None
    reason: str
    sent: str


@dataclass(frozen=True, slots=True)
class Tally:
    """What the senders of one workspace were told.

    Attributes:
        since: When counting began; None where nothing came yet.
        counts: How many events had each status.
        refused: The last that were refused, the newest first.
    """

    since: datetime | None = None
    counts: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    refused: tuple[Refused, ...] = ()


@dataclass
class _Workspace:
    since: datetime
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    refused: deque[Refused] = field(default_factory=lambda: deque(maxlen=_KEPT))


class Heard:
    """Counts answers by workspace. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._workspaces: dict[int, _Workspace] = {}

    def note(
        self,
        workspace: int,
        at: datetime,
        counts: Mapping[str, int],
        raws: Sequence[bytes | InvalidInputError],
        results: Sequence[ItemResult],
    ) -> None:
        """Keep what one request was answered.

        Args:
            workspace: Its id.
            at: When, in real time.
            counts: How many events had each status.
            raws: The events as sent.
            results: What became of each.
        """
        refused: list[Refused] = []
        if counts["rejected"] or counts["conflict"]:
            for raw, result in zip(raws, results, strict=True):
                if result.status in ("rejected", "conflict") and len(refused) < _KEPT_AT_ONCE:
                    sent = raw[:_SHOWN].decode("utf-8", "replace") if isinstance(raw, bytes) else ""
                    refused.append(Refused(at, result.status, result.field, result.reason or "", sent))
        with self._lock:
            kept = self._workspaces.setdefault(workspace, _Workspace(at))
            for status in STATUSES:
                kept.counts[status] += counts[status]
            kept.refused.extend(refused)

    def of(self, workspace: int) -> Tally:
        """What the senders of a workspace were told."""
        with self._lock:
            kept = self._workspaces.get(workspace)
            if kept is None:
                return Tally()
            return Tally(kept.since, dict(kept.counts), tuple(reversed(kept.refused)))

"""The safety bound: a contract that changes too often, or whose invoice contradicts itself, waits for a person."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from valorem.core.calendar import local_date
from valorem.core.contracts.edits import Release
from valorem.core.contracts.history import History


@dataclass(frozen=True, slots=True)
class Parked:
    """Nothing is invoiced until somebody has looked.

    Attributes:
        contract: The contract's id.
        reason: What was found.
        since: The instant of what was found.
        release: What to do: an edit with a ``release`` change, recorded after what was found.
    """

    contract: str
    reason: str
    since: datetime
    release: str = (
        "look at the contract's history, correct it where it is wrong, then record an edit that releases it"
    )


def parked(history: History, changes_a_day: int, recorded_by: datetime | None = None) -> Parked | None:
    """Whether a contract's edits pass the bound on one local day, by effect or by record, since its last release.

    Args:
        history: The contract's history.
        changes_a_day: How many edits one day may have; :attr:`valorem.core.catalog.plans.Policies.changes_a_day`.
        recorded_by: Look at the history as it stood then.
    """
    contract = history.signed
    edits = history.standing_edits(recorded_by)
    released = max(
        (edit.recorded for edit in edits if any(isinstance(change, Release) for change in edit.changes)),
        default=None,
    )
    unseen = [edit for edit in edits if released is None or edit.recorded > released]
    for word, instants in (
        ("take effect", [edit.effective for edit in unseen]),
        ("were recorded", [edit.recorded for edit in unseen]),
    ):
        day, count = _busiest(instants, contract.time_zone)
        if count > changes_a_day:
            first = min(at for at in instants if local_date(at, contract.time_zone) == day)
            return Parked(
                contract.id, f"{count} changes {word} on {day}, more than the {changes_a_day} allowed", first
            )
    return None


def _busiest(instants: Iterable[datetime], zone: str) -> tuple[date | None, int]:
    counted = Counter(local_date(at, zone) for at in instants)
    return max(counted.items(), key=lambda item: (item[1], item[0]), default=(None, 0))

"""What becomes of each event of a batch."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class ItemResult:
    """What became of one event.

    Attributes:
        status: ``accepted``: counted now; ``duplicate``: was counted before; ``conflict``: another event has this
            source and id, and stays; ``rejected``: can never be accepted as it is.
        field: Where the problem is.
        reason: What it is.
        hint: The way out.
    """

    status: Literal["accepted", "duplicate", "conflict", "rejected"]
    field: str | None = None
    reason: str | None = None
    hint: str | None = None


ACCEPTED = ItemResult("accepted")
DUPLICATE = ItemResult("duplicate")
CONFLICT = ItemResult(
    "conflict",
    "id",
    "another event with this source and id was accepted before; it stays",
    "give a new fact a new id; to change the earlier one send a valorem.amend",
)

#: For contracts whose policy for late events is ``reject``.
CLOSED = ItemResult(
    "rejected",
    "time",
    "the period is billed, and the contract takes no use of billed periods (late_events: reject)",
    "settle it by a credit note or a one-off invoice, or change the contract's policy",
)


class RefusedError(Exception):
    """Events that are valid by themselves turn out to be refused; the transaction is to be done again without them.

    Attributes:
        refused: What becomes of them, by identity.
    """

    def __init__(self, refused: Mapping[bytes, ItemResult]) -> None:
        super().__init__(f"{len(refused)} events are refused")
        self.refused = refused

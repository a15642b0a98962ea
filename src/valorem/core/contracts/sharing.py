"""Commitments that accounts share: a child that pays for itself draws from those of the accounts above it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from valorem.core.contracts.agreed import Commitment
from valorem.core.contracts.sources import Relation, accounts_at, edges_of


class Stretch(NamedTuple):
    """From an instant (in it) to another (not in it); ``None`` is without bound."""

    start: datetime | None
    end: datetime | None

    def holds(self, at: datetime) -> bool:
        """Whether an instant lies in it."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)


class Shared(NamedTuple):
    """A commitment of another account's contract that usage may be drawn from.

    Attributes:
        owner: The id of the contract that agreed it.
        commitment: What was agreed.
        stretches: When the accounts share it; usage of another time is not drawn from it.
    """

    owner: str
    commitment: Commitment
    stretches: tuple[Stretch, ...]


def lenders_of(customer: str, history: Mapping[str, Sequence[Relation]]) -> dict[str, tuple[Stretch, ...]]:
    """The accounts above one whose commitments cover what it is billed for itself, the nearest first, and when.

    Args:
        customer: The account.
        history: The relations of its whole family by customer, each in order of time.
    """
    found: defaultdict[str, list[Stretch]] = defaultdict(list)
    depth: dict[str, int] = {}
    for start, end in pairwise((*edges_of(history), None)):
        accounts = accounts_at(history, start)
        if accounts.payer_of(customer) != customer:
            continue
        for height, owner in enumerate(accounts.commitment_owners(customer)[1:]):
            stretches = found[owner]
            open_since = stretches.pop().start if stretches and stretches[-1].end == start else start
            stretches.append(Stretch(open_since, end))
            depth[owner] = max(depth.get(owner, 0), height)
    return {owner: tuple(found[owner]) for owner in sorted(found, key=lambda each: (depth[each], each))}

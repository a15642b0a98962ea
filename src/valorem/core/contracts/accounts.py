"""Accounts: a parent and its children, whose usage is billed where, and which of it is counted together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from valorem.core.errors import InvalidInputError

Payer = Literal["self", "parent"]
Counting = Literal["apart", "pooled"]


@dataclass(frozen=True, slots=True)
class Account:
    """One customer's place among others.

    Attributes:
        customer: The customer's key.
        parent: The customer above it; ``None`` at the top.
        payer: Whether its usage is billed to itself or to its parent; a parent that is billed to its own parent passes
            it on.
        tiers: Billed to the parent: whether tiers and included quantities count its usage together with the payer's and
            that of its other children (pooled), or start anew for each child (apart).
        commitments: Whose commitments its usage may be drawn from: only its own, or the parent's as well.
    """

    customer: str
    parent: str | None = None
    payer: Payer = "self"
    tiers: Counting = "pooled"
    commitments: Literal["own", "shared"] = "shared"

    def __post_init__(self) -> None:
        if self.parent == self.customer:
            raise InvalidInputError(f"{self.customer} cannot be its own parent", field="parent")
        if self.payer == "parent" and self.parent is None:
            raise InvalidInputError(f"{self.customer} has no parent to pay", field="payer")


@dataclass(frozen=True, slots=True)
class Counted:
    """Customers whose usage is counted together and billed by one contract.

    Attributes:
        payer: The customer whose contract bills it.
        members: Those counted together, the payer first where it is among them.
        named: The child whose lines these are, where it is counted apart; ``None`` for the pool.
    """

    payer: str
    members: tuple[str, ...]
    named: str | None = None


@dataclass(frozen=True)
class Accounts:
    """All accounts of a family, by customer.

    Raises:
        InvalidInputError: Where a parent is missing, or a customer stands above itself.
    """

    accounts: Mapping[str, Account] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        for key, account in self.accounts.items():
            if account.parent is not None and account.parent not in self.accounts:
                raise InvalidInputError(f"there is no account {account.parent!r}", field=f"{key}.parent")
            if key in self.above(key):
                raise InvalidInputError(f"{key} stands above itself", field=f"{key}.parent")

    def above(self, customer: str) -> tuple[str, ...]:
        """The customers above one, the nearest first; ends where a ring closes."""
        found: list[str] = []
        parent = self.accounts[customer].parent
        while parent is not None and parent not in found:
            found.append(parent)
            parent = self.accounts[parent].parent if parent in self.accounts else None
        return tuple(found)

    def payer_of(self, customer: str) -> str:
        """Who is billed for a customer's usage: itself, or the first above it that pays for itself."""
        account = self.accounts.get(customer, Account(customer))
        return (
            customer if account.payer == "self" or account.parent is None else self.payer_of(account.parent)
        )

    def counted(self, payer: str) -> tuple[Counted, ...]:
        """What one customer is billed for: its pool, then each child that is counted apart, by key.

        A customer that pays for nobody else has one pool, itself.
        """
        paid = [key for key in sorted(self.accounts) if key != payer and self.payer_of(key) == payer]
        if self.payer_of(payer) != payer:
            return ()
        pooled = [key for key in paid if self.accounts[key].tiers == "pooled"]
        apart = [Counted(payer, (key,), key) for key in paid if self.accounts[key].tiers == "apart"]
        return (Counted(payer, (payer, *pooled)), *apart)

    def commitment_owners(self, customer: str) -> tuple[str, ...]:
        """Whose commitments a customer's usage may be drawn from, its own first, then upwards while they are shared."""
        owners = [customer]
        account = self.accounts.get(customer)
        while account is not None and account.parent is not None and account.commitments == "shared":
            owners.append(account.parent)
            account = self.accounts.get(account.parent)
        return tuple(owners)


def subjects_of(counted: Counted, subjects: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The event subjects whose counters are merged for one pool: every subject of every member, each once.

    Args:
        counted: The pool.
        subjects: Each customer's subjects: its key and its aliases.
    """
    return tuple(dict.fromkeys(each for member in counted.members for each in subjects[member]))

"""A customer's balance: what is owed to it, as a fold over dated entries, and how it pays for invoices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.numbers import ZERO, exact, plain

EntryKind = Literal["credited", "applied", "restored", "refunded"]
#: Which way each kind of entry moves the balance.
_SIGNS: Mapping[EntryKind, int] = {"credited": 1, "restored": 1, "applied": -1, "refunded": -1}


@dataclass(frozen=True, slots=True)
class BalanceEntry:
    """One movement of a balance; never changed, only answered by another.

    Attributes:
        id: Given once; an entry that comes twice counts once.
        at: When.
        kind: ``credited`` opens a credit, ``applied`` pays an invoice with part of it, ``restored`` takes that back (a voided
            invoice), ``refunded`` pays part of it out.
        credit: The credit that it moves, named by the id of the entry that opened it.
        amount: Above zero.
        reference: The credit note, invoice or payment behind it.
    """

    id: str
    at: datetime
    kind: EntryKind
    credit: str
    amount: Decimal
    reference: str


@dataclass(frozen=True, slots=True)
class Credit:
    """What is left of one credit."""

    id: str
    at: datetime
    left: Decimal


@dataclass(frozen=True, slots=True)
class Balance:
    """A customer's balance in one currency.

    Attributes:
        credits: Those with something left, the oldest first.
    """

    credits: tuple[Credit, ...]

    @property
    def amount(self) -> Decimal:
        """What is owed to the customer."""
        return sum((credit.left for credit in self.credits), ZERO)


@dataclass(frozen=True, slots=True)
class Application:
    """Part of a credit that pays for an invoice."""

    credit: str
    invoice: str
    amount: Decimal


@exact
def balance_of(entries: Iterable[BalanceEntry]) -> Balance:
    """Fold entries into a balance; their order and repetition do not matter.

    Raises:
        InvalidInputError: For an amount that is not above zero, or a credit that was never opened.
        UnprocessableError: Where more was taken of a credit than there was.
    """
    unique = {entry.id: entry for entry in entries}
    opened = {entry.credit: entry.at for entry in unique.values() if entry.kind == "credited"}
    left = dict.fromkeys(opened, ZERO)
    for entry in unique.values():
        if entry.amount <= 0:
            raise InvalidInputError(f"an entry of {plain(entry.amount)}", field=f"entries.{entry.id}")
        if entry.credit not in left:
            raise InvalidInputError(f"there is no credit {entry.credit!r}", field=f"entries.{entry.id}")
        left[entry.credit] += _SIGNS[entry.kind] * entry.amount
    for credit, amount in left.items():
        if amount < 0:
            raise UnprocessableError(
                f"{plain(-amount)} too much was taken of credit {credit}", field="entries"
            )
    ordered = sorted(left, key=lambda credit: (opened[credit], credit))
    return Balance(tuple(Credit(each, opened[each], left[each]) for each in ordered if left[each]))


@exact
def apply_balance(balance: Balance, dues: Sequence[tuple[str, Decimal]]) -> tuple[Application, ...]:
    """Pay for invoices with a balance: the first invoice first, out of the oldest credit.

    Args:
        balance: As it stands; two callers must not use the same one.
        dues: Invoices with what is owed on each, in the order they are paid.
    """
    left = {credit.id: credit.left for credit in balance.credits}
    applied: list[Application] = []
    for invoice, due in dues:
        open_amount = max(ZERO, due)
        for credit in balance.credits:
            part = min(open_amount, left[credit.id])
            if part:
                applied.append(Application(credit.id, invoice, part))
                left[credit.id] -= part
                open_amount -= part
    return tuple(applied)

"""Whose counters a contract bills, and when: its customer's subjects, and those of the accounts it pays for."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

from valorem.core.contracts.accounts import Account, Accounts, subjects_of

_NONE: "Mapping[str, tuple[Span, ...]]" = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Relation:
    """One customer's place among others from an instant on; ``None`` from always."""

    since: datetime | None
    account: Account


class Span(NamedTuple):
    """Subjects that are counted together from an instant (in it) to another (not in it); ``None`` is without bound."""

    start: datetime | None
    end: datetime | None
    subjects: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sources:
    """Whose counters one customer's contracts bill.

    Attributes:
        pool: What is counted together, span after span; without a span it is billed to somebody else.
        apart: The same for each account whose tiers begin anew, by customer.
        keeping: Of these the accounts that draw from no commitment of the payer.
    """

    pool: tuple[Span, ...]
    apart: Mapping[str, tuple[Span, ...]] = field(default_factory=lambda: _NONE)
    keeping: frozenset[str] = frozenset()

    @property
    def subjects(self) -> tuple[str, ...]:
        """Every subject billed at any time, each once."""
        spans = (*self.pool, *(span for spans in self.apart.values() for span in spans))
        return tuple(dict.fromkeys(subject for span in spans for subject in span.subjects))


def alone(subjects: Sequence[str]) -> Sources:
    """The sources of a customer that is part of no family."""
    return Sources((Span(None, None, tuple(subjects)),))


def accounts_at(history: Mapping[str, Sequence[Relation]], at: datetime | None) -> Accounts:
    """Every account as it stands at an instant; ``None`` is before every dated relation."""
    found: dict[str, Account] = {}
    for customer, relations in history.items():
        found.setdefault(customer, Account(customer))
        for relation in relations:
            if relation.since is None or (at is not None and relation.since <= at):
                found[customer] = relation.account
    for account in list(found.values()):
        if account.parent is not None:
            found.setdefault(account.parent, Account(account.parent))
    return Accounts(found)


def edges_of(history: Mapping[str, Sequence[Relation]]) -> tuple[datetime | None, ...]:
    """The instants at which any relation begins, in order, and ``None`` before all of them."""
    dated = {each.since for relations in history.values() for each in relations if each.since is not None}
    return (None, *sorted(dated))


def sources_of(
    payer: str, history: Mapping[str, Sequence[Relation]], subjects: Mapping[str, Sequence[str]]
) -> Sources:
    """What one customer's contracts bill.

    Args:
        payer: The customer.
        history: The relations of its whole family by customer, each in order of time.
        subjects: Each member's subjects.
    """
    if not history:
        return alone(subjects.get(payer, (payer,)))
    edges = edges_of(history)
    pool: list[Span] = []
    apart: defaultdict[str, list[Span]] = defaultdict(list)
    keeping: set[str] = set()
    for start, end in pairwise((*edges, None)):
        accounts = accounts_at(history, start)
        for counted in accounts.counted(payer):
            span = Span(start, end, subjects_of(counted, subjects))
            _append(pool if counted.named is None else apart[counted.named], span)
            if counted.named is not None and accounts.accounts[counted.named].commitments == "own":
                keeping.add(counted.named)
    return Sources(
        tuple(pool),
        MappingProxyType({key: tuple(apart[key]) for key in sorted(apart)}),
        frozenset(keeping),
    )


def _append(spans: list[Span], span: Span) -> None:
    if spans and spans[-1].end == span.start and spans[-1].subjects == span.subjects:
        span = Span(spans.pop().start, span.end, span.subjects)
    spans.append(span)


def reached_from(customers: Iterable[str], related: Mapping[str, Iterable[str]]) -> set[str]:
    """Everybody who is related to some customers, directly or through others; themselves included."""
    found: set[str] = set()
    open_ = list(customers)
    while open_:
        customer = open_.pop()
        if customer not in found:
            found.add(customer)
            open_.extend(related.get(customer, ()))
    return found

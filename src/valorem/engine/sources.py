"""Whose counters a contract bills: its customer's, and those of the accounts it pays for."""

from collections.abc import Iterable, Mapping, Sequence

from valorem.core.contracts.contract import Contract
from valorem.core.contracts.sources import Relation, Sources, alone, reached_from
from valorem.core.contracts.sources import sources_of as of_family
from valorem.engine.engine import Transaction
from valorem.store.postgres import accounts, customers
from valorem.store.postgres.database import Connection


def sources_of(tx: Transaction, names: Iterable[str]) -> dict[str, Sources]:
    """Whose counters the contracts of some customers bill, by customer."""
    return sources_in(tx.connection, tx.workspace.id, names)


def sources_in(connection: Connection, workspace: int, names: Iterable[str]) -> dict[str, Sources]:
    """The same where only a connection is open."""
    wanted = sorted(set(names))
    history = accounts.load(connection, workspace, wanted)
    members = sorted({*wanted, *history, *(key for key in _parents(history))})
    subjects = customers.load_subjects(connection, workspace, members)
    if not history:
        return {key: alone(subjects[key]) for key in wanted}
    related: dict[str, set[str]] = {}
    for key, rows in history.items():
        for each in rows:
            if each.account.parent is not None:
                related.setdefault(key, set()).add(each.account.parent)
                related.setdefault(each.account.parent, set()).add(key)
    found = {}
    for key in wanted:
        family = reached_from([key], related)
        own = {member: history[member] for member in sorted(family) if member in history}
        found[key] = of_family(key, own, subjects)
    return found


def sources_for(tx: Transaction, contract: Contract) -> Sources:
    """Whose counters one contract bills."""
    return sources_of(tx, [contract.customer])[contract.customer]


def _parents(history: Mapping[str, Sequence[Relation]]) -> set[str]:
    return {each.account.parent for rows in history.values() for each in rows if each.account.parent}

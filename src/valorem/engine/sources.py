"""Whose counters a contract bills: its customer's, and those of the accounts it pays for."""

from collections.abc import Iterable, Mapping, Sequence

from valorem.core.contracts.contract import Contract
from valorem.core.contracts.sources import Relation, Sources, alone, reached_from
from valorem.core.contracts.sources import sources_of as of_family
from valorem.engine.engine import Transaction
from valorem.store.postgres import accounts, customers
from valorem.store.postgres.database import Connection

_FAMILIES = "families"


def sources_of(tx: Transaction, names: Iterable[str]) -> dict[str, Sources]:
    """Whose counters the contracts of some customers bill, by customer."""
    wanted = sorted(set(names))
    history = accounts.load(tx.connection, tx.workspace.id, wanted)
    tx.memo[_FAMILIES] = {**tx.memo.get(_FAMILIES, {}), **_families(wanted, history)}
    return _sources_of(tx.connection, tx.workspace.id, wanted, history)


def family_of(tx: Transaction, customer: str) -> Mapping[str, Sequence[Relation]]:
    """The relations of a customer's whole family by customer, each in order of time; nothing where it has none."""
    known: dict[str, Mapping[str, Sequence[Relation]]] = tx.memo.setdefault(_FAMILIES, {})
    if customer not in known:
        known |= _families([customer], accounts.load(tx.connection, tx.workspace.id, [customer]))
    return known[customer]


def forget_families(tx: Transaction) -> None:
    """Read relations again: this transaction has changed one."""
    tx.memo.pop(_FAMILIES, None)


def sources_in(connection: Connection, workspace: int, names: Iterable[str]) -> dict[str, Sources]:
    """The same where only a connection is open."""
    wanted = sorted(set(names))
    return _sources_of(connection, workspace, wanted, accounts.load(connection, workspace, wanted))


def _sources_of(
    connection: Connection, workspace: int, wanted: Sequence[str], history: Mapping[str, Sequence[Relation]]
) -> dict[str, Sources]:
    members = sorted({*wanted, *history, *(key for key in _parents(history))})
    subjects = customers.load_subjects(connection, workspace, members)
    if not history:
        return {key: alone(subjects[key]) for key in wanted}
    return {key: of_family(key, own, subjects) for key, own in _families(wanted, history).items()}


def _families(
    wanted: Sequence[str], history: Mapping[str, Sequence[Relation]]
) -> dict[str, dict[str, Sequence[Relation]]]:
    """Of each customer the relations of everybody it is related to."""
    related: dict[str, set[str]] = {}
    for key, rows in history.items():
        for each in rows:
            if each.account.parent is not None:
                related.setdefault(key, set()).add(each.account.parent)
                related.setdefault(each.account.parent, set()).add(key)
    return {
        key: {member: history[member] for member in sorted(reached_from([key], related)) if member in history}
        for key in wanted
    }


def sources_for(tx: Transaction, contract: Contract) -> Sources:
    """Whose counters one contract bills."""
    return sources_of(tx, [contract.customer])[contract.customer]


def _parents(history: Mapping[str, Sequence[Relation]]) -> set[str]:
    return {each.account.parent for rows in history.values() for each in rows if each.account.parent}

"""Who stands above whom, from when on."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from valorem.core.contracts.accounts import Account
from valorem.core.contracts.sources import Relation
from valorem.store.postgres.database import Connection


def load(connection: Connection, workspace: int, customers: Sequence[str]) -> dict[str, list[Relation]]:
    """The relations of the whole families of some customers, by customer, each in order of time."""
    rows = connection.execute(
        "WITH RECURSIVE family (customer) AS ("
        " SELECT DISTINCT unnest(ARRAY[customer, parent]) FROM account"
        " WHERE workspace = %(workspace)s AND (customer = ANY(%(customers)s) OR parent = ANY(%(customers)s))"
        " UNION SELECT unnest(ARRAY[a.customer, a.parent]) FROM account a"
        " JOIN family f ON a.customer = f.customer OR a.parent = f.customer WHERE a.workspace = %(workspace)s)"
        " SELECT a.customer, a.since, a.parent, a.payer, a.tiers, a.commitments FROM account a"
        " WHERE a.workspace = %(workspace)s AND a.customer IN (SELECT customer FROM family)"
        " ORDER BY a.customer, a.since NULLS FIRST",
        {"workspace": workspace, "customers": list(customers)},
    )
    found: defaultdict[str, list[Relation]] = defaultdict(list)
    for row in rows:
        account = Account(row["customer"], row["parent"], row["payer"], row["tiers"], row["commitments"])
        found[row["customer"]].append(Relation(row["since"], account))
    return dict(found)


def insert(connection: Connection, workspace: int, relation: Relation, now: datetime) -> None:
    """Record a relation; one from the same instant is replaced."""
    account = relation.account
    connection.execute(
        "INSERT INTO account (workspace, customer, since, parent, payer, tiers, commitments, recorded_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (workspace, customer, since) DO UPDATE"
        " SET parent = EXCLUDED.parent, payer = EXCLUDED.payer, tiers = EXCLUDED.tiers,"
        " commitments = EXCLUDED.commitments, recorded_at = EXCLUDED.recorded_at",
        (
            workspace,
            account.customer,
            relation.since,
            account.parent,
            account.payer,
            account.tiers,
            account.commitments,
            now,
        ),
    )

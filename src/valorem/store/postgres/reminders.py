"""Reminders: which were sent for which invoice."""

from collections.abc import Sequence
from datetime import datetime

from valorem.core.ids import part_in
from valorem.store.postgres.database import Connection


def load_done(connection: Connection, workspace: int, invoices: Sequence[str]) -> dict[str, set[str]]:
    """The keys of the reminders sent or skipped, by invoice."""
    done: dict[str, set[str]] = {each: set() for each in invoices}
    for row in connection.execute(
        "SELECT invoice, key FROM reminder WHERE part = ANY(%s) AND workspace = %s AND invoice = ANY(%s)",
        (sorted({part_in(each, "inv") for each in invoices}), workspace, list(invoices)),
    ):
        done[row["invoice"]].add(row["key"])
    return done


def insert(
    connection: Connection, workspace: int, invoice: str, key: str, *, skipped: bool, at: datetime
) -> bool:
    """Note a reminder; False if it was noted before."""
    done = connection.execute(
        "INSERT INTO reminder (part, workspace, invoice, key, skipped, at) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (part_in(invoice, "inv"), workspace, invoice, key, skipped, at),
    )
    return bool(done.rowcount)

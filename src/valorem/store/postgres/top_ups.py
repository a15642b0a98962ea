"""Top-up rules of credit accounts, and what they have done."""

from dataclasses import dataclass, field
from typing import LiteralString

from psycopg.types.json import Jsonb

from valorem.core.ledger.recharge import RechargeRule, RechargeState
from valorem.core.ledger.written import read_rule, write_rule
from valorem.store.postgres.credits import Place
from valorem.store.postgres.database import Connection

_ACCOUNT: LiteralString = "part = %s AND workspace = %s AND customer = %s AND credit = %s"


@dataclass(frozen=True, slots=True)
class TopUp:
    """A rule for buying credits by itself, and what it has done.

    Attributes:
        rule: When to buy how much.
        state: What it has done.
        lasts: How long what is bought can be used; None for ever.
        pack: The pack that is bought; None for single credits at the type's price.
    """

    rule: RechargeRule
    state: RechargeState = field(default_factory=RechargeState)
    lasts: tuple[int, str] | None = None
    pack: str | None = None


def top_ups(connection: Connection, place: Place) -> list[TopUp]:
    """An account's top-up rules and what they have done."""
    rows = connection.execute(f"SELECT * FROM credit_recharge WHERE {_ACCOUNT} ORDER BY key", place.key)
    return [
        TopUp(
            read_rule(row["key"], row["terms"]),
            RechargeState(row["armed"], row["crossings"], row["day"], row["bought"]),
            tuple(row["terms"]["lasts"]) if row["terms"]["lasts"] else None,
            row["terms"]["pack"],
        )
        for row in rows
    ]


def set_top_up(connection: Connection, place: Place, top_up: TopUp) -> None:
    """Write a rule; what it has done stays."""
    terms = {**write_rule(top_up.rule), "lasts": top_up.lasts, "pack": top_up.pack}
    connection.execute(
        "INSERT INTO credit_recharge (part, workspace, customer, credit, key, terms) VALUES (%s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (part, workspace, customer, credit, key) DO UPDATE SET terms = excluded.terms",
        (*place.key, top_up.rule.key, Jsonb(terms)),
    )


def move_top_up(connection: Connection, place: Place, key: str, state: RechargeState) -> None:
    """Write what a rule has done."""
    connection.execute(
        f"UPDATE credit_recharge SET armed = %s, crossings = %s, day = %s, bought = %s WHERE {_ACCOUNT} AND key = %s",
        (state.armed, state.crossings, state.day, state.bought, *place.key, key),
    )


def remove_top_up(connection: Connection, place: Place, key: str) -> bool:
    """Forget a rule; whether there was one."""
    return bool(
        connection.execute(
            f"DELETE FROM credit_recharge WHERE {_ACCOUNT} AND key = %s", (*place.key, key)
        ).rowcount
    )

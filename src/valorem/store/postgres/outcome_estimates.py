"""Estimates of savings: kept once, as decimals with all they were made from."""

from datetime import datetime

from psycopg.types.json import Jsonb

from valorem.core.ids import part_in
from valorem.core.outcomes.estimates import Estimate, read_estimate, stored
from valorem.store.postgres.database import Connection


def insert(
    connection: Connection,
    workspace: int,
    contract: str,
    outcome: str,
    period_index: int,
    estimate: Estimate,
    now: datetime,
) -> bool:
    """Keep an estimate for good; False where the period has one."""
    done = connection.execute(
        "INSERT INTO outcome_estimate (part, workspace, contract, outcome, period_index, point, low, high, method,"
        " inputs, library, created_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (
            part_in(contract, "ctr"),
            workspace,
            contract,
            outcome,
            period_index,
            estimate.point,
            estimate.lower,
            estimate.upper,
            estimate.method,
            Jsonb(stored(estimate)),
            estimate.library,
            now,
        ),
    )
    return done.rowcount == 1


def load(connection: Connection, workspace: int, contract: str) -> dict[str, dict[int, Estimate]]:
    """The estimates of a contract by outcome and number of the period."""
    found: dict[str, dict[int, Estimate]] = {}
    for row in connection.execute(
        "SELECT outcome, period_index, inputs FROM outcome_estimate"
        " WHERE part = %s AND workspace = %s AND contract = %s ORDER BY outcome, period_index",
        (part_in(contract, "ctr"), workspace, contract),
    ):
        found.setdefault(row["outcome"], {})[row["period_index"]] = read_estimate(row["inputs"])
    return found

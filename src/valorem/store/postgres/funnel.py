"""What the funnel is folded from: first use, crossings and paywalls, by customer."""

from collections.abc import Sequence
from datetime import datetime

from valorem.store.postgres.database import Connection


def first_use(connection: Connection, workspace: int, revisions: Sequence[int]) -> dict[str, datetime]:
    """The first quarter hour in which each customer used any of some meters, under any of its subjects."""
    rows = connection.execute(
        "SELECT s.customer, min(c.bucket) AS at FROM counter c JOIN subject s USING (workspace, subject)"
        " WHERE c.workspace = %s AND c.revision = ANY(%s) AND c.n > 0 GROUP BY 1",
        (workspace, list(revisions)),
    )
    return {row["customer"]: row["at"] for row in rows}


def first_crossings(connection: Connection, workspace: int) -> list[tuple[str, str, datetime]]:
    """(customer, threshold, when) of the first crossing of each threshold on a limit."""
    rows = connection.execute(
        "SELECT customer, threshold, min(crossed_at) AS at FROM alert_crossing"
        " WHERE workspace = %s AND alert LIKE 'limit:%%' GROUP BY 1, 2",
        (workspace,),
    )
    return [(row["customer"], row["threshold"], row["at"]) for row in rows]


def paywalls(connection: Connection, workspace: int) -> list[tuple[str, str, str, bool, datetime]]:
    """(customer, feature, reason, whether a prompt was shown, when) of the first paywall of each feature, in order."""
    rows = connection.execute(
        "SELECT customer, feature, reason, prompt IS NOT NULL AS shown, min(first_at) AS at FROM paywall"
        " WHERE workspace = %s GROUP BY 1, 2, 3, 4 ORDER BY at, customer, feature",
        (workspace,),
    )
    return [(row["customer"], row["feature"], row["reason"], row["shown"], row["at"]) for row in rows]


def crossed_between(connection: Connection, workspace: int, start: datetime, end: datetime) -> dict[str, int]:
    """Kind of alert to how many thresholds were crossed in an interval."""
    rows = connection.execute(
        "SELECT split_part(alert, ':', 1) AS kind, count(*) AS n FROM alert_crossing"
        " WHERE workspace = %s AND crossed_at >= %s AND crossed_at < %s GROUP BY 1 ORDER BY 2 DESC, 1",
        (workspace, start, end),
    )
    return {row["kind"]: int(row["n"]) for row in rows}


def walls_between(connection: Connection, workspace: int, start: datetime, end: datetime) -> dict[str, int]:
    """Feature to how many customers met its limit in an interval."""
    rows = connection.execute(
        "SELECT feature, count(DISTINCT customer) AS n FROM paywall"
        " WHERE workspace = %s AND first_at >= %s AND first_at < %s GROUP BY 1 ORDER BY 2 DESC, 1",
        (workspace, start, end),
    )
    return {row["feature"]: int(row["n"]) for row in rows}

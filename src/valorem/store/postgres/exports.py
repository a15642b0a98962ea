"""How far recorded batches have been written to the warehouse, and what an export must find in them."""

from valorem.store.postgres.database import Connection
from valorem.store.postgres.ingest import GROUP


def events_between(connection: Connection, workspace: int, first: int, last: int) -> int:
    """How many events the batches of a range of sequences say they hold."""
    row = connection.execute(
        "SELECT coalesce(sum(events), 0) AS events, count(*) AS batches FROM event_batch"
        " WHERE part = %s AND workspace = %s AND seq BETWEEN %s AND %s",
        (GROUP, workspace, first, last),
    ).fetchone()
    assert row is not None
    if row["batches"] != last - first + 1:
        raise AssertionError(f"sequences {first} to {last} of workspace {workspace} have a gap")
    return int(row["events"])


def move_cursor(connection: Connection, workspace: int, seq: int) -> None:
    """Note that everything up to a sequence is in the warehouse."""
    connection.execute(
        "INSERT INTO warehouse_cursor AS known (part, workspace, seq) VALUES (%s, %s, %s)"
        " ON CONFLICT (part, workspace) DO UPDATE SET seq = excluded.seq",
        (GROUP, workspace, seq),
    )

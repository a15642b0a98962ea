"""What keeps one workspace's rows from another's: every migration that makes tables ends with it."""

from collections.abc import Mapping

from alembic import op


def isolate(tables: Mapping[str, str]) -> None:
    """Let the application's role see and write only the rows of the workspace it has set.

    Args:
        tables: Each table with a column ``workspace``, and the privileges the role gets on it.
    """
    for table, privileges in tables.items():
        op.execute(f"GRANT {privileges} ON {table} TO valorem_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY workspace ON {table} TO valorem_app"
            " USING (workspace = current_setting('valorem.workspace')::integer)"
        )

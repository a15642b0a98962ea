"""Every migration goes down and up again, and leaves the same schema."""

import psycopg

from valorem.store.postgres.migrate import current_and_head, downgrade, upgrade

_SCHEMA = """
SELECT 'column', table_name, column_name, data_type || coalesce(column_default, '') || is_nullable
FROM information_schema.columns WHERE table_schema = 'public'
UNION ALL SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL SELECT 'policy', tablename, policyname, coalesce(qual, '') FROM pg_policies WHERE schemaname = 'public'
UNION ALL SELECT 'grant', table_name, grantee, privilege_type FROM information_schema.role_table_grants
WHERE grantee = 'valorem_app' AND table_schema = 'public'
ORDER BY 1, 2, 3, 4
"""


def _schema(url: str) -> list[tuple[str, ...]]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return connection.execute(_SCHEMA).fetchall()


def test_every_migration_down_and_up_again_gives_the_same_schema(database_url: str) -> None:
    whole = _schema(database_url)
    steps = 0
    while current_and_head(database_url)[0] is not None:
        downgrade(database_url, "-1")
        steps += 1
        assert steps < 1000
    assert steps > 1
    assert [row for row in _schema(database_url) if row[1] != "alembic_version"] == []
    upgrade(database_url)
    assert _schema(database_url) == whole

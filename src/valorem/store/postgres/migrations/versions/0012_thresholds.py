"""Spend thresholds: which contracts have them, and up to where their usage was looked at."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "ALTER TABLE contract ADD COLUMN thresholds_seq bigint"  # null where it has no thresholds
    )
    op.execute(
        "CREATE INDEX contract_thresholds ON contract (workspace, thresholds_seq) WHERE thresholds_seq IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("ALTER TABLE contract DROP COLUMN thresholds_seq CASCADE")

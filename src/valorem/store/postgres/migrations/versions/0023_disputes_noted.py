"""What credit notes gave back for disputes of outcomes."""

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE outcome_dispute ADD COLUMN noted jsonb NOT NULL DEFAULT '[]'")
    op.execute("GRANT UPDATE (noted) ON outcome_dispute TO valorem_app")


def downgrade() -> None:
    op.execute("ALTER TABLE outcome_dispute DROP COLUMN noted")

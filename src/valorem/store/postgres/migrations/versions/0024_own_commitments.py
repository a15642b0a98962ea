"""Accounts that pay for themselves keep to their own commitments, as they were billed, until somebody says otherwise."""

from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("UPDATE account SET commitments = 'own' WHERE payer = 'self' AND commitments = 'shared'")


def downgrade() -> None:
    pass  # before, the word said nothing about accounts that pay for themselves

"""What disputes hold back of a final invoice is not due while they are open."""

from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

EXACT = "numeric(50, 12)"


def upgrade() -> None:
    op.execute(f"ALTER TABLE outcome_dispute ADD COLUMN held {EXACT} NOT NULL DEFAULT 0")
    op.execute(f"ALTER TABLE invoice ADD COLUMN held {EXACT} NOT NULL DEFAULT 0 CHECK (held >= 0)")
    op.execute("GRANT UPDATE (held) ON outcome_dispute TO valorem_app")


def downgrade() -> None:
    op.execute("ALTER TABLE invoice DROP COLUMN held")
    op.execute("ALTER TABLE outcome_dispute DROP COLUMN held")

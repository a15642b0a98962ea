"""One invoice for several contracts of a customer: the invoices of one day become parts of one."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

STATUSES = "'draft', 'finalised', 'uncollectible', 'void'"


def upgrade() -> None:
    op.execute("ALTER TABLE customer ADD COLUMN consolidated boolean NOT NULL DEFAULT false")
    op.execute("ALTER TABLE invoice ADD COLUMN merged_into text")  # the invoice it is a part of
    op.execute("ALTER TABLE invoice DROP CONSTRAINT invoice_status_check")
    op.execute(f"ALTER TABLE invoice ADD CHECK (status IN ({STATUSES}, 'merged'))")
    op.execute("ALTER TABLE invoice ADD CHECK ((status = 'merged') = (merged_into IS NOT NULL))")
    op.execute(
        "CREATE INDEX invoice_merged ON invoice (part, workspace, merged_into) WHERE merged_into IS NOT NULL"
    )


def downgrade() -> None:
    # A part has no document of its own: what it says stays in the invoice it was merged into.
    op.execute("ALTER TABLE invoice DISABLE TRIGGER invoice_stays")
    op.execute("DELETE FROM invoice WHERE status = 'merged'")
    op.execute("ALTER TABLE invoice ENABLE TRIGGER invoice_stays")
    op.execute("ALTER TABLE invoice DROP CONSTRAINT invoice_status_check")
    op.execute("ALTER TABLE invoice DROP COLUMN merged_into CASCADE")
    op.execute(f"ALTER TABLE invoice ADD CHECK (status IN ({STATUSES}))")
    op.execute("ALTER TABLE customer DROP COLUMN consolidated")

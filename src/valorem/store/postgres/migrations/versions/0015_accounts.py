"""Accounts: who stands above whom, from when on, and who pays."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
-- A customer's place among others from an instant on; rows are never changed, a later one takes over.
CREATE TABLE account (
    workspace   integer NOT NULL,
    customer    text NOT NULL,
    since       timestamptz,           -- null from always
    parent      text,                  -- null at the top
    payer       text NOT NULL CHECK (payer IN ('self', 'parent')),
    tiers       text NOT NULL CHECK (tiers IN ('pooled', 'apart')),
    commitments text NOT NULL CHECK (commitments IN ('shared', 'own')),
    recorded_at timestamptz NOT NULL,
    UNIQUE NULLS NOT DISTINCT (workspace, customer, since),
    CHECK (payer = 'self' OR parent IS NOT NULL)
);
CREATE INDEX account_parent ON account (workspace, parent);
"""
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON account TO valorem_app")
    op.execute("ALTER TABLE account ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY workspace ON account TO valorem_app"
        " USING (workspace = current_setting('valorem.workspace')::integer)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE account")

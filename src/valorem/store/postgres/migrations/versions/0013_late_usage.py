"""Use that changed later than any invoice would look, and periods that take no more use."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CHANGES = """
CREATE TABLE late_usage (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    subject     text NOT NULL,
    received    timestamptz NOT NULL,   -- the hour in which it came
    earliest    timestamptz NOT NULL,   -- from when on the subject's use changed by it
    PRIMARY KEY (part, workspace, subject, received)
);

ALTER TABLE contract ADD usage_closed_until timestamptz;
ALTER TABLE invoice ADD closes_usage boolean NOT NULL DEFAULT false;
CREATE INDEX contract_closed ON contract (workspace) WHERE usage_closed_until IS NOT NULL;
CREATE INDEX invoice_closing ON invoice (workspace, finalise_at) WHERE status = 'draft' AND closes_usage;
"""


def upgrade() -> None:
    op.execute(CHANGES)
    op.execute("GRANT SELECT, INSERT, UPDATE ON late_usage TO valorem_app")
    op.execute("ALTER TABLE late_usage ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY workspace ON late_usage TO valorem_app"
        " USING (workspace = current_setting('valorem.workspace')::integer)"
    )


def downgrade() -> None:
    op.execute("DROP INDEX invoice_closing")
    op.execute("DROP INDEX contract_closed")
    op.execute("ALTER TABLE invoice DROP closes_usage")
    op.execute("ALTER TABLE contract DROP usage_closed_until")
    op.execute("DROP TABLE late_usage")

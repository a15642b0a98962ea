"""Quota holds: use of metered features reserved before the work."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE quota_hold (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    id          text NOT NULL,          -- the caller's own
    feature     text NOT NULL,
    quantity    numeric(50, 12) NOT NULL,
    dimensions  jsonb NOT NULL,
    placed_at   timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    state       text NOT NULL CHECK (state IN ('held', 'settled', 'released')),
    resolved_at timestamptz,
    PRIMARY KEY (part, workspace, customer, id)
);
CREATE INDEX quota_hold_standing ON quota_hold (part, workspace, customer, expires_at) WHERE state = 'held';
"""


def upgrade() -> None:
    op.execute(TABLE)
    op.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON quota_hold TO valorem_app")
    op.execute("ALTER TABLE quota_hold ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY workspace ON quota_hold TO valorem_app"
        " USING (workspace = current_setting('valorem.workspace')::integer)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE quota_hold")

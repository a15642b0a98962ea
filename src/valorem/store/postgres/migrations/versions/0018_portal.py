"""Links into the portal that work once, and the sessions they begin."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE portal_link (
    digest      bytea PRIMARY KEY,      -- SHA-256 of the token, which only the link holds
    workspace   integer NOT NULL REFERENCES workspace,
    customer    text NOT NULL,
    origin      text,                   -- who may frame what it opens
    actor       text,                   -- the operator who looks through the customer's eyes
    language    text,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz
);
CREATE INDEX portal_link_customer ON portal_link (workspace, customer);

CREATE TABLE portal_session (
    digest      bytea PRIMARY KEY,      -- SHA-256 of the token, which only the cookie holds
    workspace   integer NOT NULL REFERENCES workspace,
    customer    text NOT NULL,
    origin      text,
    actor       text,
    language    text,
    seen_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    ends_at     timestamptz NOT NULL
);
CREATE INDEX portal_session_customer ON portal_session (workspace, customer);
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute("GRANT INSERT ON portal_link TO valorem_app")
    op.execute("ALTER TABLE portal_link ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY workspace ON portal_link TO valorem_app"
        " USING (workspace = current_setting('valorem.workspace')::integer)"
    )


def downgrade() -> None:
    op.execute("DROP TABLE portal_session")
    op.execute("DROP TABLE portal_link")

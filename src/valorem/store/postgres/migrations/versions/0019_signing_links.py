"""Links by which a customer signs a definition once, without an account."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

TABLE = """
CREATE TABLE outcome_signing_link (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    digest      bytea NOT NULL,     -- SHA-256 of the token, which only the link holds
    contract    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    number      integer NOT NULL,
    made_by     text NOT NULL,      -- id of the key that was used
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL,
    used_at     timestamptz,
    PRIMARY KEY (part, workspace, digest)
);
"""


def upgrade() -> None:
    op.execute(TABLE)
    isolate({"outcome_signing_link": "SELECT, INSERT, UPDATE (used_at)"})


def downgrade() -> None:
    op.execute("DROP TABLE outcome_signing_link")

"""What an outside tax engine answered."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
CREATE TABLE tax_answer (
    workspace   integer NOT NULL,
    digest      bytea NOT NULL,        -- of the question
    reference   text NOT NULL,         -- names the document it is about
    rates       jsonb,                 -- by line; null while there is no answer
    problem     text,                  -- why there is none
    tries       integer NOT NULL,
    asked_at    timestamptz NOT NULL,
    PRIMARY KEY (workspace, digest),
    CHECK ((rates IS NULL) = (problem IS NOT NULL))
);
CREATE INDEX tax_answer_reference ON tax_answer (workspace, reference);
"""
    )
    isolate({"tax_answer": "SELECT, INSERT, UPDATE"})


def downgrade() -> None:
    op.execute("DROP TABLE tax_answer")

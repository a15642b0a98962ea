"""Admission: the combinations of dimension values each subject has used, and the keys that were forgotten."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
-- Which combinations of dimension values a meter revision has counted for a subject: their number is limited.
CREATE TABLE dimension_combination (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    revision    integer NOT NULL,
    dimensions  text COLLATE "C" NOT NULL,
    PRIMARY KEY (part, workspace, subject, revision, dimensions)
);
INSERT INTO dimension_combination
SELECT DISTINCT part, workspace, subject, revision, dimensions FROM counter WHERE dimensions <> '[]';

-- Eight bytes of each event key that was deleted for its age, to tell a correction that comes too late from one whose
-- event is still on its way.
CREATE TABLE forgotten_key (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    received_on date NOT NULL,
    keys        bytea NOT NULL,     -- bytes 2 to 9 of each key; the first is the part
    PRIMARY KEY (part, workspace, received_on)
);
ALTER TABLE forgotten_key ALTER COLUMN keys SET STORAGE EXTERNAL;
"""

SEALED = {
    "dimension_combination": "SELECT, INSERT",
    "forgotten_key": "SELECT, INSERT, UPDATE",
}


def upgrade() -> None:
    op.execute(TABLES)
    isolate(SEALED)


def downgrade() -> None:
    for table in SEALED:
        op.execute(f"DROP TABLE {table}")

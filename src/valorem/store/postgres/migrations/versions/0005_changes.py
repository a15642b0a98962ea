"""Changes: the edits of contracts, contracts that are parked, invoices that a change gives at once."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
-- What was signed: the contract before its first edit; null while it has none. The terms beside it are the fold of both.
ALTER TABLE contract ADD COLUMN signed jsonb;
ALTER TABLE contract ADD COLUMN parked_at timestamptz;
ALTER TABLE contract ADD COLUMN parked_reason text;
ALTER TABLE contract ADD CHECK ((parked_at IS NULL) = (parked_reason IS NULL));
CREATE INDEX contract_parked ON contract (workspace, parked_at) WHERE parked_at IS NOT NULL;

-- Every edit of a contract; the app role may insert and read them, nothing else.
CREATE TABLE contract_edit (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text NOT NULL,
    seq         integer NOT NULL,      -- in the order recorded
    id          text NOT NULL,
    edit        jsonb NOT NULL,
    border      integer NOT NULL,      -- the border that was to be billed next when it was recorded
    reopens     integer,               -- the first period that border looks at again; null where the edit reaches none
    invoiced    text NOT NULL CHECK (invoiced IN ('next', 'at_once')),
    PRIMARY KEY (part, workspace, contract, seq),
    UNIQUE (part, workspace, contract, id)
);
CREATE INDEX contract_edit_border ON contract_edit (part, workspace, contract, border);
"""


def upgrade() -> None:
    op.execute(TABLES)
    isolate({"contract_edit": "SELECT, INSERT"})


def downgrade() -> None:
    op.execute("DROP TABLE contract_edit")
    for column in ("signed", "parked_at", "parked_reason"):
        op.execute(f"ALTER TABLE contract DROP COLUMN {column} CASCADE")

"""Credits bought and spent on invoices; the row of an account decides holds by itself."""

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

# A bounded numeric excludes NaN and Infinity, which pass ordinary range checks.
EXACT = "numeric(50, 12)"

TABLES = f"""
-- Credits used by a decision of their own, such as an invoice they pay; below zero what is given back.
CREATE TABLE credit_draw (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    credit      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    at          timestamptz NOT NULL,
    key         text COLLATE "C" NOT NULL,  -- what is given back names the draw it is of
    amount      {EXACT} NOT NULL CHECK (amount <> 0),
    work        jsonb NOT NULL,
    reference   text COLLATE "C" NOT NULL,  -- the invoice
    PRIMARY KEY (part, workspace, customer, credit, id)
);
CREATE INDEX credit_draw_reference ON credit_draw (part, workspace, customer, reference);

-- Credits sold: due until their invoice is written, and given at once or when it is paid.
CREATE TABLE credit_purchase (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    credit      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    state       text NOT NULL CHECK (state IN ('due', 'invoiced', 'paid', 'void')),
    terms       jsonb NOT NULL,             -- what is sold, and the grant it gives
    invoice     text COLLATE "C",
    granted_at  timestamptz,
    created_at  timestamptz NOT NULL,
    CHECK (state IN ('due', 'paid') OR invoice IS NOT NULL),
    PRIMARY KEY (part, workspace, customer, credit, id)
);
CREATE INDEX credit_purchase_due ON credit_purchase (workspace, created_at) WHERE state = 'due';
CREATE INDEX credit_purchase_invoice ON credit_purchase (part, workspace, customer, invoice);

-- What the row decides by itself, and until when: the lots in the order they are used.
ALTER TABLE credit_account DROP COLUMN watched, DROP COLUMN steady_from, ADD COLUMN standing jsonb,
    ADD COLUMN stamp text NOT NULL DEFAULT '';
UPDATE credit_account SET counted = '', steady_until = NULL;
-- From which lots a hold took what.
ALTER TABLE credit_hold ADD COLUMN parts jsonb;
CREATE INDEX credit_hold_standing ON credit_hold (part, workspace, customer, credit, expires_at) WHERE state = 'held';
GRANT UPDATE (parts) ON credit_hold TO valorem_app;
-- When credits of an account next begin or end, so that nobody looks before.
ALTER TABLE credit_account ADD COLUMN tend_at timestamptz;
CREATE INDEX credit_account_tend ON credit_account (workspace, tend_at);
"""

SEALED = {
    "credit_draw": "SELECT, INSERT",
    "credit_purchase": "SELECT, INSERT, UPDATE (state, invoice, granted_at)",
}


def upgrade() -> None:
    op.execute(TABLES)
    for table, privileges in SEALED.items():
        op.execute(f"GRANT {privileges} ON {table} TO valorem_app")
        op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY workspace ON {table} TO valorem_app"
            " USING (workspace = current_setting('valorem.workspace')::integer)"
        )


def downgrade() -> None:
    for table in SEALED:
        op.execute(f"DROP TABLE {table}")
    op.execute("REVOKE UPDATE (parts) ON credit_hold FROM valorem_app")
    op.execute("DROP INDEX credit_hold_standing")
    op.execute("ALTER TABLE credit_hold DROP COLUMN parts")
    op.execute(
        "ALTER TABLE credit_account DROP COLUMN standing, DROP COLUMN stamp, DROP COLUMN tend_at,"
        " ADD COLUMN watched jsonb, ADD COLUMN steady_from timestamptz"
    )

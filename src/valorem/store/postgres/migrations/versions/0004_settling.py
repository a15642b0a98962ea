"""Settling: what invoices come to and how they are paid, credit notes, balances, payments, reminders, billing details."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# A bounded numeric excludes NaN and Infinity, which pass ordinary range checks.
EXACT = "numeric(50, 12)"

INVOICE = f"""
ALTER TABLE invoice DROP CONSTRAINT invoice_status_check;
ALTER TABLE invoice ADD CHECK (status IN ('draft', 'finalised', 'uncollectible', 'void'));
ALTER TABLE invoice
    ADD COLUMN revision integer NOT NULL DEFAULT 0,       -- counts up where a void invoice is issued again
    ADD COLUMN replaces text,                             -- the number of that void invoice
    ADD COLUMN tax {EXACT},
    ADD COLUMN paid {EXACT} NOT NULL DEFAULT 0,
    ADD COLUMN from_balance {EXACT} NOT NULL DEFAULT 0,
    ADD COLUMN credited {EXACT} NOT NULL DEFAULT 0,
    ADD COLUMN credit_offset {EXACT} NOT NULL DEFAULT 0,  -- how much of the credit notes lessens what is owed
    ADD COLUMN finalised_at timestamptz,
    ADD COLUMN due_on date,
    ADD COLUMN overdue_at timestamptz,                    -- the first instant after that day
    ADD COLUMN zone text NOT NULL DEFAULT 'UTC',
    ADD COLUMN reason text,                               -- why it is void or written off
    ADD COLUMN owed {EXACT} GENERATED ALWAYS AS (total - paid - from_balance - credit_offset) STORED,
    ADD CHECK (credited >= 0 AND credited <= greatest(total, 0)),
    ADD CHECK (credit_offset >= 0 AND credit_offset <= credited),
    ADD CHECK (paid >= 0 AND from_balance >= 0);
ALTER TABLE invoice DROP CONSTRAINT invoice_part_workspace_contract_index_kind_key;
ALTER TABLE invoice ADD UNIQUE (part, workspace, contract, index, kind, revision);
CREATE INDEX invoice_owed ON invoice (workspace, overdue_at) WHERE status = 'finalised' AND owed > 0;
UPDATE invoice SET tax = 0, finalised_at = finalise_at, due_on = finalise_at::date + 30,
    overdue_at = (finalise_at::date + 31)::timestamp AT TIME ZONE 'UTC' WHERE status <> 'draft';

-- What a final invoice says never changes, whoever asks; how it is paid does.
CREATE FUNCTION invoice_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'invoice % is final', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    IF (NEW.id, NEW.contract, NEW.customer, NEW.index, NEW.kind, NEW.revision, NEW.replaces, NEW.number, NEW.currency,
        NEW.period_start, NEW.period_end, NEW.issued_at, NEW.finalised_at, NEW.due_on, NEW.total, NEW.tax)
        IS DISTINCT FROM
       (OLD.id, OLD.contract, OLD.customer, OLD.index, OLD.kind, OLD.revision, OLD.replaces, OLD.number, OLD.currency,
        OLD.period_start, OLD.period_end, OLD.issued_at, OLD.finalised_at, OLD.due_on, OLD.total, OLD.tax)
        OR NEW.status = 'draft'
    THEN
        RAISE EXCEPTION 'invoice % is final', OLD.number USING ERRCODE = 'restrict_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER invoice_stays BEFORE UPDATE OR DELETE ON invoice FOR EACH ROW
    WHEN (OLD.status <> 'draft') EXECUTE FUNCTION invoice_stays();
"""

TABLES = f"""
ALTER TABLE customer ADD COLUMN billing jsonb NOT NULL DEFAULT '{{}}';

-- What notes take back; the app role may insert and read them, nothing else.
CREATE TABLE credit_note (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    id          text NOT NULL,
    number      text NOT NULL,
    invoice     text NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    currency    text NOT NULL,
    total       {EXACT} NOT NULL CHECK (total > 0),
    tax         {EXACT} NOT NULL,
    credit_offset {EXACT} NOT NULL CHECK (credit_offset >= 0),
    refund      {EXACT} NOT NULL CHECK (refund >= 0),
    to_balance  {EXACT} NOT NULL CHECK (to_balance >= 0),
    reason      text NOT NULL,
    document    bytea NOT NULL,      -- canonical JSON
    digest      bytea NOT NULL,      -- SHA-256 of it
    issued_at   timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, id),
    CHECK (total = credit_offset + refund + to_balance)
);
CREATE INDEX credit_note_invoice ON credit_note (part, workspace, invoice);

-- Claim table: a number is used once in a workspace.
CREATE TABLE credit_note_number (
    workspace   integer NOT NULL,
    number      text NOT NULL,
    note        text NOT NULL,
    PRIMARY KEY (workspace, number)
);

-- What is owed to a customer: the sum of its entries, and the lock that lets one transaction at a time use it.
CREATE TABLE customer_balance (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    currency    text NOT NULL,
    amount      {EXACT} NOT NULL CHECK (amount >= 0),
    PRIMARY KEY (part, workspace, customer, currency)
);

CREATE TABLE balance_entry (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    currency    text NOT NULL,
    id          text NOT NULL,
    at          timestamptz NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('credited', 'applied', 'restored', 'refunded')),
    credit      text NOT NULL,       -- the entry that opened the credit it moves
    amount      {EXACT} NOT NULL CHECK (amount > 0),
    reference   text NOT NULL,
    PRIMARY KEY (part, workspace, customer, currency, id)
);

-- A customer as a payment provider knows it.
CREATE TABLE payer (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    provider    text NOT NULL,
    reference   text NOT NULL,
    method      text,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, customer, provider)
);

CREATE TABLE payment (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    id          text NOT NULL,
    invoice     text NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    provider    text NOT NULL,
    amount      {EXACT} NOT NULL CHECK (amount > 0),
    currency    text NOT NULL,
    refunds     text,                -- the payment that this gives back
    note        text,                -- the credit note that asks for it back
    state       text NOT NULL CHECK (state IN ('created', 'unknown', 'pending', 'failed', 'succeeded', 'parked')),
    asked_at    timestamptz,
    answers_lost boolean NOT NULL DEFAULT false,
    looked_up_at timestamptz,
    problem     text,                -- why the provider refuses, for a person to look at
    counted     boolean NOT NULL DEFAULT false,  -- whether the invoice's paid holds it
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, id)
);
CREATE INDEX payment_invoice ON payment (part, workspace, invoice);
CREATE INDEX payment_waiting ON payment (workspace, created_at) WHERE state IN ('created', 'unknown', 'pending');
-- One attempt at a time through a provider: two calls at once cannot take the money twice.
CREATE UNIQUE INDEX payment_one ON payment (part, workspace, invoice)
    WHERE refunds IS NULL AND state IN ('created', 'unknown', 'pending', 'parked');

-- Everything a provider or a person said; the state follows from the set.
CREATE TABLE payment_report (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    payment     text NOT NULL,
    digest      bytea NOT NULL,
    reference   text NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('pending', 'failed', 'succeeded')),
    amount      {EXACT} NOT NULL,
    currency    text NOT NULL,
    reason      text,
    heard_at    timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, payment, digest)
);

CREATE TABLE reminder (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    invoice     text NOT NULL,
    key         text NOT NULL,
    skipped     boolean NOT NULL,
    at          timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, invoice, key)
);
"""

SEALED = {
    "credit_note": "SELECT, INSERT",
    "credit_note_number": "SELECT, INSERT",
    "customer_balance": "SELECT, INSERT, UPDATE",
    "balance_entry": "SELECT, INSERT",
    "payer": "SELECT, INSERT, UPDATE",
    "payment": "SELECT, INSERT, UPDATE",
    "payment_report": "SELECT, INSERT",
    "reminder": "SELECT, INSERT",
}


def upgrade() -> None:
    op.execute(INVOICE)
    op.execute(TABLES)
    isolate(SEALED)


def downgrade() -> None:
    for table in SEALED:
        op.execute(f"DROP TABLE {table}")
    op.execute("ALTER TABLE customer DROP COLUMN billing")
    op.execute("DROP TRIGGER invoice_stays ON invoice")
    op.execute("DROP FUNCTION invoice_stays")
    op.execute("DROP INDEX invoice_owed")
    op.execute("DELETE FROM invoice WHERE revision > 0")
    op.execute("UPDATE invoice SET status = 'finalised' WHERE status <> 'draft'")
    op.execute("ALTER TABLE invoice DROP CONSTRAINT invoice_status_check")
    op.execute("ALTER TABLE invoice ADD CHECK (status IN ('draft', 'finalised'))")
    op.execute("ALTER TABLE invoice DROP COLUMN owed")
    for column in (
        "revision",
        "replaces",
        "tax",
        "paid",
        "from_balance",
        "credited",
        "credit_offset",
        "finalised_at",
        "due_on",
        "overdue_at",
        "zone",
        "reason",
    ):
        op.execute(f"ALTER TABLE invoice DROP COLUMN {column} CASCADE")
    op.execute("ALTER TABLE invoice ADD UNIQUE (part, workspace, contract, index, kind)")

"""Credits: accounts, grants, holds, members, frozen periods, the ledger, and automatic top-up."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# A bounded numeric excludes NaN and Infinity, which pass ordinary range checks.
EXACT = "numeric(50, 12)"

TABLES = f"""
-- What an account stands at: a cache that verbs bring up to date. Its lock puts holds, grants and bookings in order.
CREATE TABLE credit_account (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    credit      text COLLATE "C" NOT NULL,
    available   {EXACT} NOT NULL DEFAULT 0,
    held        {EXACT} NOT NULL DEFAULT 0,
    overage     {EXACT} NOT NULL DEFAULT 0,
    version     bigint NOT NULL DEFAULT 0,
    as_of       timestamptz NOT NULL,      -- nothing was decided later: decisions never go back in time
    counted     text NOT NULL DEFAULT '',  -- what the usage stood at then; other usage makes the row stale
    steady_from timestamptz,               -- since when no credits began or ended; null: the row decides nothing
    steady_until timestamptz,              -- until when none will
    entries     bigint NOT NULL DEFAULT 0, -- the last number of the ledger
    head        bytea,                     -- and its digest
    booked      bigint NOT NULL DEFAULT -1, -- the version the ledger has caught up with
    closed_until timestamptz,              -- the end of the last closed period
    checkpoint  jsonb,                     -- where a replay goes on from there
    watched     jsonb,                     -- what says whether the usage is still as it was
    PRIMARY KEY (part, workspace, customer, credit)
) WITH (fillfactor = 50);

CREATE TABLE credit_grant (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    credit      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz,
    terms       jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, customer, credit, id)
);

CREATE TABLE credit_hold (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    credit      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,
    placed_at   timestamptz NOT NULL,
    amount      {EXACT} NOT NULL CHECK (amount > 0),
    expires_at  timestamptz NOT NULL,
    work        jsonb NOT NULL,
    state       text NOT NULL CHECK (state IN ('held', 'refused', 'settled', 'released', 'expired')),
    resolved_at timestamptz,
    settled     {EXACT} NOT NULL DEFAULT 0 CHECK (settled >= 0),
    shortfall   {EXACT} NOT NULL DEFAULT 0,
    CHECK ((state = 'held') = (resolved_at IS NULL)),
    PRIMARY KEY (part, workspace, customer, credit, id)
) WITH (fillfactor = 80);
CREATE INDEX credit_hold_time ON credit_hold (part, workspace, customer, credit, placed_at);
CREATE INDEX credit_hold_open ON credit_hold (workspace, expires_at) WHERE state = 'held';

-- Who has a seat, for allowances of one's own.
CREATE TABLE credit_member (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    member      text COLLATE "C" NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz,
    CHECK (until > since),
    PRIMARY KEY (part, workspace, customer, member, since)
);

-- A closed period's burns: as they were drawn, and the usage behind them as it was known then.
CREATE TABLE credit_period (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    credit      text COLLATE "C" NOT NULL,
    period_start timestamptz NOT NULL,
    period_end  timestamptz NOT NULL,
    drawn       jsonb NOT NULL,
    known       jsonb NOT NULL,
    known_since timestamptz NOT NULL,
    closed_at   timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, customer, credit, period_end)
);

-- Double entry, hash-chained per account; nobody changes or removes a row.
CREATE TABLE ledger_entry (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    credit      text COLLATE "C" NOT NULL,
    number      bigint NOT NULL,
    at          timestamptz NOT NULL,
    entry       jsonb NOT NULL,
    digest      bytea NOT NULL,
    booked_at   timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, customer, credit, number)
);
CREATE INDEX ledger_entry_time ON ledger_entry (part, workspace, customer, credit, at);
CREATE FUNCTION ledger_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'ledger entries are never changed' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER ledger_stays BEFORE UPDATE OR DELETE ON ledger_entry FOR EACH ROW EXECUTE FUNCTION ledger_stays();
CREATE TRIGGER ledger_stays_whole BEFORE TRUNCATE ON ledger_entry EXECUTE FUNCTION ledger_stays();

CREATE TABLE credit_recharge (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    credit      text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    terms       jsonb NOT NULL,
    armed       boolean NOT NULL DEFAULT true,
    crossings   integer NOT NULL DEFAULT 0,
    day         date,
    bought      integer NOT NULL DEFAULT 0,
    PRIMARY KEY (part, workspace, customer, credit, key)
);
"""

SEALED = {
    "credit_account": "SELECT, INSERT, UPDATE",
    "credit_grant": "SELECT, INSERT, UPDATE (ends_at, terms)",
    "credit_hold": "SELECT, INSERT, UPDATE (state, resolved_at, settled)",
    "credit_member": "SELECT, INSERT, UPDATE (until)",
    "credit_period": "SELECT, INSERT",
    "ledger_entry": "SELECT, INSERT",
    "credit_recharge": "SELECT, INSERT, UPDATE, DELETE",
}


def upgrade() -> None:
    op.execute(TABLES)
    isolate(SEALED)


def downgrade() -> None:
    for table in SEALED:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP FUNCTION ledger_stays")

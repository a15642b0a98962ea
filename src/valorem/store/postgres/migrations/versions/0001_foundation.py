"""The foundation: workspaces, keys, catalog versions, events, counters, customers, contracts, invoices."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A bounded numeric excludes NaN and Infinity, which pass ordinary range checks (NaN sorts above every number).
EXACT = "numeric(50, 12)"
# A value of 12 decimals times an instant of 6.
MOMENT = "numeric(60, 18)"

TABLES = f"""
CREATE TABLE workspace (
    id          integer PRIMARY KEY,
    name        text NOT NULL UNIQUE,
    kind        text NOT NULL CHECK (kind IN ('live', 'sandbox')),
    clock_at    timestamptz,  -- a sandbox's own clock; null for live
    settings    jsonb NOT NULL DEFAULT '{{}}',
    created_at  timestamptz NOT NULL,
    CHECK ((kind = 'sandbox') = (clock_at IS NOT NULL))
);

CREATE TABLE api_key (
    id          text PRIMARY KEY,
    workspace   integer NOT NULL REFERENCES workspace,
    name        text NOT NULL,
    prefix      text NOT NULL,
    digest      bytea NOT NULL UNIQUE,  -- SHA-256 of the whole key, which is shown once
    scopes      text[] NOT NULL,
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz,
    revoked_at  timestamptz,
    last_used_at timestamptz
);

CREATE TABLE catalog_version (
    workspace   integer NOT NULL,
    version     integer NOT NULL,
    digest      bytea NOT NULL,
    files       jsonb NOT NULL,
    message     text NOT NULL,
    author      text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (workspace, version)
);

-- A meter as it counts: a new way of counting is a new revision, and old revisions go on counting while contracts use them.
CREATE TABLE meter_revision (
    workspace   integer NOT NULL,
    id          integer NOT NULL,
    meter       text NOT NULL,      -- the key it was first defined under
    fingerprint text NOT NULL,      -- meters that count the same share a revision
    definition  text NOT NULL,      -- JSON, as compiled
    current     boolean NOT NULL,   -- in the newest catalog: an event it cannot take is refused; an older one skips it
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (workspace, id),
    UNIQUE (workspace, fingerprint)
);

-- How far a revision defined after the first events has been recounted from recorded events.
CREATE TABLE meter_backfill (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    revision    integer NOT NULL,
    done_seq    bigint NOT NULL,
    until_seq   bigint NOT NULL,
    PRIMARY KEY (part, workspace, revision)
);

-- One row a part group: its row lock makes committed sequences gapless and ordered by commit.
CREATE TABLE ingest_cursor (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    seq         bigint NOT NULL,
    meter_epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (part, workspace)
);

-- Wide fields first: this is the largest table, and alignment is paid in every row.
CREATE TABLE event_key (
    fingerprint bigint,             -- of the payload; null while only a correction is known
    batch       bigint,             -- event_batch.id; the sequence is not known yet when the key is claimed
    workspace   integer NOT NULL,
    place       integer,            -- line of the batch
    received_on date NOT NULL,
    part        smallint NOT NULL,  -- first byte of the key
    batch_part  smallint,
    key         uuid NOT NULL,      -- identity of (workspace, source, id)
    PRIMARY KEY (part, key)
);
CREATE INDEX event_key_received_on ON event_key USING brin (received_on);

CREATE TABLE event_batch (
    part        smallint NOT NULL,  -- the part group's number
    workspace   integer NOT NULL,
    seq         bigint NOT NULL,
    id          bigint NOT NULL,    -- made by the app before the transaction; tells a lost commit from a rollback
    received_at timestamptz NOT NULL, -- the time of events sent without one
    events      integer NOT NULL,
    earliest    timestamptz NOT NULL,
    latest      timestamptz NOT NULL,
    subjects    integer[] NOT NULL, -- short hashes, to skip batches without a subject
    types       text[] NOT NULL,
    raw         bytea NOT NULL,     -- compressed lines, one event each, as received
    PRIMARY KEY (part, workspace, seq),
    UNIQUE (part, workspace, id)
);
CREATE INDEX event_batch_time ON event_batch USING brin (earliest, latest) WITH (pages_per_range = 8);
ALTER TABLE event_batch ALTER COLUMN raw SET STORAGE EXTERNAL;

CREATE TABLE event_correction (
    part        smallint NOT NULL,  -- of the target
    target      uuid NOT NULL,
    key         uuid NOT NULL,
    workspace   integer NOT NULL,
    batch       bigint NOT NULL,
    received_at timestamptz NOT NULL,
    moved_to    timestamptz,        -- the time an amend gives its target, to find what moved into a quarter hour
    raw         bytea NOT NULL,     -- the correcting event as received, so that a recount needs no second look-up
    PRIMARY KEY (part, target, key)
);
CREATE INDEX event_correction_moved_to ON event_correction (workspace, moved_to) WHERE moved_to IS NOT NULL;

CREATE TABLE counter (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    revision    integer NOT NULL,
    bucket      timestamptz NOT NULL,  -- start of the quarter hour
    dimensions  text COLLATE "C" NOT NULL,
    n           bigint NOT NULL,
    total       {EXACT},
    moment      {MOMENT},
    low         {EXACT},
    high        {EXACT},
    last        {EXACT},
    last_at     timestamptz,
    last_key    bytea,
    PRIMARY KEY (part, workspace, subject, revision, bucket, dimensions)
);

CREATE TABLE counter_value (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    revision    integer NOT NULL,
    bucket      timestamptz NOT NULL,
    dimensions  text COLLATE "C" NOT NULL,
    value       text COLLATE "C" NOT NULL,
    n           bigint NOT NULL,
    PRIMARY KEY (part, workspace, subject, revision, bucket, dimensions, value)
);

CREATE TABLE customer (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    key         text COLLATE "C" NOT NULL,
    name        text NOT NULL,
    currency    text NOT NULL,
    zone        text NOT NULL,
    metadata    jsonb NOT NULL DEFAULT '{{}}',
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, key)
);

-- Claim table: a subject belongs to one customer of the workspace; a customer's own key is its first subject.
CREATE TABLE subject (
    workspace   integer NOT NULL,
    subject     text COLLATE "C" NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (workspace, subject)
);
CREATE INDEX subject_customer ON subject (workspace, customer);

CREATE TABLE contract (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    id          text NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    plan        text NOT NULL,
    catalog_version integer NOT NULL,
    starts_at   timestamptz NOT NULL,
    ends_at     timestamptz,
    terms       jsonb NOT NULL,        -- zone, currency, cadence, anchor, seats, policies
    next_index  integer NOT NULL,      -- the boundary to be drafted next
    next_at     timestamptz,           -- its instant; null when nothing is left
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, id)
);
CREATE INDEX contract_customer ON contract (part, workspace, customer);
CREATE INDEX contract_due ON contract (part, workspace, next_at) WHERE next_at IS NOT NULL;

CREATE TABLE invoice (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    id          text NOT NULL,
    contract    text NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    index       integer NOT NULL,      -- the contract's boundary it is issued at
    kind        text NOT NULL,
    status      text NOT NULL CHECK (status IN ('draft', 'finalised')),
    number      text,
    currency    text NOT NULL,
    period_start timestamptz NOT NULL,
    period_end  timestamptz NOT NULL,
    issued_at   timestamptz NOT NULL,
    finalise_at timestamptz NOT NULL,
    total       {EXACT},
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, id),
    UNIQUE (part, workspace, contract, index, kind)
);
CREATE INDEX invoice_customer ON invoice (part, workspace, customer, issued_at);
CREATE INDEX invoice_due ON invoice (part, workspace, finalise_at) WHERE status = 'draft';

-- What a finalised invoice says and what it was computed from; the app role may insert and read it, nothing else.
CREATE TABLE invoice_document (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    invoice     text NOT NULL,
    number      text NOT NULL,
    document    bytea NOT NULL,        -- canonical JSON
    digest      bytea NOT NULL,        -- SHA-256 of it
    inputs      jsonb NOT NULL,        -- catalog version, cut-off sequences, instant
    finalised_at timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, invoice)
);

-- Claim table: a number is used once in a workspace.
CREATE TABLE invoice_number (
    workspace   integer NOT NULL,
    number      text NOT NULL,
    invoice     text NOT NULL,
    PRIMARY KEY (workspace, number)
);

CREATE TABLE number_series (
    workspace   integer NOT NULL,
    series      text NOT NULL,
    last        bigint NOT NULL,
    PRIMARY KEY (workspace, series)
);

CREATE TABLE idempotency (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    key         text NOT NULL,
    request     bytea NOT NULL,        -- digest of method, path and body
    status      integer NOT NULL,
    response    bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, key)
);

CREATE TABLE outbox (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    id          uuid NOT NULL,
    topic       text NOT NULL,
    object      text NOT NULL,
    payload     jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, id)
);

-- How far each part group has been written to the warehouse.
CREATE TABLE warehouse_cursor (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    seq         bigint NOT NULL,
    PRIMARY KEY (part, workspace)
);
"""

#: Tables a workspace's own transactions see through row-level security, and what the app role may do there.
SEALED = {
    "catalog_version": "SELECT, INSERT",
    "meter_revision": "SELECT, INSERT, UPDATE (current)",
    "meter_backfill": "SELECT, INSERT, UPDATE, DELETE",
    "ingest_cursor": "SELECT, INSERT, UPDATE",
    "event_key": "SELECT, INSERT, UPDATE, DELETE",
    "event_batch": "SELECT, INSERT",
    "event_correction": "SELECT, INSERT",
    "counter": "SELECT, INSERT, UPDATE, DELETE",
    "counter_value": "SELECT, INSERT, UPDATE, DELETE",
    "customer": "SELECT, INSERT, UPDATE",
    "subject": "SELECT, INSERT, DELETE",
    "contract": "SELECT, INSERT, UPDATE",
    "invoice": "SELECT, INSERT, UPDATE, DELETE",
    "invoice_document": "SELECT, INSERT",
    "invoice_number": "SELECT, INSERT",
    "number_series": "SELECT, INSERT, UPDATE",
    "idempotency": "SELECT, INSERT",
    "outbox": "SELECT, INSERT, UPDATE, DELETE",
    "warehouse_cursor": "SELECT, INSERT, UPDATE",
}

ROLE = """
DO $$ BEGIN
    -- Whoever may not make roles may find it made by an administrator.
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'valorem_app') THEN CREATE ROLE valorem_app NOLOGIN NOINHERIT; END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$ BEGIN
    IF NOT pg_has_role(current_user, 'valorem_app', 'MEMBER') THEN EXECUTE format('GRANT valorem_app TO %I', current_user); END IF;
END $$;
"""


def upgrade() -> None:
    op.execute(TABLES)
    op.execute(ROLE)
    op.execute("GRANT SELECT, UPDATE (clock_at, settings) ON workspace TO valorem_app")
    isolate(SEALED)


def downgrade() -> None:
    for table in SEALED:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP TABLE api_key")
    op.execute("DROP TABLE workspace")

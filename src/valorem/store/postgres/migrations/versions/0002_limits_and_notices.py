"""Limits and notices: concessions, budgets, alert rules and crossings, endpoints and deliveries."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A bounded numeric excludes NaN and Infinity, which pass ordinary range checks.
EXACT = "numeric(50, 12)"

TABLES = f"""
-- What one customer has been given, or denied, beside its plan.
CREATE TABLE concession (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    id          text NOT NULL,
    feature     text NOT NULL,
    since       timestamptz NOT NULL,
    until       timestamptz,
    terms       jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, customer, id)
);

CREATE TABLE budget (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    id          text NOT NULL,
    terms       jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, customer, id)
);

-- Rules beside those of plans; customer '' holds for every customer.
CREATE TABLE alert_rule (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    id          text NOT NULL,
    terms       jsonb NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, customer, id)
);

-- How much a customer has used since its alerts were last worked out, and how much may be used before they must be again.
-- Never less than the truth, so no crossing is missed; the alerts themselves are always worked out from counters.
CREATE TABLE alert_watch (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    revision    integer NOT NULL,   -- of the meter; 0 stands for time
    level       {EXACT} NOT NULL,
    trigger     {EXACT},            -- null: no amount brings anything nearer
    until       timestamptz,        -- from then on work them out anew in any case
    PRIMARY KEY (part, workspace, customer, revision)
) WITH (fillfactor = 70);
CREATE INDEX alert_watch_customer ON alert_watch (workspace, customer);
CREATE INDEX alert_watch_until ON alert_watch (workspace, until) WHERE revision = 0;

-- The meter revisions that any customer of a workspace is watched by: all others cost ingest nothing.
CREATE TABLE alert_revision (
    workspace   integer NOT NULL,
    revision    integer NOT NULL,
    PRIMARY KEY (workspace, revision)
);

-- A threshold is crossed once in its window: the key says so.
CREATE TABLE alert_crossing (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    alert       text NOT NULL,
    threshold   text NOT NULL,
    window_start timestamptz NOT NULL,
    turn        integer NOT NULL,   -- counts up where the rule re-arms after a recovery
    window_end  timestamptz,
    level       {EXACT} NOT NULL,
    whole       {EXACT},
    crossed_at  timestamptz NOT NULL,
    recovered_at timestamptz,
    PRIMARY KEY (part, workspace, customer, alert, threshold, window_start, turn)
);

-- Denied checks by feature and window: where people meet a limit, and whether they were shown a way on.
CREATE TABLE paywall (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    customer    text COLLATE "C" NOT NULL,
    feature     text NOT NULL,
    window_start timestamptz NOT NULL,
    reason      text NOT NULL,
    prompt      text,
    first_at    timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, customer, feature, window_start)
);

-- Where notices go.
CREATE TABLE endpoint (
    workspace   integer NOT NULL,
    id          text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('webhook', 'slack', 'email')),
    address     text NOT NULL,
    topics      text[] NOT NULL,    -- empty takes all
    customer    text COLLATE "C",   -- only notices about this customer
    digest      text NOT NULL,
    secret      text,
    old_secret  text,
    old_secret_until timestamptz,
    state       text NOT NULL CHECK (state IN ('active', 'disabled')),
    reason      text,
    failures    integer NOT NULL,   -- in a row
    failing_since timestamptz,
    open_until  timestamptz,        -- the breaker lets nothing through before
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (workspace, id)
);

ALTER TABLE outbox ADD COLUMN sequence bigint NOT NULL DEFAULT 0;  -- of the object: lets a receiver drop old news
ALTER TABLE outbox ADD COLUMN customer text COLLATE "C";
ALTER TABLE outbox ADD COLUMN dispatched_at timestamptz;
CREATE INDEX outbox_waiting ON outbox (workspace, created_at) WHERE dispatched_at IS NULL;
CREATE INDEX outbox_time ON outbox (workspace, created_at, id);

CREATE TABLE outbox_object (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    object      text NOT NULL,
    sequence    bigint NOT NULL,
    PRIMARY KEY (part, workspace, object)
);

CREATE TABLE delivery (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    message     uuid NOT NULL,
    endpoint    text NOT NULL,
    state       text NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
    attempts    integer NOT NULL,
    next_at     timestamptz NOT NULL,
    leased_until timestamptz,
    created_at  timestamptz NOT NULL,
    finished_at timestamptz,
    PRIMARY KEY (part, workspace, message, endpoint)
) WITH (fillfactor = 80);
CREATE INDEX delivery_due ON delivery (workspace, endpoint, next_at) WHERE state = 'pending';

CREATE TABLE delivery_attempt (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    message     uuid NOT NULL,
    endpoint    text NOT NULL,
    number      integer NOT NULL,
    at          timestamptz NOT NULL,
    status      integer,
    error       text,
    answer      text,
    took_ms     integer NOT NULL,
    PRIMARY KEY (part, workspace, message, endpoint, number)
);
CREATE INDEX delivery_attempt_time ON delivery_attempt (workspace, endpoint, at);
"""

SEALED = {
    "concession": "SELECT, INSERT, UPDATE, DELETE",
    "budget": "SELECT, INSERT, UPDATE, DELETE",
    "alert_rule": "SELECT, INSERT, UPDATE, DELETE",
    "alert_watch": "SELECT, INSERT, UPDATE, DELETE",
    "alert_revision": "SELECT, INSERT",
    "alert_crossing": "SELECT, INSERT, UPDATE",
    "paywall": "SELECT, INSERT",
    "endpoint": "SELECT, INSERT, UPDATE, DELETE",
    "outbox_object": "SELECT, INSERT, UPDATE",
    "delivery": "SELECT, INSERT, UPDATE, DELETE",
    "delivery_attempt": "SELECT, INSERT, DELETE",
}


def upgrade() -> None:
    op.execute(TABLES)
    isolate(SEALED)


def downgrade() -> None:
    for table in SEALED:
        op.execute(f"DROP TABLE {table}")
    op.execute("DROP INDEX outbox_waiting")
    op.execute("DROP INDEX outbox_time")
    for column in ("sequence", "customer", "dispatched_at"):
        op.execute(f"ALTER TABLE outbox DROP COLUMN {column}")

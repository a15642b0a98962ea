"""Sources: sealed secrets, cursors and freshness, what is known of each record, what could not be read, invoices that wait."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE source_secret (
    workspace   integer NOT NULL,
    name        text NOT NULL,
    sealed      text NOT NULL,          -- opens with a key that is not in this database
    set_at      timestamptz NOT NULL,
    PRIMARY KEY (workspace, name)
);

-- Where each source stands. The cursor changes in the transaction of the events it stands after.
CREATE TABLE source_state (
    workspace   integer NOT NULL,
    source      text COLLATE "C" NOT NULL,
    cursor      text NOT NULL DEFAULT '{}',
    moves       bigint NOT NULL DEFAULT 0,      -- of the cursor; two readers at once cannot both move it
    runs        bigint NOT NULL DEFAULT 0,      -- readings begun
    events      bigint NOT NULL DEFAULT 0,
    last_event_at timestamptz,          -- greatest time of an event
    received_at timestamptz,            -- when a record or message last came
    tried_at    timestamptz,            -- when reading last began
    read_at     timestamptz,            -- when reading last came to the end
    complete_until timestamptz,         -- everything before this has been read
    full_at     timestamptz,            -- when everything was last read
    failures    integer NOT NULL DEFAULT 0,
    error       text,
    hint        text,
    next_at     timestamptz,            -- real time
    PRIMARY KEY (workspace, source)
);

-- What is known of each record, so that a change is told from a repetition.
CREATE TABLE source_record (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    source      text COLLATE "C" NOT NULL,
    event       text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    version     text COLLATE "C" NOT NULL,
    digest      text NOT NULL,
    gone        boolean NOT NULL,
    live        text NOT NULL,          -- id of the event that counts, for a fact
    changes     integer NOT NULL,
    changed_at  timestamptz NOT NULL,
    subject     text NOT NULL,
    at          timestamptz NOT NULL,
    data        text NOT NULL,
    seen_run    bigint NOT NULL,        -- the reading that last found it
    missed      integer NOT NULL,
    polled      boolean NOT NULL,
    file        text,                   -- the file it stood in
    PRIMARY KEY (part, workspace, source, event, key)
);
CREATE INDEX source_record_seen ON source_record (workspace, source, seen_run) WHERE NOT gone;

-- Records that could not be taken, kept as they came until they can.
CREATE TABLE source_parked (
    workspace   integer NOT NULL,
    source      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,      -- digest of the record
    record      text NOT NULL,
    via         text NOT NULL CHECK (via IN ('webhook', 'poll')),
    event       text NOT NULL,
    field       text,
    reason      text NOT NULL,
    hint        text,
    attempts    integer NOT NULL,
    parked_at   timestamptz NOT NULL,
    PRIMARY KEY (workspace, source, id)
);

-- Verified messages as they came; a repetition is known by its digest.
CREATE TABLE source_message (
    workspace   integer NOT NULL,
    source      text COLLATE "C" NOT NULL,
    id          bytea NOT NULL,
    body        bytea NOT NULL,
    records     integer NOT NULL,
    received_at timestamptz NOT NULL,
    PRIMARY KEY (workspace, source, id)
);

CREATE TABLE source_file (
    workspace   integer NOT NULL,
    source      text COLLATE "C" NOT NULL,
    name        text COLLATE "C" NOT NULL,
    digest      text NOT NULL,
    rows        bigint NOT NULL,
    refused     text,                   -- why it was not taken; null where it was
    taken_at    timestamptz NOT NULL,
    PRIMARY KEY (workspace, source, name)
);

-- What is written back to other systems.
CREATE TABLE source_push (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    source      text COLLATE "C" NOT NULL,
    id          text COLLATE "C" NOT NULL,      -- what it tells, named for ever
    rule        integer NOT NULL,
    outcome     text NOT NULL,
    key         text NOT NULL,
    state       text NOT NULL,
    at          timestamptz NOT NULL,
    status      text NOT NULL CHECK (status IN ('pending', 'done', 'failed', 'replaced')),
    attempts    integer NOT NULL DEFAULT 0,
    next_at     timestamptz NOT NULL,
    error       text,
    PRIMARY KEY (part, workspace, source, id)
);
CREATE INDEX source_push_due ON source_push (workspace, source, next_at) WHERE status = 'pending';

-- Invoices whose outcomes cannot be told yet.
CREATE TABLE invoice_wait (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    invoice     text NOT NULL,
    reasons     jsonb NOT NULL,
    since       timestamptz NOT NULL,
    released_at timestamptz,
    released_by text,
    reason      text,
    PRIMARY KEY (part, workspace, invoice)
);
"""

PRIVILEGES = {
    "source_secret": "SELECT, INSERT, UPDATE, DELETE",
    "source_state": "SELECT, INSERT, UPDATE, DELETE",
    "source_record": "SELECT, INSERT, UPDATE",
    "source_parked": "SELECT, INSERT, UPDATE, DELETE",
    "source_message": "SELECT, INSERT, DELETE",
    "source_file": "SELECT, INSERT, UPDATE",
    "source_push": "SELECT, INSERT, UPDATE",
    "invoice_wait": "SELECT, INSERT, UPDATE, DELETE",
}


def upgrade() -> None:
    op.execute(TABLES)
    isolate(PRIVILEGES)


def downgrade() -> None:
    for table in PRIVILEGES:
        op.execute(f"DROP TABLE {table}")

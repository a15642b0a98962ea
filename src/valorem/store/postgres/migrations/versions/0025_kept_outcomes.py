"""Outcomes kept as evidence comes: the evidence of each key, what was folded from it, and the counters of that."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

TABLES = """
-- All four may be dropped at any time: they are worked out again from recorded events.
CREATE TABLE outcome_kept (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text COLLATE "C" NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    basis       bytea NOT NULL,         -- digest of what the fold depends on beside the evidence
    seq         bigint NOT NULL,        -- everything up to this sequence is in it
    PRIMARY KEY (part, workspace, contract, outcome)
);

CREATE TABLE outcome_evidence (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text COLLATE "C" NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    event       uuid NOT NULL,
    at          timestamptz NOT NULL,   -- as it counts
    received_at timestamptz NOT NULL,
    corrected   boolean NOT NULL,       -- a correction holds for it
    links       text[] NOT NULL,        -- keys the record was merged into
    raw         bytea NOT NULL,         -- as received
    PRIMARY KEY (part, workspace, contract, outcome, key, event)
);
CREATE INDEX outcome_evidence_event ON outcome_evidence (part, workspace, contract, outcome, event);
CREATE INDEX outcome_evidence_at ON outcome_evidence (part, workspace, contract, outcome, at);
CREATE INDEX outcome_evidence_links ON outcome_evidence USING gin (links) WHERE links <> '{}';

CREATE TABLE outcome_result (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text COLLATE "C" NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    key         text COLLATE "C" NOT NULL,
    place       integer NOT NULL,
    version     integer NOT NULL,       -- of the definition, that governs it
    ends_at     timestamptz NOT NULL,
    result      text NOT NULL,
    PRIMARY KEY (part, workspace, contract, outcome, key, place)
);
CREATE INDEX outcome_result_ends ON outcome_result (part, workspace, contract, outcome, ends_at);

CREATE TABLE outcome_counter (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text COLLATE "C" NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    version     integer NOT NULL,
    series      text COLLATE "C" NOT NULL,
    bucket      timestamptz NOT NULL,
    of          timestamptz NOT NULL,
    dimensions  text COLLATE "C" NOT NULL,      -- JSON, in order of their names
    n           bigint NOT NULL,
    credit      numeric NOT NULL,
    value       numeric NOT NULL,
    PRIMARY KEY (part, workspace, contract, outcome, version, series, bucket, of, dimensions)
);
"""
PRIVILEGES = dict.fromkeys(
    ("outcome_kept", "outcome_evidence", "outcome_result", "outcome_counter"),
    "SELECT, INSERT, UPDATE, DELETE",
)


def upgrade() -> None:
    op.execute(TABLES)
    isolate(PRIVILEGES)


def downgrade() -> None:
    for table in PRIVILEGES:
        op.execute(f"DROP TABLE {table}")

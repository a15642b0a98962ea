"""Outcomes: signed definitions of contracts, their stages, reports, disputes and stored estimates."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0010"
down_revision = "0006"
branch_labels = None
depends_on = None

# A bounded numeric excludes NaN and Infinity, which pass ordinary range checks.
EXACT = "numeric(50, 12)"

TABLES = f"""
-- What may be signed: exactly one text for ever. The app role may insert and read it, nothing else.
CREATE TABLE outcome_version (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    number      integer NOT NULL CHECK (number >= 1),
    definition  text NOT NULL,      -- JSON as it is read
    canonical   bytea NOT NULL,     -- the bytes that are signed
    digest      bytea NOT NULL,     -- SHA-256 of them
    effective_from timestamptz NOT NULL,
    live_from   timestamptz,        -- null: in shadow until a stage says otherwise
    retroactive boolean NOT NULL,
    proposed_by text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, contract, outcome, number)
);

-- One yes of one party to one text: a version, or a report of agreement.
CREATE TABLE outcome_signature (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    number      integer NOT NULL,
    report      text NOT NULL DEFAULT '',
    party       text NOT NULL CHECK (party IN ('vendor', 'customer')),
    person      text NOT NULL,
    role        text NOT NULL,
    method      text NOT NULL CHECK (method IN ('console', 'portal', 'api_key', 'paper')),
    at          timestamptz NOT NULL,
    digest      bytea NOT NULL,
    proof       text NOT NULL,      -- id of the key that was used
    PRIMARY KEY (part, workspace, contract, outcome, number, report, party)
);

-- From when a version bills, and from when it accepts nothing any more.
CREATE TABLE outcome_stage (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    number      integer NOT NULL,
    stage       text NOT NULL CHECK (stage IN ('live', 'retired')),
    since       timestamptz NOT NULL,
    proof       text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, contract, outcome, number, stage)
);

-- The vendor's list against the customer's, cycle by cycle.
CREATE TABLE outcome_report (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    id          text NOT NULL,
    period_index integer NOT NULL,
    report      jsonb NOT NULL,
    digest      bytea NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, contract, outcome, id)
);

CREATE TABLE outcome_dispute (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    id          text NOT NULL,
    invoice     text,               -- the final invoice it is about; null while nothing was billed
    by          text NOT NULL CHECK (by IN ('vendor', 'customer')),
    at          timestamptz NOT NULL,
    keys        jsonb NOT NULL,
    reason      text NOT NULL,
    words       text NOT NULL,
    answered_at timestamptz,
    resolutions jsonb NOT NULL DEFAULT '{{}}',
    PRIMARY KEY (part, workspace, contract, outcome, id)
);

-- What statistics found, once, as a decimal with all it was found from; invoices read this, never a float.
CREATE TABLE outcome_estimate (
    part        smallint NOT NULL,
    workspace   integer NOT NULL,
    contract    text NOT NULL,
    outcome     text COLLATE "C" NOT NULL,
    period_index integer NOT NULL,
    point       {EXACT} NOT NULL,
    low         {EXACT},
    high        {EXACT},
    method      text NOT NULL,
    inputs      jsonb NOT NULL,
    library     text NOT NULL,
    created_at  timestamptz NOT NULL,
    PRIMARY KEY (part, workspace, contract, outcome, period_index)
);
"""

SEALED = {
    "outcome_version": "SELECT, INSERT",
    "outcome_signature": "SELECT, INSERT",
    "outcome_stage": "SELECT, INSERT",
    "outcome_report": "SELECT, INSERT",
    "outcome_dispute": "SELECT, INSERT, UPDATE (answered_at, resolutions)",
    "outcome_estimate": "SELECT, INSERT",
}


def upgrade() -> None:
    op.execute(TABLES)
    isolate(SEALED)


def downgrade() -> None:
    for table in SEALED:
        op.execute(f"DROP TABLE {table}")

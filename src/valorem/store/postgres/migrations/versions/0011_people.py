"""People who sign in, their sessions and one-use links, failed sign-ins, and the audit log."""

from alembic import op

from valorem.store.postgres.migrations.isolation import isolate

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE person (
    id          text PRIMARY KEY,
    email       text NOT NULL UNIQUE,   -- lower case
    name        text NOT NULL,
    role        text NOT NULL CHECK (role IN ('owner', 'operator', 'finance', 'viewer')),
    password    text,                   -- argon2id; null until one is set, and for those who sign in elsewhere
    subject     text UNIQUE,            -- issuer and subject of an OpenID Connect identity
    created_at  timestamptz NOT NULL,
    disabled_at timestamptz
);

CREATE TABLE web_session (
    digest      bytea PRIMARY KEY,      -- SHA-256 of the token, which only the cookie holds
    person      text NOT NULL REFERENCES person,
    created_at  timestamptz NOT NULL,
    seen_at     timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);
CREATE INDEX web_session_person ON web_session (person);

CREATE TABLE one_use_link (
    digest      bytea PRIMARY KEY,      -- SHA-256 of the token in the link
    purpose     text NOT NULL CHECK (purpose IN ('set_up', 'password')),
    person      text REFERENCES person, -- whose password it sets; null for the first person
    created_at  timestamptz NOT NULL,
    expires_at  timestamptz NOT NULL
);

CREATE TABLE sign_in_failure (
    key         text NOT NULL,          -- an address on the network, or an e-mail address
    at          timestamptz NOT NULL
);
CREATE INDEX sign_in_failure_key ON sign_in_failure (key, at);

CREATE TABLE installation_secret (
    name        text PRIMARY KEY,
    secret      bytea NOT NULL
);

-- Workspace 0 holds what concerns the whole installation. Each entry's digest covers the one before it.
CREATE TABLE audit_entry (
    workspace   integer NOT NULL,
    seq         bigint NOT NULL,
    at          timestamptz NOT NULL,
    actor       text NOT NULL,
    action      text NOT NULL,
    object      text NOT NULL,
    document    text NOT NULL,          -- canonical JSON of everything in the entry
    digest      bytea NOT NULL,         -- SHA-256 of the entry before and the document
    PRIMARY KEY (workspace, seq)
);
"""


def upgrade() -> None:
    op.execute(TABLES)
    isolate({"audit_entry": "SELECT, INSERT"})


def downgrade() -> None:
    for table in (
        "audit_entry",
        "installation_secret",
        "sign_in_failure",
        "one_use_link",
        "web_session",
        "person",
    ):
        op.execute(f"DROP TABLE {table}")

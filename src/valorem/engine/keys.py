"""API keys: issued once, stored as digests, checked on every request."""

import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Literal, get_args

from valorem.core.errors import InvalidInputError, NotFoundError, UnauthorizedError
from valorem.core.workspace import Workspace
from valorem.engine.engine import Engine
from valorem.engine.identifiers import new_id
from valorem.store.postgres import keys
from valorem.store.postgres.keys import KeyRecord
from valorem.store.postgres.workspaces import load

#: What a key may do. ``admin`` may do everything.
Scope = Literal[
    "admin",
    "events:write",
    "read",
    "catalog:write",
    "customers:write",
    "invoices:write",
    "limits:write",
    "webhooks:write",
    "outcomes:write",
    "outcomes:sign",
    "clock:write",
]
SCOPES: tuple[str, ...] = get_args(Scope)

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH = 43  # of 62 letters: 256 bits
_CHECKSUM_LENGTH = 6
#: When a key was last used is noted at most this often.
_TOUCH_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key, shown this once."""

    key: str
    record: KeyRecord


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a key's workspace and what it may do."""

    workspace: Workspace
    key_id: str
    key_name: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the key carries the scope."""
        return "admin" in self.scopes or scope in self.scopes


def issue_key(
    engine: Engine, workspace: int, *, name: str, scopes: Sequence[str], expires_at: datetime | None = None
) -> IssuedKey:
    """Make a key of 256 random bits for a workspace; only its digest is kept.

    Raises:
        InvalidInputError: For an unknown or missing scope, or an expiry in the past.
        NotFoundError: If there is no such workspace.
    """
    now = engine.real_now()
    if not scopes or (unknown := sorted(set(scopes) - set(SCOPES))):
        found = f"unknown scope {unknown[0]!r}" if scopes else "a key needs at least one scope"
        raise InvalidInputError(found, field="scopes", hint=f"choose from {', '.join(SCOPES)}")
    if not 1 <= len(name) <= 200:
        raise InvalidInputError("a key needs a name of 1 to 200 letters", field="name")
    if expires_at is not None and expires_at <= now:
        raise InvalidInputError(
            "the key would already be expired", field="expires_at", hint="use a later instant"
        )
    with engine.database.system() as connection:
        kind = load(connection, workspace).kind
        prefix = "vl_live_" if kind == "live" else "vl_test_"
        secret = "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))
        key = prefix + secret + _checksum(prefix + secret)
        record = KeyRecord(
            id=new_id("key", 0, now),
            workspace=workspace,
            name=name,
            prefix=key[: len(prefix) + 4],
            scopes=tuple(scope for scope in SCOPES if scope in scopes),
            created_at=now,
            expires_at=expires_at,
            revoked_at=None,
            last_used_at=None,
        )
        keys.insert(connection, record, _digest(key))
    return IssuedKey(key, record)


def authenticate(engine: Engine, key: str) -> Principal:
    """Find out who holds a key.

    Raises:
        UnauthorizedError: The same for a malformed, unknown, revoked and expired key.
    """
    refused = UnauthorizedError(
        "this API key is not valid",
        hint="send 'Authorization: Bearer vl_…' with a key that is not revoked or expired",
    )
    body, checksum = key[:-_CHECKSUM_LENGTH], key[-_CHECKSUM_LENGTH:]
    if not key.isascii() or not key.startswith("vl_") or checksum != _checksum(body):
        raise refused
    now = engine.real_now()
    with engine.database.system() as connection:
        found = keys.find(connection, _digest(key))
        if found is None:
            raise refused
        record, workspace = found
        if record.revoked_at is not None or (record.expires_at is not None and record.expires_at <= now):
            raise refused
        if record.last_used_at is None or now - record.last_used_at > _TOUCH_EVERY:
            keys.touch(connection, record.id, now)
    return Principal(workspace, record.id, record.name, frozenset(record.scopes))


def list_keys(engine: Engine, workspace: int) -> list[KeyRecord]:
    """The workspace's keys, without the keys themselves."""
    with engine.database.system() as connection:
        return keys.load_all(connection, workspace)


def revoke_key(engine: Engine, workspace: int, key_id: str) -> None:
    """Make a key worthless from now on.

    Raises:
        NotFoundError: If the workspace has no such key.
    """
    with engine.database.system() as connection:
        if not keys.revoke(connection, workspace, key_id, engine.real_now()):
            raise NotFoundError(f"there is no key {key_id[:60]!r}")


def _digest(key: str) -> bytes:
    # A key is 256 random bits, so a plain digest cannot be guessed back; passwords would need a slow one.
    return sha256(key.encode()).digest()


def _checksum(body: str) -> str:
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        letters = _ALPHABET[digit] + letters
    return letters

"""The audit log: who did what, when, from what to what; each entry covers the one before it, so none can be taken out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec

from valorem.core.time import write_instant
from valorem.store.postgres import audit
from valorem.store.postgres.audit import AuditRow
from valorem.store.postgres.database import Connection

#: The log of what concerns no workspace: people, signing in, workspaces themselves.
INSTALLATION = 0


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did.

    Attributes:
        actor: An e-mail address, or ``key …``.
        action: ``customer.create``, ``catalog.apply``, ``session.begin``.
        object: What it was done to.
        before: As it stood, as JSON values.
        after: As it stands now.
        request_id: Of the request that asked for it.
    """

    actor: str
    action: str
    object: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry of the log."""

    seq: int
    at: datetime
    deed: Deed
    digest: str


@dataclass(frozen=True, slots=True)
class AuditVerification:
    """Whether a log is whole: every entry follows from the one before, and nothing in it was changed.

    Attributes:
        entries: How many were looked at.
        broken_at: The first sequence that does not follow; None when all do.
    """

    entries: int
    broken_at: int | None


def record(connection: Connection, workspace: int, deed: Deed, at: datetime) -> None:
    """Append a deed, in the transaction that does it.

    Args:
        connection: Of the workspace, or of the system.
        workspace: Whose log; :data:`INSTALLATION` for the installation's own.
        deed: What is done.
        at: The real time.
    """
    last, previous = audit.lock_head(connection, workspace)
    document = _document(last + 1, deed, at)
    row = AuditRow(last + 1, at, deed.actor, deed.action, deed.object, document, _digest(previous, document))
    audit.insert(connection, workspace, row)


def list_audit(
    connection: Connection, workspace: int, *, before: int | None = None, limit: int = 50
) -> list[AuditEntry]:
    """Entries, the newest first, from before a sequence on."""
    return [_entry(row) for row in audit.load_page(connection, workspace, before=before, limit=limit)]


def verify_audit(connection: Connection, workspace: int) -> AuditVerification:
    """Follow the whole chain from its first entry."""
    previous, count = b"", 0
    for row in audit.scan(connection, workspace):
        count += 1
        entry = _entry(row)
        same = (
            row.seq == count
            and row.digest == _digest(previous, row.document)
            and row.document == _document(row.seq, entry.deed, row.at)
            and (row.actor, row.action, row.object)
            == (entry.deed.actor, entry.deed.action, entry.deed.object)
        )
        if not same:
            return AuditVerification(count, row.seq)
        previous = row.digest
    return AuditVerification(count, None)


def _document(seq: int, deed: Deed, at: datetime) -> str:
    members = {
        "seq": seq,
        "at": write_instant(at),
        "actor": deed.actor,
        "action": deed.action,
        "object": deed.object,
        "before": deed.before,
        "after": deed.after,
        "request_id": deed.request_id,
    }
    return msgspec.json.encode(members, order="deterministic").decode()


def _digest(previous: bytes, document: str) -> bytes:
    return sha256(previous + document.encode()).digest()


def _entry(row: AuditRow) -> AuditEntry:
    said = msgspec.json.decode(row.document)
    deed = Deed(
        said["actor"],
        said["action"],
        said["object"],
        said["before"],
        said["after"],
        said["request_id"],
    )
    return AuditEntry(row.seq, row.at, deed, row.digest.hex())

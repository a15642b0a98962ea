"""Links by which a customer signs a definition once: only digests of their tokens are stored."""

from dataclasses import dataclass
from datetime import datetime

from valorem.core.ids import part_in
from valorem.store.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class SigningLink:
    """A link that may be used once.

    Attributes:
        digest: SHA-256 of its token.
        contract: The contract.
        outcome: The definition.
        number: The version it is for.
        expires_at: From when it is worthless.
    """

    digest: bytes
    contract: str
    outcome: str
    number: int
    expires_at: datetime


def insert(connection: Connection, workspace: int, link: SigningLink, *, made_by: str, now: datetime) -> None:
    """Keep a link; an earlier one for the same version is worthless from now on."""
    part = part_in(link.contract, "ctr")
    connection.execute(
        "UPDATE outcome_signing_link SET used_at = %s WHERE part = %s AND workspace = %s AND contract = %s"
        " AND outcome = %s AND number = %s AND used_at IS NULL",
        (now, part, workspace, link.contract, link.outcome, link.number),
    )
    connection.execute(
        "INSERT INTO outcome_signing_link (part, workspace, digest, contract, outcome, number, made_by,"
        " created_at, expires_at) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part,
            workspace,
            link.digest,
            link.contract,
            link.outcome,
            link.number,
            made_by,
            now,
            link.expires_at,
        ),
    )


def find(
    connection: Connection, workspace: int, contract: str, digest: bytes, now: datetime
) -> SigningLink | None:
    """A link that still works; None for one that was used, is over or never was."""
    row = connection.execute(
        "SELECT outcome, number, expires_at FROM outcome_signing_link WHERE part = %s AND workspace = %s"
        " AND digest = %s AND contract = %s AND used_at IS NULL AND expires_at > %s",
        (part_in(contract, "ctr"), workspace, digest, contract, now),
    ).fetchone()
    return SigningLink(digest, contract, **row) if row else None


def use(connection: Connection, workspace: int, link: SigningLink, now: datetime) -> bool:
    """Take a link, so that nobody can use it again; False where somebody just did."""
    done = connection.execute(
        "UPDATE outcome_signing_link SET used_at = %s WHERE part = %s AND workspace = %s AND digest = %s"
        " AND used_at IS NULL",
        (now, part_in(link.contract, "ctr"), workspace, link.digest),
    )
    return done.rowcount == 1

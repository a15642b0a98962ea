"""What an outside tax engine was asked and answered, so that an invoice is sealed by what it said for good."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from valorem.store.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class TaxAnswer:
    """One question and what came of it.

    Attributes:
        reference: Names the document.
        rates: By line; None while there is none.
        problem: Why there is none.
        tries: How often it was asked.
        asked_at: When it was asked last, in real time.
    """

    reference: str
    rates: Mapping[str, Any] | None
    problem: str | None
    tries: int
    asked_at: datetime


def load(connection: Connection, workspace: int, digest: bytes) -> TaxAnswer | None:
    """What came of a question, by its digest."""
    row = connection.execute(
        "SELECT reference, rates, problem, tries, asked_at FROM tax_answer WHERE workspace = %s AND digest = %s",
        (workspace, digest),
    ).fetchone()
    return TaxAnswer(**row) if row else None


def problem_of(connection: Connection, workspace: int, reference: str) -> str | None:
    """Why a document waits for its taxes; None where it does not."""
    row = connection.execute(
        "SELECT problem FROM tax_answer WHERE workspace = %s AND reference = %s ORDER BY asked_at DESC LIMIT 1",
        (workspace, reference),
    ).fetchone()
    return row["problem"] if row else None


def save(connection: Connection, workspace: int, digest: bytes, answer: TaxAnswer) -> None:
    """Keep what came of a question; an answer once given stays."""
    connection.execute(
        "INSERT INTO tax_answer (workspace, digest, reference, rates, problem, tries, asked_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (workspace, digest) DO UPDATE"
        " SET rates = EXCLUDED.rates, problem = EXCLUDED.problem, tries = tax_answer.tries + 1,"
        " asked_at = EXCLUDED.asked_at WHERE tax_answer.rates IS NULL",
        (
            workspace,
            digest,
            answer.reference,
            None if answer.rates is None else Jsonb(dict(answer.rates)),
            answer.problem,
            answer.tries,
            answer.asked_at,
        ),
    )

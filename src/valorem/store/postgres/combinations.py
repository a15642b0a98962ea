"""Which combinations of dimension values each subject has used, so that their number can be limited."""

from collections.abc import Sequence
from typing import LiteralString, NamedTuple

from valorem.store.postgres.database import Connection

_WANTED: LiteralString = (
    "unnest(%(parts)s::smallint[], %(subjects)s::text[], %(revisions)s::integer[], %(dimensions)s::text[])"
    " WITH ORDINALITY AS wanted (part, subject, revision, dimensions, place)"
)
_SAME: LiteralString = (
    "known.part = wanted.part AND known.workspace = %(workspace)s AND known.subject = wanted.subject"
    " AND known.revision = wanted.revision"
)
_KNOWN: LiteralString = f"""
SELECT wanted.place FROM {_WANTED} JOIN dimension_combination AS known
ON {_SAME} AND known.dimensions = wanted.dimensions
"""
_COUNT: LiteralString = f"""
SELECT part, subject, revision, (SELECT count(*) FROM dimension_combination AS known WHERE {_SAME}) AS n
FROM (SELECT DISTINCT part, subject, revision FROM {_WANTED}) AS wanted
"""
_INSERT: LiteralString = f"""
INSERT INTO dimension_combination (part, workspace, subject, revision, dimensions)
SELECT part, %(workspace)s, subject, revision, dimensions FROM {_WANTED}
ORDER BY part, subject, revision, dimensions ON CONFLICT DO NOTHING
"""


class Combination(NamedTuple):
    """One combination of a subject's dimension values under one meter revision."""

    part: int
    subject: str
    revision: int
    dimensions: str


def known(connection: Connection, workspace: int, wanted: Sequence[Combination]) -> set[Combination]:
    """Those of some combinations that were used before."""
    return {wanted[row["place"] - 1] for row in connection.execute(_KNOWN, _arguments(workspace, wanted))}


def count(
    connection: Connection, workspace: int, wanted: Sequence[Combination]
) -> dict[tuple[str, int], int]:
    """How many combinations each (subject, revision) of some has used."""
    rows = connection.execute(_COUNT, _arguments(workspace, wanted))
    return {(row["subject"], row["revision"]): row["n"] for row in rows}


def insert(connection: Connection, workspace: int, new: Sequence[Combination]) -> None:
    """Note that combinations are used from now on."""
    connection.execute(_INSERT, _arguments(workspace, new))


def _arguments(workspace: int, some: Sequence[Combination]) -> dict[str, object]:
    parts, subjects, revisions, dimensions = map(list, zip(*some, strict=True))
    return {
        "workspace": workspace,
        "parts": parts,
        "subjects": subjects,
        "revisions": revisions,
        "dimensions": dimensions,
    }

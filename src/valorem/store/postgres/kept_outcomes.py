"""Outcomes kept as evidence comes: the evidence of each key, its results, and their counters."""

import itertools
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString, NamedTuple

from valorem.core.ids import part_in
from valorem.core.outcomes.keeping import read_result, write_result
from valorem.core.outcomes.states import Result
from valorem.core.outcomes.tallies import Count, Slot, Tallies
from valorem.core.periods import Interval
from valorem.store.postgres import packed
from valorem.store.postgres.database import Connection

_PLACE: LiteralString = (
    "part = %(part)s AND workspace = %(workspace)s AND contract = %(contract)s AND outcome = %(outcome)s"
)
_COLUMNS: LiteralString = "event, key, at, received_at, corrected, links, raw"
#: What passes between no borders of a sum is the sum itself: ``width_bucket`` numbers the stretches from 1.
_SUMS: LiteralString = f"""
SELECT version, series, width_bucket(bucket, %(edges)s::timestamptz[]) AS bucket,
    width_bucket(of, %(edges)s::timestamptz[]) AS of, dimensions, sum(n) AS n, sum(credit) AS credit, sum(value) AS value
FROM outcome_counter WHERE {_PLACE} GROUP BY 1, 2, 3, 4, 5
"""
_ADD: LiteralString = """
INSERT INTO outcome_counter AS known (part, workspace, contract, outcome, version, series, bucket, of, dimensions,
    n, credit, value)
SELECT %(part)s, %(workspace)s, %(contract)s, %(outcome)s, more.* FROM unnest(%(version)s::integer[], %(series)s::text[],
    %(bucket)s::timestamptz[], %(of)s::timestamptz[], %(dimensions)s::text[], %(n)s::bigint[], %(credit)s::numeric[],
    %(value)s::numeric[]) AS more (version, series, bucket, of, dimensions, n, credit, value)
ON CONFLICT (part, workspace, contract, outcome, version, series, bucket, of, dimensions) DO UPDATE SET
    n = known.n + excluded.n, credit = known.credit + excluded.credit, value = known.value + excluded.value
"""
_PUT_EVIDENCE: LiteralString = """
INSERT INTO outcome_evidence (part, workspace, contract, outcome, key, event, at, received_at, corrected, links, raw)
SELECT %(part)s, %(workspace)s, %(contract)s, %(outcome)s, key, event, at, received_at, corrected, links::text[], raw
FROM unnest(%(key)s::text[], %(event)s::uuid[], %(at)s::timestamptz[], %(received_at)s::timestamptz[],
    %(corrected)s::boolean[], %(links)s::text[], %(raw)s::bytea[])
    AS more (key, event, at, received_at, corrected, links, raw)
"""
_PUT_RESULTS: LiteralString = """
INSERT INTO outcome_result (part, workspace, contract, outcome, key, place, version, ends_at, result)
SELECT %(part)s, %(workspace)s, %(contract)s, %(outcome)s, more.* FROM unnest(%(key)s::text[], %(place)s::integer[],
    %(version)s::integer[], %(ends_at)s::timestamptz[], %(result)s::text[])
    AS more (key, place, version, ends_at, result)
"""
_LINKED: LiteralString = f"""
SELECT key, links FROM outcome_evidence WHERE {_PLACE} AND links <> '{{}}'
    AND (key = ANY(%(keys)s) OR links && %(keys)s)
"""


@dataclass(frozen=True, slots=True)
class KeptFor:
    """Which outcomes: those of one definition of one contract."""

    workspace: int
    contract: str
    outcome: str

    def values(self, **more: Any) -> dict[str, Any]:
        """The parameters of a statement."""
        place = {
            "part": part_in(self.contract, "ctr"),
            "workspace": self.workspace,
            "contract": self.contract,
            "outcome": self.outcome,
        }
        return place | more


@dataclass(frozen=True, slots=True)
class Head:
    """What is kept: folded on this basis, from everything up to this sequence."""

    basis: bytes
    seq: int


class KeptEvidence(NamedTuple):
    """One event under one key it speaks of.

    Attributes:
        event: Its identity.
        key: The key.
        at: When it happened, as it counts.
        received_at: When it arrived.
        corrected: Whether a correction holds for it.
        links: The keys the record was merged into.
        raw: As received.
    """

    event: bytes
    key: str
    at: datetime
    received_at: datetime
    corrected: bool
    links: tuple[str, ...]
    raw: bytes


class KeptResult(NamedTuple):
    """One result of one key, and the number of the version that governs it."""

    key: str
    version: int
    result: Result


def head(connection: Connection, of: KeptFor) -> Head | None:
    """What is kept; None where nothing is."""
    row = connection.execute(f"SELECT basis, seq FROM outcome_kept WHERE {_PLACE}", of.values()).fetchone()
    return None if row is None else Head(bytes(row["basis"]), row["seq"])


def put_head(connection: Connection, of: KeptFor, kept: Head) -> None:
    """Say what is kept now."""
    connection.execute(
        "INSERT INTO outcome_kept (part, workspace, contract, outcome, basis, seq)"
        " VALUES (%(part)s, %(workspace)s, %(contract)s, %(outcome)s, %(basis)s, %(seq)s)"
        " ON CONFLICT (part, workspace, contract, outcome) DO UPDATE SET basis = excluded.basis, seq = excluded.seq",
        of.values(basis=kept.basis, seq=kept.seq),
    )


def forget(connection: Connection, of: KeptFor) -> None:
    """Drop everything kept; it is worked out again from recorded events."""
    for statement in (
        f"DELETE FROM outcome_counter WHERE {_PLACE}",
        f"DELETE FROM outcome_result WHERE {_PLACE}",
        f"DELETE FROM outcome_evidence WHERE {_PLACE}",
        f"DELETE FROM outcome_kept WHERE {_PLACE}",
    ):
        connection.execute(statement, of.values())


def keys_of(connection: Connection, of: KeptFor, events: Collection[bytes]) -> set[str]:
    """The keys that events are kept under."""
    rows = connection.execute(
        f"SELECT DISTINCT key FROM outcome_evidence WHERE {_PLACE} AND event = ANY(%(events)s)",
        of.values(events=packed.uuids(sorted(events))),
    )
    return {row["key"] for row in rows}


def keys_after(connection: Connection, of: KeptFor, at: datetime) -> set[str]:
    """The keys with evidence of something that happens after an instant."""
    rows = connection.execute(
        f"SELECT DISTINCT key FROM outcome_evidence WHERE {_PLACE} AND at > %(at)s", of.values(at=at)
    )
    return {row["key"] for row in rows}


def linked(connection: Connection, of: KeptFor, keys: Iterable[str]) -> set[str]:
    """The keys that some were merged into, and those that were merged into them; one step far."""
    rows = connection.execute(_LINKED, of.values(keys=packed.texts(sorted(keys))))
    return {key for row in rows for key in (row["key"], *row["links"])}


def evidence(connection: Connection, of: KeptFor, keys: Collection[str]) -> Iterator[KeptEvidence]:
    """The events kept under some keys."""
    rows = connection.execute(
        f"SELECT {_COLUMNS} FROM outcome_evidence WHERE {_PLACE} AND key = ANY(%(keys)s)",
        of.values(keys=packed.texts(sorted(keys))),
    )
    for row in rows:
        yield KeptEvidence(
            row["event"].bytes,
            row["key"],
            row["at"],
            row["received_at"],
            row["corrected"],
            tuple(row["links"]),
            bytes(row["raw"]),
        )


def replace_evidence(
    connection: Connection, of: KeptFor, events: Collection[bytes], rows: Sequence[KeptEvidence]
) -> None:
    """Keep events under the keys they speak of now, and no longer under those of before."""
    connection.execute(
        f"DELETE FROM outcome_evidence WHERE {_PLACE} AND event = ANY(%(events)s)",
        of.values(events=packed.uuids(sorted(events))),
    )
    if rows:
        rows = sorted(rows, key=lambda row: (row.key, row.event))
        connection.execute(
            _PUT_EVIDENCE,
            of.values(
                key=packed.texts([row.key for row in rows]),
                event=packed.uuids([row.event for row in rows]),
                at=packed.instants([row.at for row in rows]),
                received_at=packed.instants([row.received_at for row in rows]),
                corrected=[row.corrected for row in rows],
                links=packed.texts([_array(row.links) for row in rows]),
                raw=packed.byteas([row.raw for row in rows]),
            ),
        )


def results(connection: Connection, of: KeptFor, keys: Collection[str]) -> list[KeptResult]:
    """The results of some keys, each key's in their order."""
    return _results(connection, of, "key = ANY(%(keys)s)", keys=sorted(keys))


def results_ending(connection: Connection, of: KeptFor, within: Interval) -> list[KeptResult]:
    """The results that end in a stretch of time."""
    return _results(
        connection, of, "ends_at >= %(start)s AND ends_at < %(end)s", start=within.start, end=within.end
    )


def _results(connection: Connection, of: KeptFor, which: LiteralString, **values: Any) -> list[KeptResult]:
    rows = connection.execute(
        f"SELECT key, version, result FROM outcome_result WHERE {_PLACE} AND {which} ORDER BY key, place",
        of.values(**values),
    )
    return [KeptResult(row["key"], row["version"], read_result(row["result"])) for row in rows]


def replace_results(
    connection: Connection, of: KeptFor, keys: Collection[str], found: Iterable[tuple[str, int, Result]]
) -> None:
    """Keep the results of some keys in the place of those of before.

    Args:
        connection: In a transaction of the workspace.
        of: Which outcomes.
        keys: All that were folded, also those without a result.
        found: Key, number of the version, and result; each key's in their order.
    """
    connection.execute(
        f"DELETE FROM outcome_result WHERE {_PLACE} AND key = ANY(%(keys)s)",
        of.values(keys=packed.texts(sorted(keys))),
    )
    rows = list(found)
    if rows:
        places: defaultdict[str, Iterator[int]] = defaultdict(itertools.count)
        connection.execute(
            _PUT_RESULTS,
            of.values(
                key=packed.texts([key for key, _, _ in rows]),
                place=packed.integers([next(places[key]) for key, _, _ in rows]),
                version=packed.integers([version for _, version, _ in rows]),
                ends_at=packed.instants([result.ends_at for _, _, result in rows]),
                result=packed.texts([write_result(result) for _, _, result in rows]),
            ),
        )


def sums(
    connection: Connection, of: KeptFor, edges: Sequence[datetime], digests: Mapping[int, str]
) -> dict[int, dict[Slot, Count]]:
    """The counters by version, summed between edges, each under the edge before it.

    Args:
        connection: In a transaction of the workspace.
        of: Which outcomes.
        edges: In order of time, the first before everything.
        digests: Of the definitions, by number of the version.
    """
    found: dict[int, dict[Slot, Count]] = {}
    for row in connection.execute(_SUMS, of.values(edges=list(edges))):
        slot = Slot(
            row["series"],
            edges[row["bucket"] - 1],
            edges[row["of"] - 1],
            tuple(json.loads(row["dimensions"])),
            digests[row["version"]],
        )
        if count := Count(int(row["n"]), row["credit"], row["value"]):
            found.setdefault(row["version"], {})[slot] = count
    return found


def add(connection: Connection, of: KeptFor, changes: Mapping[int, Tallies]) -> None:
    """Add to the counters; what comes to nothing is dropped."""
    rows = sorted(
        (
            (
                number,
                slot.series,
                slot.bucket,
                slot.of,
                json.dumps(slot.dimensions, ensure_ascii=False),
                count,
            )
            for number, tallies in changes.items()
            for slot, count in tallies.items()
        ),
        key=lambda row: row[:5],
    )
    if not rows:
        return
    values = of.values(
        version=packed.integers([row[0] for row in rows]),
        series=packed.texts([row[1] for row in rows]),
        bucket=packed.instants([row[2] for row in rows]),
        of=packed.instants([row[3] for row in rows]),
        dimensions=packed.texts([row[4] for row in rows]),
        n=packed.bigints([row[5].n for row in rows]),
        credit=packed.literal(row[5].credit for row in rows),
        value=packed.literal(row[5].value for row in rows),
    )
    connection.execute(_ADD, values)
    connection.execute(
        f"DELETE FROM outcome_counter WHERE {_PLACE} AND n = 0 AND credit = 0 AND value = 0"
        " AND (version, series, bucket, of, dimensions) IN (SELECT * FROM unnest(%(version)s::integer[],"
        " %(series)s::text[], %(bucket)s::timestamptz[], %(of)s::timestamptz[], %(dimensions)s::text[]))",
        values,
    )


def _array(texts: Iterable[str]) -> str:
    """A text array as PostgreSQL writes it, because arrays of arrays cannot differ in length."""
    return "{" + ",".join('"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"' for text in texts) + "}"

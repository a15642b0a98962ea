"""Outcomes of contracts: signed definitions, stages, reports of agreement, disputes."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from psycopg.types.json import Jsonb

from valorem.core.ids import part_in
from valorem.core.numbers import plain
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.disputes import Dispute, Resolution
from valorem.core.outcomes.signing import DefinitionVersion, Signature, canonical_definition
from valorem.core.time import parse_instant, write_instant
from valorem.store.postgres.database import Connection, Row


@dataclass(frozen=True, slots=True)
class StoredReport:
    """A report of agreement.

    Attributes:
        id: Its id.
        period_index: The cycle it is about.
        report: As written.
        digest: SHA-256 of its canonical JSON, in hexadecimal; what is signed.
        signed: The parties that signed it.
        created_at: When it was made.
    """

    id: str
    period_index: int
    report: Mapping[str, Any]
    digest: str
    signed: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Noted:
    """What a credit note of a dispute gave back of one charge of one period."""

    period_index: int
    charge: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class StoredDispute:
    """A dispute, and the final invoice it is about; None while nothing was billed."""

    dispute: Dispute
    invoice: str | None


def any_versions(connection: Connection, workspace: int) -> bool:
    """Whether any contract of the workspace has a definition."""
    row = connection.execute(
        "SELECT EXISTS (SELECT FROM outcome_version WHERE workspace = %s) AS found", (workspace,)
    ).fetchone()
    return bool(row and row["found"])


def sold(connection: Connection, workspace: int, *, limit: int | None = None) -> list[tuple[str, str]]:
    """Contracts and the outcomes they have a definition of, in order of the contract's id."""
    rows = connection.execute(
        "SELECT DISTINCT contract, outcome FROM outcome_version WHERE workspace = %s ORDER BY 1, 2 LIMIT %s",
        (workspace, limit),
    )
    return [(row["contract"], row["outcome"]) for row in rows]


def insert_version(
    connection: Connection,
    workspace: int,
    contract: str,
    version: DefinitionVersion,
    *,
    proposed_by: str,
    now: datetime,
) -> None:
    """Keep a version for good."""
    definition = version.definition
    written = definition.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    connection.execute(
        "INSERT INTO outcome_version (part, workspace, contract, outcome, number, definition, canonical, digest,"
        " effective_from, live_from, retroactive, proposed_by, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part_in(contract, "ctr"),
            workspace,
            contract,
            definition.outcome,
            version.number,
            json.dumps(written, ensure_ascii=False),
            canonical_definition(definition),
            bytes.fromhex(version.digest),
            version.effective_from,
            version.live_from,
            version.retroactive,
            proposed_by,
            now,
        ),
    )


def load_versions(
    connection: Connection, workspace: int, contract: str, outcome: str | None = None
) -> list[DefinitionVersion]:
    """The versions of a contract with their signatures and stages, in order of definition and number."""
    chosen = {
        "part": part_in(contract, "ctr"),
        "workspace": workspace,
        "contract": contract,
        "outcome": outcome,
    }
    where = (
        "part = %(part)s AND workspace = %(workspace)s AND contract = %(contract)s"
        " AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)"
    )
    rows = connection.execute(
        "SELECT outcome, number, definition, effective_from, live_from, retroactive"
        f" FROM outcome_version WHERE {where} ORDER BY outcome, number",
        chosen,
    ).fetchall()
    if not rows:
        return []
    signatures: dict[tuple[str, int], list[Signature]] = {}
    for row in connection.execute(
        "SELECT outcome, number, party, person, role, method, at, digest FROM outcome_signature"
        f" WHERE {where} AND report = '' ORDER BY at, party",
        chosen,
    ):
        signatures.setdefault((row["outcome"], row["number"]), []).append(_signature(row))
    stages = {
        (row["outcome"], row["number"], row["stage"]): row["since"]
        for row in connection.execute(
            f"SELECT outcome, number, stage, since FROM outcome_stage WHERE {where}", chosen
        )
    }
    found = []
    for row in rows:
        place = (row["outcome"], row["number"])
        version = DefinitionVersion(
            row["number"],
            OutcomeDefinition.model_validate(json.loads(row["definition"])),
            row["effective_from"],
            tuple(signatures.get(place, ())),
            row["live_from"],
            None,
            row["retroactive"],
        )
        live = stages.get((*place, "live"), version.live_from)
        found.append(replace(version, live_from=live, retired_from=stages.get((*place, "retired"))))
    return found


def insert_signature(
    connection: Connection,
    workspace: int,
    contract: str,
    outcome: str,
    number: int,
    signature: Signature,
    *,
    proof: str,
    report: str = "",
) -> bool:
    """Keep a signature for good; False where the party has signed already."""
    done = connection.execute(
        "INSERT INTO outcome_signature (part, workspace, contract, outcome, number, report, party, person, role,"
        " method, at, digest, proof) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT DO NOTHING",
        (
            part_in(contract, "ctr"),
            workspace,
            contract,
            outcome,
            number,
            report,
            signature.party,
            signature.person,
            signature.role,
            signature.method,
            signature.at,
            bytes.fromhex(signature.digest),
            proof,
        ),
    )
    return done.rowcount == 1


def insert_stage(
    connection: Connection,
    workspace: int,
    contract: str,
    version: DefinitionVersion,
    stage: str,
    since: datetime,
    *,
    proof: str,
    now: datetime,
) -> bool:
    """Say from when a version is live or retired; False where that was said before."""
    done = connection.execute(
        "INSERT INTO outcome_stage (part, workspace, contract, outcome, number, stage, since, proof, created_at)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (
            part_in(contract, "ctr"),
            workspace,
            contract,
            version.definition.outcome,
            version.number,
            stage,
            since,
            proof,
            now,
        ),
    )
    return done.rowcount == 1


def insert_report(
    connection: Connection, workspace: int, contract: str, outcome: str, report: StoredReport
) -> None:
    """Keep a report of agreement for good; the caller has locked the contract."""
    place = (part_in(contract, "ctr"), workspace, contract, outcome)
    connection.execute(
        "INSERT INTO outcome_report (part, workspace, contract, outcome, number, id, period_index, report, digest,"
        " created_at) SELECT %s, %s, %s, %s, coalesce(max(number), 0) + 1, %s, %s, %s, %s, %s FROM outcome_report"
        " WHERE part = %s AND workspace = %s AND contract = %s AND outcome = %s",
        (
            *place,
            report.id,
            report.period_index,
            Jsonb(dict(report.report)),
            bytes.fromhex(report.digest),
            report.created_at,
            *place,
        ),
    )


def load_reports(connection: Connection, workspace: int, contract: str, outcome: str) -> list[StoredReport]:
    """The reports of a definition in order of their making."""
    place = (part_in(contract, "ctr"), workspace, contract, outcome)
    rows = connection.execute(
        "SELECT r.id, r.period_index, r.report, r.digest, r.created_at,"
        " array(SELECT s.party FROM outcome_signature s WHERE s.part = r.part AND s.workspace = r.workspace"
        "  AND s.contract = r.contract AND s.outcome = r.outcome AND s.report = r.id ORDER BY 1) AS signed"
        " FROM outcome_report r WHERE part = %s AND workspace = %s AND contract = %s AND outcome = %s"
        " ORDER BY number",
        place,
    )
    return [
        StoredReport(
            row["id"],
            row["period_index"],
            row["report"],
            bytes(row["digest"]).hex(),
            tuple(row["signed"]),
            row["created_at"],
        )
        for row in rows
    ]


def insert_dispute(
    connection: Connection, workspace: int, contract: str, outcome: str, stored: StoredDispute
) -> None:
    """Keep a dispute."""
    dispute = stored.dispute
    connection.execute(
        "INSERT INTO outcome_dispute (part, workspace, contract, outcome, id, invoice, by, at, keys, reason, words)"
        " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
        (
            part_in(contract, "ctr"),
            workspace,
            contract,
            outcome,
            dispute.id,
            stored.invoice,
            dispute.by,
            dispute.at,
            Jsonb(list(dispute.keys)),
            dispute.reason,
            dispute.text,
        ),
    )


def move_dispute(
    connection: Connection, workspace: int, contract: str, outcome: str, dispute: Dispute
) -> None:
    """Keep what was answered and resolved since."""
    connection.execute(
        "UPDATE outcome_dispute SET answered_at = %s, resolutions = %s"
        " WHERE part = %s AND workspace = %s AND contract = %s AND outcome = %s AND id = %s",
        (
            dispute.answered_at,
            Jsonb(
                {
                    key: {"share": plain(each.share), "at": write_instant(each.at), "note": each.note}
                    for key, each in dispute.resolutions.items()
                }
            ),
            part_in(contract, "ctr"),
            workspace,
            contract,
            outcome,
            dispute.id,
        ),
    )


def load_disputes(
    connection: Connection, workspace: int, contract: str, outcome: str, *, lock: bool = False
) -> list[StoredDispute]:
    """The disputes of a definition in order of time; ``lock`` keeps others from moving them meanwhile."""
    rows = connection.execute(
        "SELECT id, invoice, by, at, keys, reason, words, answered_at, resolutions FROM outcome_dispute"
        " WHERE part = %s AND workspace = %s AND contract = %s AND outcome = %s ORDER BY at, id"
        + (" FOR UPDATE" if lock else ""),
        (part_in(contract, "ctr"), workspace, contract, outcome),
    )
    return [_dispute(row) for row in rows]


def note_dispute(
    connection: Connection, workspace: int, contract: str, outcome: str, dispute: str, noted: Sequence[Noted]
) -> None:
    """Keep what a credit note gave back for a dispute, beside what earlier ones did."""
    written = [
        {"period_index": each.period_index, "charge": each.charge, "amount": plain(each.amount)}
        for each in noted
    ]
    connection.execute(
        "UPDATE outcome_dispute SET noted = noted || %s"
        " WHERE part = %s AND workspace = %s AND contract = %s AND outcome = %s AND id = %s",
        (Jsonb(written), part_in(contract, "ctr"), workspace, contract, outcome, dispute),
    )


def hold_dispute(
    connection: Connection, workspace: int, contract: str, outcome: str, dispute: str, held: Decimal
) -> None:
    """Keep what a dispute holds back of its invoice."""
    connection.execute(
        "UPDATE outcome_dispute SET held = %s"
        " WHERE part = %s AND workspace = %s AND contract = %s AND outcome = %s AND id = %s",
        (held, part_in(contract, "ctr"), workspace, contract, outcome, dispute),
    )


def load_disputed(connection: Connection, workspace: int) -> list[tuple[str, str, str]]:
    """Contract, outcome and dispute of every dispute of a final invoice in which something is not resolved."""
    rows = connection.execute(
        "SELECT contract, outcome, id FROM outcome_dispute WHERE workspace = %s AND invoice IS NOT NULL"
        " AND EXISTS (SELECT FROM jsonb_array_elements_text(keys) AS one (key) WHERE NOT resolutions ? one.key)"
        " ORDER BY contract, outcome, at, id",
        (workspace,),
    )
    return [(row["contract"], row["outcome"], row["id"]) for row in rows]


def load_noted(connection: Connection, workspace: int, contract: str, outcome: str) -> list[Noted]:
    """What credit notes of disputes gave back so far, in order of the disputes."""
    rows = connection.execute(
        "SELECT noted FROM outcome_dispute WHERE part = %s AND workspace = %s AND contract = %s AND outcome = %s"
        " AND noted <> '[]' ORDER BY at, id",
        (part_in(contract, "ctr"), workspace, contract, outcome),
    )
    return [
        Noted(each["period_index"], each["charge"], Decimal(each["amount"]))
        for row in rows
        for each in row["noted"]
    ]


def _signature(row: Row) -> Signature:
    return Signature(
        row["party"], row["person"], row["role"], row["method"], row["at"], bytes(row["digest"]).hex()
    )


def _dispute(row: Row) -> StoredDispute:
    resolutions = {
        key: Resolution(Decimal(each["share"]), parse_instant(each["at"]), each["note"])
        for key, each in row["resolutions"].items()
    }
    dispute = Dispute(
        row["id"],
        row["by"],
        row["at"],
        tuple(row["keys"]),
        row["reason"],
        row["words"],
        row["answered_at"],
        resolutions,
    )
    return StoredDispute(dispute, row["invoice"])


def write_signatures(signatures: Sequence[Signature]) -> list[dict[str, str]]:
    """Signatures as JSON values."""
    return [
        {
            "party": each.party,
            "person": each.person,
            "role": each.role,
            "method": each.method,
            "at": write_instant(each.at),
            "digest": each.digest,
        }
        for each in signatures
    ]


def read_signatures(written: Sequence[Mapping[str, Any]]) -> tuple[Signature, ...]:
    """The signatures that :func:`write_signatures` wrote."""
    return tuple(
        Signature(
            each["party"],
            each["person"],
            each["role"],
            each["method"],
            parse_instant(each["at"]),
            each["digest"],
        )
        for each in written
    )

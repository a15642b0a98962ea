"""The deal behind an outcome: a definition is proposed, signed by both sides, measured in shadow, and only then billed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic import ValidationError

from valorem.core.contracts.contract import Contract
from valorem.core.contracts.customer import check_text
from valorem.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnprocessableError,
)
from valorem.core.outcomes.agreement import ready_after
from valorem.core.outcomes.amending import AmendmentBacktest, backtest_amendment
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.governing import Definitions
from valorem.core.outcomes.signing import (
    PARTIES,
    DefinitionVersion,
    Method,
    Party,
    Signature,
    check_amendment,
    sign,
)
from valorem.core.time import parse_grid_instant, quarter_hour_of, write_instant
from valorem.engine.audit import Deed, record
from valorem.engine.catalog import catalog_at
from valorem.engine.contracts import get_contract
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.outcome_reports import agreements_of
from valorem.engine.outcomes import evidence_of, frame_of, periods_before
from valorem.store.postgres import outcomes
from valorem.store.postgres.outcomes import StoredReport

_QUARTER = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is proposed; what is left out comes from the catalog and the clock.

    Attributes:
        contract: The contract.
        outcome: The definition's key in the contract's catalog version.
        definition: The definition itself, as a catalog file says it, where it is this contract's own.
        effective_from: From when it is meant to hold, on the quarter-hour grid; the next quarter hour where left out.
        live_from: From when confirmed outcomes are billed; in shadow until a stage says so where left out.
        retroactive: Whether both sides sign that it holds from ``effective_from`` even before their signatures.
    """

    contract: str
    outcome: str
    definition: Mapping[str, Any] | None = None
    effective_from: datetime | None = None
    live_from: datetime | None = None
    retroactive: bool = False


@dataclass(frozen=True, slots=True)
class Signer:
    """Who signs, and how that is known.

    Attributes:
        party: Vendor or customer.
        person: By name.
        role: As what.
        method: Key, portal, console or paper.
        proof: Id of the key or link.
        actor: Who that is in the audit log; the key or link where left out.
    """

    party: Party
    person: str
    role: str
    method: Method
    proof: str
    actor: str | None = None


def propose(tx: Transaction, new: Proposal, *, by: str) -> DefinitionVersion:
    """Put a definition, or an amendment of one, before both sides. Nothing is in force until both have signed it.

    Raises:
        NotFoundError: If there is no such contract or outcome.
        InvalidInputError: Naming the field.
        UnprocessableError: If its currency is not the contract's, or an amendment reaches back or changes nothing.
    """
    contract = get_contract(tx, new.contract, lock=True).contract
    definition = _definition(tx, contract, new)
    if definition.currency != contract.currency:
        raise UnprocessableError(
            f"the outcome is priced in {definition.currency}, the contract in {contract.currency}",
            field="definition.currency",
            hint="amounts are never converted; write the definition in the contract's currency",
        )
    known = outcomes.load_versions(tx.connection, tx.workspace.id, contract.id, definition.outcome)
    version = DefinitionVersion(
        len(known) + 1,
        definition,
        _grid(new.effective_from, "effective_from") or quarter_hour_of(tx.now) + _QUARTER,
        live_from=_grid(new.live_from, "live_from"),
        retroactive=new.retroactive,
    )
    if known:
        check_amendment(known, version, tx.now)
    outcomes.insert_version(tx.connection, tx.workspace.id, contract.id, version, proposed_by=by, now=tx.now)
    tx.memo.pop("sells outcomes", None)
    return version


def backtest(tx: Transaction, new: Proposal) -> AmendmentBacktest:
    """What an amendment would have changed, in words and in money, on all recorded evidence. Nothing is written.

    Raises:
        NotFoundError: If there is no such contract, or nothing to amend.
    """
    row = get_contract(tx, new.contract)
    contract = row.contract
    current = versions_of(tx, contract.id, new.outcome)[-1].definition
    amendment = _definition(tx, contract, new)
    periods = [period.interval for period in periods_before(contract, max(row.next_index, 1))]
    both = Definitions(
        DefinitionVersion(number, each, periods[0].start)
        for number, each in enumerate((current, amendment), 1)
    )
    events = evidence_of(tx, get_customer(tx, contract.customer).subjects, both).events
    return backtest_amendment(current, amendment, events, frame_of(contract), periods)


def versions_of(tx: Transaction, contract: str, outcome: str) -> list[DefinitionVersion]:
    """The versions of one definition of a contract.

    Raises:
        NotFoundError: If there is none.
    """
    found = outcomes.load_versions(tx.connection, tx.workspace.id, contract, outcome)
    if not found:
        raise NotFoundError(
            f"contract {contract[:60]!r} has no outcome {outcome[:60]!r}",
            field="outcome",
            hint="propose it first: valorem outcomes propose",
        )
    return found


def version_of(tx: Transaction, contract: str, outcome: str, number: int | None = None) -> DefinitionVersion:
    """One version; the newest where no number is given.

    Raises:
        NotFoundError: If there is none.
    """
    versions = versions_of(tx, contract, outcome)
    if number is None:
        return versions[-1]
    if not 1 <= number <= len(versions):
        raise NotFoundError(
            f"there is no version {number}", field="number", hint=f"there are {len(versions)}"
        )
    return versions[number - 1]


def sign_definition(
    tx: Transaction, contract: str, outcome: str, *, number: int, digest: str, signer: Signer
) -> DefinitionVersion:
    """Sign exactly one text.

    Raises:
        NotFoundError: If there is no such version.
        UnprocessableError: If the digest is of another text, or the party has signed already.
    """
    get_contract(tx, contract, lock=True)
    check_text(signer.person, "person", 200)
    check_text(signer.role, "role", 200)
    version = version_of(tx, contract, outcome, number)
    signature = Signature(signer.party, signer.person, signer.role, signer.method, tx.now, digest.lower())
    signed = sign(version, signature)
    outcomes.insert_signature(
        tx.connection, tx.workspace.id, contract, outcome, number, signature, proof=signer.proof
    )
    _note_signature(tx, contract, outcome, "outcome.sign", signer, signature, version=number)
    return signed


def _note_signature(
    tx: Transaction,
    contract: str,
    outcome: str,
    action: str,
    signer: Signer,
    signature: Signature,
    **what: str | int,
) -> None:
    """Put the deed of signing into the audit log, whose entries each cover the one before: none can be taken out unseen."""
    after = {
        "contract": contract,
        **what,
        "party": signature.party,
        "person": signature.person,
        "role": signature.role,
        "method": signature.method,
        "proof": signer.proof,
        "signed_at": write_instant(signature.at),
        "digest": signature.digest,
    }
    _note(tx, signer.actor or _actor_of(signer), action, outcome, after)


def _actor_of(signer: Signer) -> str:
    return f"key {signer.proof}" if signer.method == "api_key" else signer.proof


def _note(tx: Transaction, actor: str, action: str, outcome: str, after: Mapping[str, Any]) -> None:
    record(tx.connection, tx.workspace.id, Deed(actor, action, outcome, after=after), tx.began_at or tx.now)


def go_live(
    tx: Transaction,
    contract: str,
    outcome: str,
    *,
    number: int,
    since: datetime | None,
    proof: str,
    actor: str | None = None,
) -> DefinitionVersion:
    """Let a version in shadow bill: both sides signed it, their lists agree, and both signed the report that says so.

    Args:
        tx: The transaction.
        contract: The contract.
        outcome: The definition.
        number: Of its version.
        since: From when, on the quarter-hour grid; the next quarter hour where left out.
        proof: Id of the key or person that says so.
        actor: Who that is in the audit log; the key where left out.

    Raises:
        NotFoundError: If there is no such version.
        UnprocessableError: Saying what is missing.
        ConflictError: If it is live already.
    """
    get_contract(tx, contract, lock=True)
    version = version_of(tx, contract, outcome, number)
    if missing := version.missing():
        raise UnprocessableError(
            f"the {missing[0]} has not signed version {number}",
            field="number",
            hint="one signature never bills",
        )
    reports = last_in_a_row(outcomes.load_reports(tx.connection, tx.workspace.id, contract, outcome))
    terms = version.definition.agreement
    agreed = ready_after(agreements_of(reports), terms)
    if agreed is None:
        raise UnprocessableError(
            f"the lists of both sides have not agreed to {terms.threshold} for {terms.cycles} cycles in a row",
            field="number",
            hint="compare them first: valorem outcomes agreement",
        )
    if unsigned := sorted(set(PARTIES) - set(reports[agreed].signed)):
        raise UnprocessableError(
            f"the {unsigned[0]} has not signed report {reports[agreed].id}",
            field="number",
            hint="both sides sign the report before anything is billed",
        )
    since = _grid(since, "since") or quarter_hour_of(tx.now) + _QUARTER
    if since <= tx.now:
        raise UnprocessableError(
            f"{write_instant(since)} is not in the future",
            field="since",
            hint="choose a quarter hour to come",
        )
    if version.live_from is not None or not outcomes.insert_stage(
        tx.connection, tx.workspace.id, contract, version, "live", since, proof=proof, now=tx.now
    ):
        raise ConflictError(f"version {number} is live already", field="number")
    after = {"contract": contract, "version": number, "since": write_instant(since)}
    _note(tx, actor or f"key {proof}", "outcome.live", outcome, after)
    return replace(version, live_from=since)


def last_in_a_row(reports: Sequence[StoredReport]) -> list[StoredReport]:
    """The newest report of each cycle, back from the last cycle to the first without a gap: a cycle counts once."""
    newest = {each.period_index: each for each in reports}
    row: list[StoredReport] = []
    for index in sorted(newest, reverse=True):
        if row and row[0].period_index != index + 1:
            break
        row.insert(0, newest[index])
    return row


def retire(
    tx: Transaction,
    contract: str,
    outcome: str,
    *,
    number: int,
    since: datetime | None,
    proof: str,
    actor: str | None = None,
) -> DefinitionVersion:
    """Let a version accept nothing more from an instant on; the arguments are those of :func:`go_live`.

    Raises:
        NotFoundError: If there is no such version.
        ConflictError: If it is retired already.
    """
    get_contract(tx, contract, lock=True)
    version = version_of(tx, contract, outcome, number)
    since = _grid(since, "since") or quarter_hour_of(tx.now) + _QUARTER
    if since <= tx.now:
        raise UnprocessableError(
            f"{write_instant(since)} is not in the future",
            field="since",
            hint="choose a quarter hour to come",
        )
    if not outcomes.insert_stage(
        tx.connection, tx.workspace.id, contract, version, "retired", since, proof=proof, now=tx.now
    ):
        raise ConflictError(f"version {number} is retired already", field="number")
    after = {"contract": contract, "version": number, "since": write_instant(since)}
    _note(tx, actor or f"key {proof}", "outcome.retire", outcome, after)
    return replace(version, retired_from=since)


def sign_report(tx: Transaction, contract: str, outcome: str, report_id: str, *, signer: Signer) -> None:
    """Sign a report of agreement.

    Raises:
        NotFoundError: If there is no such report.
        UnprocessableError: If the party has signed it already.
    """
    get_contract(tx, contract, lock=True)
    check_text(signer.person, "person", 200)
    check_text(signer.role, "role", 200)
    newest = versions_of(tx, contract, outcome)[-1]
    reports = outcomes.load_reports(tx.connection, tx.workspace.id, contract, outcome)
    report = next((each for each in reports if each.id == report_id), None)
    if report is None:
        raise NotFoundError(f"there is no report {report_id[:60]!r}", field="report")
    signature = Signature(signer.party, signer.person, signer.role, signer.method, tx.now, report.digest)
    if signer.party in report.signed or not outcomes.insert_signature(
        tx.connection,
        tx.workspace.id,
        contract,
        outcome,
        newest.number,
        signature,
        proof=signer.proof,
        report=report_id,
    ):
        raise UnprocessableError(f"the {signer.party} has signed this report already", field="party")
    _note_signature(tx, contract, outcome, "outcome.sign_report", signer, signature, report=report_id)


def _definition(tx: Transaction, contract: Contract, new: Proposal) -> OutcomeDefinition:
    if new.definition is None:
        catalog = catalog_at(tx, contract.catalog_version)
        if new.outcome not in catalog.outcomes:
            raise NotFoundError(
                f"catalog version {contract.catalog_version} has no outcome {new.outcome[:60]!r}",
                field="outcome",
                hint=f"it has {', '.join(sorted(catalog.outcomes)) or 'none'}; or send the definition itself",
            )
        return catalog.outcomes[new.outcome]
    try:
        return OutcomeDefinition.model_validate({"outcome": new.outcome, **new.definition})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInputError(
            str(first["msg"]), field=".".join(("definition", *map(str, first["loc"])))
        ) from None


def _grid(instant: datetime | None, field: str) -> datetime | None:
    return None if instant is None else parse_grid_instant(instant, field)

"""What both sides read of a contract's outcomes, with the same numbers: dashboard, evidence, bills, agreement, bundle."""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from valorem.core.billing.schedule import contract_period, final_boundary, period_index_at
from valorem.core.contracts.contract import Contract
from valorem.core.errors import InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.ids import part_of
from valorem.core.metering.event import Event
from valorem.core.numbers import ONE, ZERO, plain
from valorem.core.outcomes.agreement import Agreement, Listed, compare
from valorem.core.outcomes.bundle import RawLink, evidence_bundle
from valorem.core.outcomes.charging import VersionBills, charge
from valorem.core.outcomes.dashboard import Dashboard, dashboard
from valorem.core.outcomes.estimates import Estimate
from valorem.core.outcomes.governing import Definitions, Governed
from valorem.core.outcomes.sharing import NO_ESTIMATES
from valorem.core.periods import Period
from valorem.core.time import write_instant
from valorem.engine.contracts import get_contract
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.outcomes import (
    Evidence,
    definitions_of,
    duplicates_at,
    evidence_of,
    frame_of,
    outcome_basis,
    periods_before,
)
from valorem.store.postgres import outcomes
from valorem.store.postgres.outcomes import StoredReport

_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """One definition of a contract with all that is recorded for it.

    Attributes:
        contract: The contract.
        definitions: Its versions.
        evidence: The recorded events.
        off: Key to the share of it that disputes take off.
        periods: The contract's, the running one last.
        estimates: By number of the period, as stored.
        duplicates: Keys that another definition of the group is charged for.
    """

    contract: Contract
    definitions: Definitions
    evidence: Evidence
    off: Mapping[str, Decimal]
    periods: tuple[Period, ...]
    estimates: Mapping[int, Estimate] = field(default_factory=lambda: NO_ESTIMATES)
    duplicates: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Board:
    """The dashboard, with the events that could not be read."""

    dashboard: Dashboard
    unreadable: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Opened:
    """One outcome, opened to its evidence.

    Attributes:
        governed: Its states, and the version that governs it.
        events: The events its states rest on, each with its arrival, in order of time.
        at: The instant looked at.
    """

    governed: Governed
    events: tuple[tuple[Event, datetime], ...]
    at: datetime


def scene_at(tx: Transaction, contract_id: str, outcome: str, at: datetime | None = None) -> Scene:
    """Everything known about one definition of a contract.

    Raises:
        NotFoundError: If there is no such contract or outcome.
    """
    contract = get_contract(tx, contract_id).contract
    basis = outcome_basis(tx, contract)
    if basis is None or outcome not in basis.definitions:
        raise NotFoundError(
            f"contract {contract_id[:60]!r} has no outcome {outcome[:60]!r}",
            field="outcome",
            hint="propose it first: valorem outcomes propose",
        )
    definitions = basis.definitions[outcome]
    subjects = get_customer(tx, contract.customer).subjects
    taken = duplicates_at(tx, contract, subjects, basis, tx.now if at is None else at)
    evidence = evidence_of(tx, subjects, definitions)
    return Scene(
        contract,
        definitions,
        evidence,
        {**basis.off.get(outcome, {}), **dict.fromkeys(taken.get(outcome, ()), ONE)},
        tuple(periods_before(contract, _running(contract, tx.now if at is None else at) + 1)),
        basis.estimates.get(outcome, NO_ESTIMATES),
        taken.get(outcome, frozenset()),
    )


def list_outcomes(tx: Transaction, contract_id: str) -> dict[str, Definitions]:
    """The definitions of a contract by outcome.

    Raises:
        NotFoundError: If there is no such contract.
    """
    return definitions_of(tx, get_contract(tx, contract_id).contract.id)


def list_sold(tx: Transaction, *, customer: str | None = None, limit: int = 50) -> list[tuple[Contract, str]]:
    """Contracts and the outcomes they have a definition of; of one customer where given."""
    found = [
        (get_contract(tx, contract).contract, outcome)
        for contract, outcome in outcomes.sold(tx.connection, tx.workspace.id, limit=limit)
    ]
    return [each for each in found if customer is None or each[0].customer == customer]


def show_board(tx: Transaction, contract_id: str, outcome: str, *, at: datetime | None = None) -> Board:
    """What both sides see at an instant; nothing is written, and no job has to move a state.

    Raises:
        NotFoundError: If there is no such contract or outcome.
    """
    at = tx.now if at is None else at
    scene = scene_at(tx, contract_id, outcome, at)
    stored = outcomes.load_disputes(tx.connection, tx.workspace.id, contract_id, outcome)
    reports = outcomes.load_reports(tx.connection, tx.workspace.id, contract_id, outcome)
    events = [each for each in scene.evidence.events if each[0].time is not None and each[0].time <= at]
    found = dashboard(
        scene.definitions,
        events,
        frame_of(scene.contract),
        [period.interval for period in scene.periods],
        at,
        disputes=[each.dispute for each in stored],
        agreements=agreements_of(reports),
        estimates=scene.estimates,
        duplicates=scene.duplicates,
    )
    return Board(found, scene.evidence.unreadable)


def open_outcome(
    tx: Transaction, contract_id: str, outcome: str, key: str, *, at: datetime | None = None
) -> Opened:
    """One outcome with its states, and the very events they rest on.

    Raises:
        NotFoundError: If there is none of that key.
    """
    at = tx.now if at is None else at
    scene = scene_at(tx, contract_id, outcome, at)
    events = scene.evidence.events
    governed = scene.definitions.fold(events, frame_of(scene.contract)).get(key)
    if governed is None:
        raise NotFoundError(f"there is no outcome of the key {key[:60]!r}", field="key")
    named = {identifier for each in governed.outcome.transitions for identifier in each.evidence}
    named |= {each.evidence for each in governed.outcome.unheard}
    behind = [each for each in events if f"{each[0].source}/{each[0].id}" in named]
    behind.sort(key=lambda each: (write_instant(each[0].time or each[1]), each[0].source, each[0].id))
    return Opened(governed, tuple(behind), at)


def bills_until(
    tx: Transaction, contract_id: str, outcome: str, *, at: datetime | None = None
) -> tuple[Scene, tuple[VersionBills, ...]]:
    """What each period of a contract comes to, the running one as it stands at an instant.

    Raises:
        NotFoundError: If there is no such contract or outcome.
    """
    at = tx.now if at is None else at
    scene = scene_at(tx, contract_id, outcome, at)
    events = [each for each in scene.evidence.events if each[0].time is not None and each[0].time <= at]
    intervals = [period.interval for period in scene.periods]
    frame = frame_of(scene.contract)
    return scene, charge(
        scene.definitions, events, frame, intervals, off=scene.off, as_of=at, estimates=scene.estimates
    )


def total_of_bills(charged: Sequence[VersionBills]) -> Decimal:
    """What all versions bill in all periods."""
    return sum((bill.total for each in charged for bill in each.bills), ZERO)


def list_reports(tx: Transaction, contract_id: str, outcome: str) -> list[StoredReport]:
    """The reports of agreement of a definition in order of their making.

    Raises:
        NotFoundError: If there is no such contract or outcome.
    """
    scene_at(tx, contract_id, outcome)
    return outcomes.load_reports(tx.connection, tx.workspace.id, contract_id, outcome)


def compare_lists(
    tx: Transaction,
    contract_id: str,
    outcome: str,
    listed: Mapping[str, Listed],
    *,
    period_index: int | None = None,
) -> StoredReport:
    """Compare what we count as confirmed in a cycle with the customer's own list, key by key, and keep the report.

    Args:
        tx: The transaction.
        contract_id: The contract.
        outcome: The definition.
        listed: The customer's list: key to what it is worth there, and when.
        period_index: The cycle; the last one that has ended where left out.

    Raises:
        NotFoundError: If there is no such contract or outcome.
        UnprocessableError: If no cycle has ended yet.
    """
    contract = get_contract(tx, contract_id, lock=True).contract
    scene = scene_at(tx, contract_id, outcome)
    index = _running(contract, tx.now) - 1 if period_index is None else period_index
    period = contract_period(contract, index)
    if period is None or period.interval.end > tx.now:
        raise UnprocessableError(
            "that cycle has not ended yet", field="period_index", hint="compare a period that is over"
        )
    governed = scene.definitions.fold(scene.evidence.events, frame_of(contract)).values()
    ours = {
        each.outcome.key: Listed(result.value, result.ends_at)
        for each in governed
        for result in each.outcome.standing(period.interval.end - _INSTANT)
        if result.ends_at in period.interval
    }
    rejected = Counter(
        reason for each in governed if (reason := each.outcome.rejected_by(period.interval.end - _INSTANT))
    )
    terms = scene.definitions.versions[-1].definition.agreement
    found = compare(ours, listed, terms, dict(sorted(rejected.items())))
    written = {
        "contract": contract_id,
        "outcome": outcome,
        "period": {
            "index": index,
            "start": write_instant(period.interval.start),
            "end": write_instant(period.interval.end),
        },
        **write_agreement(found),
    }
    digest = hashlib.sha256(
        json.dumps(written, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    ).hexdigest()
    identifier = new_id("orp", part_of(tx.workspace.id, contract.customer), tx.now)
    report = StoredReport(identifier, index, written, digest, (), tx.now)
    outcomes.insert_report(tx.connection, tx.workspace.id, contract_id, outcome, report)
    return report


def write_agreement(found: Agreement) -> dict[str, Any]:
    """An agreement as JSON values."""
    return {
        "agreement": plain(found.agreement),
        "agrees": found.agrees,
        "both": list(found.both),
        "vendor_only": list(found.vendor_only),
        "source_only": list(found.source_only),
        "value_difference": plain(found.value_difference),
        "differing_values": list(found.differing_values),
        "lag_s": None if found.lags is None else [int(each.total_seconds()) for each in found.lags],
        "rejected": dict(found.rejected),
    }


def agreements_of(reports: Sequence[StoredReport]) -> list[Agreement]:
    """What stored reports say."""
    return [
        Agreement(
            both=tuple(each.report["both"]),
            vendor_only=tuple(each.report["vendor_only"]),
            source_only=tuple(each.report["source_only"]),
            value_difference=Decimal(each.report["value_difference"]),
            differing_values=tuple(each.report["differing_values"]),
            lags=_lags(each.report["lag_s"]),
            rejected=each.report["rejected"],
            agrees=each.report["agrees"],
        )
        for each in reports
    ]


def _lags(seconds: Sequence[int] | None) -> tuple[timedelta, timedelta] | None:
    return None if seconds is None else (timedelta(seconds=seconds[0]), timedelta(seconds=seconds[1]))


def build_bundle(
    tx: Transaction,
    contract_id: str,
    outcome: str,
    *,
    keys: Sequence[str] = (),
    at: datetime | None = None,
) -> bytes:
    """The evidence of some outcomes, or of all, as a ZIP: the same bytes each time for the same instant.

    Raises:
        NotFoundError: If there is no such contract, outcome or key.
        InvalidInputError: If the instant lies ahead, where evidence may still arrive.
    """
    if at is not None and at > tx.now:
        raise InvalidInputError("that instant lies ahead", field="at", hint="show what is known by now")
    scene = scene_at(tx, contract_id, outcome, at)
    known = [each for each in scene.evidence.events if each[1] <= (tx.now if at is None else at)]
    governed = scene.definitions.fold(known, frame_of(scene.contract))
    if missing := sorted(set(keys) - governed.keys()):
        raise NotFoundError(f"there is no outcome of the key {missing[0][:60]!r}", field="keys")
    chosen = [governed[key] for key in (keys or sorted(governed))]
    links = {f"{event.source}/{event.id}": RawLink(_event_digest(event), event.source) for event, _ in known}
    return evidence_bundle(chosen, known, now=tx.now if at is None else at, links=links)


def _event_digest(event: Event) -> str:
    """SHA-256 of an event's data as canonical JSON."""
    text = json.dumps(event.data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _running(contract: Contract, at: datetime) -> int:
    """The number of the period an instant falls in: the first one before the start, the last one after the end."""
    if at < contract.start:
        return 0
    if contract.end is not None and at >= contract.end:
        last = final_boundary(contract)
        assert last is not None  # a contract with an end has a last border
        return last - 1
    return period_index_at(contract, at)

"""Outcomes on invoices: the signed definitions of a contract over recorded events, the one path for every kind of invoice."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.schedule import contract_period
from valorem.core.contracts.contract import Contract
from valorem.core.metering.event import Event
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.outcomes.charging import VersionBills, charge, charge_counters
from valorem.core.outcomes.disputes import resolved
from valorem.core.outcomes.estimates import Estimate, read_estimate
from valorem.core.outcomes.estimates import stored as write_estimate
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions
from valorem.core.outcomes.grouping import duplicates
from valorem.core.outcomes.invoicing import KIND, outcome_lines, standing_lines
from valorem.core.outcomes.sharing import NO_ESTIMATES
from valorem.core.outcomes.signing import DefinitionVersion, version_at
from valorem.core.periods import Period
from valorem.core.time import parse_instant, write_instant
from valorem.engine.browsing import EventBehind, EventPage
from valorem.engine.engine import Transaction
from valorem.engine.history import counted_events
from valorem.engine.outcome_keeping import kept_counters, kept_of
from valorem.store.postgres import contracts, outcome_estimates, outcomes
from valorem.store.postgres.outcomes import Noted

Recorded = tuple[tuple[Event, datetime], ...]


@dataclass(frozen=True, slots=True)
class OutcomeBasis:
    """What the outcome lines of an invoice are a function of, beside the recorded events.

    Attributes:
        definitions: By outcome, all versions with their signatures as they stood.
        off: By outcome: key to the share of it that a dispute holds back or gave back.
        estimates: By outcome: number of a period to its estimate, as stored.
        noted: By outcome: what credit notes of disputes gave back.
        billed: The outcome lines of all earlier invoices, less that.
    """

    definitions: Mapping[str, Definitions]
    off: Mapping[str, Mapping[str, Decimal]]
    estimates: Mapping[str, Mapping[int, Estimate]] = field(default_factory=dict)
    noted: Mapping[str, Sequence[Noted]] = field(default_factory=dict)
    billed: tuple[Line, ...] = ()

    def with_billed(self, lines: tuple[Line, ...]) -> "OutcomeBasis":
        """The same after the outcome lines of earlier invoices, less what credit notes took back of them."""
        known = {(line.period_index, line.charge): line for line in reversed(lines)}
        back = tuple(
            replace(line, amount=-each.amount, exact_amount=-each.amount)
            for noted in self.noted.values()
            for each in noted
            if (line := known.get((each.period_index, each.charge))) is not None
        )
        return replace(self, billed=(*lines, *back))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The recorded events that definitions read.

    Attributes:
        events: Each with its arrival.
        unreadable: Ids of events that lack what a definition needs, with the reason; they count for nothing.
    """

    events: Recorded
    unreadable: Mapping[str, str]


def sells_outcomes(tx: Transaction) -> bool:
    """Whether any contract of the workspace has a definition at all; the others pay one look-up for it."""
    return tx.once("sells outcomes", lambda: outcomes.any_versions(tx.connection, tx.workspace.id))


def outcome_basis(tx: Transaction, contract: Contract) -> OutcomeBasis | None:
    """What a contract's outcomes are billed by, as it stands; None where it has none."""
    if not sells_outcomes(tx):
        return None
    definitions = definitions_of(tx, contract.id)
    if not definitions:
        return None
    off = {key: _off(tx, contract.id, each) for key, each in definitions.items()}
    noted = {
        outcome: found
        for outcome in definitions
        if (found := outcomes.load_noted(tx.connection, tx.workspace.id, contract.id, outcome))
    }
    return OutcomeBasis(definitions, off, estimates_of(tx, contract.id, definitions), noted)


def estimates_of(
    tx: Transaction, contract: str, definitions: Mapping[str, Definitions]
) -> dict[str, dict[int, Estimate]]:
    """The stored estimates of a contract by outcome and period; nothing is read where no savings are shared."""
    if not any(
        version.definition.savings is not None for each in definitions.values() for version in each.versions
    ):
        return {}
    return outcome_estimates.load(tx.connection, tx.workspace.id, contract)


def definitions_of(tx: Transaction, contract: str) -> dict[str, Definitions]:
    """The definitions of a contract by outcome, each with all its versions."""
    versions: dict[str, list[DefinitionVersion]] = {}
    for version in outcomes.load_versions(tx.connection, tx.workspace.id, contract):
        versions.setdefault(version.definition.outcome, []).append(version)
    return {outcome: Definitions(found) for outcome, found in versions.items()}


def _off(tx: Transaction, contract: str, definitions: Definitions) -> dict[str, Decimal]:
    """What disputes take off: what was upheld, and what is held back before it was billed."""
    terms = definitions.versions[-1].definition.disputes
    outcome = definitions.versions[-1].definition.outcome
    off: dict[str, Decimal] = {}
    for stored in outcomes.load_disputes(tx.connection, tx.workspace.id, contract, outcome):
        found = resolved(terms, stored.dispute, tx.now)
        if stored.invoice is not None and terms.settle != "next_invoice":
            found = dict(stored.dispute.resolutions)  # silence is settled by a credit note of its own
        for key in stored.dispute.keys:
            if key in found:
                off[key] = found[key].share
            elif stored.invoice is None and terms.effect == "hold":
                off[key] = ONE
    return {key: share for key, share in off.items() if share}


def split_lines(lines: Iterable[Line]) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Lines of usage and fees, and lines of outcomes: each is reckoned with by its own rule."""
    found = tuple(lines)
    return (
        tuple(line for line in found if line.kind != KIND),
        tuple(line for line in found if line.kind == KIND),
    )


def frame_of(contract: Contract) -> Frame:
    """The calendar a contract's outcomes are folded in."""
    return Frame(contract.time_zone, contract.every, contract.anchor)


def evidence_of(
    tx: Transaction, subjects: Sequence[str], definitions: Definitions, until_seq: int | None = None
) -> Evidence:
    """The recorded events that any version of a definition reads, corrected, each with its arrival.

    An event that its version cannot read counts for nothing and is told of: it must not keep a contract from being billed.
    """
    types = tuple(sorted(definitions.event_types))

    def read() -> Evidence:
        events: list[tuple[Event, datetime]] = []
        unreadable: dict[str, str] = {}
        for one in counted_events(
            tx.connection, tx.workspace.id, subjects=subjects, types=types, until_seq=until_seq
        ):
            arrived = one.recorded.received_at
            if (why := definitions.unreadable(one.event, arrived)) is not None:
                unreadable[f"{one.event.source}/{one.event.id}"] = why
            events.append((one.event, arrived))
        return Evidence(tuple(events), unreadable)

    digests = tuple(version.digest for version in definitions.versions)
    return tx.once(("outcome evidence", tuple(subjects), digests, until_seq), read)


def periods_before(contract: Contract, index: int) -> list[Period]:
    """The contract's periods up to a border, in order."""
    found = (contract_period(contract, number) for number in range(index))
    return [period for period in found if period is not None]


@exact
def lines_at(
    tx: Transaction,
    contract: Contract,
    subjects: Sequence[str],
    basis: OutcomeBasis,
    index: int,
    *,
    until_seq: int | None = None,
    seen_at: datetime | None = None,
    note: bool = False,
) -> tuple[Line, ...]:
    """The outcome lines of the invoice at a border.

    Args:
        tx: The transaction.
        contract: The contract.
        subjects: The customer's.
        basis: What they depend on.
        index: The border.
        until_seq: The cut-off; everything recorded where left out.
        seen_at: For a look ahead: what happens later, by evidence or by silence, is left out.
        note: Instead those of the note beside it.
    """
    periods = periods_before(contract, index)
    if not periods:
        return ()
    found: list[Line] = []
    at = periods[-1].interval.end if seen_at is None else seen_at
    taken = duplicates_at(tx, contract, subjects, basis, at, until_seq=until_seq)
    for outcome, definitions in sorted(basis.definitions.items()):
        off = {**basis.off.get(outcome, {}), **dict.fromkeys(taken.get(outcome, ()), ONE)}
        charged = None
        if until_seq is None:
            charged = _charged_as_kept(tx, contract, subjects, definitions, periods, off, seen_at)
        if charged is None:
            events = evidence_of(tx, subjects, definitions, until_seq).events
            if seen_at is not None:
                events = tuple(
                    each for each in events if each[0].time is not None and each[0].time <= seen_at
                )
            charged = charge(
                definitions,
                events,
                frame_of(contract),
                [period.interval for period in periods],
                off=off,
                as_of=seen_at,
                over_by=_over_by(contract, periods, seen_at),
                estimates=basis.estimates.get(outcome, NO_ESTIMATES),
            )
        current = version_at(definitions.versions, periods[-1].interval.end) or definitions.versions[-1]
        billed = [line for line in basis.billed if line.key == outcome]
        standing = standing_lines(charged, periods)
        found.extend(outcome_lines(current.definition, standing, billed, index - 1, note=note))
    return tuple(found)


def _charged_as_kept(
    tx: Transaction,
    contract: Contract,
    subjects: Sequence[str],
    definitions: Definitions,
    periods: Sequence[Period],
    off: Mapping[str, Decimal],
    seen_at: datetime | None,
) -> tuple[VersionBills, ...] | None:
    """The same bills from counters that were kept, with what came since; None where none were."""
    kept = kept_of(contract, tx.workspace.id, subjects, definitions)
    intervals = [period.interval for period in periods]
    counters = kept_counters(tx, kept, intervals, off=off, seen_at=seen_at)
    return None if counters is None else charge_counters(definitions, counters, kept.frame, intervals)


def duplicates_at(
    tx: Transaction,
    contract: Contract,
    subjects: Sequence[str],
    basis: OutcomeBasis,
    at: datetime,
    *,
    until_seq: int | None = None,
) -> dict[str, frozenset[str]]:
    """By outcome: the keys that another outcome of its group is charged for, as it stands at an instant.

    Args:
        tx: The transaction.
        contract: The contract.
        subjects: The customer's.
        basis: The definitions.
        at: The instant looked at.
        until_seq: The cut-off; everything recorded where left out.
    """
    grouped = {
        outcome: definitions
        for outcome, definitions in basis.definitions.items()
        if any(version.definition.group is not None for version in definitions.versions)
    }
    if len(grouped) < 2:
        return {}
    frame = frame_of(contract)
    governed = {
        outcome: definitions.fold(evidence_of(tx, subjects, definitions, until_seq).events, frame)
        for outcome, definitions in grouped.items()
    }
    return duplicates(grouped, governed, at, frame)


def _over_by(contract: Contract, periods: Sequence[Period], seen_at: datetime | None) -> datetime | None:
    """By when a period must be over to be shared; at a contract's last border nothing is waited for any more."""
    end = periods[-1].interval.end
    if contract.end is not None and end >= contract.end:
        return None
    return end if seen_at is None else min(end, seen_at)


def with_lines(invoice: Invoice, lines: tuple[Line, ...]) -> Invoice:
    """An invoice with further lines."""
    if not lines:
        return invoice
    total = sum((line.amount for line in lines), invoice.total)
    return replace(invoice, lines=(*invoice.lines, *lines), total=total)


def amount_of(lines: Iterable[Line]) -> Decimal:
    """What lines come to."""
    return sum((line.amount for line in lines), ZERO)


def write_outcomes(basis: OutcomeBasis) -> dict[str, Any]:
    """What must be kept to compute the same lines again; the definitions themselves are kept by their digests."""
    return {
        outcome: {
            "versions": [
                {
                    "number": version.number,
                    "digest": version.digest,
                    "effective_from": write_instant(version.effective_from),
                    "live_from": write_instant(version.live_from) if version.live_from else None,
                    "retired_from": write_instant(version.retired_from) if version.retired_from else None,
                    "retroactive": version.retroactive,
                    "signatures": outcomes.write_signatures(version.signatures),
                }
                for version in definitions.versions
            ],
            "off": {key: plain(share) for key, share in sorted(basis.off.get(outcome, {}).items())},
            "noted": [
                {"period_index": each.period_index, "charge": each.charge, "amount": plain(each.amount)}
                for each in basis.noted.get(outcome, ())
            ],
            "estimates": {
                str(index): write_estimate(each)
                for index, each in sorted(basis.estimates.get(outcome, {}).items())
            },
        }
        for outcome, definitions in sorted(basis.definitions.items())
    }


def read_outcomes(
    tx: Transaction, contract: str, written: Mapping[str, Any] | None, billed: tuple[Line, ...]
) -> OutcomeBasis | None:
    """The basis that :func:`write_outcomes` wrote."""
    if not written:
        return None
    known = definitions_of(tx, contract)
    definitions = {}
    for outcome, kept in written.items():
        texts = {version.digest: version.definition for version in known[outcome].versions}
        definitions[outcome] = Definitions(
            DefinitionVersion(
                each["number"],
                texts[each["digest"]],
                parse_instant(each["effective_from"]),
                outcomes.read_signatures(each["signatures"]),
                parse_instant(each["live_from"]) if each["live_from"] else None,
                parse_instant(each["retired_from"]) if each["retired_from"] else None,
                each["retroactive"],
            )
            for each in kept["versions"]
        )
    off = {
        outcome: {key: Decimal(share) for key, share in kept["off"].items()}
        for outcome, kept in written.items()
    }
    estimates = {
        outcome: {int(index): read_estimate(each) for index, each in kept.get("estimates", {}).items()}
        for outcome, kept in written.items()
    }
    noted = {
        outcome: [
            Noted(each["period_index"], each["charge"], Decimal(each["amount"]))
            for each in kept.get("noted", ())
        ]
        for outcome, kept in written.items()
    }
    return OutcomeBasis(definitions, off, estimates, noted).with_billed(billed)


def events_behind(
    tx: Transaction,
    contract_id: str,
    subjects: Sequence[str],
    line: Line,
    *,
    after: str | None = None,
    limit: int = 50,
) -> EventPage:
    """The events that outcome states of a line's period rest on, in order of time and identity."""
    selector = line.selectors[0]
    found = contracts.load(tx.connection, tx.workspace.id, contract_id)
    definitions = definitions_of(tx, contract_id).get(selector.meter)
    if found is None or definitions is None:
        return EventPage((), None)
    events = evidence_of(tx, subjects, definitions).events
    within = selector.interval
    named = {
        identifier
        for each in definitions.fold(events, frame_of(found.contract)).values()
        if each.version is not None and each.version.digest == selector.fingerprint
        if any(result.end == "confirmed" and result.ends_at in within for result in each.outcome.results)
        for transition in each.outcome.transitions
        for identifier in transition.evidence
    }
    behind = sorted(
        (
            (write_instant(event.time), f"{event.source}/{event.id}", event)
            for event, _ in events
            if event.time is not None and f"{event.source}/{event.id}" in named
        ),
        key=lambda row: row[:2],
    )
    rows = [row for row in behind if after is None or f"{row[0]} {row[1]}" > after]
    page = rows[:limit]
    items = tuple(EventBehind(event, ONE) for _, _, event in page)
    following = f"{page[-1][0]} {page[-1][1]}" if len(rows) > limit else None
    return EventPage(items, following)

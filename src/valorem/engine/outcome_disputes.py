"""Disputes about outcomes: opened by either side, answered, resolved outcome by outcome; the money follows by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.canonical import read_invoice
from valorem.core.billing.sealing import read_sealed
from valorem.core.contracts.customer import check_text
from valorem.core.errors import InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.ids import part_of
from valorem.core.numbers import ONE, ZERO
from valorem.core.outcomes.disputes import Dispute, Resolution, check_dispute, resolved
from valorem.core.outcomes.invoicing import KIND
from valorem.core.outcomes.signing import Party
from valorem.core.periods import Interval
from valorem.engine.assembling import outcome_lines_at
from valorem.engine.basis import basis_of
from valorem.engine.contracts import get_contract
from valorem.engine.credit_notes import NoteRequest, issue_credit_note, preview_credit_note
from valorem.engine.engine import Engine, Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.outcome_deals import versions_of
from valorem.engine.outcome_reports import Scene, scene_at
from valorem.engine.outcomes import frame_of
from valorem.engine.retrying import in_transaction
from valorem.store.postgres import invoices, lives, outcomes
from valorem.store.postgres.outcomes import Noted, StoredDispute


@dataclass(frozen=True, slots=True)
class NewDispute:
    """What is disputed.

    Attributes:
        contract: The contract.
        outcome: The definition.
        by: Who opens it.
        keys: The outcomes.
        reason: From the definition's list.
        text: In the party's own words.
        invoice: The final invoice that bills them, by id or number; left out while they are on none.
    """

    contract: str
    outcome: str
    by: Party
    keys: Sequence[str]
    reason: str
    text: str = ""
    invoice: str | None = None


def open_dispute(tx: Transaction, new: NewDispute) -> StoredDispute:
    """Open a dispute. What it upholds later is credited by pricing the period again without it.

    Raises:
        NotFoundError: If there is no such contract, outcome or invoice.
        InvalidInputError: If the reason is not on the list, or an outcome is not on the invoice.
        UnprocessableError: If the window has closed, or an outcome is disputed already.
    """
    contract = get_contract(tx, new.contract, lock=True).contract
    check_text(new.text or "-", "text", 2000)
    scene = scene_at(tx, new.contract, new.outcome)
    others = outcomes.load_disputes(tx.connection, tx.workspace.id, new.contract, new.outcome)
    dispute = Dispute(
        new_id("odp", part_of(tx.workspace.id, contract.customer), tx.now),
        new.by,
        tx.now,
        tuple(new.keys),
        new.reason,
        new.text,
    )
    invoice, finalised_at, counted = _billed(tx, scene, new)
    terms = scene.definitions.versions[-1].definition.disputes
    standing = [
        each.dispute
        for each in others
        if not set(each.dispute.keys) <= resolved(terms, each.dispute, tx.now).keys()
    ]
    check_dispute(terms, dispute, finalised_at=finalised_at, invoiced=counted, others=standing)
    stored = StoredDispute(dispute, invoice)
    outcomes.insert_dispute(tx.connection, tx.workspace.id, new.contract, new.outcome, stored)
    _hold(tx, new.contract, new.outcome, invoice)
    return stored


def _billed(tx: Transaction, scene: Scene, new: NewDispute) -> tuple[str | None, datetime, set[str]]:
    """The invoice disputed, when it became final, and the outcomes it bills; without one all that is not billed yet."""
    within: list[Interval] = []
    invoice, finalised_at = None, tx.now
    if new.invoice is not None:
        load = invoices.load if new.invoice.startswith("inv_") else invoices.load_by_number
        header = load(tx.connection, tx.workspace.id, new.invoice)
        sealed = None
        if header is not None and header.contract == new.contract:
            sealed = invoices.load_document(tx.connection, tx.workspace.id, header.id)
        if header is None or sealed is None:
            raise NotFoundError(f"the contract has no final invoice {new.invoice[:60]!r}", field="invoice")
        invoice, finalised_at = header.id, sealed.finalised_at
        within = [
            line.period
            for line in read_invoice(sealed.document).lines
            if line.kind == KIND and line.key == new.outcome
        ]
    governed = scene.definitions.fold(scene.evidence.events, frame_of(scene.contract)).values()
    counted = {
        each.outcome.key
        for each in governed
        for result in each.outcome.results
        if (result.end == "confirmed" and any(result.ends_at in period for period in within))
        or (invoice is None and result.end != "rejected")
    }
    return invoice, finalised_at, counted


def answer_dispute(tx: Transaction, contract: str, outcome: str, dispute_id: str) -> StoredDispute:
    """Note that the other side has answered; from now on the customer's silence counts, where the terms say so.

    Raises:
        NotFoundError: If there is no such dispute.
        UnprocessableError: If it was answered before.
    """
    stored = _find(tx, contract, outcome, dispute_id)
    if stored.dispute.answered_at is not None:
        raise UnprocessableError("the dispute was answered before", field="dispute")
    return _move(tx, contract, outcome, stored, replace(stored.dispute, answered_at=tx.now))


def resolve_dispute(
    tx: Transaction,
    contract: str,
    outcome: str,
    dispute_id: str,
    shares: Mapping[str, Decimal],
    *,
    note: str = "",
) -> StoredDispute:
    """Resolve disputed outcomes: 1 upholds, 0 rejects, between them a part is given back.

    Raises:
        NotFoundError: If there is no such dispute.
        InvalidInputError: If a key is not disputed, or a share is not between 0 and 1.
        UnprocessableError: If a key is resolved already.
    """
    stored = _find(tx, contract, outcome, dispute_id)
    dispute = stored.dispute
    terms = scene_at(tx, contract, outcome).definitions.versions[-1].definition.disputes
    done = resolved(terms, dispute, tx.now)
    for key, share in shares.items():
        if key not in dispute.keys:
            raise InvalidInputError(f"{key[:60]!r} is not disputed here", field="resolutions")
        if not ZERO <= share <= ONE:
            raise InvalidInputError("a share lies between 0 and 1", field=f"resolutions.{key}")
        if key in done:
            raise UnprocessableError(f"{key[:60]!r} is resolved already", field="resolutions")
    given = {key: Resolution(share, tx.now, note) for key, share in shares.items()}
    invoice = stored.invoice if terms.settle != "next_invoice" else None
    before = None if invoice is None else _next_lines(tx, contract)
    moved = _move(tx, contract, outcome, stored, replace(dispute, resolutions={**done, **given}))
    if invoice is not None and before is not None:
        _credit(tx, contract, outcome, moved, invoice, before)
    _hold(tx, contract, outcome, stored.invoice)
    return moved


def settle_silence(engine: Engine, workspace: int) -> int:
    """Settle what silence has decided about final invoices; how many disputes that moved. Safe to repeat."""
    with engine.transaction(workspace) as tx:
        waiting = outcomes.load_disputed(tx.connection, workspace)
    return sum(
        in_transaction(engine, workspace, lambda tx, one=each: _settle_silence(tx, *one))  # type: ignore[misc]
        for each in waiting
    )


def _settle_silence(tx: Transaction, contract: str, outcome: str, dispute_id: str) -> bool:
    stored = _find(tx, contract, outcome, dispute_id)
    terms = versions_of(tx, contract, outcome)[-1].definition.disputes
    found = resolved(terms, stored.dispute, tx.now)
    if found.keys() == stored.dispute.resolutions.keys():
        return False
    invoice = stored.invoice if terms.settle != "next_invoice" else None
    before = None if invoice is None else _next_lines(tx, contract)
    moved = _move(tx, contract, outcome, stored, replace(stored.dispute, resolutions=found))
    if invoice is not None and before is not None:
        _credit(tx, contract, outcome, moved, invoice, before)
    _hold(tx, contract, outcome, stored.invoice)
    return True


def _hold(tx: Transaction, contract: str, outcome: str, invoice: str | None) -> None:
    """Write on a final invoice what its open disputes hold back: what a credit note would give, were they all upheld."""
    terms = versions_of(tx, contract, outcome)[-1].definition.disputes
    if invoice is None or terms.effect != "hold":
        return
    off: dict[str, Decimal] = {}
    before = _next_lines(tx, contract)
    for stored in outcomes.load_disputes(tx.connection, tx.workspace.id, contract, outcome):
        if stored.invoice != invoice:
            continue
        contested = [key for key in stored.dispute.keys if key not in stored.dispute.resolutions]
        held = ZERO
        if contested:
            off |= dict.fromkeys(contested, ONE)
            after = _next_lines(tx, contract, outcome, off)
            amounts, _ = _given_back(tx, contract, outcome, invoice, before, after)
            if amounts:
                held = preview_credit_note(
                    tx, invoice, NoteRequest(f"dispute {stored.dispute.id}", amounts)
                ).total
            before = after
        outcomes.hold_dispute(tx.connection, tx.workspace.id, contract, outcome, stored.dispute.id, held)
    lives.hold_back(tx.connection, tx.workspace.id, invoice)


def _next_lines(
    tx: Transaction, contract: str, outcome: str | None = None, off: Mapping[str, Decimal] | None = None
) -> dict[tuple[int, str], Decimal]:
    """What the next invoice would change about every charge of outcomes, as it stands, or with more taken off one."""
    row = get_contract(tx, contract)
    basis = basis_of(tx, row.contract, max(row.next_index, 1))
    known = basis.outcomes
    if outcome is not None and off and known is not None:
        taken = {**known.off, outcome: {**known.off.get(outcome, {}), **off}}
        basis = replace(basis, outcomes=replace(known, off=taken))
    found: dict[tuple[int, str], Decimal] = {}
    for line in outcome_lines_at(tx, basis):
        place = line.period_index, line.charge
        found[place] = found.get(place, ZERO) + line.amount
    return found


def _credit(
    tx: Transaction,
    contract: str,
    outcome: str,
    stored: StoredDispute,
    invoice: str,
    before: Mapping[tuple[int, str], Decimal],
) -> None:
    """Give back by a credit note what a resolution takes off the lines of a final invoice; the rest waits for the next one."""
    amounts, noted = _given_back(tx, contract, outcome, invoice, before, _next_lines(tx, contract))
    if amounts:
        issue_credit_note(tx, invoice, NoteRequest(f"dispute {stored.dispute.id}", amounts))
        outcomes.note_dispute(tx.connection, tx.workspace.id, contract, outcome, stored.dispute.id, noted)


def _given_back(
    tx: Transaction,
    contract: str,
    outcome: str,
    invoice: str,
    before: Mapping[tuple[int, str], Decimal],
    after: Mapping[tuple[int, str], Decimal],
) -> tuple[dict[str, Decimal], list[Noted]]:
    """What a final invoice gives back of each of its lines where the next one would change by so much: by number, and by charge."""
    sealed = invoices.load_document(tx.connection, tx.workspace.id, invoice)
    if sealed is None or read_sealed(sealed.document).settlement.total <= 0:
        return {}, []
    earlier = outcomes.load_noted(tx.connection, tx.workspace.id, contract, outcome)
    amounts: dict[str, Decimal] = {}
    noted: list[Noted] = []
    for number, line in enumerate(read_invoice(sealed.document).lines, 1):
        if line.kind != KIND or line.key != outcome or line.contract not in (None, contract):
            continue
        place = line.period_index, line.charge
        taken = sum((each.amount for each in earlier if (each.period_index, each.charge) == place), ZERO)
        amount = min(before.get(place, ZERO) - after.get(place, ZERO), line.amount - taken)
        if amount > 0:
            amounts[str(number)] = amount
            noted.append(Noted(*place, amount))
    return amounts, noted


def list_disputes(tx: Transaction, contract: str, outcome: str) -> list[StoredDispute]:
    """The disputes of a definition, what silence has resolved by now included."""
    terms = scene_at(tx, contract, outcome).definitions.versions[-1].definition.disputes
    return [
        replace(each, dispute=replace(each.dispute, resolutions=resolved(terms, each.dispute, tx.now)))
        for each in outcomes.load_disputes(tx.connection, tx.workspace.id, contract, outcome)
    ]


def _find(tx: Transaction, contract: str, outcome: str, dispute_id: str) -> StoredDispute:
    get_contract(tx, contract, lock=True)
    found = outcomes.load_disputes(tx.connection, tx.workspace.id, contract, outcome, lock=True)
    for each in found:
        if each.dispute.id == dispute_id:
            return each
    raise NotFoundError(f"there is no dispute {dispute_id[:60]!r}", field="dispute")


def _move(
    tx: Transaction, contract: str, outcome: str, stored: StoredDispute, dispute: Dispute
) -> StoredDispute:
    outcomes.move_dispute(tx.connection, tx.workspace.id, contract, outcome, dispute)
    return replace(stored, dispute=dispute)

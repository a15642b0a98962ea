"""Change a contract: one atomic, explained edit with history, whose money the next invoice carries or one of its own."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.billing.agreed_checks import check_terms
from valorem.core.billing.changes import reopened
from valorem.core.billing.schedule import (
    Cover,
    contract_boundary,
    contract_period,
    final_boundary,
    next_due_at,
    period_index_at,
)
from valorem.core.billing.terms import Terms
from valorem.core.billing.timing import When, effective_at, plan_change_at
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.customer import check_text
from valorem.core.contracts.edits import Cancel, Change, Edit, Release, SetPlan, SetSeats, SetStart
from valorem.core.contracts.effective import in_currency
from valorem.core.contracts.history import History
from valorem.core.contracts.parking import Parked, parked
from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError
from valorem.core.ids import part_in
from valorem.core.numbers import plain
from valorem.core.time import write_instant
from valorem.engine.alerts import arm
from valorem.engine.catalog import catalog_at
from valorem.engine.contracts import get_contract, watch_thresholds
from valorem.engine.drafting import header_of
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.engine.terms import terms_for
from valorem.store.postgres import contract_edits, invoices, meters
from valorem.store.postgres.contract_edits import EditRow, Invoiced
from valorem.store.postgres.contracts import ContractRow
from valorem.store.postgres.invoices import InvoiceHeader


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """What somebody wants changed.

    Attributes:
        changes: All of them hold, or none.
        effective: From when. Left out: a plan changes by the policy ``plan_change``, a cancellation at the period's end,
            everything else now.
        reason: For whoever reads the history.
        id: Names the edit; the same again is the same edit. Made where left out.
        invoiced: With the next invoice, or at once with one of its own.
    """

    changes: tuple[Change, ...]
    effective: When | datetime | None = None
    reason: str = ""
    id: str | None = None
    invoiced: Invoiced = "next"


@dataclass(frozen=True, slots=True)
class Changed:
    """A contract after an edit.

    Attributes:
        row: The contract, and where its billing stands.
        edit: The edit as it was recorded.
        parked: Why nothing of the contract is invoiced now; None where it is.
    """

    row: ContractRow
    edit: Edit
    parked: Parked | None


def change_contract(tx: Transaction, contract_id: str, request: ChangeRequest, author: str) -> Changed:
    """Record an edit of a contract; the terms, the next border and what is parked follow from it.

    Raises:
        NotFoundError: If there is no such contract, plan, catalog version or edit to withdraw.
        ConflictError: If another edit has the same id.
        InvalidInputError: Where the edit contradicts the contract or its plan.
        UnprocessableError: Where it would number billed periods anew, or withdraws what is in effect.
    """
    row = get_contract(tx, contract_id, lock=True)
    history, recorded = contract_edits.load_history(tx.connection, row.contract)
    if request.id is not None:
        for known in history.edits:
            if known.id == request.id:
                return _again(tx, row, known, request)
    edit = Edit(
        id=new_id("edt", part_in(contract_id, "ctr"), tx.now) if request.id is None else request.id,
        effective=_effective(tx, row.contract, request),
        recorded=max(tx.now, recorded[-1].edit.recorded) if recorded else tx.now,
        author=author,
        reason=request.reason,
        changes=request.changes,
    )
    return _apply(tx, row, history, edit, request.invoiced)


def set_seats(
    tx: Transaction,
    contract_id: str,
    *,
    key: str,
    quantity: Decimal,
    since: datetime | None = None,
    author: str = "valorem",
) -> Contract:
    """Say how many seats there are from an instant on; later dated quantities stay as they are.

    Args:
        tx: The transaction.
        contract_id: The contract.
        key: Which seats, as the plan's fees name them.
        quantity: Zero or more, from ``since`` on.
        since: On the quarter-hour grid; this quarter hour where left out.
        author: Who says so.

    Raises:
        NotFoundError: If there is no such contract.
        InvalidInputError: Naming the field.
        UnprocessableError: If the change falls outside the contract.
    """
    contract = get_contract(tx, contract_id, lock=True).contract
    at = effective_at(contract, "now" if since is None else since, tx.now)
    if at < contract.start or (contract.end is not None and at >= contract.end):
        raise UnprocessableError(
            f"{write_instant(at)} lies outside the contract",
            field="since",
            hint="date it inside the contract's term",
        )
    if quantity < 0:
        raise InvalidInputError(f"{plain(quantity)} seats", field="quantity", hint="use zero or more")
    request = ChangeRequest((SetSeats(key=key, quantity=quantity),), at)
    return change_contract(tx, contract_id, request, author).row.contract


def record_edit(tx: Transaction, contract_id: str, edit: Edit) -> Changed:
    """Record an edit that is made already, such as one of a migration; a repeat changes nothing.

    Raises:
        ConflictError: If another edit has the same id.
        InvalidInputError: Where the edit contradicts the contract or its plan.
    """
    row = get_contract(tx, contract_id, lock=True)
    history, _ = contract_edits.load_history(tx.connection, row.contract)
    return _apply(tx, row, history, edit, "next")


def _again(tx: Transaction, row: ContractRow, known: Edit, request: ChangeRequest) -> Changed:
    if known.changes != request.changes:
        raise ConflictError(f"edit {known.id!r} says something else already", field="id")
    held = contract_edits.load_parked(tx.connection, tx.workspace.id, [row.contract.id])
    return Changed(row, known, held.get(row.contract.id))


def _effective(tx: Transaction, contract: Contract, request: ChangeRequest) -> datetime:
    if request.effective is not None:
        return effective_at(contract, request.effective, tx.now)
    if any(isinstance(change, Cancel) for change in request.changes):
        return effective_at(contract, "period_end", tx.now)
    for change in request.changes:
        if isinstance(change, SetPlan):
            standing = contract.standing_at(tx.now)
            old = catalog_at(tx, standing.catalog_version).plan(standing.plan)
            new = catalog_at(tx, change.catalog_version).plan(change.plan)
            currency = contract.currency
            return plan_change_at(
                contract,
                contract.policies or old.policies,
                in_currency(old, currency),
                in_currency(new, currency),
                tx.now,
            )
    return effective_at(contract, "now", tx.now)


def _apply(tx: Transaction, row: ContractRow, history: History, edit: Edit, invoiced: Invoiced) -> Changed:
    check_text(edit.reason or "-", "reason", 500)
    connection, workspace, before = tx.connection, tx.workspace.id, row.contract
    if _starts_anew(tx, row, edit):
        contract_edits.drop_drafts_from(connection, workspace, before.id, 0)
        row = replace(row, next_index=0)
    border = _border(tx, row)
    longer = history.with_edit(edit, _billed_until(before, border - 1))
    if longer is history:
        held = contract_edits.load_parked(connection, workspace, [before.id])
        return Changed(row, edit, held.get(before.id))
    after = longer.contract()
    old, new = terms_for(tx, before), terms_for(tx, after)
    check_terms(new, {each.fingerprint for each in meters.revisions(connection, workspace)})
    last = final_boundary(after)
    if last is not None:
        contract_edits.drop_drafts_from(connection, workspace, before.id, last + 1)
        border = _border(tx, row)
    kept = EditRow(edit, border, _reopens(old, new, edit, border), invoiced)
    number = len(longer.edits)
    contract_edits.record(connection, history.signed, number, kept)
    changed = replace(row, contract=after, next_at=next_due_at(after, row.next_index - 1))
    held_by = _parked(tx, longer, new, edit)
    contract_edits.replace_folded(connection, changed, held_by)
    watch_thresholds(tx, new)
    if (covers := _own_invoice(tx, changed, invoiced)) is not None:
        invoices.insert_drafts(
            connection, workspace, [_own_header(tx, changed, covers, number, new, border)], tx.now
        )
    arm(tx, after.customer)
    return Changed(changed, edit, held_by)


def _starts_anew(tx: Transaction, row: ContractRow, edit: Edit) -> bool:
    """Whether another start may still number the borders: nothing of the contract is final."""
    if row.next_index == 0 or not any(isinstance(change, SetStart) for change in edit.changes):
        return False
    found = invoices.load_page(tx.connection, tx.workspace.id, contract=row.contract.id)
    return all(header.status == "draft" for header in found)


def _border(tx: Transaction, row: ContractRow) -> int:
    """The border whose invoice is made next: the earliest with a draft, else the next one to be reached."""
    waiting = contract_edits.first_draft(tx.connection, tx.workspace.id, row.contract.id)
    return row.next_index if waiting is None else waiting


def _billed_until(contract: Contract, closed_through: int) -> datetime | None:
    if closed_through < 0:
        return None
    last = final_boundary(contract)
    return contract_boundary(contract, closed_through if last is None else min(closed_through, last))


def _reopens(old: Terms, new: Terms, edit: Edit, border: int) -> int | None:
    """The first billed period that the edit reaches into."""
    instants = [edit.effective]
    if old.contract.end != new.contract.end:
        instants += [end for end in (old.contract.end, new.contract.end) if end is not None]
    found = reopened(old, new, min(instants), border - 1)
    return found.start if found else None


def _parked(tx: Transaction, history: History, terms: Terms, edit: Edit) -> Parked | None:
    contract = history.signed.id
    found = parked(history, terms.policies.changes_a_day)
    if found is not None or any(isinstance(change, Release) for change in edit.changes):
        return found
    return contract_edits.load_parked(tx.connection, tx.workspace.id, [contract]).get(contract)


def _own_invoice(tx: Transaction, row: ContractRow, invoiced: Invoiced) -> Cover | None:
    """What the invoice covers that the change gives at once; None where a border's invoice carries it."""
    contract = row.contract
    last = final_boundary(contract)
    if last is not None and last < _border(tx, row):  # no later border would carry what the change comes to
        return Cover(last, tx.now, None, contract_period(contract, last - 1), final=True)
    runs = contract.start <= tx.now and (contract.end is None or tx.now < contract.end)
    if invoiced == "next" or not runs:
        return None
    index = period_index_at(contract, tx.now)
    return Cover(index, tx.now, None, contract_period(contract, index), final=False)


def _own_header(
    tx: Transaction, row: ContractRow, covers: Cover, number: int, terms: Terms, border: int
) -> InvoiceHeader:
    """The draft of a change; it waits until the invoice is final that bills its period ahead."""
    header = header_of(tx, row.contract, covers, f"change:{number}")
    if covers.final or border > covers.boundary_index:
        return header
    waits_until = contract_boundary(row.contract, covers.boundary_index) + timedelta(
        seconds=terms.policies.grace_s
    )
    return replace(header, finalise_at=max(header.finalise_at, waits_until))


@dataclass(frozen=True, slots=True)
class StoodOn:
    """A contract as it stands, or as it stood when only edits recorded by an instant were known.

    Attributes:
        contract: The contract.
        edits: The edits known then, in the order recorded.
        withdrawn: Ids of those of them that were taken back.
        parked: Why it is parked now.
    """

    contract: Contract
    edits: Sequence[EditRow]
    withdrawn: frozenset[str]
    parked: Parked | None


def contract_history(tx: Transaction, contract_id: str, *, as_of: datetime | None = None) -> StoodOn:
    """Everything that happened to a contract, and how it stood on a date.

    Raises:
        NotFoundError: If there is no such contract.
        InvalidInputError: For an instant before the contract was made.
    """
    contract = get_contract(tx, contract_id).contract
    history, rows = contract_edits.load_history(tx.connection, contract)
    known = [row for row in rows if as_of is None or row.edit.recorded <= as_of]
    standing = {edit.id for edit in history.standing_edits(as_of)}
    held = contract_edits.load_parked(tx.connection, tx.workspace.id, [contract_id])
    return StoodOn(
        history.contract(as_of) if rows else contract,
        known,
        frozenset(row.edit.id for row in known if row.edit.id not in standing),
        held.get(contract_id),
    )


def list_parked(tx: Transaction) -> list[Parked]:
    """The contracts of which nothing is invoiced until somebody has looked, the longest first."""
    return list(contract_edits.load_parked(tx.connection, tx.workspace.id).values())

"""Close due periods: a boundary gives a draft, and when its grace has ended the draft becomes an invoice for good."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from valorem.core.billing.invoice import Invoice
from valorem.core.billing.schedule import Cover, contract_boundary, cover, next_due_at
from valorem.core.billing.timing import renewals
from valorem.core.errors import OverloadedError
from valorem.core.ids import part_of
from valorem.core.time import write_instant
from valorem.engine.assembling import contradiction, invoice_at, needs_of_period, note_at, periods_of
from valorem.engine.backfill import pending
from valorem.engine.basis import Basis, bases_for, inputs_of
from valorem.engine.connectors.holding import waits
from valorem.engine.consolidating import combined, with_mates
from valorem.engine.credits.booking import with_booked_credits
from valorem.engine.drafting import header_of
from valorem.engine.engine import Engine, Transaction
from valorem.engine.measuring import read_at_once
from valorem.engine.meters import let_ingest_look_again, revision_ids
from valorem.engine.outcome_savings import estimate_due
from valorem.engine.progressive import bill_thresholds
from valorem.engine.retrying import alone, in_snapshot, in_transaction
from valorem.engine.sealing import SERIES, Final, manner_of, seal, unanswered
from valorem.engine.settings import get_billing_settings
from valorem.engine.sharing import in_turn
from valorem.engine.sources import sources_of
from valorem.engine.taxing import Question, ask
from valorem.engine.terms import terms_for
from valorem.store.postgres import contract_edits, contracts, ingest, invoices, outbox
from valorem.store.postgres.contracts import ContractRow
from valorem.store.postgres.invoices import InvoiceHeader
from valorem.store.postgres.locks import Lock, turn_for
from valorem.store.postgres.outbox import Message

#: Contracts or drafts worked on in one transaction: enough to share its cost, few enough to redo.
_BATCH = 50
#: The worker's job of that name is under the same lock as a command that closes.
CLOSING = "close"
#: A command waits that long for a closing run that is at work.
_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class CloseReport:
    """What a closing run did.

    Attributes:
        drafted: Boundaries that got a draft.
        finalised: Drafts that became invoices with a number.
        empty: Drafts that billed nothing and were dropped.
        waiting: Drafts that are due but whose meters are still being recounted.
        progressive: Invoices that passed spend thresholds made due.
        postponed: Drafts that wait for others of their day, with which they are sent as one.
        parked: Drafts that contradict themselves: nothing of their contract is invoiced until somebody has looked.
    """

    drafted: int = 0
    finalised: int = 0
    empty: int = 0
    waiting: int = 0
    progressive: int = 0
    postponed: int = 0
    parked: int = 0

    def __add__(self, other: "CloseReport") -> "CloseReport":
        return CloseReport(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    @property
    def progressed(self) -> bool:
        """Whether anything was written."""
        return bool(self.drafted or self.finalised or self.empty or self.parked)


def close_due(engine: Engine, workspace: int) -> CloseReport:
    """Draft every boundary that has been reached, finalise every draft whose grace has ended, bill passed thresholds.

    It may be run twice, in parallel, or be killed at any point: each boundary gives one invoice with one number. Of the
    worker, a command and a clock that is moved, one at a time closes a workspace; the others wait for it.

    Raises:
        OverloadedError: Where another one goes on closing for half a minute; nothing was done here.
    """
    with alone(engine, CLOSING, workspace, wait_s=_PATIENCE_S) as mine:
        if not mine:
            raise OverloadedError("the periods of this workspace are being closed already; ask again")
        return close_alone(engine, workspace)


def close_alone(engine: Engine, workspace: int) -> CloseReport:
    """The same for a caller that sees to it that nobody else closes the workspace meanwhile (:data:`CLOSING`)."""
    report = CloseReport()
    while True:
        step = in_snapshot(engine, workspace, _draft_some)
        report += step
        if not step.progressed:
            break
    at = in_transaction(engine, workspace, _close_usage)
    while True:
        questions: dict[bytes, Question] = {}
        report += _finalise(engine, workspace, at, questions)
        if not questions or not ask(engine, workspace, questions.values()):
            break
    report += CloseReport(waiting=len(questions))
    return report + CloseReport(progressive=bill_thresholds(engine, workspace))


def _finalise(engine: Engine, workspace: int, at: datetime, questions: dict[bytes, Question]) -> CloseReport:
    """Finalise every draft that can be; what a tax engine must be asked first is added to the questions."""
    report, waiting = CloseReport(), set[str]()
    turn = turn_for(Lock.NUMBERS, workspace, SERIES)
    while True:
        step = in_snapshot(
            engine, workspace, lambda tx: _finalise_some(tx, waiting, at, questions), turn=turn
        )
        report += step
        if not step.progressed and not step.waiting and not step.postponed:
            return report


def _draft_some(tx: Transaction) -> CloseReport:
    rows = contracts.due(tx.connection, tx.workspace.id, tx.now, limit=_BATCH)
    covered = [(row, cover(row.contract, row.next_index)) for row in rows]
    drafts = [
        header_of(tx, row.contract, at, "period")
        for row, at in covered
        if at.closed is not None or at.ahead is not None
    ]
    refusing = {
        row.contract.id
        for row, at in covered
        if at.closed is not None and terms_for(tx, row.contract).policies.late_events == "reject"
    }
    closing = {header.id for header in drafts if header.contract in refusing}
    invoices.insert_drafts(tx.connection, tx.workspace.id, drafts, tx.now, closing=closing)
    outbox.put(
        tx.connection, tx.workspace.id, [each for row, at in covered for each in _renewed(row, at)], tx.now
    )
    contracts.move_on(
        tx.connection,
        [
            replace(row, next_index=row.next_index + 1, next_at=next_due_at(row.contract, row.next_index))
            for row in rows
        ],
    )
    return CloseReport(drafted=len(drafts), empty=len(rows) - len(drafts))


def _renewed(row: ContractRow, at: Cover) -> Iterator[Message]:
    """That a term ended and another one began, for each between the border before and this one."""
    contract, index = row.contract, at.boundary_index
    if contract.term is None or index == 0:
        return
    for instant in renewals(contract, contract_boundary(contract, index - 1), at.at):
        yield Message(
            part=part_of(contract.workspace, contract.customer),
            id=uuid5(
                NAMESPACE_URL,
                f"valorem:{contract.workspace}:contract.renewed:{contract.id}:{write_instant(instant)}",
            ),
            topic="contract.renewed",
            object=contract.id,
            payload={
                "contract": contract.id,
                "customer": contract.customer,
                "plan": contract.standing_at(instant).plan,
                "renewed_at": write_instant(instant),
                "term": f"{contract.term.count} {contract.term.unit}",
            },
        )


@dataclass(frozen=True, slots=True)
class _Computed:
    """A draft with the invoice it becomes, and what that was computed from."""

    header: InvoiceHeader
    basis: Basis
    invoice: Invoice


def _close_usage(tx: Transaction) -> datetime:
    """Refuse, from the commit on, use of the periods that become final now where their contracts say so; returns now.

    Events under way that would count there are looked at again by that commit, so none slips in after its invoice.
    """
    if contracts.close_usage(tx.connection, tx.workspace.id, tx.now):
        let_ingest_look_again(tx)
    return tx.now


def _finalise_some(
    tx: Transaction, waiting: set[str], at: datetime, questions: dict[bytes, Question]
) -> CloseReport:
    connection, workspace = tx.connection, tx.workspace.id
    last = invoices.lock_series(connection, workspace, SERIES)
    found = invoices.due(connection, workspace, at, without=sorted(waiting), limit=_BATCH)
    # A later boundary of a contract reckons with the earlier one, so it waits for the next transaction.
    firsts = list({header.contract: header for header in reversed(found)}.values())[::-1]
    firsts = in_turn(tx, firsts, waiting, at)
    due = with_mates(tx, firsts)
    postponed = len({each.id for each in firsts} - {each.id for each in due})
    finals: list[_Computed] = []
    empty: list[InvoiceHeader] = []
    held = parked = 0
    bases = _bases(tx, due)
    read = read_at_once(
        tx,
        (
            (basis.sources, need)
            for basis in bases
            for period in periods_of(basis)
            for need in needs_of_period(basis, period)
        ),
    )
    for header, found_basis in zip(due, bases, strict=True):
        meters = [priced.meter for priced in found_basis.terms.priced]
        if pending(tx, list(revision_ids(tx, meters).values())):
            waiting.add(header.contract)
            held += 1
            continue
        if waits(tx, header, found_basis.outcomes):
            waiting.add(header.contract)
            held += 1
            continue
        basis = with_booked_credits(tx, found_basis)
        for each in finals:
            basis = basis.after(each.header.contract, each.header.id, each.invoice.lines)
        invoice = invoice_at(tx, basis, read=read)
        if (wrong := contradiction(tx, basis, invoice)) is not None:
            contract_edits.park(connection, workspace, wrong)
            parked += 1
            continue
        if invoice.lines:
            finals.append(_Computed(header, basis, invoice))
        else:
            empty.append(header)
        if (note := note_at(tx, basis)) is not None:
            beside = header_of(tx, basis.terms.contract, cover(basis.terms.contract, basis.index), "note")
            invoices.insert_drafts(connection, workspace, [beside], tx.now)
            finals.append(_Computed(beside, basis, note))
    for header in empty:
        invoices.drop_draft(connection, workspace, header)
    untaxed = _seal(tx, finals, last, questions)
    waiting |= untaxed
    postponed += len(untaxed)
    finals = [each for each in finals if each.header.contract not in untaxed]
    return CloseReport(
        finalised=len(finals), empty=len(empty), waiting=held, postponed=postponed, parked=parked
    )


def _bases(tx: Transaction, due: Sequence[InvoiceHeader]) -> list[Basis]:
    """What each of some drafts, of different contracts, is computed from; the contracts stay locked."""
    names = [header.contract for header in due]
    known = contracts.load_many(tx.connection, tx.workspace.id, names, lock=True)
    sources = sources_of(tx, [header.customer for header in due])
    for header in due:
        if header.kind == "period":
            estimate_due(tx, known[header.contract].contract, header.index)
    return bases_for(tx, [(header, known[header.contract], sources[header.customer]) for header in due])


def _seal(
    tx: Transaction, finals: Sequence[_Computed], last: int, questions: dict[bytes, Question]
) -> set[str]:
    """Give each a number, write what it says for good, and tell that it happened.

    Returns:
        Contracts whose invoices wait for an outside tax engine; what it has to be asked is added to the questions.
    """
    cutoff = ingest.committed(tx.connection, tx.workspace.id)
    found = [
        Final(
            each.header,
            each.invoice,
            inputs_of(each.basis, contracts.write_contract(each.basis.terms.contract), cutoff),
            manner_of(each.basis.terms, each.invoice),
        )
        for each in finals
    ]
    untaxed = _untaxed(tx, found, last, questions)
    for each in found:
        if each.header.kind == "note" and each.header.contract in untaxed:
            invoices.drop_draft(tx.connection, tx.workspace.id, each.header)
    seal(tx, combined(tx, [each for each in found if each.header.contract not in untaxed], last), last)
    return untaxed


def _untaxed(
    tx: Transaction, finals: Sequence[Final], last: int, questions: dict[bytes, Question]
) -> set[str]:
    """Contracts whose invoices wait for an outside tax engine: those sent as one wait together."""
    if get_billing_settings(tx).taxes != "outside":
        return set()
    found: set[str] = set()
    with tx.connection.transaction(force_rollback=True):
        together = combined(tx, finals, last)
        waits = unanswered(tx, together)
    for each in together:
        if each.header.id in waits:
            question = waits[each.header.id]
            questions[question.digest] = question
            parts = each.inputs.get("parts", ())
            found |= {part["contract"]["id"] for part in parts} or {each.header.contract}
    return found

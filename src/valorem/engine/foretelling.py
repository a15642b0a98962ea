"""Look ahead: the invoices a contract will give as it stands, and with an edit that is not made."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.schedule import contract_boundary, final_boundary, period_index_at
from valorem.core.contracts.contract import Contract
from valorem.core.numbers import ZERO
from valorem.engine.assembling import invoice_at, note_at
from valorem.engine.basis import Basis, basis_of, change_basis_of, is_change
from valorem.engine.contract_changes import Changed, ChangeRequest, change_contract
from valorem.engine.contracts import get_contract
from valorem.engine.engine import Transaction
from valorem.engine.sources import sources_for
from valorem.store.postgres import contract_edits, invoices
from valorem.store.postgres.contracts import ContractRow

#: A look ahead shows the invoices up to the one that an edit first counts on, and no more than this.
_MOST_BORDERS = 40


@dataclass(frozen=True, slots=True)
class ChangePreview:
    """The money without and with an edit, from what is counted now; nothing is written.

    Attributes:
        changed: The contract as it would stand.
        before: The invoices to come without it, up to the first on which it would count.
        after: The same with it, and the one it would give at once.
    """

    changed: Changed
    before: tuple[Invoice, ...]
    after: tuple[Invoice, ...]

    @property
    def difference(self) -> Decimal:
        """How much more is invoiced with the edit, over the invoices shown; negative where it is less."""
        return _total(self.after) - _total(self.before)


def preview_change(tx: Transaction, contract_id: str, request: ChangeRequest, author: str) -> ChangePreview:
    """What an edit would come to: it is made, looked at, and undone.

    Raises:
        Everything that :func:`change_contract` raises.
    """
    row = get_contract(tx, contract_id, lock=True)
    with tx.connection.transaction(force_rollback=True):
        changed = change_contract(tx, contract_id, request, author)
        after = foretold(tx, changed.row, changed.edit.effective)
    return ChangePreview(changed, foretold(tx, row, changed.edit.effective), after)


def foretold(tx: Transaction, row: ContractRow, reaching: datetime) -> tuple[Invoice, ...]:
    """The invoices to come of a contract, up to the next border and to the first one at or after an instant.

    Args:
        tx: The transaction.
        row: The contract, and where its billing stands.
        reaching: The instant.
    """
    connection, workspace, contract = tx.connection, tx.workspace.id, row.contract
    sources = sources_for(tx, contract)
    waiting = contract_edits.first_draft(connection, workspace, contract.id)
    first = row.next_index if waiting is None else waiting
    found: list[Invoice] = []
    lines: tuple[Line, ...] = ()
    drafts = invoices.load_page(connection, workspace, contract=contract.id, status="draft")
    through = min(_through(contract, tx.now, reaching), first + _MOST_BORDERS)
    changes = [(each.index, 1, each.issued_at) for each in drafts if is_change(each)]
    borders = [(index, 0, tx.now) for index in range(first, through + 1)]
    # A change waits for the invoice that bills its period ahead, and comes before the one that closes it.
    for index, of_change, at in sorted([*borders, *changes]):
        basis = change_basis_of(tx, row, at, sources) if of_change else basis_of(tx, contract, index, sources)
        lines = _add(tx, basis, lines, found)
    return tuple(found)


def _add(tx: Transaction, basis: Basis, lines: tuple[Line, ...], found: list[Invoice]) -> tuple[Line, ...]:
    basis = replace(basis, billed=(*basis.billed, *lines))
    for invoice in (invoice_at(tx, basis), note_at(tx, basis)):
        if invoice is not None and invoice.lines:
            found.append(invoice)
            lines += invoice.lines
    return lines


def _through(contract: Contract, now: datetime, reaching: datetime) -> int:
    last = final_boundary(contract)
    if contract.end is not None and max(now, reaching) >= contract.end:
        assert last is not None  # it has an end
        return last
    running = period_index_at(contract, now) + 1 if now >= contract.start else 0
    if reaching <= contract.start:
        return running
    index = period_index_at(contract, reaching)
    return max(running, index if contract_boundary(contract, index) == reaching else index + 1)


def _total(invoices_: Sequence[Invoice]) -> Decimal:
    return sum((each.total for each in invoices_), ZERO)

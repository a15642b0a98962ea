"""Commitments that accounts share: what other contracts' invoices drew from them, and whose turn it is to be closed."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from valorem.core.billing.canonical import lines_of
from valorem.core.billing.commitments import commitments_of, concerns, ordered
from valorem.core.billing.invoice import Line
from valorem.core.billing.terms import ALONE, Sharing
from valorem.core.contracts.agreed import Commitment
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.sharing import Shared, Stretch, lenders_of
from valorem.core.contracts.sources import Relation
from valorem.core.time import parse_instant, write_instant
from valorem.engine.engine import Transaction
from valorem.engine.sources import family_of
from valorem.store.postgres import contracts, invoices, merging
from valorem.store.postgres.invoices import InvoiceHeader

_MOST_CONTRACTS = 1000
#: After every border there will be.
_NO_BORDER = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Lent:
    """What a contract shares with others, and which documents say what those have drawn.

    Attributes:
        sharing: What its invoices are computed from.
        documents: Contract and id of every final invoice of others that was looked at and concerns it.
        drawing: The shared commitments that each other contract may draw from, or counts for; by contract.
    """

    sharing: Sharing = ALONE
    documents: tuple[tuple[str, str], ...] = ()
    drawing: Mapping[str, tuple[Shared, ...]] | None = None

    def with_lines(self, contract: str, invoice: str, lines: Iterable[Line]) -> "Lent":
        """The same, with the lines of another contract's invoice that becomes final just before."""
        found = _concerning(lines, contract, (self.drawing or {}).get(contract, ()))
        if not found:
            return self
        sharing = replace(self.sharing, beside=(*self.sharing.beside, *found))
        return replace(self, sharing=sharing, documents=(*self.documents, (contract, invoice)))


NOTHING_LENT = Lent()


def lent_to(tx: Transaction, contract: Contract) -> Lent:
    """What a contract's commitments have to do with other accounts, as it stands."""
    history = family_of(tx, contract.customer)
    if not history:
        return NOTHING_LENT
    lenders = {customer: lenders_of(customer, history) for customer in history}
    drawing: dict[str, list[Shared]] = defaultdict(
        list
    )  # by contract: what of ours, or with us, it may draw from
    above: list[Shared] = []
    for owner, stretches in lenders.get(contract.customer, {}).items():
        shared = [
            Shared(lender.id, each, stretches)
            for lender in _contracts(tx, owner, contract.currency)
            for each in _prepaid(lender)
        ]
        above += ordered(shared)
        for each in shared:
            drawing[each.owner].append(each)
        _add_below(tx, lenders, owner, contract, shared, drawing)
    own = [Shared(contract.id, each, ()) for each in commitments_of(contract)]
    _add_below(tx, lenders, contract.customer, contract, own, drawing)
    drawing.pop(contract.id, None)
    if not drawing:
        return NOTHING_LENT
    beside, documents = _drawn_by(tx, {key: tuple(each) for key, each in drawing.items()})
    return Lent(Sharing(tuple(above), beside), documents, {key: tuple(each) for key, each in drawing.items()})


def _add_below(
    tx: Transaction,
    lenders: Mapping[str, Mapping[str, tuple[Stretch, ...]]],
    owner: str,
    contract: Contract,
    shared: Sequence[Shared],
    drawing: dict[str, list[Shared]],
) -> None:
    """Note which contracts of accounts below an owner may draw from its commitments."""
    if not shared:
        return
    for customer in sorted(lenders):
        stretches = lenders[customer].get(owner)
        if stretches is not None:
            for below in _contracts(tx, customer, contract.currency):
                drawing[below.id] += [each._replace(stretches=stretches) for each in shared]


def _contracts(tx: Transaction, customer: str, currency: str) -> Sequence[Contract]:
    rows = contracts.load_page(
        tx.connection, tx.workspace.id, customer=customer, after=None, limit=_MOST_CONTRACTS
    )
    return [row.contract for row in rows if row.contract.currency == currency]


def _prepaid(contract: Contract) -> list[Commitment]:
    return [each for each in commitments_of(contract) if each.kind == "prepaid"]


def _drawn_by(
    tx: Transaction, drawing: Mapping[str, Sequence[Shared]]
) -> tuple[tuple[Line, ...], tuple[tuple[str, str], ...]]:
    """The lines of final invoices that concern some commitments, and which invoices these are."""
    asked = [
        (contract, _NO_BORDER, min(access.start for each in shared for access in each.commitment.access))
        for contract, shared in sorted(drawing.items())
    ]
    found: list[Line] = []
    documents: list[tuple[str, str]] = []
    for (contract, _, _), rows in zip(
        asked, invoices.load_earlier(tx.connection, tx.workspace.id, asked), strict=True
    ):
        for row in rows:
            lines = _concerning(lines_of(bytes(row["document"]), contract), contract, drawing[contract])
            if lines:
                found += lines
                documents.append((contract, row["id"]))
    return tuple(found), tuple(documents)


def _concerning(lines: Iterable[Line], contract: str, shared: Sequence[Shared]) -> list[Line]:
    return [replace(line, contract=contract) for line in lines if concerns(line, contract, shared)]


def in_turn(
    tx: Transaction, due: Sequence[InvoiceHeader], waiting: Iterable[str], at: datetime
) -> list[InvoiceHeader]:
    """The drafts that are due, of accounts that share commitments one alone: those below before those above.

    What one draws another one cannot, so that each is computed when the one before is final.

    Args:
        tx: The transaction.
        due: Drafts whose grace has ended.
        waiting: Contracts whose drafts must wait.
        at: Until when the grace has ended.
    """
    found: list[InvoiceHeader] = []
    seen: set[str] = set()
    for header in due:
        history = family_of(tx, header.customer) if header.customer not in seen else {}
        heights = _heights(history)
        if header.customer in seen or header.customer not in heights:
            if header.customer not in seen:
                found.append(header)
            continue
        seen.update(heights)
        together = invoices.due(
            tx.connection,
            tx.workspace.id,
            at,
            without=sorted(waiting),
            customers=sorted(heights),
            limit=_MOST_CONTRACTS,
        )
        found.append(
            min(
                together,
                key=lambda each: (
                    each.issued_at,
                    -heights[each.customer],
                    each.contract,
                    each.index,
                    each.id,
                ),
            )
        )
    return found


def _heights(history: Mapping[str, Sequence[Relation]]) -> dict[str, int]:
    """How many accounts lie above each that shares commitments with another one."""
    lenders = {customer: lenders_of(customer, history) for customer in history}
    heights = {customer: len(above) for customer, above in lenders.items() if above}
    for above in lenders.values():
        for owner in above:
            heights.setdefault(owner, 0)
    return heights


def write_lent(lent: Lent) -> dict[str, Any] | None:
    """What must be kept of it to compute an invoice again, as JSON values."""
    if not (lent.sharing.above or lent.sharing.beside):
        return None
    return {
        "above": list(map(_write, lent.sharing.above)),
        "drawing": {
            contract: list(map(_write, shared))
            for contract, shared in sorted((lent.drawing or {}).items())
            if any(contract == drawn for drawn, _ in lent.documents)
        },
        "documents": [list(each) for each in lent.documents],
    }


def read_lent(tx: Transaction, written: Mapping[str, Any] | None) -> Lent:
    """What :func:`write_lent` kept, with the lines read again from the invoices that never change."""
    if written is None:
        return NOTHING_LENT
    drawing = {contract: tuple(map(_read, shared)) for contract, shared in written["drawing"].items()}
    lent = Lent(Sharing(tuple(map(_read, written["above"]))), (), drawing)
    for contract, invoice in written["documents"]:
        # One that became final in the same transaction may have become part of another one since.
        whole = merging.whole_of(tx.connection, tx.workspace.id, invoice) or invoice
        document = invoices.load_document(tx.connection, tx.workspace.id, whole)
        assert document is not None  # final invoices are kept for good
        lent = lent.with_lines(contract, invoice, lines_of(document.document, contract))
    return lent


def _write(shared: Shared) -> dict[str, Any]:
    return {
        "owner": shared.owner,
        "commitment": shared.commitment.model_dump(mode="json", exclude_unset=True),
        "stretches": [[_told(start), _told(end)] for start, end in shared.stretches],
    }


def _read(written: Mapping[str, Any]) -> Shared:
    stretches = tuple(Stretch(_instant(start), _instant(end)) for start, end in written["stretches"])
    return Shared(written["owner"], Commitment.model_validate(written["commitment"]), stretches)


def _told(at: datetime | None) -> str | None:
    return None if at is None else write_instant(at)


def _instant(at: str | None) -> datetime | None:
    return None if at is None else parse_instant(at)

"""What the overview of a workspace shows, all of one instant."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.invoice import Line
from valorem.core.billing.projection import Preview
from valorem.core.errors import InvalidInputError
from valorem.core.workspace import Workspace
from valorem.engine.clock import get_clock
from valorem.engine.contracts import list_contracts
from valorem.engine.customers import list_customers
from valorem.engine.engine import Engine, Transaction
from valorem.engine.invoices import list_invoices, preview_invoice
from valorem.store.postgres.contracts import ContractRow
from valorem.store.postgres.invoices import InvoiceHeader

_MOST_CONTRACTS = 20
_MOST_INVOICES = 10
_MOST_CUSTOMERS = 200


@dataclass(frozen=True, slots=True)
class Running:
    """One contract's running period.

    Attributes:
        customer: The customer's key.
        plan: The plan's key.
        preview: So far and projected.
        usage: The lines that charge usage.
    """

    customer: str
    plan: str
    preview: Preview
    usage: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Overview:
    """A workspace at one instant.

    Attributes:
        workspace: Which.
        now: Its time.
        next_due_at: When something falls due next.
        customers: How many there are, as text: ``200+`` where not all were counted.
        contracts: Likewise.
        running: The first contracts with a running period.
        hidden: Whether there are more than shown.
        so_far: What the shown contracts come to so far, by currency.
        invoices: The newest first.
    """

    workspace: Workspace
    now: datetime
    next_due_at: datetime | None
    customers: str
    contracts: str
    running: tuple[Running, ...]
    hidden: bool
    so_far: tuple[tuple[str, Decimal], ...]
    invoices: tuple[InvoiceHeader, ...]


def overview_of(engine: Engine, workspace: Workspace) -> Overview:
    """Look at a workspace."""
    with engine.transaction(workspace.id, snapshot=True, read_only=True) as tx:
        clock = get_clock(tx)
        customers = list_customers(tx, limit=_MOST_CUSTOMERS + 1)
        contracts = list_contracts(tx, limit=_MOST_CUSTOMERS + 1)
        shown = [row for row in contracts if _runs(row, tx.now)]
        newest = list_invoices(tx, newest_first=True, limit=_MOST_INVOICES)
        running = tuple(found for row in shown[:_MOST_CONTRACTS] if (found := _running(tx, row)) is not None)
        sums: dict[str, Decimal] = {}
        for each in running:
            document = each.preview.so_far
            sums[document.currency] = sums.get(document.currency, Decimal(0)) + document.total
        return Overview(
            workspace=tx.workspace,
            now=clock.now,
            next_due_at=clock.next_due_at,
            customers=_counted(len(customers)),
            contracts=_counted(len(contracts)),
            running=running,
            hidden=len(shown) > _MOST_CONTRACTS or len(contracts) > _MOST_CUSTOMERS,
            so_far=tuple(sorted(sums.items())),
            invoices=tuple(sorted(newest, key=_by_issue, reverse=True)),
        )


def _runs(row: ContractRow, now: datetime) -> bool:
    contract = row.contract
    return contract.start <= now and (contract.end is None or now < contract.end)


def _running(tx: Transaction, row: ContractRow) -> Running | None:
    try:
        preview = preview_invoice(tx, row.contract.id)
    except InvalidInputError:
        return None  # its meters are not ready to be looked at; the contract's own page would say why
    usage = tuple(line for line in preview.so_far.lines if line.kind == "usage")
    return Running(row.contract.customer, row.contract.plan, preview, usage)


def _by_issue(header: InvoiceHeader) -> tuple[datetime, bool, str]:
    return header.issued_at, header.number is None, header.number or ""


def _counted(found: int) -> str:
    return f"{found}" if found <= _MOST_CUSTOMERS else f"{_MOST_CUSTOMERS}+"

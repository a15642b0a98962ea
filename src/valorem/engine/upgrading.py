"""Upgrade a customer in one call: its running contract takes another plan now, and keeps what was used."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.contracts.edits import Change, SetPlan, SetSeats
from valorem.core.errors import NotFoundError, UnprocessableError
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.contract_changes import Changed, ChangeRequest, change_contract
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.foretelling import ChangePreview, preview_change
from valorem.engine.spending import running


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What a customer takes.

    Attributes:
        customer: The customer's key.
        plan: The plan it goes to.
        seats: How many there are to be of what the plan charges or allows by seat.
        reason: For whoever reads the history.
        id: Names the edit; the same again is the same edit.
        at_once: Whether what it costs is invoiced at once, or with the next invoice.
    """

    customer: str
    plan: str
    seats: Mapping[str, Decimal]
    reason: str = "upgrade"
    id: str | None = None
    at_once: bool = False


def upgrade(tx: Transaction, wanted: Upgrade, author: str) -> Changed:
    """Let a customer go on with another plan from this quarter hour on.

    Raises:
        Everything that :func:`upgrade_request` and :func:`change_contract` raise.
    """
    return change_contract(tx, *upgrade_request(tx, wanted), author)


def preview_upgrade(tx: Transaction, wanted: Upgrade, author: str) -> ChangePreview:
    """The money without and with it; nothing is written.

    Raises:
        Everything that :func:`upgrade` raises.
    """
    return preview_change(tx, *upgrade_request(tx, wanted), author)


def upgrade_request(tx: Transaction, wanted: Upgrade) -> tuple[str, ChangeRequest]:
    """The contract that changes, and how.

    The plan is that of the catalog version the contract is pinned to, as its prompts offered it; a plan that is newer than
    that is taken from the newest version. The contract, its periods and its counters stay, so what was used stays used.

    Raises:
        NotFoundError: If there is no such customer, no contract of it runs, or there is no such plan.
        UnprocessableError: If it has the plan already.
    """
    get_customer(tx, wanted.customer)
    contract = running(tx, wanted.customer)
    if contract is None:
        raise NotFoundError(
            f"no contract of {wanted.customer} runs",
            field="customer",
            hint="make one: POST /v1/contracts, or valorem contract create",
        )
    standing = contract.standing_at(tx.now)
    if standing.plan == wanted.plan and wanted.id is None:
        raise UnprocessableError(f"{wanted.customer} is on {wanted.plan} already", field="plan")
    version = standing.catalog_version
    if wanted.plan not in catalog_at(tx, version).plans:
        version, newest = current_catalog(tx)
        newest.plan(wanted.plan)
    changes: tuple[Change, ...] = (
        SetPlan(plan=wanted.plan, catalog_version=version),
        *(SetSeats(key=key, quantity=quantity) for key, quantity in sorted(wanted.seats.items())),
    )
    request = ChangeRequest(changes, "now", wanted.reason, wanted.id, "at_once" if wanted.at_once else "next")
    return contract.id, request

"""What the server answers about changes of contracts, typed as :mod:`valorem.client.values` is."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.client.values import Contract, InvoiceDocument, Value


class Parked(Value, frozen=True):
    """Nothing of the contract is invoiced until somebody has looked; ``release`` says how it goes on."""

    contract: str
    reason: str
    since: datetime
    release: str


class ContractEdit(Value, frozen=True):
    """An edit as it was recorded; ``withdrawn``: it was taken back before it took effect."""

    id: str
    effective: datetime
    recorded: datetime
    author: str
    reason: str
    changes: list[dict[str, Any]]
    withdrawn: bool


class ContractChange(Value, frozen=True):
    """A contract with an edit; a preview also has the money without and with it.

    Attributes:
        contract: The contract with the edit.
        edit: The edit.
        parked: Why nothing of it is invoiced with the edit; None where it is.
        before: Of a preview: the invoices to come without the edit.
        after: Of a preview: the same with it.
        difference: Of a preview: how much more is invoiced with it.
    """

    contract: Contract
    edit: ContractEdit
    parked: Parked | None
    before: list[InvoiceDocument] | None = None
    after: list[InvoiceDocument] | None = None
    difference: Decimal | None = None


class ContractHistory(Value, frozen=True):
    """A contract as it stands or stood, what is agreed from which instant on, and every edit known then."""

    contract: Contract
    standings: list[dict[str, Any]]
    edits: list[ContractEdit]
    parked: Parked | None


class Relation(Value, frozen=True):
    """A customer's place among others from an instant on; ``since`` is None from always."""

    since: datetime | None
    parent: str | None
    payer: str
    tiers: str
    commitments: str


class Child(Value, frozen=True):
    """A customer directly under another."""

    customer: str
    payer: str
    tiers: str
    commitments: str


class CustomerAccount(Value, frozen=True):
    """A customer's place among others now, and its history; ``billed_to`` is who pays for its usage now."""

    customer: str
    parent: str | None
    payer: str
    tiers: str
    commitments: str
    billed_to: str
    children: list[Child]
    history: list[Relation]


class Moved(Value, frozen=True):
    """A contract that moves, and when."""

    contract: str
    at: datetime


class Stayed(Value, frozen=True):
    """A chosen contract that stays, and why."""

    contract: str
    customer: str
    why: str


class MigrationEffect(Value, frozen=True):
    """What a contract's last whole period costs as it was, and as it would have been."""

    contract: str
    customer: str
    before: Decimal
    after: Decimal
    difference: Decimal


class CatalogMigration(Value, frozen=True):
    """What a migration did or would do; ``effects`` has those first who pay most more."""

    version: int
    moved: list[Moved]
    stayed: list[Stayed]
    effects: list[MigrationEffect]
    difference: Decimal

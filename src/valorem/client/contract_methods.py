"""The calls about contracts that change: edits with their previews, history, parked contracts, catalog migrations."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.client import contract_values as v
from valorem.client.call import Call, Method, quoted
from valorem.client.values import Page


def change_contract(
    contract_id: str,
    changes: Sequence[Mapping[str, Any]],
    *,
    effective: datetime | str | None = None,
    reason: str = "",
    id: str | None = None,  # noqa: A002 - the field's name on the wire
    invoiced: str = "next",
    preview: bool = False,
) -> Call[v.ContractChange]:
    """Change a contract by one atomic edit; with ``preview`` only see the money before and after.

    Args:
        contract_id: The contract.
        changes: Objects with a ``kind``, such as ``{"kind": "seats", "key": "seat", "quantity": "8"}``.
        effective: ``now``, ``period_end``, ``renewal`` or an instant; by the contract's policies where left out.
        reason: For whoever reads the history.
        id: Names the edit; the same again is the same edit.
        invoiced: With the ``next`` invoice, or ``at_once`` with one of its own.
        preview: Write nothing.
    """
    body = {
        "changes": [dict(each) for each in changes],
        "effective": effective,
        "reason": reason,
        "id": id,
        "invoiced": invoiced,
        "preview": preview,
    }
    path = f"/v1/contracts/{quoted(contract_id)}/changes"
    return Call("POST", path, v.ContractChange, body=body, once=not preview)


def upgrade(
    customer: str,
    plan: str,
    *,
    seats: Mapping[str, Decimal | int | str] | None = None,
    reason: str = "upgrade",
    id: str | None = None,  # noqa: A002 - the field's name on the wire
    invoiced: str = "next",
    preview: bool = False,
) -> Call[v.ContractChange]:
    """Let a customer go on with another plan now; what was used stays used.

    Args:
        customer: Its key; its running contract changes.
        plan: The plan's key.
        seats: How many there are to be, where the plan charges by seat.
        reason: For whoever reads the history.
        id: Names the edit; the same again is the same edit.
        invoiced: With the ``next`` invoice, or ``at_once`` with one of its own.
        preview: Write nothing, and see the money before and after.
    """
    body = {
        "customer": customer,
        "plan": plan,
        "seats": dict(seats or {}),
        "reason": reason,
        "id": id,
        "invoiced": invoiced,
        "preview": preview,
    }
    return Call("POST", "/v1/contracts/upgrade", v.ContractChange, body=body, once=not preview)


def contract_history(contract_id: str, *, as_of: datetime | None = None) -> Call[v.ContractHistory]:
    """Everything that happened to a contract, and how it stood on a date."""
    path = f"/v1/contracts/{quoted(contract_id)}/history"
    return Call("GET", path, v.ContractHistory, query={"as_of": as_of})


def list_parked_contracts() -> Call[Page[v.Parked]]:
    """The contracts of which nothing is invoiced until somebody has looked."""
    return Call("GET", "/v1/contracts/parked", Page[v.Parked])


def get_account(customer: str) -> Call[v.CustomerAccount]:
    """Who stands above and under a customer, and who pays for its usage."""
    return Call("GET", f"/v1/customers/{quoted(customer)}/account", v.CustomerAccount)


def set_account(
    customer: str,
    *,
    parent: str | None = None,
    payer: str = "self",
    tiers: str = "pooled",
    commitments: str | None = None,
    since: datetime | None = None,
) -> Call[v.CustomerAccount]:
    """Put a customer under another, or on its own.

    Args:
        customer: The customer.
        parent: The customer above it; none at the top.
        payer: ``parent`` bills its usage to the parent.
        tiers: ``pooled`` with the payer's, or ``apart``.
        commitments: ``shared`` with the parent, or its ``own`` alone; left out, shared where the parent pays.
        since: From when; from always where left out.
    """
    body = {"parent": parent, "payer": payer, "tiers": tiers, "commitments": commitments, "since": since}
    return Call("POST", f"/v1/customers/{quoted(customer)}/account", v.CustomerAccount, body=body, once=True)


def migrate_contracts(
    id: str,  # noqa: A002 - the field's name on the wire
    *,
    version: int | None = None,
    when: datetime | str = "period_end",
    plan: str | None = None,
    customers: Sequence[str] = (),
    to_plan: str | None = None,
    reason: str = "",
    preview: bool = False,
) -> Call[v.CatalogMigration]:
    """Move chosen contracts to another catalog version; with ``preview`` only see who pays more and who less."""
    body = {
        "id": id,
        "version": version,
        "when": when,
        "plan": plan,
        "customers": list(customers),
        "to_plan": to_plan,
        "reason": reason,
        "preview": preview,
    }
    return Call("POST", "/v1/catalog/migrations", v.CatalogMigration, body=body, once=not preview)


def undo_migration(migration: str) -> Call[v.CatalogMigration]:
    """Take a migration back for every contract on which it has not taken effect."""
    path = f"/v1/catalog/migrations/{quoted(migration)}/undo"
    return Call("POST", path, v.CatalogMigration, once=True)


class ContractMethods:
    """These calls as methods."""

    change_contract = Method(change_contract)
    upgrade = Method(upgrade)
    contract_history = Method(contract_history)
    list_parked_contracts = Method(list_parked_contracts)
    get_account = Method(get_account)
    set_account = Method(set_account)
    migrate_contracts = Method(migrate_contracts)
    undo_migration = Method(undo_migration)

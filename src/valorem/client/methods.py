"""Every call of the API, described once. ``Client`` and ``AsyncClient`` both have each as a method of this name."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from valorem.client import values as v
from valorem.client.call import Call, Method, quoted, written
from valorem.client.contract_methods import ContractMethods
from valorem.client.credit_methods import CreditMethods
from valorem.client.credit_sale_methods import CreditSaleMethods
from valorem.client.limit_methods import LimitMethods
from valorem.client.outcome_methods import OutcomeMethods
from valorem.client.portal_methods import PortalMethods
from valorem.client.settlement_methods import SettlementMethods
from valorem.client.source_methods import SourceMethods

_lines = msgspec.json.Encoder()
NDJSON = "application/x-ndjson"
#: For calls that do all that is due.
LONG_S = 900.0


def health() -> Call[v.Health]:
    """Whether the server runs."""
    return Call("GET", "/v1/health", v.Health)


def ready() -> Call[v.Ready]:
    """Whether the server can do its work."""
    return Call("GET", "/v1/ready", v.Ready)


def send_events(events: Iterable[Mapping[str, Any]]) -> Call[v.EventResults]:
    """Send CloudEvents as one batch; every one gets its own result, and a repeat is a duplicate.

    Args:
        events: Objects with ``id``, ``source``, ``type``, ``subject`` and ``data``; ``specversion`` is added.
    """
    lines = [_lines.encode({"specversion": "1.0", **written(event)}) for event in events]
    return send_event_lines(b"\n".join(lines))


def send_event_lines(lines: bytes) -> Call[v.EventResults]:
    """Send CloudEvents that are NDJSON already, as one batch."""
    return Call("POST", "/v1/events", v.EventResults, content=lines, content_type=NDJSON)


def find_event(source: str, id: str) -> Call[v.FoundEvent]:  # noqa: A002 - CloudEvents calls it so
    """One recorded event by its source and id, as it was received and as it counts."""
    return Call("GET", "/v1/events/find", v.FoundEvent, query={"source": source, "id": id})


def list_events(
    customer: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    types: Sequence[str] = (),
    after: str | None = None,
    limit: int | None = None,
) -> Call[v.Page[v.RecordedEvent]]:
    """A customer's recorded events in order of time, voided ones too."""
    query = {
        "customer": customer,
        "start": start,
        "end": end,
        "type": list(types),
        "after": after,
        "limit": limit,
    }
    return Call("GET", "/v1/events", v.Page[v.RecordedEvent], query=query)


def create_workspace(
    name: str, *, kind: str = "sandbox", clock_at: datetime | None = None
) -> Call[v.IssuedWorkspace]:
    """Make a workspace, and the first admin key into it."""
    body = {"name": name, "kind": kind, "clock_at": clock_at}
    return Call("POST", "/v1/workspaces", v.IssuedWorkspace, body=body, once=True)


def list_workspaces() -> Call[v.Page[v.Workspace]]:
    """The workspaces."""
    return Call("GET", "/v1/workspaces", v.Page[v.Workspace])


def create_key(name: str, scopes: Sequence[str], *, expires_at: datetime | None = None) -> Call[v.IssuedKey]:
    """Make an API key; its text is in this answer and nowhere else."""
    body = {"name": name, "scopes": list(scopes), "expires_at": expires_at}
    return Call("POST", "/v1/keys", v.IssuedKey, body=body, once=True)


def list_keys() -> Call[v.Page[v.Key]]:
    """The workspace's keys, revoked ones too."""
    return Call("GET", "/v1/keys", v.Page[v.Key])


def revoke_key(key_id: str) -> Call[None]:
    """Make a key worthless."""
    return Call("DELETE", f"/v1/keys/{quoted(key_id)}", type(None))


def get_catalog() -> Call[v.CatalogVersion]:
    """The newest catalog version with its files."""
    return Call("GET", "/v1/catalog", v.CatalogVersion)


def plan_catalog(files: Mapping[str, str]) -> Call[v.CatalogPlan]:
    """What would applying these files (path → text) change? Writes nothing."""
    return Call("POST", "/v1/catalog/plan", v.CatalogPlan, body={"files": files})


def apply_catalog(
    files: Mapping[str, str], *, message: str, author: str, expect_version: int | None = None
) -> Call[v.CatalogVersion]:
    """Make these files the next version; refused if another was applied since ``expect_version``."""
    body = {"files": files, "message": message, "author": author, "expect_version": expect_version}
    return Call("POST", "/v1/catalog/apply", v.CatalogVersion, body=body, once=True)


def rollback_catalog(version: int, *, author: str, message: str | None = None) -> Call[v.CatalogVersion]:
    """Apply an earlier version's files again, as a new version."""
    body = {"version": version, "message": message, "author": author}
    return Call("POST", "/v1/catalog/rollback", v.CatalogVersion, body=body, once=True)


def list_catalog_versions(
    *, after: str | None = None, limit: int | None = None
) -> Call[v.Page[v.CatalogVersionHeader]]:
    """The applied versions, newest first."""
    query = {"after": after, "limit": limit}
    return Call("GET", "/v1/catalog/versions", v.Page[v.CatalogVersionHeader], query=query)


def get_catalog_version(version: int) -> Call[v.CatalogVersion]:
    """One applied version with its files."""
    return Call("GET", f"/v1/catalog/versions/{int(version)}", v.CatalogVersion)


def diff_catalog(before: int, after: int) -> Call[v.CatalogDiff]:
    """What changed in meaning between two versions."""
    return Call("GET", "/v1/catalog/diff", v.CatalogDiff, query={"before": before, "after": after})


def catalog_schema() -> Call[dict[str, Any]]:
    """The JSON Schema of the catalog's files, for editors."""
    return Call("GET", "/v1/catalog/schema", dict[str, Any])


def create_customer(
    key: str,
    name: str,
    currency: str,
    *,
    zone: str | None = None,
    aliases: Sequence[str] = (),
    metadata: Mapping[str, str] | None = None,
    billing: Mapping[str, Any] | None = None,
    consolidated: bool = False,
) -> Call[v.Customer]:
    """Make a customer; events already recorded under its key or an alias are its own."""
    body = {
        "key": key,
        "name": name,
        "currency": currency,
        "zone": zone,
        "aliases": list(aliases),
        "metadata": dict(metadata or {}),
        "billing": billing,
        "consolidated": consolidated,
    }
    return Call("POST", "/v1/customers", v.Customer, body=body, once=True)


def get_customer(key: str) -> Call[v.Customer]:
    """One customer."""
    return Call("GET", f"/v1/customers/{quoted(key)}", v.Customer)


def list_customers(*, after: str | None = None, limit: int | None = None) -> Call[v.Page[v.Customer]]:
    """Customers in order of key."""
    return Call("GET", "/v1/customers", v.Page[v.Customer], query={"after": after, "limit": limit})


def update_customer(
    key: str,
    *,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    billing: Mapping[str, Any] | None = None,
    consolidated: bool | None = None,
) -> Call[v.Customer]:
    """Change a customer's name, metadata or billing details (address, tax id, locale, e-mail); what is left out stays."""
    body = {"name": name, "metadata": metadata, "billing": billing, "consolidated": consolidated}
    return Call("PATCH", f"/v1/customers/{quoted(key)}", v.Customer, body=body, once=True)


def add_alias(key: str, subject: str) -> Call[v.Customer]:
    """Attach a subject: its events, past and future, are this customer's."""
    return Call(
        "POST", f"/v1/customers/{quoted(key)}/aliases", v.Customer, body={"subject": subject}, once=True
    )


def create_contract(
    customer: str,
    plan: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    term: str | None = None,
    renewal: str = "automatic",
    every: str | None = None,
    anchor: str | datetime | None = None,
    zone: str | None = None,
    seats: Mapping[str, Decimal | int | str] | None = None,
    catalog_version: int | None = None,
    policies: Mapping[str, str] | None = None,
    purchase_order: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> Call[v.Contract]:
    """Put a customer on a plan; what is left out comes from the plan, the customer and the clock."""
    body = {
        "customer": customer,
        "plan": plan,
        "start": start,
        "end": end,
        "term": term,
        "renewal": renewal,
        "every": every,
        "anchor": anchor,
        "zone": zone,
        "seats": dict(seats or {}),
        "catalog_version": catalog_version,
        "policies": policies,
        "purchase_order": purchase_order,
        "metadata": dict(metadata or {}),
    }
    return Call("POST", "/v1/contracts", v.Contract, body=body, once=True)


def get_contract(contract_id: str) -> Call[v.Contract]:
    """One contract."""
    return Call("GET", f"/v1/contracts/{quoted(contract_id)}", v.Contract)


def list_contracts(
    *, customer: str | None = None, after: str | None = None, limit: int | None = None
) -> Call[v.Page[v.Contract]]:
    """Contracts in order of id, of one customer where given."""
    query = {"customer": customer, "after": after, "limit": limit}
    return Call("GET", "/v1/contracts", v.Page[v.Contract], query=query)


def set_seats(
    contract_id: str, key: str, quantity: Decimal | int | str, *, since: datetime | None = None
) -> Call[v.Contract]:
    """Say how many seats there are from an instant on."""
    body = {"key": key, "quantity": quantity, "since": since}
    return Call("POST", f"/v1/contracts/{quoted(contract_id)}/seats", v.Contract, body=body, once=True)


def get_clock() -> Call[v.Clock]:
    """The workspace's time."""
    return Call("GET", "/v1/clock", v.Clock)


def advance_clock(
    *, to: datetime | None = None, periods: int | None = None, contract: str | None = None
) -> Call[v.AdvanceReport]:
    """Move a sandbox's clock to an instant, or over a number of period ends, doing what falls due on the way."""
    body = {"to": to, "periods": periods, "contract": contract}
    return Call("POST", "/v1/clock/advance", v.AdvanceReport, body=body, once=True, timeout_s=LONG_S)


def usage(
    customer: str,
    meter: str,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    by: str = "period",
    dimensions: Sequence[str] = (),
    where: Mapping[str, str] | None = None,
    contract: str | None = None,
) -> Call[v.Usage]:
    """What a customer used: by ``period``, ``hour``, ``day`` or ``month``, grouped by dimensions."""
    query = {
        "customer": customer,
        "meter": meter,
        "start": start,
        "end": end,
        "by": by,
        "contract": contract,
        "dimension": list(dimensions),
        "where": [f"{name}:{value}" for name, value in (where or {}).items()],
    }
    return Call("GET", "/v1/usage", v.Usage, query=query)


def preview_invoice(contract: str, *, at: datetime | None = None) -> Call[v.Preview]:
    """A contract's next invoice: so far, and projected to the period's end."""
    return Call("GET", "/v1/invoices/preview", v.Preview, query={"contract": contract, "at": at})


def list_invoices(
    *,
    customer: str | None = None,
    contract: str | None = None,
    status: str | None = None,
    newest_first: bool | None = None,
    after: str | None = None,
    limit: int | None = None,
) -> Call[v.Page[v.InvoiceHeader]]:
    """Invoices in the order they were issued, or the newest first."""
    query = {
        "customer": customer,
        "contract": contract,
        "status": status,
        "newest_first": newest_first,
        "after": after,
        "limit": limit,
    }
    return Call("GET", "/v1/invoices", v.Page[v.InvoiceHeader], query=query)


def get_invoice(invoice: str) -> Call[v.Invoice]:
    """One invoice with its lines, by id or number; a draft is computed this instant."""
    return Call("GET", f"/v1/invoices/{quoted(invoice)}", v.Invoice)


def explain_line(
    invoice: str, line: int, *, after: str | None = None, limit: int | None = None
) -> Call[v.Explanation]:
    """One line (counted from 1), from its amount through its steps to the very events."""
    query = {"line": line, "after": after, "limit": limit}
    return Call("GET", f"/v1/invoices/{quoted(invoice)}/explain", v.Explanation, query=query)


def verify_invoice(invoice: str) -> Call[v.Verification]:
    """Compute a finalised invoice again from the recorded events and compare the bytes."""
    return Call("GET", f"/v1/invoices/{quoted(invoice)}/verify", v.Verification)


def close_invoices() -> Call[v.CloseReport]:
    """Close what is due now; safe to repeat."""
    return Call("POST", "/v1/invoices/close", v.CloseReport, once=True, timeout_s=LONG_S)


class Methods(
    SettlementMethods,
    CreditMethods,
    CreditSaleMethods,
    LimitMethods,
    ContractMethods,
    OutcomeMethods,
    PortalMethods,
    SourceMethods,
):
    """The calls as methods."""

    health = Method(health)
    ready = Method(ready)
    send_events = Method(send_events)
    send_event_lines = Method(send_event_lines)
    find_event = Method(find_event)
    list_events = Method(list_events)
    create_workspace = Method(create_workspace)
    list_workspaces = Method(list_workspaces)
    create_key = Method(create_key)
    list_keys = Method(list_keys)
    revoke_key = Method(revoke_key)
    get_catalog = Method(get_catalog)
    plan_catalog = Method(plan_catalog)
    apply_catalog = Method(apply_catalog)
    rollback_catalog = Method(rollback_catalog)
    list_catalog_versions = Method(list_catalog_versions)
    get_catalog_version = Method(get_catalog_version)
    diff_catalog = Method(diff_catalog)
    catalog_schema = Method(catalog_schema)
    create_customer = Method(create_customer)
    get_customer = Method(get_customer)
    list_customers = Method(list_customers)
    update_customer = Method(update_customer)
    add_alias = Method(add_alias)
    create_contract = Method(create_contract)
    get_contract = Method(get_contract)
    list_contracts = Method(list_contracts)
    set_seats = Method(set_seats)
    get_clock = Method(get_clock)
    advance_clock = Method(advance_clock)
    usage = Method(usage)
    preview_invoice = Method(preview_invoice)
    list_invoices = Method(list_invoices)
    get_invoice = Method(get_invoice)
    explain_line = Method(explain_line)
    verify_invoice = Method(verify_invoice)
    close_invoices = Method(close_invoices)

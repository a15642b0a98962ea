"""The calls about other systems: sources, their secrets, and invoices that wait for them."""

from collections.abc import Mapping, Sequence
from typing import Any

from valorem.client import source_values as v
from valorem.client.call import Call, Method, quoted
from valorem.client.values import Page

#: Reading another system to its end may take that long.
_POLL_S = 1800.0


def list_sources() -> Call[Page[v.Source]]:
    """The sources of the catalog, with the freshness of each."""
    return Call("GET", "/v1/sources", Page[v.Source])


def get_source(source: str) -> Call[v.SourceDetail]:
    """One source, with its files."""
    return Call("GET", f"/v1/sources/{quoted(source)}", v.SourceDetail)


def dry_run_source(
    source: str,
    *,
    files: Mapping[str, str] | None = None,
    records: Sequence[Mapping[str, Any]] | None = None,
    limit: int | None = None,
) -> Call[v.DryRun]:
    """What the first records would become, by files that have not been applied where given. Writes nothing."""
    body = {"files": files, "records": records, "limit": limit}
    return Call("POST", f"/v1/sources/{quoted(source)}/dry_run", v.DryRun, body=body, timeout_s=_POLL_S)


def poll_source(source: str, *, everything: bool = False) -> Call[v.Poll]:
    """Read a source to its end, now."""
    path = f"/v1/sources/{quoted(source)}/poll"
    return Call("POST", path, v.Poll, body={"everything": everything}, once=True, timeout_s=_POLL_S)


def list_parked_records(
    source: str, *, after: str | None = None, limit: int | None = None
) -> Call[Page[v.ParkedRecord]]:
    """Records that could not be read, as they came."""
    query = {"after": after, "limit": limit}
    return Call("GET", f"/v1/sources/{quoted(source)}/parked", Page[v.ParkedRecord], query=query)


def retry_parked_records(source: str) -> Call[v.TakenRecords]:
    """Read parked records again, by the mapping as it is now."""
    path = f"/v1/sources/{quoted(source)}/retry"
    return Call("POST", path, v.TakenRecords, once=True, timeout_s=_POLL_S)


def list_source_secrets() -> Call[Page[v.SourceSecret]]:
    """The names of the secrets of other systems; never the secrets."""
    return Call("GET", "/v1/source_secrets", Page[v.SourceSecret])


def set_source_secret(name: str, secret: str) -> Call[v.SourceSecret]:
    """Keep a secret of another system, sealed; it is never shown again."""
    body = {"name": name, "secret": secret}
    return Call("POST", "/v1/source_secrets", v.SourceSecret, body=body, once=True)


def delete_source_secret(name: str) -> Call[None]:
    """Forget a secret."""
    return Call("DELETE", f"/v1/source_secrets/{quoted(name)}", type(None))


def list_waiting_invoices() -> Call[Page[v.InvoiceWait]]:
    """Invoices that wait for what a source has not told yet."""
    return Call("GET", "/v1/source_waits", Page[v.InvoiceWait])


def release_invoice(invoice: str, reason: str) -> Call[v.InvoiceWait]:
    """Let a waiting invoice go with what is known; it becomes final at the next closing."""
    path = f"/v1/source_waits/{quoted(invoice)}/release"
    return Call("POST", path, v.InvoiceWait, body={"reason": reason}, once=True)


class SourceMethods:
    """The calls as methods."""

    list_sources = Method(list_sources)
    get_source = Method(get_source)
    dry_run_source = Method(dry_run_source)
    poll_source = Method(poll_source)
    list_parked_records = Method(list_parked_records)
    retry_parked_records = Method(retry_parked_records)
    list_source_secrets = Method(list_source_secrets)
    set_source_secret = Method(set_source_secret)
    delete_source_secret = Method(delete_source_secret)
    list_waiting_invoices = Method(list_waiting_invoices)
    release_invoice = Method(release_invoice)

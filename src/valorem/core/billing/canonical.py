"""The one way an invoice is written: canonical JSON, the same bytes for the same inputs, and its SHA-256."""

import hashlib
import json
from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from valorem.core.billing.invoice import Invoice, Line, Selector, Unpriced
from valorem.core.numbers import plain
from valorem.core.periods import Interval
from valorem.core.pricing.lines import Step
from valorem.core.time import parse_instant, write_instant


def canonical_bytes(invoice: Invoice) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; decimals as plain text, instants with ``Z``."""
    document = write_invoice(invoice)
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def invoice_digest(document: bytes) -> bytes:
    """SHA-256 of an invoice's canonical bytes."""
    return hashlib.sha256(document).digest()


def write_invoice(invoice: Invoice) -> dict[str, Any]:
    """The invoice as JSON values."""
    return {
        "contract": invoice.contract,
        "customer": invoice.customer,
        "plan": invoice.plan,
        "catalog_version": invoice.catalog_version,
        "currency": invoice.currency,
        "kind": invoice.kind,
        "boundary_index": invoice.boundary_index,
        "issued_at": write_instant(invoice.issued_at),
        "closed": _write_interval(invoice.closed),
        "ahead": _write_interval(invoice.ahead),
        "lines": [write_line(line) for line in invoice.lines],
        "total": plain(invoice.total),
        "unpriced": [
            {
                "meter": each.meter,
                "dimensions": dict(each.dimensions),
                "quantity": plain(each.quantity),
                "events": each.events,
            }
            for each in invoice.unpriced
        ],
        "purchase_order": invoice.purchase_order,
    }


def read_invoice(document: bytes) -> Invoice:
    """The invoice that canonical bytes were written from."""
    return from_values(json.loads(document))


def lines_of(document: bytes, contract: str) -> tuple[Line, ...]:
    """One contract's lines of an invoice that may be of several."""
    return tuple(line for line in read_invoice(document).lines if line.contract in (None, contract))


def from_values(read: Mapping[str, Any]) -> Invoice:
    """The invoice that :func:`write_invoice` wrote."""
    return Invoice(
        contract=read["contract"],
        customer=read["customer"],
        plan=read["plan"],
        catalog_version=read["catalog_version"],
        currency=read["currency"],
        kind=read["kind"],
        boundary_index=read["boundary_index"],
        issued_at=parse_instant(read["issued_at"]),
        closed=_read_interval(read["closed"]),
        ahead=_read_interval(read["ahead"]),
        lines=tuple(read_line(line) for line in read["lines"]),
        total=Decimal(read["total"]),
        unpriced=tuple(
            Unpriced(
                each["meter"], MappingProxyType(each["dimensions"]), Decimal(each["quantity"]), each["events"]
            )
            for each in read["unpriced"]
        ),
        purchase_order=read["purchase_order"],
    )


def write_line(line: Line) -> dict[str, Any]:
    """A line as JSON values."""
    return {
        "kind": line.kind,
        "key": line.key,
        "charge": line.charge,
        "timing": line.timing,
        "description": line.description,
        "period_index": line.period_index,
        "period": _write_interval(line.period),
        "quantity": _write_number(line.quantity),
        "unit_amount": _write_number(line.unit_amount),
        "exact_amount": plain(line.exact_amount),
        "amount": plain(line.amount),
        "dimensions": dict(line.dimensions),
        "steps": [
            {"label": step.label, "text": step.text, "value": plain(step.value)} for step in line.steps
        ],
        "pipeline": list(line.pipeline),
        "selectors": [
            {
                "meter": selector.meter,
                "fingerprint": selector.fingerprint,
                "interval": _write_interval(selector.interval),
                "dimensions": dict(selector.dimensions),
            }
            for selector in line.selectors
        ],
        **({} if line.customer is None else {"customer": line.customer}),
        **({} if line.contract is None else {"contract": line.contract}),
        **({} if line.tax_code is None else {"tax_code": line.tax_code}),
    }


def read_line(read: Mapping[str, Any]) -> Line:
    """The line that :func:`write_line` wrote."""
    period = _read_interval(read["period"])
    assert period is not None  # every line covers some time
    return Line(
        kind=read["kind"],
        key=read["key"],
        charge=read["charge"],
        timing=read["timing"],
        description=read["description"],
        period_index=read["period_index"],
        period=period,
        quantity=_read_number(read["quantity"]),
        unit_amount=_read_number(read["unit_amount"]),
        exact_amount=Decimal(read["exact_amount"]),
        amount=Decimal(read["amount"]),
        dimensions=MappingProxyType(read["dimensions"]),
        steps=tuple(Step(step["label"], step["text"], Decimal(step["value"])) for step in read["steps"]),
        pipeline=tuple(read["pipeline"]),
        selectors=tuple(_read_selector(selector) for selector in read["selectors"]),
        customer=read.get("customer"),
        contract=read.get("contract"),
        tax_code=read.get("tax_code"),
    )


def _read_selector(read: Mapping[str, Any]) -> Selector:
    interval = _read_interval(read["interval"])
    assert interval is not None  # written by write_line
    return Selector(read["meter"], read["fingerprint"], interval, MappingProxyType(read["dimensions"]))


def _write_interval(interval: Interval | None) -> dict[str, str] | None:
    if interval is None:
        return None
    return {"start": write_instant(interval.start), "end": write_instant(interval.end)}


def _read_interval(read: Mapping[str, str] | None) -> Interval | None:
    return Interval(parse_instant(read["start"]), parse_instant(read["end"])) if read is not None else None


def _write_number(number: Decimal | None) -> str | None:
    return None if number is None else plain(number)


def _read_number(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)

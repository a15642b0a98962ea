"""One invoice for several contracts of a customer, put together from the invoices each of them gives."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.invoice import Invoice
from valorem.core.numbers import ZERO
from valorem.core.periods import Interval


@dataclass(frozen=True, slots=True)
class Consolidated:
    """Invoices that are sent as one. Each keeps its own lines, so nothing is computed again.

    Attributes:
        customer: The customer's key.
        currency: Of every amount in it.
        purchase_order: Shared by all of them.
        issued_at: The latest of their instants.
        parts: By contract and border.
        total: The sum of the parts.
    """

    customer: str
    currency: str
    purchase_order: str | None
    issued_at: datetime
    parts: tuple[Invoice, ...]
    total: Decimal


def whole(parts: Consolidated, index: int) -> Invoice:
    """The invoice that is sent: the lines of every part, each with its contract, under a number of its own.

    Args:
        parts: What belongs together.
        index: Tells it from the customer's other invoices of this kind.
    """
    stretches = [each for part in parts.parts for each in (part.closed, part.ahead) if each is not None]
    covered = Interval(min(each.start for each in stretches), max(each.end for each in stretches))
    lines = tuple(replace(line, contract=part.contract) for part in parts.parts for line in part.lines)
    return Invoice(
        contract="",
        customer=parts.customer,
        plan="",
        catalog_version=0,
        currency=parts.currency,
        kind="consolidated",
        boundary_index=index,
        issued_at=parts.issued_at,
        closed=covered,
        ahead=None,
        lines=lines,
        total=parts.total,
        unpriced=tuple(each for part in parts.parts for each in part.unpriced),
        purchase_order=parts.purchase_order,
    )


def consolidated(invoices: Iterable[Invoice]) -> tuple[Consolidated, ...]:
    """Put invoices of one day together: those of one customer, one currency and one purchase order.

    Previews are left out: nobody is sent one.
    """
    groups: defaultdict[tuple[str, str, str], list[Invoice]] = defaultdict(list)
    for invoice in invoices:
        if invoice.kind != "preview":
            groups[invoice.customer, invoice.currency, invoice.purchase_order or ""].append(invoice)
    found = []
    for (customer, currency, order), parts in sorted(groups.items()):
        parts.sort(key=lambda each: (each.contract, each.boundary_index, each.kind))
        total = sum((each.total for each in parts), ZERO)
        latest = max(each.issued_at for each in parts)
        found.append(Consolidated(customer, currency, order or None, latest, tuple(parts), total))
    return tuple(found)

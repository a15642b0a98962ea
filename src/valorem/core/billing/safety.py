"""Checks of a whole invoice before it is issued: no stretch charged twice, no explosion of lines."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.terms import Terms
from valorem.core.calendar import local_date
from valorem.core.contracts.parking import Parked


def guarded(terms: Terms, invoice: Invoice) -> Invoice | Parked:
    """The invoice, or why it must not be issued: one charge twice, overlapping usage, too many changes on one day."""
    reason = next(_wrong(terms, invoice), None)
    return invoice if reason is None else Parked(invoice.contract, reason, invoice.issued_at)


def _wrong(terms: Terms, invoice: Invoice) -> Iterator[str]:
    names = Counter((line.period_index, line.charge) for line in invoice.lines)
    for (index, charge), count in names.items():
        if count > 1 and not charge.startswith("usage:"):
            yield f"{charge} stands {count} times for period {index}"
    yield from _overlapping(invoice)
    zone, bound = terms.contract.time_zone, terms.policies.changes_a_day
    changed = Counter(
        (line.key, local_date(line.period.start, zone))
        for line in invoice.lines
        if line.kind == "fee" and "@" in line.charge
    )
    for (key, day), count in changed.items():
        if count > 2 * bound:  # a change is a line that ends the old terms and one that begins the new
            yield f"{count} lines of {key} begin on {day}, more than {bound} changes allow"


def _overlapping(invoice: Invoice) -> Iterator[str]:
    """Usage lines of the same part of a price and the same dimension values that cover the same time."""
    covered: defaultdict[tuple[object, ...], list[Line]] = defaultdict(list)
    for line in invoice.lines:
        if line.kind == "usage" and line.timing != "adjustment" and line.selectors:
            part = line.charge.partition("@")[0]
            covered[
                part, line.customer, line.selectors[0].fingerprint, tuple(sorted(line.dimensions.items()))
            ].append(line)
    for lines in covered.values():
        lines.sort(key=lambda line: line.period.start)
        for one, other in pairwise(lines):
            if other.period.start < one.period.end and one.charge != other.charge:
                yield f"{other.charge} covers time that {one.charge} covers"

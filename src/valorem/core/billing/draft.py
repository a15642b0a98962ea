"""The invoice at one border of a contract: what its periods cost, less what was billed for them before."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from types import MappingProxyType

from valorem.core.billing.charges import PeriodCharges, advance_lines, period_charges
from valorem.core.billing.commitments import OF_THE_INVOICE, commitment_lines
from valorem.core.billing.discounts import given_before
from valorem.core.billing.invoice import Invoice, InvoiceKind, Line
from valorem.core.billing.needs import PeriodUsage
from valorem.core.billing.schedule import Cover, contract_period, cover
from valorem.core.billing.terms import Terms
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.pricing.lines import Step

#: Kinds of charge that no usage changes.
_FIXED = frozenset({"fee", "charge"})
_INSTANT = timedelta(microseconds=1)

#: Answers to the usage needs, by number of period.
UsageByPeriod = Mapping[int, PeriodUsage]
#: Lines that are reckoned elsewhere, by number of period: discounts, minimum and maximum of the period see them.
Beside = Mapping[int, Sequence[Line]]
NOTHING_BESIDE: Beside = MappingProxyType({})


@exact
def draft_invoice(
    terms: Terms,
    boundary_index: int,
    usage: UsageByPeriod,
    billed: Sequence[Line],
    beside: Beside = NOTHING_BESIDE,
) -> Invoice:
    """The invoice at a border: a function of terms, usage and earlier invoices alone.

    For each period the invoice carries price(all usage now) − what was already billed: all of the period it closes, and
    adjustments of the earlier periods that usage is given for. Each line is rounded once, and the total is the sum of
    the rounded lines.

    Args:
        terms: The contract's terms.
        boundary_index: The border.
        usage: Of the period that is closed, and of every earlier one to look at again (``late_periods``).
        billed: The lines of all earlier invoices and notes for these periods, and for all periods of a commitment or of a
            discount whose rest waits. A period's advance fees stand on the invoice before the one that closes it.
        beside: What outcomes come to in these periods; the lines themselves are added to the invoice by the caller.

    Raises:
        InvalidInputError: Where the contract has no such border, or usage that is needed is missing.
    """
    at = cover(terms.contract, boundary_index)
    lines: list[Line] = []
    closed: PeriodCharges | None = None
    if at.closed is not None:
        given = given_before(billed, at.closed.index)
        closed = period_charges(
            terms,
            at.closed,
            usage.get(at.closed.index, {}),
            given=given,
            beside=beside.get(at.closed.index, ()),
        )
        lines.extend(unbilled(closed.lines, _of_period(billed, at.closed.index), closing=True))
    for index in _earlier(at, usage):
        lines.extend(
            line
            for line in _adjustments(terms, index, usage[index], billed, beside)
            if line.kind in _FIXED or terms.policies.late_events == "next_invoice"
        )
    if at.ahead is not None:
        given = given_before((*billed, *lines), at.ahead.index)
        lines.extend(advance_lines(terms, at.ahead, given))
    lines.extend(commitment_lines(terms, at, lines, billed))
    return invoice_of(terms, at, "period", lines, closed)


@exact
def draft_note(
    terms: Terms,
    boundary_index: int,
    usage: UsageByPeriod,
    billed: Sequence[Line],
    beside: Beside = NOTHING_BESIDE,
) -> Invoice | None:
    """The credit or debit note that carries late usage beside the invoice at a border, where the contract wants one.

    Returns:
        The note, or None where nothing came late or the contract bills late usage in another way.
    """
    if terms.policies.late_events != "note":
        return None
    at = cover(terms.contract, boundary_index)
    lines = [
        line
        for index in _earlier(at, usage)
        for line in _adjustments(terms, index, usage[index], billed, beside)
        if line.kind not in _FIXED
    ]
    return invoice_of(terms, at, "note", lines, None) if lines else None


def with_pending(
    terms: Terms,
    boundaries: Iterable[int],
    usage: UsageByPeriod,
    billed: Sequence[Line],
    beside: Beside = NOTHING_BESIDE,
) -> tuple[Line, ...]:
    """What will have been billed once the invoices at some borders are final: what was, and their lines as they stand.

    While an invoice waits for its grace to end, a look at a later one must not show again what the waiting one carries.

    Args:
        terms: The contract's terms.
        boundaries: Borders that are reached but whose invoices are not final, in order.
        usage: Of the periods these close, and of earlier ones to look at again.
        billed: The lines of the final invoices and notes.
        beside: What outcomes come to in these periods.
    """
    lines = tuple(billed)
    for index in boundaries:
        known = {period: answers for period, answers in usage.items() if period < index}
        note = draft_note(terms, index, known, lines, beside)
        drafted = draft_invoice(terms, index, known, lines, beside)
        lines += drafted.lines + (note.lines if note is not None else ())
    return lines


def unbilled(now: Sequence[Line], billed: Sequence[Line], *, closing: bool) -> Iterator[Line]:
    """What a period's charges come to, less what was billed for it, charge by charge.

    Args:
        now: The period's charges as they stand.
        billed: Every line billed for that period so far.
        closing: Whether the invoice closes the period, so that what was never billed is no adjustment.
    """
    standing, earlier = _by_charge(now), _by_charge(billed)
    for charge, lines in standing.items():
        before = earlier.get(charge)
        if before is None and closing:
            yield from lines
            continue
        difference = _sum(lines) - _sum(before or ())
        if difference:
            adjusted = _adjusted(lines, before or [], difference)
            yield _the_rest(adjusted) if closing and lines[0].kind == "usage" and difference > 0 else adjusted
    for charge, before in earlier.items():
        if charge not in standing and (amount := _sum(before)):
            yield _adjusted([], before, -amount)


def invoice_of(
    terms: Terms, at: Cover, kind: InvoiceKind, lines: Sequence[Line], charges: PeriodCharges | None
) -> Invoice:
    """Put lines together to an invoice; its total is the sum of the rounded lines."""
    contract = terms.contract
    shown = at.ahead if at.closed is None else at.closed
    standing = contract.standing_at(at.at if shown is None else shown.interval.end - _INSTANT)
    return Invoice(
        contract=contract.id,
        customer=contract.customer,
        plan=standing.plan,
        catalog_version=standing.catalog_version,
        currency=contract.currency,
        kind=kind,
        boundary_index=at.boundary_index,
        issued_at=at.at,
        closed=at.closed.interval if at.closed is not None else None,
        ahead=at.ahead.interval if at.ahead is not None else None,
        lines=tuple(lines),
        total=_sum(lines),
        unpriced=charges.unpriced if charges is not None else (),
        purchase_order=standing.purchase_order,
    )


def _earlier(at: Cover, usage: UsageByPeriod) -> list[int]:
    earlier = sorted(index for index in usage if index < at.boundary_index - 1)
    if any(index >= at.boundary_index for index in usage):
        raise InvalidInputError(
            f"usage of period {max(usage)} does not belong on the invoice at border {at.boundary_index}",
            field="usage",
        )
    return earlier


def _adjustments(
    terms: Terms, index: int, usage: PeriodUsage, billed: Sequence[Line], beside: Beside
) -> Iterator[Line]:
    period = contract_period(terms.contract, index)
    if period is None:
        return
    given = given_before(billed, index)
    charges = period_charges(terms, period, usage, given=given, beside=beside.get(index, ()))
    yield from unbilled(charges.lines, _of_period(billed, index), closing=False)


def _adjusted(lines: Sequence[Line], before: Sequence[Line], difference: Decimal) -> Line:
    """One line for how a charge changed since it was billed."""
    line = (lines or before)[0]
    now, already = _sum(lines), _sum(before)
    steps = [step for each in lines for step in each.steps]
    text = f"{plain(now)} for everything known now − {plain(already)} already billed"
    quantity = None if line.quantity is None else _quantity(lines) - _quantity(before)
    plain_name = line.description.removesuffix(_ADJUSTED).removesuffix(_SINCE)
    return replace(
        line,
        timing="adjustment",
        description=plain_name + _ADJUSTED,
        quantity=quantity,
        exact_amount=difference,
        amount=difference,
        steps=(*steps, Step("already billed", text, difference)),
        pipeline=(*line.pipeline, "already billed")
        if "already billed" not in line.pipeline
        else line.pipeline,
    )


_ADJUSTED = " (adjustment)"
_SINCE = " (since the last invoice)"


def _the_rest(line: Line) -> Line:
    """More of a charge whose period was billed in part while it ran: no adjustment, but what was used since."""
    plain_name = line.description.removesuffix(_ADJUSTED)
    return replace(line, timing="in_arrears", description=plain_name + _SINCE)


def _by_charge(lines: Iterable[Line]) -> dict[str, list[Line]]:
    grouped: defaultdict[str, list[Line]] = defaultdict(list)
    for line in lines:
        grouped[line.charge].append(line)
    return grouped


def _of_period(lines: Iterable[Line], index: int) -> list[Line]:
    return [line for line in lines if line.period_index == index and line.kind not in OF_THE_INVOICE]


def _sum(lines: Iterable[Line]) -> Decimal:
    return sum((line.amount for line in lines), ZERO)


def _quantity(lines: Iterable[Line]) -> Decimal:
    return sum((line.quantity for line in lines if line.quantity is not None), ZERO)

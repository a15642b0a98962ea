"""What a change comes to: the invoice it gives at once, which billed periods it reopens, and the money before and after."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.charges import advance_lines
from valorem.core.billing.discounts import given_before
from valorem.core.billing.draft import (
    NOTHING_BESIDE,
    Beside,
    UsageByPeriod,
    draft_invoice,
    invoice_of,
    unbilled,
)
from valorem.core.billing.fees import fee_lines
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.schedule import Cover, contract_period, final_boundary, period_index_at
from valorem.core.billing.terms import Terms
from valorem.core.numbers import ZERO, exact


@exact
def draft_change(terms: Terms, at: datetime, billed: Sequence[Line]) -> Invoice | None:
    """The invoice a change gives at once: fixed charges of the running period up to then, less what was billed.

    Usage waits for the period's end, discounts of it too. What is billed here is not billed again: the invoice that
    closes the period takes it off.

    Args:
        terms: The contract's terms after the change.
        at: The instant looked at; changes that take effect later are not in it.
        billed: The lines of all earlier invoices and notes for the running period.

    Returns:
        The invoice, with a negative total where money comes back; None where nothing changes.
    """
    index = period_index_at(terms.contract, at)
    period = contract_period(terms.contract, index)
    assert period is not None  # it holds an instant, so it is not empty
    before = [line for line in billed if line.period_index == index]
    advance = advance_lines(terms, period, given_before(billed, index))
    changed = [
        line
        for line in fee_lines(terms, period)
        if line.timing == "in_arrears"
        and line.period.start <= at
        and _was_in_advance(terms, line)
        and "@" in line.charge
    ]
    known = {line.charge for line in (*advance, *changed)}
    earlier = [line for line in before if line.charge in known or line.kind == "fee"]
    lines = list(unbilled((*advance, *changed), earlier, closing=True))
    if not lines:
        return None
    cover = Cover(index, at, None, period, final=False)
    return invoice_of(terms, cover, "change", lines, None)


def _was_in_advance(terms: Terms, line: Line) -> bool:
    fees = (stretch.plan.fees.get(line.key) for stretch in terms.within(line.period))
    return any(fee is not None and fee.billed == "in advance" for fee in fees)


@exact
def draft_end(terms: Terms, billed: Sequence[Line], at: datetime) -> Invoice | None:
    """What comes back of periods billed in advance that an earlier end of the contract has taken away altogether."""
    last = final_boundary(terms.contract)
    gone = [line for line in billed if last is not None and line.period_index >= last]
    lines = [
        line
        for index in sorted({line.period_index for line in gone})
        for line in unbilled([], [each for each in gone if each.period_index == index], closing=False)
    ]
    if not lines:
        return None
    assert last is not None  # else nothing would be gone
    closed = contract_period(terms.contract, last - 1)
    return invoice_of(terms, Cover(last, at, closed, None, final=True), "change", lines, None)


@exact
def draft_ended(
    terms: Terms,
    usage: UsageByPeriod,
    billed: Sequence[Line],
    at: datetime,
    beside: Beside = NOTHING_BESIDE,
) -> Invoice:
    """The invoice of a change that lets the contract end at a border that has its invoice already.

    No later border carries the difference, so the change does: what the periods before the end come to now less what
    was billed for them, and what comes back of the periods after it.

    Args:
        terms: The contract's terms with its earlier end.
        usage: Of the last period, and of the earlier ones to look at again.
        billed: The lines of all earlier invoices and notes for these periods and for those after the end.
        at: The instant of the change.
        beside: What outcomes come to in these periods.
    """
    last = final_boundary(terms.contract)
    assert last is not None  # it has an end
    final = draft_invoice(terms, last, usage, billed, beside)
    gone = draft_end(terms, billed, at)
    lines = (*final.lines, *(gone.lines if gone is not None else ()))
    total = sum((line.amount for line in lines), ZERO)
    return replace(final, kind="change", issued_at=at, lines=lines, total=total)


def reopened(before: Terms, after: Terms, effective: datetime, closed_through: int) -> range:
    """The periods billed already that a change dated back reaches into: the next invoice must look at them again.

    Args:
        before: The terms the periods were billed by.
        after: The terms with the change.
        effective: From when the change counts.
        closed_through: The last border that has its invoice; -1 where none has.
    """
    if closed_through < 1 or before == after:
        return range(0)
    first = max(effective, after.contract.start)
    if after.contract.end is not None and first >= after.contract.end:
        last = final_boundary(after.contract)
        assert last is not None  # it has an end
        return range(max(0, last - 1), min(closed_through, last))
    return range(period_index_at(after.contract, first), closed_through)


@dataclass(frozen=True, slots=True)
class EditPreview:
    """The money before and after an edit; nothing is written.

    Attributes:
        at_once: The invoice the change gives now; None where nothing is due at once.
        before: The next invoice without the edit.
        after: The next invoice with it, when what is due at once has been billed.
    """

    at_once: Invoice | None
    before: Invoice | None
    after: Invoice | None

    @property
    def difference(self) -> Decimal:
        """How much more is invoiced with the edit, up to and with the next invoice; negative where it is less."""
        with_edit = [each.total for each in (self.at_once, self.after) if each is not None]
        return sum(with_edit, ZERO) - (self.before.total if self.before is not None else ZERO)


def preview_edit(
    before: Terms,
    after: Terms,
    now: datetime,
    usage_before: UsageByPeriod,
    usage_after: UsageByPeriod,
    billed: Sequence[Line],
    *,
    at_once: bool = False,
) -> EditPreview:
    """The next invoice of a contract without and with an edit.

    Args:
        before: The terms as they stand.
        after: The terms with the edit.
        now: The instant looked at.
        usage_before: Answers to the needs of the running period, and of reopened ones, under the terms as they stand.
        usage_after: The same under the terms with the edit, which may read other meters.
        billed: The lines of all earlier invoices and notes for these periods.
        at_once: Whether the change is invoiced when it is made, rather than with the next invoice.
    """
    change = draft_change(after, now, billed) if at_once and _runs(after, now) else None
    lines = (*billed, *(change.lines if change is not None else ()))
    return EditPreview(
        change, _next(before, now, usage_before, billed), _next(after, now, usage_after, lines)
    )


def _runs(terms: Terms, at: datetime) -> bool:
    contract = terms.contract
    return contract.start <= at and (contract.end is None or at < contract.end)


def _next(terms: Terms, now: datetime, usage: UsageByPeriod, billed: Sequence[Line]) -> Invoice | None:
    contract = terms.contract
    if now < contract.start:
        return draft_invoice(terms, 0, {}, billed)
    if contract.end is not None and now >= contract.end:
        return None
    border = period_index_at(contract, now) + 1
    return draft_invoice(terms, border, usage, billed)

"""Progressive invoices: usage is billed when spend passes a threshold, and the slices add up to the price of the whole.

A slice is price(usage of the period so far) − what was billed for the period. The invoice that closes the period is computed
the same way, so whatever the slices took too early (a volume tier reached later) comes back on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.charges import period_charges
from valorem.core.billing.commitments import commitment_lines
from valorem.core.billing.draft import invoice_of, unbilled
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import PeriodUsage, UsageNeed
from valorem.core.billing.schedule import Cover
from valorem.core.billing.terms import Terms
from valorem.core.billing.thresholds import Thresholds, passed
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.periods import Period

_MOST_UNITS = 10**18


@exact
def slice_lines(
    terms: Terms, period: Period, usage: PeriodUsage, needs: Sequence[UsageNeed], billed: Sequence[Line]
) -> tuple[Line, ...]:
    """The usage lines of a progressive invoice: what the running period's usage comes to, less what was billed for it.

    Fees, minimums and maximums wait for the invoice that closes the period. More of a charge that was billed in part is no
    adjustment; only what goes back is.

    Args:
        terms: The contract's terms.
        period: The running period.
        usage: The answers to ``needs``.
        needs: ``usage_needs(terms, period, until=now)``.
        billed: Every line billed for the period so far.
    """
    charged = [line for line in period_charges(terms, period, usage, needs).lines if line.kind == "usage"]
    before = [line for line in billed if line.kind == "usage" and line.period_index == period.index]
    return tuple(unbilled(charged, before, closing=True))


@dataclass(frozen=True, slots=True)
class Slice:
    """A running period's usage that no invoice has billed, and what decides whether it is billed now.

    Attributes:
        invoice: The invoice that would bill it.
        billed: Usage billed for earlier periods, less what commitments covered.
        billed_in_period: The same for the running period.
    """

    invoice: Invoice
    billed: Decimal
    billed_in_period: Decimal

    @property
    def spent_in_period(self) -> Decimal:
        """What the period's usage comes to by now, less what commitments cover."""
        return self.billed_in_period + self.invoice.total

    def passes(self, thresholds: Thresholds) -> tuple[Decimal, ...]:
        """The thresholds that are passed with it; empty where nothing is due."""
        if self.invoice.total <= 0:
            return ()
        return passed(
            thresholds,
            billed=self.billed,
            billed_in_period=self.billed_in_period,
            spent_in_period=self.spent_in_period,
        )


@exact
def draft_slice(
    terms: Terms,
    period: Period,
    at: datetime,
    usage: PeriodUsage,
    needs: Sequence[UsageNeed],
    billed: Sequence[Line],
) -> Slice:
    """The progressive invoice of a running period: its usage so far, less what was billed and what is prepaid.

    Args:
        terms: The contract's terms.
        period: The running period.
        at: The instant it is issued at.
        usage: The answers to ``needs``.
        needs: ``usage_needs(terms, period, until=at)``.
        billed: The lines of all earlier invoices and notes for the period, and of all periods where a commitment or a
            threshold reckons with them.
    """
    cover = Cover(period.index, at, period, None, final=False)
    lines = slice_lines(terms, period, usage, needs, billed)
    # A postpaid commitment is made up for when the period closes, not on the way.
    drawn = [line for line in commitment_lines(terms, cover, lines, billed) if line.kind == "commitment"]
    invoice = invoice_of(terms, cover, "progressive", [*lines, *drawn], None)
    counted = [line for line in billed if line.kind in ("usage", "commitment")]
    return Slice(
        invoice,
        sum((line.amount for line in counted if line.period_index < period.index), ZERO),
        sum((line.amount for line in counted if line.period_index == period.index), ZERO),
    )


@exact
def slice_amounts(cumulative: Sequence[Decimal]) -> tuple[Decimal, ...]:
    """What each invoice bills where the price of everything so far was so much at each: differences that sum to the last."""
    return tuple(now - before for before, now in zip((ZERO, *cumulative), cumulative, strict=False))


@dataclass(frozen=True, slots=True)
class Offset:
    """What progressive invoices take off the invoice that closes the period.

    Attributes:
        credit: Taken off, at most the period's usage.
        surplus: What they billed above it; it goes to the customer by a credit note.
    """

    credit: Decimal
    surplus: Decimal


@exact
def offset_progressive(usage: Decimal, billed: Decimal) -> Offset:
    """Take what was billed progressively off a period's usage."""
    credit = min(max(ZERO, usage), billed)
    return Offset(credit, billed - credit)


@exact
def units_until(price: Callable[[Decimal], Decimal], amount: Decimal, before: Decimal = ZERO) -> int | None:
    """How many more whole units it takes until they cost an amount; ``None`` where no number does.

    Args:
        price: The price of so many units of a period; it never falls.
        amount: Above zero.
        before: Units used already.
    """
    billed = price(before)
    high = 1
    while price(before + high) - billed < amount:
        high *= 2
        if high > _MOST_UNITS:
            return None
    low = high // 2  # not enough, or none
    while high - low > ONE:
        middle = (low + high) // 2
        if price(before + middle) - billed < amount:
            low = middle
        else:
            high = middle
    return high

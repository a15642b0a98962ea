"""Money credits on an invoice: which credits pay which lines, and what is left to pay."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import ROUND_DOWN, Decimal
from typing import Literal

from valorem.core.ledger.grants import Grant
from valorem.core.ledger.order import in_order
from valorem.core.ledger.policies import ORDERS, Criterion
from valorem.core.ledger.scope import UNSPECIFIED, Workload
from valorem.core.money import allocate, minor_digits, round_money
from valorem.core.numbers import ONE, ZERO, exact, plain

SettlementMode = Literal["credit_only", "credit_then_invoice"]


@dataclass(frozen=True, slots=True)
class Charge:
    """A line of an invoice that credits may pay.

    Attributes:
        key: Names the line.
        amount: What it comes to, before tax.
        tax: The tax on it, exact; the credits that pay a line pay its tax.
        work: What it is for; ``product`` holds the kind of the line, ``meter`` what was counted.
    """

    key: str
    amount: Decimal
    tax: Decimal = ZERO
    work: Workload = UNSPECIFIED


@dataclass(frozen=True, slots=True)
class Applied:
    """What credits pay.

    Attributes:
        by_grant: Grant id to money, rounded; grants that pay nothing are left out.
        by_charge: Charge key to money, exact.
        due: What is left of the total.
        by_work: Money by what it pays for, exact, in the order in which every grant looks at it.
    """

    by_grant: dict[str, Decimal]
    by_charge: dict[str, Decimal]
    due: Decimal
    by_work: tuple[tuple[Workload, Decimal], ...] = ()


@exact
def apply_credits(
    grants: Sequence[Grant],
    charges: Sequence[Charge],
    currency: str,
    *,
    total: Decimal | None = None,
    order: Sequence[Criterion] = ORDERS["priority first"],
) -> Applied:
    """Pay an invoice with money credits.

    Charges of the same work are one bucket. Each grant, in burn order, pays the buckets it may pay, the largest first;
    so the order of the lines cannot matter. The difference between the rounded invoice and its exact lines, up to a minor
    unit for each bucket, belongs to the largest bucket. Each grant's part is rounded, and never are more than the total paid.

    Args:
        grants: Their amounts are what is left of them; those in other currencies pay nothing.
        charges: The lines.
        currency: Of the invoice.
        total: What the invoice comes to, tax included; the rounded sum of the lines where left out.
        order: By what grants are compared.
    """
    open_buckets = _buckets(charges)
    exact_sum = sum((amount for _, amount in open_buckets), ZERO)
    due = round_money(exact_sum, currency) if total is None else total
    unit = ONE.scaleb(-minor_digits(currency))
    if open_buckets and abs(due - exact_sum) <= unit * len(charges):
        work, amount = open_buckets[0]
        open_buckets[0] = work, amount + due - exact_sum
    owed = list(open_buckets)
    by_grant: dict[str, Decimal] = {}
    for grant in in_order(grants, order):
        if grant.currency not in (None, currency):
            continue
        paid = ZERO
        for place, (work, amount) in enumerate(open_buckets):
            take = min(grant.amount - paid, max(amount, ZERO)) if grant.pays_for(work) else ZERO
            open_buckets[place] = work, amount - take
            paid += take
        rounded = min(round_money(paid, currency), due, grant.amount)
        if rounded > 0:
            by_grant[grant.id] = rounded
            due -= rounded
    by_work = ((work, before - left) for (work, before), (_, left) in zip(owed, open_buckets, strict=True))
    return Applied(
        by_grant,
        _by_charge(charges, open_buckets),
        due,
        tuple((work, paid) for work, paid in by_work if paid),
    )


def _buckets(charges: Sequence[Charge]) -> list[tuple[Workload, Decimal]]:
    sums: dict[str, tuple[Workload, Decimal]] = {}
    for charge in charges:
        name = _bucket(charge)
        _, before = sums.get(name, (charge.work, ZERO))
        sums[name] = charge.work, before + charge.amount + charge.tax
    return [bucket for _, bucket in sorted(sums.items(), key=lambda item: (-item[1][1], item[0]))]


def _bucket(charge: Charge) -> str:
    work = charge.work
    return repr((work.product, work.meter, sorted(work.dimensions.items(), key=repr), work.member))


def _by_charge(charges: Sequence[Charge], left: Sequence[tuple[Workload, Decimal]]) -> dict[str, Decimal]:
    """What each line got of what its bucket got: the earlier lines first."""
    unpaid = {_bucket(Charge("", ZERO, work=work)): amount for work, amount in left}
    paid: dict[str, Decimal] = {}
    for charge in reversed(charges):
        owed = charge.amount + charge.tax
        open_part = min(max(unpaid[_bucket(charge)], ZERO), owed)
        unpaid[_bucket(charge)] -= open_part
        if owed != open_part:
            paid[charge.key] = owed - open_part
    return dict(reversed(paid.items()))


@dataclass(frozen=True, slots=True)
class InvoicePayment:
    """What money credits pay of an invoice, in whole minor units.

    Attributes:
        lines: What they pay of each line, in order.
        draws: The credits used by what they pay for, in the order in which they are used.
    """

    lines: tuple[Decimal, ...]
    draws: tuple[tuple[Workload, Decimal], ...]

    @property
    @exact
    def amount(self) -> Decimal:
        """All of it."""
        return sum(self.lines, ZERO)


@exact
def pay_invoice(
    grants: Sequence[Grant],
    charges: Sequence[Charge],
    currency: str,
    order: Sequence[Criterion] = ORDERS["priority first"],
) -> InvoicePayment:
    """Pay what can be paid of an invoice, never more than it comes to.

    Args:
        grants: Their amounts are what is left of them.
        charges: One for each line, in order; together they may come to less than the lines above zero.
        currency: Of the invoice.
        order: By what grants are compared.
    """
    total = round_money(sum((each.amount + each.tax for each in charges), ZERO), currency)
    nothing = InvoicePayment((ZERO,) * len(charges), ())
    if total <= 0:
        return nothing
    applied = apply_credits(grants, charges, currency, total=total, order=order)
    paid = sum(applied.by_grant.values(), ZERO).quantize(
        ONE.scaleb(-minor_digits(currency)), rounding=ROUND_DOWN
    )
    if not paid:
        return nothing
    draws, rest = [], paid
    for work, amount in applied.by_work:
        part = min(amount, rest)
        rest -= part
        if part:
            draws.append((work, part))
    weights = [applied.by_charge.get(charge.key, ZERO) for charge in charges]
    return InvoicePayment(tuple(allocate(paid, weights, currency)), tuple(draws))


@dataclass(frozen=True, slots=True)
class Settlement:
    """How one charge is settled.

    Attributes:
        consumed: Paid by credits.
        invoice: Left for the invoice.
        advance: Used ahead of credits that are still to be bought.
    """

    consumed: Decimal
    invoice: Decimal
    advance: Decimal


@exact
def settle_charge(charge: Decimal, balance: Decimal, mode: SettlementMode) -> Settlement:
    """Settle a charge from a balance: credits first and the rest by invoice, or by credits alone, even below zero."""
    consumed = max(min(charge, balance), ZERO)
    rest = charge - consumed
    if mode == "credit_only":
        return Settlement(consumed, ZERO, rest)
    return Settlement(consumed, rest, ZERO)


@exact
def live_balance(settled: Decimal, charges: Sequence[tuple[Decimal, SettlementMode]]) -> Decimal:
    """The balance once pending charges are settled, in the order given; what only credits may pay can take it below zero."""
    live = settled
    for amount, mode in charges:
        settlement = settle_charge(amount, live, mode)
        live -= settlement.consumed + settlement.advance
    return live


@dataclass(frozen=True, slots=True)
class SplitLine:
    """A usage line of which credits pay a part.

    Attributes:
        covered: Money of the part that credits pay.
        covered_quantity: Its quantity.
        uncovered: Money of the other part.
        uncovered_quantity: Its quantity.
        text: The arithmetic.
    """

    covered: Decimal
    covered_quantity: Decimal
    uncovered: Decimal
    uncovered_quantity: Decimal
    text: str

    @property
    def applied(self) -> Decimal:
        """The line that takes the covered part off again."""
        return -self.covered


@exact
def split_line(amount: Decimal, credit: Decimal, unit: Decimal = ONE) -> SplitLine:
    """Split a usage line at what credits pay of it.

    Args:
        amount: Money of the line.
        credit: Credits drawn for it.
        unit: The price of one unit.
    """
    covered = min(amount, credit)
    rest = amount - covered
    quantity = covered / unit if unit else ZERO
    left = rest / unit if unit else ZERO
    return SplitLine(
        covered, quantity, rest, left, f"{plain(amount)} = {plain(covered)} by credits + {plain(rest)}"
    )


@dataclass(frozen=True, slots=True)
class PayableLine:
    """What decides when a line is paid.

    Attributes:
        name: Names it.
        kind: Usage is paid first, then what recurs, then what is made of other lines.
        unit: The price of one unit.
        start: The beginning of what it is for.
    """

    name: str
    kind: Literal["usage", "subscription", "composite"] = "usage"
    unit: Decimal = ZERO
    start: datetime | None = None


def line_order(lines: Sequence[PayableLine]) -> list[PayableLine]:
    """The order in which credits pay lines: usage first, the earlier, the dearer unit, then by name."""
    kinds = ("usage", "subscription", "composite")
    first = datetime.min.replace(tzinfo=UTC)
    return sorted(
        lines, key=lambda line: (kinds.index(line.kind), line.start or first, -line.unit, line.name)
    )

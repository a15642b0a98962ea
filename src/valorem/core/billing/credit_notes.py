"""Credit notes: whole, partial or by line, never above the invoice, taxes and discounts in exact proportion.

What a line's notes have taken so far is rounded as a running total, so that notes over the whole of a line take exactly its
discount and its taxes, however many there are.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import TaxedLine, share_out
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.money import round_money
from valorem.core.numbers import ZERO, exact, plain

#: So many lines are named one by one.
_FEW = 12


@dataclass(frozen=True, slots=True)
class CreditableLine:
    """A line of a finalised invoice.

    Attributes:
        key: Names the line on the invoice.
        amount: Before its share of discounts and prepaid credit.
        discount: That share.
        taxes: By rate, on ``amount − discount``.
    """

    key: str
    amount: Decimal
    discount: Decimal
    taxes: Mapping[TaxRate, Decimal]

    @property
    def net(self) -> Decimal:
        """Without tax."""
        return self.amount - self.discount

    @property
    def total(self) -> Decimal:
        """With tax."""
        return self.net + sum(self.taxes.values(), ZERO)


@dataclass(frozen=True, slots=True)
class CreditedLine:
    """What a note takes back of a line; the same sums as the line's own, never more than is left of them."""

    key: str
    amount: Decimal
    discount: Decimal
    taxes: Mapping[TaxRate, Decimal]

    @property
    def net(self) -> Decimal:
        """Without tax."""
        return self.amount - self.discount

    @property
    def tax(self) -> Decimal:
        """All its taxes."""
        return sum(self.taxes.values(), ZERO)

    @property
    def total(self) -> Decimal:
        """With tax."""
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class Creditable:
    """A finalised invoice as credit notes see it.

    Attributes:
        number: The invoice's number.
        currency: ISO 4217 code.
        lines: All its lines.
        paid: What was paid with money and has not been refunded.
        due: What is still owed.
    """

    number: str
    currency: str
    lines: tuple[CreditableLine, ...]
    paid: Decimal
    due: Decimal

    @property
    def total(self) -> Decimal:
        """With tax."""
        return sum((line.total for line in self.lines), ZERO)


@dataclass(frozen=True, slots=True)
class CreditNote:
    """A credit note.

    Attributes:
        invoice: The number of the invoice it takes back.
        currency: ISO 4217 code.
        lines: What it takes back.
        reason: Printed.
        offset: Lessens what is still owed on the invoice.
        refund: Goes back the way it was paid.
        to_balance: Goes to the customer's balance.
    """

    invoice: str
    currency: str
    lines: tuple[CreditedLine, ...]
    reason: str
    offset: Decimal
    refund: Decimal
    to_balance: Decimal

    @property
    def net(self) -> Decimal:
        """Without tax."""
        return sum((line.net for line in self.lines), ZERO)

    @property
    def discount(self) -> Decimal:
        """How much of the invoice's discounts is taken back with it."""
        return sum((line.discount for line in self.lines), ZERO)

    @property
    def tax(self) -> Decimal:
        """All taxes."""
        return sum((line.tax for line in self.lines), ZERO)

    @property
    def total(self) -> Decimal:
        """With tax."""
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class Room:
    """What may still be credited on an invoice.

    Attributes:
        lines: By line: its amount that is left, before discount and tax.
        creditable: With tax.
        refundable: Of that, what may go back as money.
    """

    lines: Mapping[str, Decimal]
    creditable: Decimal
    refundable: Decimal


def creditable_lines(
    lines: Iterable[TaxedLine], discounts: Mapping[str, Decimal]
) -> tuple[CreditableLine, ...]:
    """An invoice's taxed lines as credit notes see them; ``discounts`` by line was taken off before tax."""
    return tuple(
        CreditableLine(
            line.key,
            line.net + discounts.get(line.key, ZERO),
            discounts.get(line.key, ZERO),
            line.taxes,
        )
        for line in lines
    )


@exact
def room(invoice: Creditable, notes: Sequence[CreditNote] = ()) -> Room:
    """What may still be credited after the notes there are."""
    taken = sum((note.total for note in notes), ZERO)
    creditable = max(ZERO, invoice.total - taken)
    left = {
        line.key: line.amount - sum((each.amount for each in _of_line(notes, line.key)), ZERO)
        for line in invoice.lines
    }
    return Room(left, creditable, min(creditable, invoice.paid))


@exact
def draft_credit_note(
    invoice: Creditable,
    amounts: Mapping[str, Decimal] | None = None,
    notes: Sequence[CreditNote] = (),
    *,
    reason: str,
    refund: Decimal | None = None,
) -> CreditNote:
    """A credit note on an invoice.

    Args:
        invoice: As it stands.
        amounts: What to take back by line, before discounts and tax, in minor units; ``None`` takes back all that is left.
        notes: The notes there are on it.
        reason: Printed.
        refund: How much goes back as money; ``None`` first lessens what is owed, then gives to the customer's balance.

    Raises:
        InvalidInputError: For an unknown line, or an amount that is not in minor units.
        UnprocessableError: For more than is left of a line or of the invoice, or a refund above what was paid.
    """
    left = room(invoice, notes)
    lines = {line.key: line for line in invoice.lines}
    if amounts is None:
        amounts = {key: amount for key, amount in left.lines.items() if amount}
    _check_amounts(invoice, lines, left, amounts)
    credited = _credited(invoice, lines, amounts, notes)
    total = sum((line.total for line in credited), ZERO)
    if total <= 0:
        raise UnprocessableError(
            f"a note over {plain(total)} {invoice.currency}", field="amounts", hint="credit more than nothing"
        )
    if total > left.creditable:
        raise UnprocessableError(
            f"{plain(total)} is more than the {plain(left.creditable)} left of invoice {invoice.number}",
            field="amounts",
        )
    offset = min(total, invoice.due) if refund is None else max(ZERO, min(total - refund, invoice.due))
    back = refund or ZERO
    if not ZERO <= back <= min(total, left.refundable):
        raise UnprocessableError(
            f"a refund of {plain(back)}, where {plain(min(total, left.refundable))} may go back",
            field="refund",
            hint="what was not paid cannot be refunded; leave the rest to the customer's balance",
        )
    return CreditNote(invoice.number, invoice.currency, credited, reason, offset, back, total - offset - back)


def _check_amounts(
    invoice: Creditable, lines: Mapping[str, CreditableLine], left: Room, amounts: Mapping[str, Decimal]
) -> None:
    for key, amount in amounts.items():
        field = f"amounts.{key}"
        if key not in lines:
            raise InvalidInputError(
                f"invoice {invoice.number} has no line {key!r}",
                field=field,
                hint=f"its lines are {', '.join(lines)}"
                if len(lines) <= _FEW
                else f"it has {len(lines)} lines",
            )
        if amount != round_money(amount, invoice.currency):
            raise InvalidInputError(f"{plain(amount)} {invoice.currency} cannot be paid", field=field)
        rest = left.lines[key]
        if abs(amount) > abs(rest) or amount * rest < 0:
            raise UnprocessableError(
                f"{plain(amount)}, where {plain(rest)} is left of the line",
                field=field,
                hint="credit at most what is left",
            )


def _credited(
    invoice: Creditable,
    lines: Mapping[str, CreditableLine],
    amounts: Mapping[str, Decimal],
    notes: Sequence[CreditNote],
) -> tuple[CreditedLine, ...]:
    chosen = [lines[key] for key in lines if amounts.get(key)]
    shares = []
    for line in chosen:
        before = sum((each.amount for each in _of_line(notes, line.key)), ZERO)
        shares.append((before + amounts[line.key]) / line.amount)
    discounts = [
        _left_of(line.discount * share, (each.discount for each in _of_line(notes, line.key)))
        for line, share in zip(chosen, shares, strict=True)
    ]
    taxes: list[dict[TaxRate, Decimal]] = [{} for _ in chosen]
    for rate in dict.fromkeys(rate for line in chosen for rate in line.taxes):
        members = [index for index, line in enumerate(chosen) if rate in line.taxes]
        due = [
            _left_of(
                chosen[index].taxes[rate] * shares[index],
                (each.taxes.get(rate, ZERO) for each in _of_line(notes, chosen[index].key)),
            )
            for index in members
        ]
        for index, tax in zip(members, share_out(due, invoice.currency), strict=True):
            taxes[index][rate] = tax
    return tuple(
        CreditedLine(line.key, amounts[line.key], discount, tax)
        for line, discount, tax in zip(chosen, share_out(discounts, invoice.currency), taxes, strict=True)
    )


def _left_of(running: Decimal, taken: Iterable[Decimal]) -> Decimal:
    """A running total less what earlier notes took of it, which rounding may have carried a little past it."""
    left = running - sum(taken, ZERO)
    return left if left * running > 0 else ZERO


def _of_line(notes: Iterable[CreditNote], key: str) -> list[CreditedLine]:
    return [line for note in notes for line in note.lines if line.key == key]

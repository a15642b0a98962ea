"""What an invoice comes to: lines, prepaid credit, taxes and the customer's balance, in one fixed order."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Literal

from valorem.core.billing.taxes import Taxable, Taxed, TaxMode, TaxRounding, tax_lines
from valorem.core.errors import InvalidInputError
from valorem.core.money import Rounding, allocate
from valorem.core.numbers import ZERO, exact, plain

PrepaidApplied = Literal["before tax", "after tax"]


@dataclass(frozen=True, slots=True)
class Settlement:
    """An invoice's sums. ``subtotal − prepaid_before + tax − prepaid_after − balance_used = due``, exactly.

    Attributes:
        subtotal: The sum of the lines (with their taxes, where prices are inclusive).
        prepaid_before: Prepaid credit that lessened what is taxed, by line.
        taxed: The lines after that credit, with their taxes.
        prepaid_after: Prepaid credit that paid for the taxed sum.
        balance_used: What the customer's balance paid.
        to_balance: What a negative invoice gives to the customer's balance.
        due: What is left to pay; never negative.
    """

    subtotal: Decimal
    prepaid_before: tuple[Decimal, ...]
    taxed: Taxed
    prepaid_after: Decimal
    balance_used: Decimal
    to_balance: Decimal
    due: Decimal

    @property
    def total(self) -> Decimal:
        """With tax, before what was paid in advance."""
        return self.taxed.gross

    @property
    def prepaid_used(self) -> Decimal:
        """All prepaid credit taken."""
        return sum(self.prepaid_before, ZERO) + self.prepaid_after


@exact
def settle_invoice(
    lines: Sequence[Taxable],
    *,
    currency: str,
    mode: TaxMode = "exclusive",
    rounded: TaxRounding = "per_rate",
    rounding: Rounding = "half_up",
    prepaid: Decimal = ZERO,
    applied: PrepaidApplied = "before tax",
    prepaid_lines: Sequence[Decimal] | None = None,
    balance: Decimal = ZERO,
) -> Settlement:
    """Take prepaid credit, charge taxes, then take the customer's balance.

    Args:
        lines: Rounded, after discounts, with their tax rates.
        currency: ISO 4217 code.
        mode: Whether amounts are without tax or with it.
        rounded: Where taxes are rounded.
        rounding: Of taxes.
        prepaid: Credit that may be used.
        applied: ``before tax``: credit lessens what is taxed, line by line in proportion; ``after tax``: it pays the sum.
        prepaid_lines: What credit takes off each line before tax, where not every line may be paid by all of it.
        balance: The customer's balance that may be used.

    Raises:
        InvalidInputError: For a negative credit or balance.
    """
    for name, value in (("prepaid", prepaid), ("balance", balance)):
        if value < 0:
            raise InvalidInputError(f"{plain(value)} cannot be used", field=name, hint="give zero or more")
    subtotal = sum((line.amount for line in lines), ZERO)
    before = [ZERO] * len(lines) if prepaid_lines is None else list(prepaid_lines)
    if prepaid_lines is None and applied == "before tax" and subtotal > 0 and prepaid:
        weights = [max(ZERO, line.amount) for line in lines]
        before = allocate(min(prepaid, subtotal), weights, currency)
    taxable = [replace(line, amount=line.amount - part) for line, part in zip(lines, before, strict=True)]
    taxed = tax_lines(taxable, currency=currency, mode=mode, rounded=rounded, rounding=rounding)
    owed = max(ZERO, taxed.gross)
    after = min(prepaid, owed) if applied == "after tax" else ZERO
    used = min(balance, owed - after)
    return Settlement(
        subtotal=subtotal,
        prepaid_before=tuple(before),
        taxed=taxed,
        prepaid_after=after,
        balance_used=used,
        to_balance=max(ZERO, -taxed.gross),
        due=owed - after - used,
    )

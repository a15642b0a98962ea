"""Taxes of an invoice: each rate rounded once over its lines (or per line), and shared so that lines add up."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from typing import Literal, Protocol

from valorem.core.billing.tax_rates import TaxBook, TaxParty, TaxRate, rates_by_product, treat
from valorem.core.errors import InvalidInputError
from valorem.core.money import Rounding, minor_digits, round_money
from valorem.core.numbers import ONE, ZERO, exact

TaxMode = Literal["exclusive", "inclusive"]
TaxRounding = Literal["per_rate", "per_line"]


@dataclass(frozen=True, slots=True)
class Taxable:
    """A line before tax.

    Attributes:
        key: Names the line.
        amount: Rounded; without the taxes where prices are exclusive, with them where inclusive. May be negative.
        rates: The taxes on it.
    """

    key: str
    amount: Decimal
    rates: tuple[TaxRate, ...] = ()


@dataclass(frozen=True, slots=True)
class TaxedLine:
    """A line with its taxes.

    Attributes:
        key: Names the line.
        net: Without tax.
        taxes: By rate, rounded.
    """

    key: str
    net: Decimal
    taxes: Mapping[TaxRate, Decimal]

    @property
    def tax(self) -> Decimal:
        """All its taxes."""
        return sum(self.taxes.values(), ZERO)

    @property
    def gross(self) -> Decimal:
        """With tax."""
        return self.net + self.tax


@dataclass(frozen=True, slots=True)
class TaxTotal:
    """One rate over the whole invoice: what it is charged on, and what it comes to."""

    rate: TaxRate
    base: Decimal
    amount: Decimal


@dataclass(frozen=True, slots=True)
class Taxed:
    """An invoice's lines with their taxes; the lines' taxes always sum to the totals.

    Attributes:
        lines: As given, each with its taxes.
        totals: One for each rate, the highest share first.
    """

    lines: tuple[TaxedLine, ...]
    totals: tuple[TaxTotal, ...]

    @property
    def net(self) -> Decimal:
        """Without tax."""
        return sum((line.net for line in self.lines), ZERO)

    @property
    def tax(self) -> Decimal:
        """All taxes."""
        return sum((total.amount for total in self.totals), ZERO)

    @property
    def gross(self) -> Decimal:
        """With tax."""
        return self.net + self.tax


@exact
def tax_lines(
    lines: Sequence[Taxable],
    *,
    currency: str,
    mode: TaxMode = "exclusive",
    rounded: TaxRounding = "per_rate",
    rounding: Rounding = "half_up",
) -> Taxed:
    """Charge taxes on lines.

    Args:
        lines: Before tax (or with it, where prices are inclusive).
        currency: ISO 4217 code whose minor unit taxes are rounded to.
        mode: Whether amounts are without tax or with it. An inclusive line's tax is amount × share / (1 + all its shares),
            so that what the customer pays is what was written on the price.
        rounded: Once for each rate over all its lines, or line by line.
        rounding: Half away from zero, or to even.

    Raises:
        InvalidInputError: Where a line carries a tax twice.
    """
    exact_taxes: defaultdict[TaxRate, dict[int, Decimal]] = defaultdict(dict)
    for index, line in enumerate(lines):
        if len({rate.tax for rate in line.rates}) < len(line.rates):
            raise InvalidInputError("the same tax twice on one line", field=f"lines.{line.key}")
        gross_share = ONE + sum((rate.share for rate in line.rates), ZERO)
        for rate in line.rates:
            tax = line.amount * rate.share
            exact_taxes[rate][index] = tax / gross_share if mode == "inclusive" else tax
    by_line: list[dict[TaxRate, Decimal]] = [{} for _ in lines]
    for rate, taxes in exact_taxes.items():
        if rounded == "per_line":
            shares = [round_money(tax, currency, rounding) for tax in taxes.values()]
        else:
            shares = share_out(list(taxes.values()), currency, rounding)
        for index, share in zip(taxes, shares, strict=True):
            by_line[index][rate] = share
    taxed = tuple(_taxed(line, taxes, mode) for line, taxes in zip(lines, by_line, strict=True))
    totals = [
        TaxTotal(
            rate,
            sum((taxed[index].net for index in members), ZERO),
            sum((taxed[index].taxes[rate] for index in members), ZERO),
        )
        for rate, members in exact_taxes.items()
    ]
    return Taxed(taxed, tuple(sorted(totals, key=_printed_order)))


def _taxed(line: Taxable, taxes: Mapping[TaxRate, Decimal], mode: TaxMode) -> TaxedLine:
    net = line.amount - sum(taxes.values(), ZERO) if mode == "inclusive" else line.amount
    return TaxedLine(line.key, net, taxes)


def _printed_order(total: TaxTotal) -> tuple[Decimal, str, str, str]:
    rate = total.rate
    return -rate.share, rate.tax, rate.category, rate.reason or ""


@exact
def share_out(shares: Sequence[Decimal], currency: str, rounding: Rounding = "half_up") -> list[Decimal]:
    """Round exact shares so that they sum to their rounded sum, by largest remainder; ties go to the earlier share.

    Unlike :func:`valorem.core.money.allocate` shares may have any sign. None moves by a whole minor unit.
    """
    unit = ONE.scaleb(-minor_digits(currency))
    total = round_money(sum(shares, ZERO), currency, rounding)
    floored = [share.quantize(unit, rounding=ROUND_FLOOR) for share in shares]
    missing = int((total - sum(floored, ZERO)) / unit)
    by_remainder = sorted(range(len(shares)), key=lambda i: (floored[i] - shares[i], i))
    for i in by_remainder[:missing]:
        floored[i] += unit
    return [share or abs(share) for share in floored]


@dataclass(frozen=True, slots=True)
class TaxedProduct:
    """One line as a tax engine asks about it: its amount and its product's tax code."""

    key: str
    amount: Decimal
    product: str | None


@dataclass(frozen=True, slots=True)
class TaxRequest:
    """What a tax engine needs to know about an invoice.

    Attributes:
        seller: Who sells.
        buyer: Who buys.
        on: The local day of the supply.
        currency: ISO 4217 code.
        lines: What is sold.
        reference: Names the document, the same when it is asked again.
    """

    seller: TaxParty
    buyer: TaxParty
    on: date
    currency: str
    lines: tuple[TaxedProduct, ...]
    reference: str


class TaxProvider(Protocol):
    """Whoever knows the rates: the operator's own book, or somebody else's service.

    It answers with rates, never with amounts: every amount is computed and rounded here, the same way.
    """

    def rates(self, request: TaxRequest) -> Mapping[str, tuple[TaxRate, ...]]:
        """The taxes of each line, by its key.

        Raises:
            UnprocessableError: Where it cannot tell; the invoice then stays a draft.
        """
        ...


@dataclass(frozen=True, slots=True)
class OwnRates:
    """The provider that looks into the operator's own book."""

    book: TaxBook

    def rates(self, request: TaxRequest) -> Mapping[str, tuple[TaxRate, ...]]:
        """The taxes of each line, by its key."""
        treatment = treat(request.seller, request.buyer)
        found = rates_by_product(self.book, treatment, (line.product for line in request.lines), request.on)
        return {line.key: found[line.product] for line in request.lines}

"""An issued invoice or credit note as it is printed: everything a document says, and nothing that has to be looked up."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Literal

from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import TaxTotal
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO, exact, plain

DocumentKind = Literal["invoice", "credit_note"]
LineGroup = Literal["fees", "usage", "charges", "discounts", "commitments", "adjustments", "other"]


@dataclass(frozen=True, slots=True)
class Address:
    """Where a party sits.

    Attributes:
        lines: Street and number, building, in the order printed; at most three.
        postcode: As written there.
        city: The town.
        country: ISO 3166-1 alpha-2 code.
        region: State or province, where addresses name it.
    """

    lines: tuple[str, ...]
    postcode: str
    city: str
    country: str
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """The seller or the buyer.

    Attributes:
        name: Its legal name.
        address: Where it sits.
        tax_id: Its VAT or sales tax number, with the country's prefix where it has one.
        registration: Its number in the company register.
        email: For questions.
        phone: For questions.
        contact: A person or a department.
        website: Printed in the footer.
    """

    name: str
    address: Address
    tax_id: str | None = None
    registration: str | None = None
    email: str | None = None
    phone: str | None = None
    contact: str | None = None
    website: str | None = None


@dataclass(frozen=True, slots=True)
class BankAccount:
    """Where a transfer goes.

    Attributes:
        holder: The account's holder.
        iban: Where accounts have one.
        bic: The bank's code.
        bank: The bank's name.
        account: The account's number where there is no IBAN, with its routing code.
    """

    holder: str
    iban: str | None = None
    bic: str | None = None
    bank: str | None = None
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Logo:
    """The seller's logo.

    Attributes:
        data: The file's bytes.
        format: What they are.
    """

    data: bytes
    format: Literal["svg", "png", "jpg"]


@dataclass(frozen=True, slots=True)
class DocumentLine:
    """One line.

    Attributes:
        group: The heading it stands under.
        description: What is charged.
        quantity: How many; ``None`` where nothing is counted.
        unit: Of the quantity.
        unit_price: The price of one, without tax; ``None`` where units differ.
        amount: Without tax, rounded.
        rates: The taxes on it.
        first_day: The first day it covers.
        last_day: The last day it covers.
        section: Names the contract, on an invoice for several.
    """

    group: LineGroup
    description: str
    quantity: Decimal | None
    unit: str | None
    unit_price: Decimal | None
    amount: Decimal
    rates: tuple[TaxRate, ...]
    first_day: date | None = None
    last_day: date | None = None
    section: str | None = None


@dataclass(frozen=True, slots=True)
class Allowance:
    """Prepaid credit taken off before tax, for the lines of one set of rates."""

    amount: Decimal
    rates: tuple[TaxRate, ...]


@dataclass(frozen=True, slots=True)
class UsageSeries:
    """A meter's daily values, for the annex.

    Attributes:
        name: The meter's name.
        unit: Of the values.
        days: One value a day, in order.
        adds_up: Whether the days' values sum to something (usage does, a level does not).
        monthly: Whether there is one value a month instead, with the month's first day.
    """

    name: str
    unit: str | None
    days: tuple[tuple[date, Decimal], ...]
    adds_up: bool = True
    monthly: bool = False


@dataclass(frozen=True, slots=True)
class InvoiceDocument:
    """An issued invoice or credit note.

    Attributes:
        kind: Which of them.
        number: Its number.
        issued_on: The local day of issue.
        due_on: The last day for payment; ``None`` on a credit note.
        currency: ISO 4217 code of every amount.
        seller: Who charges.
        buyer: Who is charged.
        lines: In the order printed.
        allowances: Prepaid credit taken off before tax.
        taxes: One for each rate.
        net: The lines less the allowances.
        tax: All taxes.
        total: With tax.
        paid: What prepaid credit, the balance and payments have paid.
        due: What is left to pay.
        first_day: The first day billed.
        last_day: The last day billed.
        purchase_order: The buyer's order number.
        contract: The contract's id.
        corrects: The invoice that a credit note takes back, or that this one is issued again for.
        bank: Where a transfer goes.
        reference: What a transfer names.
        notes: Paragraphs of the seller's own, printed as they are.
        logo: Printed at the top.
        usage: For the annex; empty for none.

    Raises:
        InvalidInputError: Where the sums do not agree to the last digit.
    """

    kind: DocumentKind
    number: str
    issued_on: date
    due_on: date | None
    currency: str
    seller: Party
    buyer: Party
    lines: tuple[DocumentLine, ...]
    allowances: tuple[Allowance, ...]
    taxes: tuple[TaxTotal, ...]
    net: Decimal
    tax: Decimal
    total: Decimal
    paid: Decimal
    due: Decimal
    first_day: date | None = None
    last_day: date | None = None
    purchase_order: str | None = None
    contract: str | None = None
    corrects: str | None = None
    bank: BankAccount | None = None
    reference: str | None = None
    notes: tuple[str, ...] = ()
    logo: Logo | None = None
    usage: tuple[UsageSeries, ...] = ()

    def __post_init__(self) -> None:
        for name, stated, computed in _sums(self):
            if stated != computed:
                raise InvalidInputError(
                    f"{name} is stated as {plain(stated)} and comes to {plain(computed)}", field=name
                )

    @property
    def subtotal(self) -> Decimal:
        """The sum of the lines."""
        return sum((line.amount for line in self.lines), ZERO)


@exact
def _sums(document: InvoiceDocument) -> tuple[tuple[str, Decimal, Decimal], ...]:
    """What is stated beside what it comes to."""
    allowed = sum((each.amount for each in document.allowances), ZERO)
    return (
        ("net", document.net, document.subtotal - allowed),
        ("tax", document.tax, sum((each.amount for each in document.taxes), ZERO)),
        ("total", document.total, document.net + document.tax),
        ("due", document.due, document.total - document.paid),
    )

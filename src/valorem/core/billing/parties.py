"""Who sells and who pays, as it is written on invoices; and what a workspace settles invoices by."""

from base64 import b64decode
from binascii import Error as NotBase64Error
from decimal import Decimal
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from valorem.core.billing.dunning import DEFAULT_DUNNING, DunningPolicy, Reminder
from valorem.core.billing.payment_terms import PaymentTerms
from valorem.core.billing.tax_rates import Place, TaxParty
from valorem.core.units import Amount

_LARGEST_LOGO_BYTES = 512 * 1024


def _printable(text: str) -> str:
    if any(letter < " " or "\ud800" <= letter <= "\udfff" for letter in text):
        raise ValueError("the text holds letters that cannot be printed; send plain UTF-8 text on one line")
    return text


Words = Annotated[str, AfterValidator(_printable), Field(min_length=1, max_length=200)]
Country = Annotated[str, Field(pattern=r"^[A-Z]{2}$")]


class Part(BaseModel):
    """Base of what is kept here: immutable, and unknown members are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PostalAddress(Part):
    """Where a party sits.

    Attributes:
        lines: Street and number, building, in the order printed.
        postcode: As written there.
        city: The town.
        region: State or province, where addresses or taxes name it.
        country: ISO 3166-1 alpha-2 code.
    """

    lines: Annotated[tuple[Words, ...], Field(min_length=1, max_length=3)]
    postcode: Annotated[str, AfterValidator(_printable), Field(max_length=20)] = ""
    city: Words
    region: Words | None = None
    country: Country

    @property
    def place(self) -> Place:
        """The place as taxes see it."""
        return Place(self.country, self.region)


class Party(Part):
    """What both sides of a sale have.

    Attributes:
        address: Where it sits.
        tax_id: Its VAT or sales tax number, with the country's prefix where it has one.
        registration: Its number in the company register.
        email: For questions and invoices.
        phone: For questions.
        contact: A person or a department.
    """

    address: PostalAddress | None = None
    tax_id: Words | None = None
    registration: Words | None = None
    email: Words | None = None
    phone: Words | None = None
    contact: Words | None = None


class BillingDetails(Party):
    """How a customer is billed.

    Attributes:
        legal_name: Printed instead of the customer's name.
        locale: Language and conventions of its documents, such as ``de_DE``.
        exempt_reason: Why it is never taxed (a certificate's number).
        reminders: ``paused`` sends no reminder of what is overdue until it is taken away again.
        charge: The payment provider that takes each invoice's amount when it becomes final; nobody where left out.
    """

    legal_name: Words | None = None
    locale: Annotated[str, Field(pattern=r"^[a-z]{2,3}(_[A-Za-z]{2,4})?(_[A-Z]{2})?$")] | None = None
    exempt_reason: Words | None = None
    reminders: Literal["paused"] | None = None
    charge: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")] | None = None


class Seller(Party):
    """Who charges.

    Attributes:
        name: Its legal name.
        website: Printed at the foot.
    """

    name: Words
    website: Words | None = None


class Bank(Part):
    """Where a transfer goes.

    Attributes:
        holder: The account's holder.
        iban: Where accounts have one.
        bic: The bank's code.
        bank: The bank's name.
        account: The account's number where there is no IBAN, with its routing code.
    """

    holder: Words
    iban: Words | None = None
    bic: Words | None = None
    bank: Words | None = None
    account: Words | None = None


class LogoFile(Part):
    """The seller's logo.

    Attributes:
        format: What the bytes are.
        data: The file's bytes in base64.
    """

    format: Literal["svg", "png", "jpg"]
    data: Annotated[str, Field(max_length=_LARGEST_LOGO_BYTES * 4 // 3 + 4)]

    @property
    def content(self) -> bytes:
        """The file's bytes."""
        return b64decode(self.data, validate=True)

    @model_validator(mode="after")
    def _readable(self) -> "LogoFile":
        try:
            self.content  # noqa: B018 - whether it can be read is the question
        except (NotBase64Error, ValueError):
            raise ValueError("the logo is no base64 (encode the file's bytes)") from None
        return self


class TermsOfPayment(Part):
    """By when invoices must be paid.

    Attributes:
        net_days: Days after the issue; 0 is on receipt.
        end_of_month: Whether the days count from the end of the month of issue.
    """

    net_days: Annotated[int, Field(ge=0, le=365)] = 30
    end_of_month: bool = False

    @property
    def terms(self) -> PaymentTerms:
        """As the core reckons with them."""
        return PaymentTerms(self.net_days, self.end_of_month)


class ReminderStep(Part):
    """One reminder.

    Attributes:
        key: Names it; sent once for each invoice.
        after_days: Local days after the due date; below zero before it.
        action: What else happens: nothing, or the invoice is written off.
    """

    key: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    after_days: Annotated[int, Field(ge=-60, le=365)]
    action: Literal["none", "write_off"] = "none"


class Dunning(Part):
    """When customers are reminded of what they owe.

    Attributes:
        reminders: In order of days; none sends none.
        least: Amounts below this are not worth a reminder.
        missed: After a pause in which several came due: only the ``latest`` goes out, or ``all``.
    """

    reminders: Annotated[tuple[ReminderStep, ...], Field(max_length=20)] = ()
    least: Annotated[Amount, Field(ge=0)] = Decimal(0)
    missed: Literal["latest", "all"] = "latest"

    @model_validator(mode="after")
    def _ordered(self) -> "Dunning":
        days = [each.after_days for each in self.reminders]
        if any(later <= earlier for earlier, later in pairwise(days)):
            raise ValueError("reminders must be in order of days (each later than the one before)")
        if len({each.key for each in self.reminders}) < len(self.reminders):
            raise ValueError("two reminders with the same key (give each its own)")
        return self

    @property
    def policy(self) -> DunningPolicy:
        """As the core reckons with it."""
        return DunningPolicy(
            tuple(Reminder(each.key, each.after_days, each.action) for each in self.reminders),
            self.least,
            self.missed,
        )


class BillingSettings(Part):
    """What a workspace settles its invoices by.

    Attributes:
        seller: Who charges; its address is where taxes are reckoned from.
        bank: Where transfers go.
        logo: Printed at the top.
        notes: Paragraphs printed at the end of every document.
        terms: By when invoices must be paid, where the plan says nothing.
        dunning: Reminders; the built-in sequence where left out.
        taxes: ``own`` rates of the catalog, or an ``outside`` tax engine; an invoice waits until that has answered.
    """

    seller: Seller | None = None
    bank: Bank | None = None
    logo: LogoFile | None = None
    notes: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=2000)], ...], Field(max_length=5)
    ] = ()
    terms: TermsOfPayment = TermsOfPayment()
    dunning: Dunning | None = None
    taxes: Literal["own", "outside"] = "own"

    @property
    def dunning_policy(self) -> DunningPolicy:
        """The reminders in force."""
        return DEFAULT_DUNNING if self.dunning is None else self.dunning.policy


def seller_party(seller: Seller | None) -> TaxParty | None:
    """The seller as taxes see it; ``None`` where it has not said where it sits."""
    if seller is None or seller.address is None:
        return None
    return TaxParty(seller.address.place, seller.tax_id)


def buyer_party(details: BillingDetails, seller: TaxParty) -> TaxParty:
    """The buyer as taxes see it; one who has not said where it sits is taxed where the seller is."""
    place = details.address.place if details.address is not None else seller.place
    return TaxParty(place, details.tax_id, details.exempt_reason)

"""Tax rates by product and place, dated, and how a sale between two parties is treated."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Literal

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import ZERO, plain

#: What EN 16931 calls a VAT category; sales taxes elsewhere use the same words.
TaxCategory = Literal["standard", "zero", "exempt", "reverse_charge", "export", "out_of_scope"]
Treatment = Literal["taxable", "exempt", "reverse_charge", "export", "out_of_scope"]

_EU = frozenset(
    "AT BE BG CY CZ DE DK EE ES FI FR GR HR HU IE IT LT LU LV MT NL PL PT RO SE SI SK".split()  # noqa: SIM905
)


@dataclass(frozen=True, slots=True)
class Place:
    """Where something is supplied.

    Attributes:
        country: ISO 3166-1 alpha-2 code.
        region: A part of the country with rates of its own (a state, a province); ``None`` for none.

    Raises:
        InvalidInputError: Where the country is not two capitals.
    """

    country: str
    region: str | None = None

    def __post_init__(self) -> None:
        code = self.country
        if len(code) != 2 or not (code.isascii() and code.isalpha() and code.isupper()):
            raise InvalidInputError(
                f"{code[:20]!r} is no country", field="country", hint="use two capitals, such as DE or US"
            )


@dataclass(frozen=True, slots=True)
class TaxRate:
    """One tax on a line.

    Attributes:
        tax: Names the tax (``vat``, ``gst``, ``pst``): a line carries each at most once.
        name: Printed ("VAT 19 %" prints the name "VAT").
        share: Of the amount: 0.19 for 19 %. Several taxes on a line add up; none is charged on another.
        category: Why the share is what it is.
        reason: Printed where no tax is charged.
    """

    tax: str
    name: str
    share: Decimal
    category: TaxCategory = "standard"
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class TaxRule:
    """One dated row of the operator's rates.

    Attributes:
        rate: What is charged.
        country: ISO 3166-1 alpha-2 code.
        region: Only in this part of the country.
        product: Only for products with this tax code; ``None`` for every product without a row of its own.
        since: The first local day it holds; ``None`` from always. It ends where a later row of the same tax begins.
    """

    rate: TaxRate
    country: str
    region: str | None = None
    product: str | None = None
    since: date | None = None


@dataclass(frozen=True, slots=True)
class TaxBook:
    """The operator's own rates.

    Raises:
        InvalidInputError: Where two rows say different things about the same day, or a share is not between 0 and 1.
    """

    rules: tuple[TaxRule, ...]

    def __post_init__(self) -> None:
        seen: set[tuple[object, ...]] = set()
        for index, rule in enumerate(self.rules):
            field = f"rules.{index}"
            if not ZERO <= rule.rate.share <= 1:
                raise InvalidInputError(
                    f"{plain(rule.rate.share)} is no share",
                    field=f"{field}.share",
                    hint="write 19 % as 0.19",
                )
            place = (rule.rate.tax, rule.country, rule.region, rule.product, rule.since)
            if place in seen:
                raise InvalidInputError(
                    f"a second rate of {rule.rate.tax} for the same place, product and day", field=field
                )
            seen.add(place)

    def rates_for(self, place: Place, product: str | None, on: date) -> tuple[TaxRate, ...]:
        """Every tax on a product supplied at a place on a local day, in order of the tax's name.

        Of each tax the row for the product comes before the general one, and the region's before the country's.
        """
        found: defaultdict[str, list[TaxRule]] = defaultdict(list)
        for rule in self.rules:
            if _applies(rule, place, product, on):
                found[rule.rate.tax].append(rule)
        return tuple(max(rules, key=_rank).rate for _, rules in sorted(found.items()))


def _applies(rule: TaxRule, place: Place, product: str | None, on: date) -> bool:
    return (
        rule.country == place.country
        and rule.region in (None, place.region)
        and rule.product in (None, product)
        and (rule.since is None or rule.since <= on)
    )


def _rank(rule: TaxRule) -> tuple[bool, bool, date]:
    return rule.product is not None, rule.region is not None, rule.since or date.min


@dataclass(frozen=True, slots=True)
class TaxParty:
    """One side of a sale, as far as taxes ask.

    Attributes:
        place: Where it is.
        tax_id: Its registration for the tax; ``None`` for a private person.
        exempt_reason: Why it is never taxed (a certificate's number); ``None`` for everybody else.
    """

    place: Place
    tax_id: str | None = None
    exempt_reason: str | None = None


@dataclass(frozen=True, slots=True)
class TaxTreatment:
    """How a sale is treated.

    Attributes:
        treatment: Whether tax is charged.
        supplied_at: The place whose rates hold.
        reason: Printed on the invoice where no tax is charged.
    """

    treatment: Treatment
    supplied_at: Place
    reason: str | None = None

    def of(self, rates: Iterable[TaxRate]) -> tuple[TaxRate, ...]:
        """The rates as this treatment leaves them: unchanged where taxable, else nothing is charged, with the reason."""
        treatment = self.treatment
        if treatment == "taxable":
            return tuple(rates)
        untaxed = {
            rate.tax: replace(rate, share=ZERO, category=treatment, reason=self.reason) for rate in rates
        }
        return tuple(untaxed.values()) or (TaxRate("vat", "VAT", ZERO, treatment, self.reason),)


def treat(seller: TaxParty, buyer: TaxParty) -> TaxTreatment:
    """How electronically supplied services are taxed between two parties.

    Inside the European Union a business with a registration in another member state owes the tax itself (Articles 44 and 196
    of Directive 2006/112/EC); a private person is taxed where it lives (Article 58); what leaves the Union is not taxed
    (Article 59). Everywhere else the rates of the buyer's place hold, where the operator has written any.
    """
    if buyer.exempt_reason is not None:
        return TaxTreatment("exempt", buyer.place, buyer.exempt_reason)
    here, there = seller.place, buyer.place
    if here.country == there.country or here.country not in _EU:
        return TaxTreatment("taxable", there)
    if there.country not in _EU:
        return TaxTreatment("export", there, "Supply outside the European Union")
    if buyer.tax_id:
        return TaxTreatment("reverse_charge", there, "Reverse charge")
    return TaxTreatment("taxable", there)


def rates_by_product(
    book: TaxBook, treatment: TaxTreatment, products: Iterable[str | None], on: date
) -> Mapping[str | None, tuple[TaxRate, ...]]:
    """The rates of several products under one treatment."""
    return {
        product: treatment.of(book.rates_for(treatment.supplied_at, product, on)) for product in set(products)
    }

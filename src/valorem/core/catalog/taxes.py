"""A tax in the catalog: its rates by place and product, dated."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated, Literal

from pydantic import Field, model_validator

from valorem.core.billing.tax_rates import TaxBook, TaxRate, TaxRule
from valorem.core.entry import Entry, Key
from valorem.core.units import Amount


class TaxRow(Entry):
    """One rate.

    Attributes:
        country: ISO 3166-1 alpha-2 code.
        region: Only in this part of the country.
        product: Only for what has this tax code; without it for everything that has no row of its own.
        share: Of the amount: 0.19 for 19 %.
        category: Why the share is what it is; ``zero`` where left out and the share is 0.
        reason: Printed where no tax is charged.
        since: The first local day it holds (written ``from``); always where left out. It ends where a later row begins.
    """

    country: Annotated[str, Field(pattern=r"^[A-Z]{2}$")]
    region: str | None = None
    product: Key | None = None
    share: Annotated[Amount, Field(ge=0, le=1)]
    category: Literal["standard", "zero", "exempt", "out_of_scope"] | None = None
    reason: str | None = None
    since: date | None = Field(None, alias="from")

    def rule(self, tax: str, name: str) -> TaxRule:
        """As the core's book has it."""
        category = self.category or ("standard" if self.share else "zero")
        rate = TaxRate(tax, name, self.share, category, self.reason)
        return TaxRule(rate, self.country, self.region, self.product, self.since)


class Tax(Entry):
    """One tax with all its rates; a line carries each tax at most once.

    Attributes:
        tax: The key (``vat``, ``gst``).
        name: Printed ("VAT 19 %" prints the name "VAT").
        rates: In any order.
    """

    tax: Key
    name: str
    rates: Annotated[tuple[TaxRow, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _single(self) -> "Tax":
        seen = set()
        for number, row in enumerate(self.rates, 1):
            place = (row.country, row.region, row.product, row.since)
            if place in seen:
                raise ValueError(f"row {number} is a second rate for the same place, product and day")
            seen.add(place)
        return self

    @property
    def key(self) -> str:
        """The key it is called by."""
        return self.tax


def tax_book(taxes: Iterable[Tax]) -> TaxBook:
    """Every rate of a catalog."""
    return TaxBook(tuple(row.rule(tax.tax, tax.name) for tax in taxes for row in tax.rates))

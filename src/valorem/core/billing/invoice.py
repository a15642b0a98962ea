"""An invoice and its lines: plain values that say everything they were made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.periods import Interval
from valorem.core.pricing.lines import Step

LineKind = Literal[
    "fee", "usage", "outcome", "charge", "discount", "minimum", "maximum", "commitment", "true_up"
]
Timing = Literal["in_advance", "in_arrears", "adjustment"]
InvoiceKind = Literal["period", "note", "change", "progressive", "consolidated", "one_off", "preview"]


@dataclass(frozen=True, slots=True)
class Selector:
    """Which events stand behind a usage line.

    Attributes:
        meter: The meter's key.
        fingerprint: The meter revision that counted them.
        interval: The stretch of time they fall in.
        dimensions: The dimension values they share; a dimension that is not named may have any value.
    """

    meter: str
    fingerprint: str
    interval: Interval
    dimensions: Mapping[str, str | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an invoice.

    Attributes:
        kind: What is charged.
        key: The key of the fee, the meter, the charge, the discount or the commitment; the kind itself for a minimum or maximum.
        charge: Names the charge within its period, the same on every invoice: what is billed late for it is found by it.
        timing: Billed before its period, after it, or as a change of what an earlier invoice billed.
        description: For people.
        period_index: The period of the contract it belongs to.
        period: The stretch of that period it covers.
        quantity: What is counted; ``None`` where nothing is.
        unit_amount: The price of one, where every unit has the same.
        exact_amount: Before rounding.
        amount: Rounded once, to the currency's minor unit.
        dimensions: The dimension values it is the price of.
        steps: Its arithmetic, from the quantity to the exact amount.
        pipeline: The order in which the price's parts were applied.
        selectors: Which events stand behind it; empty for a fixed fee.
        customer: Whose usage it is, where an account under the contract's customer is counted apart.
        contract: Whose line it is, on an invoice for several contracts.
        tax_code: How it is taxed, where neither its fee or meter nor its plan says so.
    """

    kind: LineKind
    key: str
    charge: str
    timing: Timing
    description: str
    period_index: int
    period: Interval
    quantity: Decimal | None
    unit_amount: Decimal | None
    exact_amount: Decimal
    amount: Decimal
    dimensions: Mapping[str, str | None]
    steps: tuple[Step, ...]
    pipeline: tuple[str, ...]
    selectors: tuple[Selector, ...]
    customer: str | None = None
    contract: str | None = None
    tax_code: str | None = None


@dataclass(frozen=True, slots=True)
class Unpriced:
    """Usage that no row of a price is for: billed at nothing, so somebody must look at it.

    Attributes:
        meter: The meter's key.
        dimensions: The dimension values without a row.
        quantity: How much of it there was.
        events: How many events stand behind it.
    """

    meter: str
    dimensions: Mapping[str, str | None]
    quantity: Decimal
    events: int


@dataclass(frozen=True, slots=True)
class Invoice:
    """One invoice of a contract, before it has a number.

    Attributes:
        contract: The contract's id.
        customer: The customer's key.
        plan: The plan's key.
        catalog_version: The version it was priced by.
        currency: Of every amount in it.
        kind: ``period`` closes a period, ``note`` carries late usage on its own, ``change`` what a change
            comes to at once, ``progressive`` what a running period's spend threshold makes due, ``consolidated`` is that of
            several contracts, ``one_off`` is written by hand and of no contract, ``preview`` is never issued.
        boundary_index: Which border of the contract it is issued at; contract, index and kind name an invoice for ever.
        issued_at: The instant of that border (for a preview: the instant looked at).
        closed: The period it closes: its usage and arrears fees; ``None`` on the first invoice.
        ahead: The period it bills in advance; ``None`` where nothing follows.
        lines: In the order printed.
        total: The sum of the lines' rounded amounts.
        unpriced: Usage of the closed period that no row of a price is for.
        purchase_order: As on the contract.
    """

    contract: str
    customer: str
    plan: str
    catalog_version: int
    currency: str
    kind: InvoiceKind
    boundary_index: int
    issued_at: datetime
    closed: Interval | None
    ahead: Interval | None
    lines: tuple[Line, ...]
    total: Decimal
    unpriced: tuple[Unpriced, ...]
    purchase_order: str | None

"""How a contract stands from an instant on: its plan, and what is agreed beside it."""

from valorem.core.billing.thresholds import Thresholds
from valorem.core.catalog.plans import Bound, Phase
from valorem.core.contracts.agreed import Charge, Commitment, Discount, GridInstant, Override
from valorem.core.entry import Entry, Key


class Standing(Entry):
    """The terms in force from an instant until the next standing.

    Attributes:
        since: From when.
        plan: The plan's key in that catalog version.
        catalog_version: The version it is pinned to.
        paused: Whether fees stand still.
        overrides: Negotiated numbers, the last added last.
        discounts: In the order added.
        charges: Amounts on a date.
        commitments: Money promised for usage.
        phases: Stretches with amounts of their own, counted from the contract's start; ``None`` takes the plan's.
        minimum: In the place of the plan's.
        maximum: In the place of the plan's.
        thresholds: In the place of the plan's.
        purchase_order: Printed on invoices.
    """

    since: GridInstant
    plan: Key
    catalog_version: int
    paused: bool = False
    overrides: tuple[Override, ...] = ()
    discounts: tuple[Discount, ...] = ()
    charges: tuple[Charge, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    phases: tuple[Phase, ...] | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None
    thresholds: Thresholds | None = None
    purchase_order: str | None = None

"""A contract: one customer's terms on one plan of one catalog version."""

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from valorem.core.calendar import zone_info
from valorem.core.catalog.plans import Policies
from valorem.core.contracts.standing import Standing
from valorem.core.errors import InvalidInputError
from valorem.core.money import parse_currency
from valorem.core.numbers import ZERO, plain
from valorem.core.periods import Cadence
from valorem.core.time import on_grid, write_instant

R = TypeVar("R")

_NONE: Mapping[str, str] = MappingProxyType({})
_NO_SEATS: "Mapping[str, tuple[Dated, ...]]" = MappingProxyType({})


class Dated(NamedTuple):
    """A quantity that holds from an instant until the next one dated later."""

    since: datetime
    quantity: Decimal


class Leg(NamedTuple):
    """A billing interval that takes the place of the one before it.

    Attributes:
        since: From when; a border of the contract.
        every: The billing interval from then on.
        anchor: The instant its periods are counted from.
    """

    since: datetime
    every: Cadence
    anchor: datetime


@dataclass(frozen=True)
class Contract:
    """One customer's terms, as they follow from what was signed and every edit since.

    Attributes:
        id: Chosen by the engine, unique everywhere.
        workspace: The sealed world it belongs to.
        customer: The customer's key.
        plan: The plan's key in that catalog version.
        catalog_version: The version it is pinned to.
        start: First instant billed; on the quarter-hour grid.
        end: First instant not billed; ``None`` where it is open-ended.
        time_zone: IANA name; its periods live in this zone.
        currency: ISO 4217 code of its invoices.
        every: The billing interval.
        anchor: The instant from which periods are counted; at the contract's start unless periods follow the calendar.
        seats: Dated quantities by key, each in order of time; zero before the first.
        policies: Switches that differ from the plan's; ``None`` takes the plan's.
        purchase_order: Printed on invoices.
        metadata: The operator's own keys and texts.
        standings: How it stands from which instant on, in order of time; where there is none, on its plan alone.
        legs: Later billing intervals, in order of time.
        term: How long it is agreed for at a time; it renews at each end of a term, and stays on its version until then.
        first_start: When the customer first started, where an earlier contract came before this one; trials count from it.
        worked_out: What pure functions of this contract have given, so that an invoice works out nothing twice.

    Raises:
        InvalidInputError: Where a field contradicts another or lies off the quarter-hour grid.
    """

    id: str
    workspace: int
    customer: str
    plan: str
    catalog_version: int
    start: datetime
    time_zone: str
    currency: str
    every: Cadence
    anchor: datetime
    end: datetime | None = None
    seats: Mapping[str, tuple[Dated, ...]] = field(default_factory=lambda: _NO_SEATS)
    policies: Policies | None = None
    purchase_order: str | None = None
    metadata: Mapping[str, str] = field(default_factory=lambda: _NONE)
    standings: tuple[Standing, ...] = ()
    legs: tuple[Leg, ...] = ()
    term: Cadence | None = None
    first_start: datetime | None = None
    worked_out: dict[Hashable, Any] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        zone_info(self.time_zone)
        parse_currency(self.currency, "currency")
        for name in ("start", "anchor", "end"):
            instant: datetime | None = getattr(self, name)
            if instant is not None and not on_grid(instant):
                raise InvalidInputError(
                    f"{write_instant(instant)} is not on the quarter-hour grid",
                    field=name,
                    hint="contracts start, end and renew on a quarter hour",
                )
        if self.end is not None and self.end <= self.start:
            raise InvalidInputError(f"the end {write_instant(self.end)} is not after the start", field="end")
        for key, history in self.seats.items():
            _check_history(key, history)
        for name, instants in (
            ("standings", [each.since for each in self.standings]),
            ("legs", [self.start, *(leg.since for leg in self.legs)]),
        ):
            if any(later <= earlier for earlier, later in pairwise(instants)):
                raise InvalidInputError("changes must be in order of time", field=name)

    @cached_property
    def agreed(self) -> tuple[Standing, ...]:
        """How it stands from which instant on; the first from the contract's start at the latest."""
        return self.standings or (
            Standing(
                since=self.start,
                plan=self.plan,
                catalog_version=self.catalog_version,
                purchase_order=self.purchase_order,
            ),
        )

    def once(self, key: Hashable, work: Callable[[], R]) -> R:
        """What a pure function of this contract gives; ``key`` names it and whatever else it depends on."""
        if key not in self.worked_out:
            self.worked_out[key] = work()
        found: R = self.worked_out[key]
        return found

    def standing_at(self, at: datetime) -> Standing:
        """How it stands at an instant; before its start as at the start."""
        found = self.agreed[0]
        for standing in self.agreed[1:]:
            if standing.since > at:
                break
            found = standing
        return found

    def seats_at(self, key: str, at: datetime) -> Decimal:
        """How many seats of a key there are at an instant."""
        quantity = ZERO
        for since, count in self.seats.get(key, ()):
            if since > at:
                break
            quantity = count
        return quantity


def _check_history(key: str, history: tuple[Dated, ...]) -> None:
    for earlier, later in pairwise(history):
        if later.since <= earlier.since:
            raise InvalidInputError("dated quantities must be in order of time", field=f"seats.{key}")
    for since, quantity in history:
        if quantity < 0:
            raise InvalidInputError(f"{plain(quantity)} seats", field=f"seats.{key}", hint="use zero or more")
        if not on_grid(since):
            raise InvalidInputError(
                f"{write_instant(since)} is not on the quarter-hour grid",
                field=f"seats.{key}",
                hint="seats change on a quarter hour",
            )

"""A price as the catalog holds it: one model, or dated versions of it."""

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import ConfigDict, Discriminator, Field, RootModel, Tag, model_validator

from valorem.core.entry import Entry, Key
from valorem.core.errors import InvalidInputError
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.dates import in_force, instant_of
from valorem.core.pricing.event_amount import EventAmount
from valorem.core.pricing.flat import Flat
from valorem.core.pricing.flat_by_band import FlatByBand
from valorem.core.pricing.graduated import Graduated
from valorem.core.pricing.graduated_percentage import GraduatedPercentage
from valorem.core.pricing.matrix import Matrix
from valorem.core.pricing.package import Package
from valorem.core.pricing.per_unit import PerUnit
from valorem.core.pricing.percentage import Percentage
from valorem.core.pricing.volume import Volume

#: One version of a price: its numbers as they stand from its date on.
PriceVersion = Annotated[
    Flat
    | PerUnit
    | Graduated
    | Volume
    | Package
    | Percentage
    | GraduatedPercentage
    | Matrix
    | EventAmount
    | FlatByBand,
    Field(discriminator="model"),
]
Versions = Annotated[tuple[PriceVersion, ...], Field(min_length=1)]


class DatedPrice(Entry):
    """A price in a file of its own, with dated versions.

    Attributes:
        price: The key other files use.
        meter: What it is the price of.
        name: How its lines are called.
        versions: The first without ``from``, the others dated and rising.
    """

    price: Key | None = None
    meter: Key | None = None
    name: str | None = None
    versions: Versions


def _shape(value: Any) -> str:
    if isinstance(value, list | tuple):
        return "list"
    if isinstance(value, DatedPrice) or (isinstance(value, Mapping) and "versions" in value):
        return "dated"
    return "single"


class Price(
    RootModel[
        Annotated[
            Annotated[PriceVersion, Tag("single")]
            | Annotated[DatedPrice, Tag("dated")]
            | Annotated[Versions, Tag("list")],
            Discriminator(_shape),
        ]
    ]
):
    """A price: ``{model: …}``, a list of dated versions, or ``{price: …, versions: […]}`` in a file of its own."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _in_order(self) -> "Price":
        first, *later = self.versions
        if first.start is not None and later:
            raise ValueError("the first version has no from; it applies until the second begins")
        if any(version.start is None for version in later):
            raise ValueError("every version but the first needs a from (write from: 2026-03-05)")
        for one, other in pairwise(later):
            if (
                one.start is not None
                and other.start is not None
                and instant_of(one.start) >= instant_of(other.start)
            ):
                raise ValueError(
                    f"version from {other.start} follows version from {one.start} (write them rising)"
                )
        if any(_event_rules(version) != _event_rules(first) for version in later):
            raise ValueError(
                "versions of one price must agree on whole_event and on what is charged per event, because events are "
                "counted by them (make it a change of the catalog instead of a dated version)"
            )
        return self

    @property
    def versions(self) -> tuple[PriceBase, ...]:
        """All versions, the undated first."""
        if isinstance(self.root, tuple):
            return self.root
        return self.root.versions if isinstance(self.root, DatedPrice) else (self.root,)

    @property
    def key(self) -> str | None:
        """The key of a price in a file of its own."""
        return self.root.price if isinstance(self.root, DatedPrice) else self.versions[0].price

    @property
    def meter(self) -> str | None:
        """The meter it is the price of, where the price itself says so."""
        return self.root.meter if isinstance(self.root, DatedPrice) else self.versions[0].meter

    @property
    def name(self) -> str | None:
        """How its lines are called."""
        return self.root.name if isinstance(self.root, DatedPrice) else self.versions[0].name

    @cached_property
    def dimensions(self) -> tuple[str, ...]:
        """The meter's dimensions any version looks at; usage must be measured by these and no others."""
        return tuple(dict.fromkeys(name for version in self.versions for name in version.dimensions))

    @property
    def reads_events(self) -> bool:
        """Whether segments must carry the values of single events in order of time."""
        return any(version.reads_events for version in self.versions)

    def at(self, instant: datetime, zone: ZoneInfo | None = None) -> PriceBase:
        """The version in force at an instant; before the first dated one, the first."""
        standing = self.versions[0]
        for version in self.versions[1:]:
            if in_force(version.start, instant, zone):
                standing = version
        return standing

    def edges(self, start: datetime, end: datetime, zone: ZoneInfo | None = None) -> tuple[datetime, ...]:
        """The instants strictly inside ``[start, end)`` at which numbers change, rising; segments are cut there.

        Args:
            start: Start of the period (UTC).
            end: End of the period (UTC).
            zone: The contract's time zone, in which dates mean midnight; UTC where left out.
        """
        dates = {instant_of(each, zone) for version in self.versions for each in version.dated()}
        return tuple(sorted(instant for instant in dates if start < instant < end))

    def check_dimensions(self, known: Collection[str], field: str = "prices") -> None:
        """Refuse a price that looks at a dimension its (derived) meter does not have.

        Raises:
            InvalidInputError: With the dimensions there are.
        """
        for name in self.dimensions:
            if name not in known:
                raise InvalidInputError(
                    f"the price looks at dimension {name!r}, which the meter does not have",
                    field=field,
                    hint=f"it has {', '.join(known) or 'no dimensions'}",
                )


def _event_rules(version: PriceBase) -> object:
    if isinstance(version, Percentage) and version.rates_single_events:
        return version.whole_event, version.derived_value("value")
    return version.whole_event, None

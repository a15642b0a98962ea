"""Meters: what to count. A meter of the catalog compiles to the one function every reader of events uses."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any

import msgspec
from pydantic import BeforeValidator, Field, field_validator, model_validator

from valorem.core.entry import Entry, Key
from valorem.core.errors import InvalidInputError
from valorem.core.ids import identity
from valorem.core.metering.aggregation import AGGREGATIONS, Aggregation, AggregationName
from valorem.core.metering.conversion import Conversion
from valorem.core.metering.cost import UnitCost
from valorem.core.metering.event import Event
from valorem.core.metering.expression import parse_expression, write_expression
from valorem.core.metering.filters import Filter, canonical_filter, parse_filter
from valorem.core.numbers import plain
from valorem.core.units import Share

#: Changes whenever the same definition would count differently than before.
REVISION = 1


def _as_tuple(event: object) -> object:
    return (event,) if isinstance(event, str) else event


def _as_expression(source: object) -> object:
    """Accept a number of YAML as the constant expression it is, and check the text where it stands."""
    if isinstance(source, int | Decimal) and not isinstance(source, bool):
        source = plain(Decimal(source))
    if isinstance(source, str):
        try:
            parse_expression(source)
        except InvalidInputError as error:
            raise ValueError(
                f"{source!r}: {error.message}" + (f" ({error.hint})" if error.hint else "")
            ) from None
    return source


ExpressionText = Annotated[
    str,
    BeforeValidator(_as_expression, json_schema_input_type=str | int),
    Field(description="a path such as data.tokens, or arithmetic such as data.input + 2 * data.output"),
]


class Meter(Entry):
    """What to count: which events, which of them, which value, and along which dimensions.

    Attributes:
        meter: Its key in the catalog.
        name: For people; the key where absent.
        description: For people.
        event: The event types it counts.
        aggregate: How readings become a quantity.
        value: Path or expression of the value; absent for ``count`` and with ``each``.
        percentile: For ``percentile``: the share, as 95% or 0.95.
        unit: What one unit of the quantity is called.
        filter: Which of the events count.
        dimensions: Name to path or expression; the quantity is kept for each combination of their values.
        each: One dimension whose values each have their own value expression: one event gives several readings.
        convert: Applied to the aggregated quantity.
        cost: What a unit costs whoever provides it; for margins, never billed.
    """

    meter: Key
    name: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=2000)
    event: Annotated[
        tuple[str, ...],
        BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
        Field(min_length=1, max_length=100),
    ]
    aggregate: AggregationName
    value: ExpressionText | None = None
    percentile: Share | None = None
    unit: str | None = Field(default=None, max_length=60)
    filter: dict[str, Any] | None = None
    dimensions: dict[Key, ExpressionText] = Field(default_factory=dict, max_length=20)
    each: dict[Key, dict[str, ExpressionText]] | None = None
    convert: Conversion | None = None
    cost: UnitCost | None = None

    @field_validator("event")
    @classmethod
    def _event_types(cls, types: tuple[str, ...]) -> tuple[str, ...]:
        for text in types:
            if not 0 < len(text.encode()) <= 255:
                raise ValueError("an event type has 1 to 255 bytes")
            if text.startswith("valorem."):
                raise ValueError(f"{text} is one of Valorem's own events and cannot be metered")
        return tuple(dict.fromkeys(types))

    @field_validator("filter")
    @classmethod
    def _filter_reads(cls, source: dict[str, Any] | None) -> dict[str, Any] | None:
        if source is not None:
            try:
                parse_filter(source)
            except InvalidInputError as error:
                raise ValueError(str(error)) from None
        return source

    @model_validator(mode="after")
    def _fits_together(self) -> "Meter":
        aggregation = self.aggregation
        if self.each is not None:
            self._check_each(self.each)
        if aggregation.valueless and (self.value is not None or self.each is not None):
            raise ValueError(f"{self.aggregate} counts events and takes no value; use sum, or leave it out")
        if not aggregation.valueless and self.value is None and self.each is None:
            raise ValueError(f"{self.aggregate} needs a value, such as data.tokens")
        if aggregation.needs_events != (self.percentile is not None):
            raise ValueError(
                "percentile needs which one: percentile: 95%"
                if aggregation.needs_events
                else f"{self.aggregate} takes no percentile"
            )
        if self.percentile is not None and not 0 < self.percentile <= 1:
            raise ValueError("the percentile lies above 0% and at most at 100%")
        return self

    def _check_each(self, each: dict[str, dict[str, str]]) -> None:
        if len(each) != 1:
            raise ValueError(
                "each spreads over exactly one dimension: each: {kind: {input: data.input_tokens}}"
            )
        if self.value is not None:
            raise ValueError("give value or each, not both")
        ((name, members),) = each.items()
        if name in self.dimensions:
            raise ValueError(f"{name} is both a dimension and spread over by each")
        if not 0 < len(members) <= 100:
            raise ValueError(f"each.{name} needs 1 to 100 members: {{input: data.input_tokens}}")
        for member in members:
            if not 0 < len(member.encode()) <= 255:
                raise ValueError(f"each.{name}: a dimension value has 1 to 255 bytes")

    @property
    def key(self) -> str:
        """The meter's key in the catalog."""
        return self.meter

    @property
    def aggregation(self) -> Aggregation:
        """The declared aggregation."""
        return AGGREGATIONS[self.aggregate]

    @cached_property
    def predicate(self) -> Filter | None:
        """The filter, parsed."""
        return None if self.filter is None else parse_filter(self.filter)

    @cached_property
    def dimension_names(self) -> tuple[str, ...]:
        """Names of the places of :attr:`Reading.dimensions`, sorted, so that their order in the file never matters."""
        return tuple(sorted((*self.dimensions, *(self.each or ()))))

    @cached_property
    def _fingerprint(self) -> str:
        counted = {
            "revision": REVISION,
            "event": sorted(self.event),
            "filter": None if self.predicate is None else canonical_filter(self.predicate),
            "aggregate": self.aggregate,
            "value": None if self.value is None else _canonical(self.value),
            "dimensions": {name: _canonical(text) for name, text in self.dimensions.items()},
            "each": {
                name: {member: _canonical(text) for member, text in members.items()}
                for name, members in (self.each or {}).items()
            },
        }
        return identity(msgspec.json.encode(counted, order="sorted")).hex()

    def fingerprint(self) -> str:
        """32 hexadecimal digits over everything that influences counting: the identity of the meter revision.

        Name, unit, percentile and conversion are left out: they are applied to what was counted. Neither the order of
        types, dimensions and filter parts nor white space in expressions changes it.
        """
        return self._fingerprint


def _canonical(text: str) -> str:
    return write_expression(parse_expression(text))


class Reading(msgspec.Struct, frozen=True, gc=False):
    """What one meter reads from one event.

    Attributes:
        dimensions: One value for each of the meter's ``dimension_names``; ``None`` where the event has none.
        value: The number, or for ``unique`` the text. One for ``count``.
    """

    dimensions: tuple[str | None, ...]
    value: Decimal | str


class CompiledMeter:
    """A meter as a function: :meth:`read` is used at ingest, in backfill, in recount and in tests alike.

    Attributes:
        meter: The definition.
        aggregation: Its aggregation.
        fingerprint: Of the meter revision.
        dimension_names: What the places of a reading's ``dimensions`` mean.
        read: ``read(event) -> tuple[Reading, ...]``: nothing when the event is of another type or filtered out.
            Raises InvalidInputError, naming the field and the meter, when the event counts but its value is no number.
        read_matching: The same for an event already known to be of one of the meter's types.
    """

    __slots__ = ("aggregation", "dimension_names", "fingerprint", "meter", "read", "read_matching")

    def __init__(self, meter: Meter, read_matching: Callable[[Event], tuple[Reading, ...]]) -> None:
        types = frozenset(meter.event)
        self.meter = meter
        self.aggregation = meter.aggregation
        self.fingerprint = meter.fingerprint()
        self.dimension_names = meter.dimension_names
        self.read_matching = read_matching
        self.read: Callable[[Event], tuple[Reading, ...]] = lambda event: (
            read_matching(event) if event.type in types else ()
        )


class MeterSet:
    """Many meters, indexed by event type.

    Meters of equal fingerprint count the same and are kept once.

    Attributes:
        meters: The distinct meters; readings refer to them by index.
    """

    __slots__ = ("_by_type", "meters")

    def __init__(self, meters: Iterable[CompiledMeter]) -> None:
        self.meters = tuple({meter.fingerprint: meter for meter in meters}.values())
        self._by_type: dict[str, tuple[tuple[int, Callable[[Event], tuple[Reading, ...]]], ...]] = {}
        for index, compiled in enumerate(self.meters):
            for event_type in compiled.meter.event:
                known = self._by_type.get(event_type, ())
                self._by_type[event_type] = (*known, (index, compiled.read_matching))

    def matching(self, event_type: str) -> tuple[tuple[int, Callable[[Event], tuple[Reading, ...]]], ...]:
        """The meters that count events of a type, as (index into ``meters``, :attr:`CompiledMeter.read_matching`)."""
        return self._by_type.get(event_type, ())

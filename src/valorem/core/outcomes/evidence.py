"""Evidence: what the events of a source say about one key under one definition."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from valorem.core.errors import InvalidInputError
from valorem.core.metering.evaluate import compile_expression, compile_number
from valorem.core.metering.event import Event
from valorem.core.metering.expression import parse_expression
from valorem.core.metering.filters import compile_filter, parse_filter
from valorem.core.metering.values import text_of
from valorem.core.numbers import ONE
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.hours import Work, hours_saved
from valorem.core.outcomes.keys import canonical_key
from valorem.core.outcomes.terms import EvidenceKind, EvidenceRule

#: At one instant and sequence evidence takes effect in this order.
RANK: Mapping[EvidenceKind, int] = {
    "touch": 0,
    "success": 1,
    "restate": 2,
    "confirm": 3,
    "refute": 4,
    "retract": 5,
}


class Evidence(msgspec.Struct, frozen=True):
    """One fact about one key, as one rule of the definition reads it.

    Attributes:
        id: The event's source and id.
        key: The canonical key it speaks of.
        kind: What it says.
        at: When it happened (UTC).
        known_at: When it arrived (UTC).
        rule: Which rule of the definition read it, by index.
        order: Orders evidence of one instant, where the source numbers its changes.
        data: The event's payload, for predicates.
        actor: Who acted.
        reason: Why, for a refutation.
        level: The number that must have risen for it to take effect.
        amount: What the outcome is worth, in ``currency``.
        currency: Of the amount; the definition's where ``None``.
        rate: Into the definition's currency.
        pays: What a guarantee pays out.
        alias_of: The key this record was merged into.
        dimensions: Values of the definition's dimensions, in order of their names.
        unit: The unit whose assignment to the holdout decides.
        measures: The numbers of ``savings.facts``, in order of their names.
        arm: Treated or control, for a difference in differences.
    """

    id: str
    key: str
    kind: EvidenceKind
    at: datetime
    known_at: datetime
    rule: int = 0
    order: bytes = b""
    data: Mapping[str, Any] = {}
    actor: str | None = None
    reason: str | None = None
    level: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    rate: Decimal | None = None
    pays: Decimal | None = None
    alias_of: str | None = None
    dimensions: tuple[str | None, ...] = ()
    unit: str | None = None
    measures: tuple[Decimal | None, ...] = ()
    arm: str | None = None

    @property
    def place(self) -> tuple[datetime, bytes, int, str, int]:
        """Where it stands among all evidence of its key, whatever order it arrived in."""
        return self.at, self.order, RANK[self.kind], self.id, self.rule


Text = Callable[[Event], str | None]
Number = Callable[[Event], Decimal | None]


@dataclass(frozen=True, slots=True)
class _Rule:
    index: int
    rule: EvidenceRule
    holds: Callable[[Event], bool]
    level: Number
    pays: Number


class CompiledOutcome:
    """A definition as a function over events; the one reader at ingest, in a backtest, in a bundle and in tests.

    Attributes:
        definition: What was compiled.
        event_types: The types of events it reads.
        dimension_names: What the places of ``Evidence.dimensions`` mean.
        measure_names: What the places of ``Evidence.measures`` mean.
        predicates: What qualifies a success, by name, as functions of the evidence's data.
    """

    def __init__(self, definition: OutcomeDefinition) -> None:
        self.definition = definition
        self.dimension_names = tuple(sorted(definition.dimensions))
        self.predicates = tuple(
            (name, compile_filter(predicate)) for name, predicate in definition.predicates
        )
        self._by_type: dict[str, list[_Rule]] = {}
        for index, rule in enumerate(definition.evidence):
            holds = _always if rule.when is None else compile_filter(parse_filter(rule.when))
            read = _Rule(index, rule, holds, _number(rule.rises), _optional_number(rule.pays))
            for kind in rule.event:
                self._by_type.setdefault(kind, []).append(read)
        self.event_types = frozenset(self._by_type)
        value = definition.value
        self._key = _text(definition.key)
        self._alias = _text(definition.alias_of)
        self._order = _order(definition.sequence)
        self._actor = _text(definition.actor)
        self._reason = _text(definition.reason)
        self._amount = _worth(definition)
        self._currency = _text(value.currency if value else None)
        self._rate = _optional_number(value.rate if value else None)
        self._unit = _text(definition.holdout.unit if definition.holdout else None)
        savings = definition.savings
        self.measure_names = tuple(sorted(savings.facts)) if savings else ()
        self._measures = (
            [_optional_number(savings.facts[name]) for name in self.measure_names] if savings else []
        )
        self._arm = _text(savings.baseline.arm if savings else None)
        self._dimensions = [_text(definition.dimensions[name]) for name in self.dimension_names]

    def read(self, event: Event, known_at: datetime) -> tuple[Evidence, ...]:
        """Everything one event says, nothing where no rule is for it.

        Args:
            event: With its time.
            known_at: When it arrived (UTC).

        Raises:
            InvalidInputError: Naming the field, where a rule is for the event but its key or a number is missing.
        """
        rules = [each for each in self._by_type.get(event.type, ()) if each.holds(event)]
        if not rules or event.time is None:
            return ()
        actor = self._actor(event)
        if actor is not None and actor in self.definition.source.own_actors:
            return ()
        key = self._key(event)
        if key is None:
            raise InvalidInputError(
                "the event has no key",
                field=self.definition.key,
                hint="send the id of the record it is about",
            )
        return tuple(self._evidence(event, known_at, each, key, actor) for each in rules)

    def readable(self, events: Iterable[tuple[Event, datetime]]) -> Iterator[tuple[Event, Evidence]]:
        """The evidence of many events, leaving out those that lack what this definition needs.

        An older version may well read what a newer one cannot; whoever shows evidence tells which those are.
        """
        for event, known_at in events:
            try:
                found = self.read(event, known_at)
            except InvalidInputError:
                continue
            for each in found:
                yield event, each

    def read_all(self, events: Iterable[tuple[Event, datetime]]) -> list[Evidence]:
        """The evidence of many events, each with its arrival."""
        return [each for event, known_at in events for each in self.read(event, known_at)]

    def _evidence(
        self, event: Event, known_at: datetime, read: _Rule, key: str, actor: str | None
    ) -> Evidence:
        assert event.time is not None  # read() skips events without
        rule, success = read.rule, read.rule.kind == "success"
        valued = success or rule.kind == "restate"
        alias = self._alias(event)
        normalize = self.definition.normalize
        return Evidence(
            id=f"{event.source}/{event.id}",
            key=canonical_key(key, normalize),
            kind=rule.kind,
            at=event.time,
            known_at=known_at,
            rule=read.index,
            order=self._order(event),
            data=event.data,
            actor=actor,
            reason=self._reason(event) if rule.kind in ("refute", "retract") else None,
            level=read.level(event),
            amount=self._amount(event) if valued else None,
            currency=self._currency(event) if valued else None,
            rate=self._rate(event) if rule.kind in ("success", "confirm", "restate") else None,
            pays=read.pays(event),
            alias_of=canonical_key(alias, normalize) if alias is not None else None,
            dimensions=tuple(dimension(event) for dimension in self._dimensions) if success else (),
            unit=self._unit(event) if success or rule.kind == "touch" else None,
            measures=tuple(measure(event) for measure in self._measures) if success else (),
            arm=self._arm(event) if success else None,
        )


def _worth(definition: OutcomeDefinition) -> Number:
    """What an outcome is worth: its value, or the time it saved."""
    hours = definition.hours
    if hours is None or hours.minutes is None:
        return _number(definition.value.amount if definition.value else None)
    minutes, items = _number(hours.minutes), _number(hours.items)

    def saved(event: Event) -> Decimal | None:
        taken, count = minutes(event), items(event) if hours.items is not None else ONE
        if taken is None or count is None:
            return None
        return hours_saved(hours, [Work(count, taken)]).value

    return saved


def _always(_: Event) -> bool:
    return True


def _text(source: str | None) -> Text:
    if source is None:
        return lambda _: None
    read = compile_expression(parse_expression(source))
    return lambda event: text_of(read(event))


def _number(source: str | None) -> Number:
    return (lambda _: None) if source is None else compile_number(parse_expression(source))


def _optional_number(source: str | None) -> Number:
    """A number where the event has one; text or a missing part of an expression is still an error."""
    if source is None:
        return lambda _: None
    present, read = compile_expression(parse_expression(source)), compile_number(parse_expression(source))
    return lambda event: None if present(event) is None else read(event)


def _order(source: str | None) -> Callable[[Event], bytes]:
    """The bytes that order evidence of one instant: whole numbers by value, other text as it stands."""
    if source is None:
        return lambda event: event.order
    read = _text(source)

    def order(event: Event) -> bytes:
        text = read(event) or ""
        return (text.lstrip("0").zfill(40) if text.isascii() and text.isdigit() else text).encode()

    return order


def in_order(evidence: Iterable[Evidence]) -> list[Evidence]:
    """Evidence in the order it takes effect, each fact once, with the earliest of its arrivals."""
    facts: dict[tuple[str, int], Evidence] = {}
    for each in evidence:
        known = facts.get((each.id, each.rule))
        if known is None or each.known_at < known.known_at:
            facts[each.id, each.rule] = each
    return sorted(facts.values(), key=lambda each: each.place)


def known_by(evidence: Iterable[Evidence], instant: datetime) -> list[Evidence]:
    """The evidence that had arrived by an instant: what an invoice of that moment rested on."""
    return [each for each in evidence if each.known_at <= instant]

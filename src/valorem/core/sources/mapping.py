"""From a record of another system to what it says here, by the rules of its source."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal

import msgspec

from valorem.core.errors import InvalidInputError
from valorem.core.metering.evaluate import compile_expression
from valorem.core.metering.event import Event
from valorem.core.metering.expression import parse_expression
from valorem.core.metering.filters import compile_filter, parse_filter
from valorem.core.metering.fingerprint import by_value
from valorem.core.metering.values import text_of
from valorem.core.numbers import exact, parse_decimal, plain
from valorem.core.sources.definition import RecordRule, SourceDefinition
from valorem.core.sources.times import read_time
from valorem.core.time import parse_instant, write_instant

Record = Mapping[str, Any]
Via = Literal["webhook", "poll"]
_encode = msgspec.json.Encoder(order="sorted", decimal_format="number").encode
_LONGEST_KEY = 120
_DIGEST = 20


@dataclass(frozen=True, slots=True)
class Said:
    """What one record says by one rule.

    Attributes:
        rule: The rule, by index.
        key: The thing or fact it is about.
        order: Greater for a newer version; empty where the record has none.
        gone: Whether it says that the thing is gone.
        at: When it happened (UTC).
        subject: Whose.
        sequence: Orders states of one instant.
        data: What is kept of it.
        polled: Whether we read it there, rather than being told.
    """

    rule: int
    key: str
    order: str
    gone: bool
    at: datetime
    subject: str
    sequence: str | None
    data: Mapping[str, Any]
    polled: bool = True

    @property
    def digest(self) -> str:
        """The same for the same fact, by whichever way it came and however its record is written."""
        said = (self.at, self.subject, self.sequence, self.gone, by_value(self.data))
        return sha256(_encode(said)).hexdigest()[:_DIGEST]


@dataclass(frozen=True, slots=True)
class Unread:
    """A record that a rule is for but cannot read.

    Attributes:
        rule: The rule's event type.
        field: What is missing or wrong.
        reason: What it is.
        hint: The way out.
    """

    rule: str
    field: str | None
    reason: str
    hint: str | None


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A rule as functions over a record."""

    index: int
    rule: RecordRule
    holds: Callable[[Event], bool]
    gone: Callable[[Event], bool]
    key: Callable[[Event], Any]
    version: Callable[[Event], Any]
    time: Callable[[Event], Any]
    subject: Callable[[Event], Any]
    sequence: Callable[[Event], Any]
    data: tuple[tuple[str, Callable[[Event], Any]], ...]


class RecordMap:
    """A source's rules as a function over records; the one reader for webhooks, polls, files and the dry run."""

    def __init__(self, definition: SourceDefinition) -> None:
        self.definition = definition
        self._rules = [_compile(index, rule) for index, rule in enumerate(definition.map)]

    @exact
    def read(self, record: Record, via: Via) -> list[Said | Unread]:
        """Everything a record says; nothing where no rule is for it.

        Args:
            record: As decoded, without any float.
            via: By which way it came.
        """
        wrapped = Event(id="", source=self.definition.source, type="", subject="", data=record)
        said: list[Said | Unread] = []
        for compiled in self._rules:
            if compiled.rule.via not in ("any", via):
                continue
            try:
                gone = compiled.gone(wrapped)
                if gone or compiled.holds(wrapped):
                    said.append(_said(compiled, wrapped, gone=gone, polled=via == "poll"))
            except InvalidInputError as error:
                said.append(Unread(compiled.rule.event, error.field, error.message, error.hint))
        return said


def _compile(index: int, rule: RecordRule) -> _Compiled:
    gone = rule.gone.when if rule.gone is not None else None
    return _Compiled(
        index,
        rule,
        (lambda _: True) if rule.condition is None else compile_filter(rule.condition),
        (lambda _: False) if gone is None else compile_filter(parse_filter(gone)),
        _reads(rule.key),
        _reads(rule.version),
        _reads(rule.time.at),
        _reads(rule.subject),
        _reads(rule.sequence),
        tuple((name, _reads(source)) for name, source in rule.data.items()),
    )


def _reads(source: str | None) -> Callable[[Event], Any]:
    if source is None:
        return lambda _: None
    return compile_expression(parse_expression(source))


def _said(compiled: _Compiled, record: Event, *, gone: bool, polled: bool) -> Said:
    rule = compiled.rule
    key = _needed(compiled.key(record), rule.key, "the record has no key")
    when = rule.time
    return Said(
        rule=compiled.index,
        key=key,
        order=order_of(compiled.version(record)),
        gone=gone,
        at=read_time(compiled.time(record), when.format, when.zone, when.repeated, when.at),
        subject=_needed(compiled.subject(record), rule.subject, "the record does not say whose it is"),
        sequence=text_of(compiled.sequence(record)),
        data={name: value for name, read in compiled.data if (value := read(record)) is not None},
        polled=polled,
    )


def _needed(value: Any, field: str, what: str) -> str:
    text = text_of(value)
    if not text:
        raise InvalidInputError(
            what,
            field=field,
            hint="has the field another name now? change the mapping, then retry the record",
        )
    return text


def order_of(version: Any) -> str:
    """A text that sorts as versions do: numbers by value, instants by time, other text as it stands."""
    text = text_of(version)
    if text is None:
        return ""
    try:
        number = parse_decimal(text)
    except InvalidInputError:
        pass
    else:
        whole, _, fraction = plain(abs(number)).partition(".")
        # Negative versions do not occur in earnest; they sort before all others, which is all that can be said.
        return f"{'-' if number < 0 else '0'}{whole.zfill(18)}.{fraction.ljust(12, '0')}"
    try:
        instant = parse_instant(text)
    except InvalidInputError:
        return text
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def short_key(key: str) -> str:
    """A key that fits into an event's id, whatever its length."""
    return key if len(key.encode()) <= _LONGEST_KEY else f"#{sha256(key.encode()).hexdigest()[:40]}"


def write_event(
    kind: str, source: str, identifier: str, subject: str, at: datetime, data: Mapping[str, Any],
    sequence: str | None = None,
) -> bytes:  # fmt: skip
    """An event as it is ingested; numbers keep every digit."""
    members: dict[str, Any] = {
        "specversion": "1.0",
        "id": identifier,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": write_instant(at),
        "data": data,
    }
    if sequence is not None:
        members["sequence"] = sequence
    return _plain_encode(members)


_plain_encode = msgspec.json.Encoder(decimal_format="number").encode


def split_records(payload: Any, records: str | None) -> list[Record]:
    """The records of a message: the object itself, the objects of a list, or those at a path.

    Raises:
        InvalidInputError: When there is no object where one is expected.
    """
    items: Iterable[Any] = payload if isinstance(payload, list) else [payload]
    read = _reads(records)
    found: list[Record] = []
    for item in items:
        if not isinstance(item, Mapping):
            raise InvalidInputError(
                "a record is a JSON object", field="body", hint="send an object, or a list of them"
            )
        inner = item if records is None else read(Event("", "", "", "", data=item))
        for each in inner if isinstance(inner, list) else [inner]:
            if not isinstance(each, Mapping):
                raise InvalidInputError(
                    "there is no record at the path the source names",
                    field=records or "body",
                    hint="compare webhook.records in the source with what was sent",
                )
            found.append(each)
    return found

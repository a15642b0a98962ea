"""The definition of a source in the catalog: where its records come from and what they mean."""

from collections.abc import Iterator
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valorem.core.entry import Entry, Key
from valorem.core.metering.event import CONNECTOR, CORRECTIONS
from valorem.core.metering.filters import Filter, parse_filter
from valorem.core.metering.meter import ExpressionText
from valorem.core.outcomes.durations import Duration
from valorem.core.outcomes.terms import check_filter
from valorem.core.sources.channels import PollTerms, RestTerms, WebhookTerms
from valorem.core.sources.times import Format, Zone

EventType = Annotated[str, Field(min_length=1, max_length=255)]


class TimeTerms(Entry):
    """When a record's fact happened.

    Attributes:
        at: Path or expression.
        format: How it is written.
        zone: For ``local`` times: where the clock hangs, or a fixed offset.
        repeated: For ``local`` times in the hour that a clock shows twice: which one is meant.
    """

    at: ExpressionText
    format: Format = "rfc3339"
    zone: Zone | None = None
    repeated: Literal["earlier", "later"] = "earlier"

    @model_validator(mode="after")
    def _zone_of_local(self) -> "TimeTerms":
        if (self.format == "local") != (self.zone is not None):
            raise ValueError("zone goes with format: local")
        return self


class GoneTerms(Entry):
    """How the other system says that a record is gone.

    Attributes:
        when: Which records say so.
        event: For a ``state``: the type of the event that tells it.
    """

    when: dict[str, Any] | None = None
    event: EventType | None = None

    _readable = field_validator("when")(check_filter)


class RecordRule(Entry):
    """What one kind of record means.

    Attributes:
        event: Type of the event it becomes.
        when: Which records; all where left out.
        via: By which way they came.
        meaning: A ``state`` that a thing was seen in, each an event of its own; or a ``fact`` that counts once, is amended
            when its record changes and voided when that is gone.
        key: Path or expression that names the thing or the fact.
        version: What grows when the record changes; an older version never replaces a newer one.
        time: When it happened.
        subject: Whose usage or outcome it is.
        sequence: Orders states of one instant.
        data: Name to path or expression: what is kept of the record.
        gone: How its end is told.
    """

    event: EventType
    when: dict[str, Any] | None = None
    via: Literal["any", "webhook", "poll"] = "any"
    meaning: Literal["state", "fact"] = "state"
    key: ExpressionText
    version: ExpressionText | None = None
    time: Annotated[
        TimeTerms,
        BeforeValidator(
            lambda value: {"at": value} if isinstance(value, str) else value,
            json_schema_input_type=str | TimeTerms,
        ),
    ]
    subject: ExpressionText
    sequence: ExpressionText | None = None
    data: Annotated[dict[Key, ExpressionText], Field(min_length=1, max_length=200)]
    gone: GoneTerms | None = None

    _readable = field_validator("when")(check_filter)

    @model_validator(mode="after")
    def _fits(self) -> "RecordRule":
        if self.event in CORRECTIONS:
            raise ValueError(
                f"{self.event} is not mapped (write meaning: fact; corrections follow by themselves)"
            )
        if self.gone is not None and self.meaning == "fact" and self.gone.event is not None:
            raise ValueError("a fact that is gone is voided; gone.event goes with meaning: state")
        return self

    @property
    def gone_event(self) -> str:
        """The type of the event that tells the end of a thing."""
        return (self.gone and self.gone.event) or f"{self.event}.gone"

    @cached_property
    def condition(self) -> Filter | None:
        """Which records, parsed."""
        return None if self.when is None else parse_filter(self.when)


class PushRule(Entry):
    """What is written back to the other system when an outcome changes.

    Attributes:
        outcome: Which outcome of the catalog.
        states: In which states it is told.
        method: Of the request.
        path: Below ``url``; ``{key}``, ``{state}``, ``{outcome}`` and ``{id}`` stand for the outcome's.
        body: Sent as JSON; the same names in its texts.
        actor: Who we are there; what that actor does is no evidence.
    """

    outcome: Key
    states: Annotated[
        tuple[Literal["assumed", "confirmed", "reversed", "cancelled", "rejected"], ...], Field(min_length=1)
    ] = ("confirmed", "reversed")
    method: Literal["POST", "PUT", "PATCH"] = "PUT"
    path: Annotated[str, Field(min_length=1, max_length=500)]
    body: dict[str, Any] = Field(default_factory=dict)
    actor: str | None = None


class SourceDefinition(Entry):
    """Another system whose records become events here.

    Attributes:
        source: Its key in the catalog.
        name: For people; the key where left out.
        description: For people.
        system: What outcome definitions call it; the key where left out.
        freshness: How long it may be silent before it counts as incomplete.
        webhook: Messages it sends by itself.
        poll: How we read it; a webhook is a hint, reading reconciles.
        map: What its records mean.
        push: What is written back to it.
    """

    source: Key
    name: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=4000)
    system: Annotated[str, Field(min_length=1, max_length=255)] | None = None
    freshness: Duration = timedelta(hours=1)
    webhook: WebhookTerms | None = None
    poll: PollTerms | None = None
    map: Annotated[tuple[RecordRule, ...], Field(min_length=1, max_length=100)]
    push: tuple[PushRule, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> "SourceDefinition":
        if self.webhook is None and self.poll is None:
            raise ValueError("records come by webhook, by poll or both (write one of them)")
        if self.push and not isinstance(self.poll, RestTerms):
            raise ValueError("push writes to the interface of poll (write poll: {kind: rest_api, …})")
        twice = [rule.event for rule in self.map]
        if len(set(twice)) < len(twice):
            again = next(event for event in twice if twice.count(event) > 1)
            raise ValueError(f"two rules make events of type {again} (give each its own, or one rule both)")
        return self

    @property
    def called(self) -> str:
        """What outcome definitions call it."""
        return self.system or self.source

    @property
    def event_source(self) -> str:
        """The ``source`` of its events."""
        return CONNECTOR + self.source

    @property
    def kind(self) -> str:
        """How it is read; ``webhook`` where it only sends."""
        return "webhook" if self.poll is None else self.poll.kind

    def secrets(self) -> Iterator[str]:
        """Names of the stored secrets it needs."""
        if self.webhook is not None:
            yield from self.webhook.secret
        if isinstance(self.poll, RestTerms):
            if self.poll.auth is not None:
                yield self.poll.auth.secret
        elif self.poll is not None and self.poll.secret is not None:
            yield self.poll.secret

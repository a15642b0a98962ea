"""The definition of an outcome: everything both sides sign before anything is billed."""

from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from valorem.core.entry import Currency, Entry, Key
from valorem.core.metering.filters import Filter, parse_filter
from valorem.core.metering.meter import ExpressionText
from valorem.core.outcomes.durations import Clock, Duration, parse_duration, write_duration
from valorem.core.outcomes.fitting import check_known, check_measured
from valorem.core.outcomes.keys import Normalizer
from valorem.core.outcomes.terms import (
    AgreementTerms,
    AttributionTerms,
    DisputeTerms,
    EvidenceRule,
    HoldoutTerms,
    HourTerms,
    OutcomeCap,
    OutcomeMinimum,
    Owners,
    SavingsTerms,
    SourceTerms,
    ValueTerms,
    check_filter,
)
from valorem.core.pricing.price import Price

_ONCE = ("until_reversed", "forever", "period")


def _read_once(value: object) -> object:
    if value in _ONCE:
        return value
    try:
        return write_duration(parse_duration(value))
    except ValueError:
        raise ValueError(
            f"found {value!r} (write one of {', '.join(_ONCE)}, or a length of time such as 30 days)"
        ) from None


def _read_until(value: object) -> object:
    return value if value in ("forever", "never") else write_duration(parse_duration(value))


OncePer = Annotated[
    str,
    BeforeValidator(_read_once),
    WithJsonSchema({"type": "string", "examples": [*_ONCE, "30 days"]}),
]
Until = Annotated[
    str,
    BeforeValidator(_read_until),
    WithJsonSchema({"type": "string", "examples": ["forever", "never", "30 days"]}),
]


class OutcomeDefinition(Entry):
    """What counts as a result, when it is settled, and what it costs.

    Attributes:
        outcome: Its key in the catalog.
        name: For people; the key where left out.
        description: What both sides mean by it, in words.
        unit: What one is called.
        source: Where the evidence comes from.
        evidence: Which events are evidence of what.
        key: Path or expression of what is counted: the id of a ticket, lead or order in the source.
        normalize: How ids are brought to one form, in this order.
        alias_of: Path of the key that a record was merged into.
        sequence: Path that orders evidence of one instant, where the source numbers its changes.
        actor: Path of who acted.
        reason: Path of the reason given with a refutation.
        value: What one outcome is worth.
        dimensions: Name to path or expression on the success; the price may look at them.
        qualify: Name to predicate; a success that fails one is rejected by that name.
        judged_at: Whether predicates look at the success, or at everything known when the window ends.
        window: How long silence must last until an assumed outcome is confirmed.
        window_clock: Whether the window counts elapsed time, or calendar days in the contract's zone.
        restart_on: Whether the first success starts the window, or each later one starts it anew.
        explicit: Whether an explicit yes confirms at once.
        one_per: How often one key counts: until it is reversed, once for ever, once in each billing period, or once
            in a length of time from the first accepted success.
        reversal_until: How long after its confirmation an outcome may be reversed.
        attribution: Which touch of ours must stand before a success.
        holdout: Units left alone for comparison; their successes are never billed.
        group: Outcomes of one group are charged once for each key.
        group_picks: Which of them: the first that counted, or the one with the highest price.
        currency: Of the price and of the invoice.
        price: How the number or the value of confirmed outcomes becomes money.
        bills: Whether the price is applied to their number or to their value.
        savings: Instead of a price: a share of what was saved.
        hours: How time saved becomes a value.
        minimum: What is billed in any case.
        cap: What is billed at most.
        reversal_policy: Whether a reversal changes the price of the period it was confirmed in, or the current one.
        dearer: Where fewer outcomes would cost more: credit nothing, or charge the difference.
        late: What evidence does that arrives after a period was billed.
        accept_until: How long after a period's end its evidence is heard at all.
        governed_by: Which instant decides the version of the definition that holds for an outcome.
        disputes: How a counted outcome is contested.
        agreement: When the two sides' lists agree well enough to bill.
        retention: How long evidence is kept.
        owners: Who answers for it on each side.
    """

    outcome: Key
    name: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=4000)
    unit: str | None = Field(default=None, max_length=60)
    source: SourceTerms
    evidence: Annotated[tuple[EvidenceRule, ...], Field(min_length=1, max_length=100)]
    key: ExpressionText
    normalize: tuple[Normalizer, ...] = ()
    alias_of: ExpressionText | None = None
    sequence: ExpressionText | None = None
    actor: ExpressionText | None = None
    reason: ExpressionText | None = None
    value: ValueTerms | None = None
    dimensions: dict[Key, ExpressionText] = Field(default_factory=dict, max_length=20)
    qualify: dict[Key, dict[str, Any]] = Field(default_factory=dict, max_length=100)
    judged_at: Literal["success", "maturity"] = "success"
    window: Duration = timedelta(0)
    window_clock: Clock = "elapsed"
    restart_on: Literal["first", "last"] = "first"
    explicit: Literal["confirms_now", "ignored"] = "confirms_now"
    one_per: OncePer = "until_reversed"
    reversal_until: Until = "forever"
    attribution: AttributionTerms | None = None
    holdout: HoldoutTerms | None = None
    group: Key | None = None
    group_picks: Literal["highest", "first"] = "highest"
    currency: Currency
    price: Price | None = None
    bills: Literal["count", "value"] = "count"
    savings: SavingsTerms | None = None
    hours: HourTerms | None = None
    minimum: OutcomeMinimum | None = None
    cap: OutcomeCap | None = None
    reversal_policy: Literal["re_rate_original", "net_in_current"] = "re_rate_original"
    dearer: Literal["floor_zero", "exact"] = "floor_zero"
    late: Literal["next_invoice", "note", "reject"] = "next_invoice"
    accept_until: Duration | None = None
    governed_by: Literal["first_success", "first_touch", "confirmation"] = "first_success"
    disputes: DisputeTerms = DisputeTerms()
    agreement: AgreementTerms = AgreementTerms()
    retention: Duration | None = None
    owners: Owners | None = None

    @field_validator("qualify")
    @classmethod
    def _predicates_read(cls, predicates: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for source in predicates.values():
            check_filter(source)
        return predicates

    @model_validator(mode="after")
    def _fits_together(self) -> "OutcomeDefinition":
        if not any(rule.kind == "success" for rule in self.evidence):
            raise ValueError("evidence has no rule of kind success (say which event is the result)")
        if self.attribution is not None and not any(rule.kind == "touch" for rule in self.evidence):
            raise ValueError("attribution needs evidence of kind touch (say which event is our touch)")
        if self.attribution is not None and self.attribution.exclusive and self.actor is None:
            raise ValueError("exclusive attribution needs actor, which says who acted")
        if (self.price is None) == (self.savings is None):
            raise ValueError("give price or savings, exactly one of them")
        if self.bills == "value" and self.value is None and self.hours is None:
            raise ValueError("bills: value needs value or hours, which say what an outcome is worth")
        if any(rule.kind == "restate" for rule in self.evidence) and self.value is None:
            raise ValueError("evidence of kind restate needs value, which it restates")
        if any(rule.reasons for rule in self.evidence) and self.reason is None:
            raise ValueError("a list of reasons needs reason, which says where the reason stands")
        if self.window_clock == "calendar_days" and self.window % timedelta(days=1):
            raise ValueError("window_clock: calendar_days needs a window of whole days")
        self._check_price()
        self._check_savings()
        return self

    def _check_savings(self) -> None:
        hours = self.hours
        if hours is not None and hours.minutes is not None and self.value is not None:
            raise ValueError("give value or hours, not both: each says what an outcome is worth")
        if hours is not None and (hours.minutes is None) == (self.savings is None):
            raise ValueError(
                "hours needs minutes, which says how long an item takes now, and no savings beside it"
            )
        if self.savings is None:
            return
        if self.group is not None:
            raise ValueError("a group charges one outcome of a key; a share of savings has no such price")
        check_known(self.savings.baseline)
        check_measured(self.savings, hours, valued=self.value is not None, held_out=self.holdout is not None)
        if self.minimum or self.cap:
            raise ValueError("a minimum or cap of a quantity goes with a price; savings has its own")

    def _check_price(self) -> None:
        if self.price is None:
            return
        if self.price.reads_events or any(version.rates_single_events for version in self.price.versions):
            raise ValueError(
                "the price of an outcome cannot look at single events; use dimensions, or the outcome's value"
            )
        if any(True for version in self.price.versions for _ in version.dated()):
            raise ValueError(
                "the price of an outcome has no dates, because both sides sign it (amend the definition instead)"
            )
        for name in self.price.dimensions:
            if name not in self.dimensions:
                raise ValueError(f"the price looks at dimension {name}, which dimensions does not have")
        if (self.minimum or self.cap) and self.price.dimensions:
            raise ValueError("a minimum or cap of a quantity goes with a price without dimensions")

    @cached_property
    def predicates(self) -> tuple[tuple[str, Filter], ...]:
        """The qualifying predicates, parsed, in the order written."""
        return tuple((name, parse_filter(source)) for name, source in self.qualify.items())

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name or self.outcome

    @cached_property
    def once_for(self) -> timedelta | None:
        """For how long one acceptance takes a key, where ``one_per`` is a length of time."""
        return None if self.one_per in _ONCE else parse_duration(self.one_per)

    def lock_after(self, rule: EvidenceRule) -> timedelta | None:
        """How long after confirmation a rule still reverses; ``None`` for ever."""
        if rule.until is not None:
            return rule.until
        if self.reversal_until == "forever":
            return None
        return timedelta(0) if self.reversal_until == "never" else parse_duration(self.reversal_until)

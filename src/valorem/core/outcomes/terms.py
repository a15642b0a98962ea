"""The parts of an outcome's definition: how it is sourced, counted, attributed, bounded and disputed."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from valorem.core.entry import Entry, Key
from valorem.core.errors import InvalidInputError
from valorem.core.metering.filters import parse_filter
from valorem.core.metering.meter import ExpressionText
from valorem.core.numbers import ONE, ZERO
from valorem.core.outcomes.durations import Duration
from valorem.core.units import Amount, Quantity, Share

#: What a fact says about an outcome; at one instant they take effect in this order.
EvidenceKind = Literal["touch", "success", "restate", "confirm", "refute", "retract"]
AttributionModel = Literal["any", "first", "last", "linear", "position", "time_decay"]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
    Field(min_length=1, max_length=100),
]


def check_filter(source: dict[str, Any] | None) -> dict[str, Any] | None:
    """Refuse a filter that cannot be read, where it stands."""
    if source is not None:
        try:
            parse_filter(source)
        except InvalidInputError as error:
            raise ValueError(str(error)) from None
    return source


class EvidenceRule(Entry):
    """Which events of the source are evidence, and of what.

    Attributes:
        event: Event types.
        kind: What they say: touch, success, confirm, refute, retract or restate.
        when: Which of them; all where left out.
        rises: A number that must be greater than in the key's evidence before it, such as a count of reopenings.
        name: What the rule is called where it decided something; the kind where left out.
        reasons: The closed list of reasons that are heard; any where left out.
        until: How long after confirmation it still reverses, where that differs from the definition's.
        pays: What a guarantee pays out to the customer when this rule applies after confirmation: a liability of its own,
            never negative usage.
        reverses: Whether the outcome is taken back as well, and with it its fee.
    """

    event: Names
    kind: EvidenceKind
    when: dict[str, Any] | None = None
    rises: ExpressionText | None = None
    name: str | None = Field(default=None, max_length=100)
    reasons: tuple[str, ...] = ()
    until: Duration | None = None
    pays: ExpressionText | None = None
    reverses: bool = True

    _readable = field_validator("when")(check_filter)

    @model_validator(mode="after")
    def _fits_kind(self) -> "EvidenceRule":
        if not self.reverses and self.pays is None:
            raise ValueError("a rule that does not reverse must pay something (write pays)")
        if self.kind not in ("refute", "retract"):
            for name in ("reasons", "until", "pays"):
                if getattr(self, name):
                    raise ValueError(f"{name} belongs to a rule that refutes or retracts, not to {self.kind}")
        return self


class SourceTerms(Entry):
    """Where the evidence comes from.

    Attributes:
        system: The source system, part of every outcome's key.
        scope: What may be read there.
        freshness: How old its newest evidence may be before the source counts as incomplete.
        incomplete: What closing a period does then: wait, bill what is known, or bill an estimate.
        own_actors: Actors that are ourselves writing back; what they did is no evidence.
    """

    system: Annotated[str, Field(min_length=1, max_length=255)]
    scope: tuple[str, ...] = ()
    freshness: Duration = timedelta(hours=1)
    incomplete: Literal["wait", "bill_known", "estimate"] = "wait"
    own_actors: tuple[str, ...] = ()


class ValueTerms(Entry):
    """What one outcome is worth, where that decides the price.

    Attributes:
        amount: Path or expression, read from the success and from restatements.
        currency: Path of its currency; the definition's own where left out.
        rate: Path of the rate into the definition's currency, kept from the confirmation day for ever.
    """

    amount: ExpressionText
    currency: ExpressionText | None = None
    rate: ExpressionText | None = None


class AttributionTerms(Entry):
    """Which touch of ours must stand before a success.

    Attributes:
        within: A success counts in ``[touch, touch + within)``.
        model: How a result is shared among the touches: any, first, last, linear, position (40/20/40), time_decay.
        half_life: For time_decay: after how long a touch weighs half.
        vendor_actors: Whose touches are ours; all of them where left out.
        exclusive: Whether nobody else may have acted between the touch and the success.
    """

    within: Duration
    model: AttributionModel = "any"
    half_life: Duration | None = None
    vendor_actors: tuple[str, ...] = ()
    exclusive: bool = False

    @model_validator(mode="after")
    def _half_life(self) -> "AttributionTerms":
        if (self.model == "time_decay") != (self.half_life is not None):
            raise ValueError("half_life goes with model: time_decay")
        if self.exclusive and not self.vendor_actors:
            raise ValueError("exclusive needs vendor_actors, which say who we are")
        return self


class HoldoutTerms(Entry):
    """Units that are left alone, so that the difference can be measured.

    Attributes:
        unit: Path of what is assigned (a customer, an account).
        salt: Fixes the assignment; both sides can recompute it.
        share: The share of units held out.
    """

    unit: ExpressionText
    salt: Annotated[str, Field(min_length=1, max_length=255)]
    share: Annotated[Share, Field(gt=0, lt=1)]


class OutcomeMinimum(Entry):
    """What one period comes to at least; a least amount is the price's own minimum.

    Attributes:
        quantity: Outcomes that are billed in any case.
    """

    quantity: Annotated[Quantity, Field(gt=0)]


class OutcomeCap(Entry):
    """What is billed at most; a greatest amount is the price's own maximum.

    Attributes:
        quantity: Outcomes.
        per: In each billing period, or on each local day.
    """

    quantity: Annotated[Quantity, Field(gt=0)]
    per: Literal["period", "day"] = "period"


class DisputeTerms(Entry):
    """How a counted outcome is contested.

    Attributes:
        days: How long after an invoice is final it may be disputed; the last instant is outside.
        reasons: The closed list of reasons.
        effect: Whether what is disputed is held back, or paid and credited later.
        settle: How what is upheld is given back once its invoice is final: by a credit note (where left out), or on the next
            invoice.
        vendor_silence_days: After so many days without an answer a dispute is upheld; 0 for never.
        customer_silence_days: After so many days without a reply to the answer it is rejected; 0 for never.
    """

    days: Annotated[int, Field(ge=0, le=3650)] = 14
    reasons: tuple[str, ...] = ("not_achieved", "not_ours", "duplicate", "wrong_value", "definition")
    effect: Literal["hold", "pay_then_credit"] = "hold"
    settle: Literal["credit_note", "next_invoice"] | None = None
    vendor_silence_days: Annotated[int, Field(ge=0, le=3650)] = 0
    customer_silence_days: Annotated[int, Field(ge=0, le=3650)] = 0


class AgreementTerms(Entry):
    """When the two sides' lists agree well enough to bill.

    Attributes:
        threshold: The least share of keys on both lists.
        cycles: For how many cycles in a row.
    """

    threshold: Annotated[Share, Field(gt=ZERO, le=ONE)] = Decimal("0.95")
    cycles: Annotated[int, Field(ge=1, le=120)] = 1


class Owners(Entry):
    """Who answers for the definition on each side."""

    vendor: str
    customer: str


class HourTerms(Entry):
    """What work saved is worth.

    Attributes:
        baseline_minutes: What one item took before.
        hour_value: What an hour is worth.
        minutes: Path or expression of the minutes one item takes now, read from the success; an outcome is then worth
            the time it saved.
        items: Of how many items the success speaks; one where left out.
        negative: Whether an item that took longer counts against the others, or as nothing.
    """

    baseline_minutes: Annotated[Amount, Field(ge=0)]
    hour_value: Annotated[Amount, Field(ge=0)]
    minutes: ExpressionText | None = None
    items: ExpressionText | None = None
    negative: Literal["net", "floor_each"] = "net"


BaselineMethod = Literal[
    "fixed",
    "pre_period_mean",
    "same_period_last_year",
    "unit_cost",
    "regression",
    "holdout",
    "difference_in_differences",
]
#: The methods whose number is an estimate with an interval.
ESTIMATED: frozenset[BaselineMethod] = frozenset({"regression", "holdout", "difference_in_differences"})


class Observed(Entry):
    """One period, or one case, from before: what both sides saw and signed as part of the baseline.

    Attributes:
        cost: What it cost; for a difference in differences what was measured.
        period: Which, as ``2027-02`` or a first day; needed where a period is compared with that of last year.
        facts: The numbers a regression explains the cost by.
        group: For a difference in differences: whether it belongs to the treated or to the control.
    """

    cost: Amount
    period: Annotated[str, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")] | None = None
    facts: Mapping[Key, Amount] = Field(default_factory=dict)
    group: Literal["treated", "control"] = "treated"


class Baseline(Entry):
    """What would have been spent without us; named and frozen beforehand, never chosen afterwards.

    Attributes:
        method: How it is found.
        amount: For ``fixed``: what one period would have cost.
        volume: For ``unit_cost``: what ``amount`` was spent on.
        observed: Earlier periods or cases, as both sides saw them.
        per: For ``same_period_last_year``: whether periods of different length are compared by day, by working day, or
            as they are.
        holidays: Days that are no working days.
        arm: For ``difference_in_differences``: path that says ``treated`` or ``control``, read from the success.
        routine: Agreed adjustments by formula, as path or expression over the period's facts and its ``baseline``.
    """

    method: BaselineMethod
    amount: Annotated[Amount, Field(ge=0)] | None = None
    volume: Annotated[Quantity, Field(gt=0)] | None = None
    observed: Annotated[tuple[Observed, ...], Field(max_length=10_000)] = ()
    per: Literal["day", "working_day", "period"] = "day"
    holidays: Annotated[tuple[date, ...], Field(max_length=1000)] = ()
    arm: ExpressionText | None = None
    routine: Mapping[Key, ExpressionText] = Field(default_factory=dict)


class SavingsTerms(Entry):
    """A share of what was saved against a baseline.

    Attributes:
        baseline: What would have been spent.
        share: Ours.
        facts: Further numbers of a period, each summed over its evidence: name to path or expression on the success. A
            baseline by unit cost looks at ``volume``.
        unit_value: What one unit of an effect is worth, where an estimate gives an effect and not a sum of money: one
            outcome beyond the holdout, one unit fewer of what a difference in differences measures.
        minimum_rate: The least saving, as a share of the baseline; once reached, sharing starts at the first unit of money.
        minimum: What one period comes to at least.
        cap: What one period comes to at most.
        cap_share: The same, as a share of the baseline.
        losses: Whether a period that cost more is made up for before anything is shared again.
        interval: What of an estimate is billed: the point, the lower bound, or the point where it is significant.
        level: The confidence level.
        sides: Of the interval: one or two.
        run_out: How long after a period its facts are still awaited.
    """

    baseline: Baseline
    share: Annotated[Share, Field(gt=0, le=1)]
    facts: dict[Key, ExpressionText] = Field(default_factory=dict, max_length=50)
    unit_value: Annotated[Amount, Field(gt=0)] | None = None
    minimum_rate: Annotated[Share, Field(ge=0, le=1)] = ZERO
    minimum: Annotated[Amount, Field(ge=0)] | None = None
    cap: Annotated[Amount, Field(ge=0)] | None = None
    cap_share: Annotated[Share, Field(ge=0)] | None = None
    losses: Literal["carry_losses", "none"] = "carry_losses"
    interval: Literal["lower_bound", "point", "significant_then_point"] = "lower_bound"
    level: Annotated[Share, Field(gt=0, lt=1)] = Decimal("0.95")
    sides: Literal["one", "two"] = "one"
    run_out: Duration | None = None

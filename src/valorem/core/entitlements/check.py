"""The check: may this customer do that, how much is left, and who says so."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from valorem.core.entitlements.grants import Grant, Origin, Owned, Value
from valorem.core.entitlements.holds import Held, held_under
from valorem.core.entitlements.limits import Limit, stops_at
from valorem.core.entitlements.windows import Span
from valorem.core.metering.aggregation import Aggregation
from valorem.core.metering.event import EPOCH
from valorem.core.metering.tally import EMPTY, Tally, merge, value
from valorem.core.numbers import ONE, ZERO, exact, plain
from valorem.core.time import QUARTER_HOUR_S

Reason = Literal[
    "granted", "not_granted", "within_limit", "limit_reached", "over_soft_limit", "throttled", "zero_rated",
    "gate_closed", "value_exceeded", "budget_reached", "outage",
]  # fmt: skip
Dimensions = Mapping[str, str | None]
#: What was counted of something, for each combination of dimension values.
Use = Sequence[tuple[Dimensions, Tally]]
_NONE: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Asked:
    """One question.

    Attributes:
        feature: Which feature.
        quantity: How much is about to be used of a metered feature; for a value feature how many there would be.
        dimensions: Whose use it is: the user, the API key, the model.
    """

    feature: str
    quantity: Decimal | None = None
    dimensions: Mapping[str, str] = field(default_factory=lambda: _NONE)


@dataclass(frozen=True, slots=True)
class Counted:
    """What was used under one limit, in the window that holds the instant.

    Attributes:
        span: The window.
        aggregation: Of the meter.
        use: By dimension values.
        slow_span: The window of a throttle's slower rate.
        slow_use: The use in it.
        oldest: The oldest quarter hour with use in a rolling window.
    """

    span: Span
    aggregation: Aggregation
    use: Use = ()
    slow_span: Span | None = None
    slow_use: Use = ()
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class LimitState:
    """Where one limit stands.

    Attributes:
        limit: The limit.
        origin: Who set it.
        used: Use that counts.
        held: Use that is reserved besides.
        most: What it stops at, or its ``max`` where it never stops.
        remaining: Until ``max``, what is reserved left out; zero once it is passed.
        over: Use past ``max``.
        resets_at: When use begins again at nothing; for a rolling window when the oldest quarter hour of use has left it.
        reason: What it says to the quantity asked for.
    """

    limit: Limit
    origin: Origin
    used: Decimal
    most: Decimal
    remaining: Decimal
    over: Decimal
    resets_at: datetime | None
    reason: Reason
    held: Decimal = ZERO

    @property
    @exact
    def taken(self) -> Decimal:
        """What is used or reserved."""
        return self.used + self.held

    @property
    def allows(self) -> bool:
        """Whether it lets the asked quantity pass."""
        return self.reason in ("within_limit", "over_soft_limit", "zero_rated")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer to one question.

    Attributes:
        feature: Which feature.
        allowed: Whether it may be used now.
        reason: Why, or why not.
        kind: Of the feature.
        value: Of a value feature; of others whether it is granted.
        origin: Who granted it, or who set the limit that answers.
        state: The limit that answers: the one that stops it, else the tightest; None without limits.
        states: Every limit, in the order written.
        opens_at: When a closed gate opens.
    """

    feature: str
    allowed: bool
    reason: Reason
    kind: str
    value: Value
    origin: Origin
    state: LimitState | None = None
    states: tuple[LimitState, ...] = ()
    opens_at: datetime | None = None


@exact
def verdict(
    grant: Grant,
    asked: Asked,
    counted: Sequence[Counted] = (),
    *,
    gate_use: Decimal | None = None,
    held: Held = (),
) -> Verdict:
    """Answer one question from what is granted and what was counted.

    Args:
        grant: What the customer has of the feature.
        asked: The question.
        counted: For each of the grant's limits, in order.
        gate_use: The use a closed gate waits for, where there is such a gate.
        held: Use of the feature that is reserved for others.
    """
    base = Verdict(grant.feature, True, "granted", grant.kind, grant.value, grant.origin)
    if grant.value is False:
        return replace(base, allowed=False, reason="not_granted")
    if grant.opens_at is not None or not _usage_gate_open(grant, gate_use):
        return replace(base, allowed=False, reason="gate_closed", opens_at=grant.opens_at)
    if grant.kind == "value" and isinstance(grant.value, Decimal) and asked.quantity is not None:
        fits = asked.quantity <= grant.value
        return replace(base, allowed=fits, reason="granted" if fits else "value_exceeded")
    if not grant.limits:
        return base
    states = tuple(
        limit_state(owned, each, asked, held) for owned, each in zip(grant.limits, counted, strict=True)
    )
    tightest = min(states, key=_tightness)
    return replace(
        base,
        allowed=tightest.allows,
        reason=tightest.reason,
        origin=tightest.origin,
        state=tightest,
        states=states,
    )


def _usage_gate_open(grant: Grant, gate_use: Decimal | None) -> bool:
    if grant.opens_with is None:
        return True
    return gate_use is not None and gate_use >= grant.opens_with.at_least


def _tightness(state: LimitState) -> tuple[bool, Decimal]:
    """Limits that stop come first, then those with the least room."""
    return state.allows, state.most - state.taken


@exact
def limit_state(owned: Owned, counted: Counted, asked: Asked, held: Held = ()) -> LimitState:
    """Where a limit stands, and what it says to a quantity; nothing may be allowed that would pass what it stops at."""
    limit = owned.limit
    quantity = ONE if asked.quantity is None else asked.quantity
    used = used_under(limit, counted.aggregation, counted.use, asked.dimensions)
    reserved = held_under(limit, held, asked.dimensions) if held else ZERO
    taken = used + reserved
    stop = stops_at(limit)
    most = limit.max if stop is None else stop
    reason: Reason = "within_limit"
    resets_at = _resets_at(limit, counted)
    if _is_zero_rated(limit, asked.dimensions):
        reason = "zero_rated"
    elif limit.slow_to is not None and taken + quantity > limit.max:
        slow = used_under(limit, counted.aggregation, counted.slow_use, asked.dimensions)
        # What was used before the limit was reached does not count against the slower rate.
        slow = min(slow, max(ZERO, taken - limit.max))
        fits = slow + quantity <= limit.slow_to.max
        reason = "over_soft_limit" if fits else "throttled"
        if not fits and counted.slow_span is not None:
            resets_at = counted.slow_span.resets_at
    elif stop is not None and taken + quantity > stop:
        reason = "limit_reached"
    elif taken + quantity > limit.max:
        reason = "over_soft_limit"
    return LimitState(
        limit=limit,
        origin=owned.origin,
        used=used,
        most=most,
        remaining=max(ZERO, limit.max - taken),
        over=max(ZERO, used - limit.max),
        resets_at=resets_at,
        reason=reason,
        held=reserved,
    )


def used_under(limit: Limit, aggregation: Aggregation, use: Use, dimensions: Mapping[str, str]) -> Decimal:
    """The use that counts under a limit: of the value asked for where it holds for each, without what is zero-rated."""
    total = EMPTY
    for values, tally in use:
        if limit.each is not None and values.get(limit.each) != dimensions.get(limit.each):
            continue
        if any(values.get(name) not in wanted for name, wanted in limit.where.items()):
            continue
        if any(values.get(name) in free for name, free in limit.zero_rated.items()):
            continue
        total = merge(total, tally)
    return value(aggregation, total, EPOCH, EPOCH)


def _is_zero_rated(limit: Limit, dimensions: Mapping[str, str]) -> bool:
    if any(dimensions.get(name) in free for name, free in limit.zero_rated.items()):
        return True
    return any(name in dimensions and dimensions[name] not in wanted for name, wanted in limit.where.items())


def _resets_at(limit: Limit, counted: Counted) -> datetime | None:
    if limit.window.kind == "rolling" and counted.oldest is not None:
        return counted.oldest + timedelta(seconds=QUARTER_HOUR_S) + limit.window.length
    return counted.span.resets_at


def say(verdict: Verdict) -> str:
    """The answer in words."""
    name = verdict.feature
    state = verdict.state
    if state is None:
        return {
            "granted": f"{name} is granted",
            "not_granted": f"{name} is not part of the plan",
            "gate_closed": f"{name} is not open yet",
            "value_exceeded": f"{name} allows {_said(verdict.value)}",
        }.get(verdict.reason, verdict.reason)
    held = f" and {plain(state.held)} held" if state.held else ""
    text = f"{plain(state.used)} of {plain(state.limit.max)} used{held}, window: {state.limit.window}"
    return text if verdict.allowed else f"the limit on {name} is reached: {text}"


def _said(value: Value) -> str:
    return plain(value) if isinstance(value, Decimal) else str(value)

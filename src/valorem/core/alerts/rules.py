"""Alert rules: what a plan, the vendor or a customer wants to be told of."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from valorem.core.alerts.kinds import AlertKind
from valorem.core.alerts.thresholds import Threshold, Thresholds
from valorem.core.entry import Entry, Key
from valorem.core.units import Share, Span

_TIMED = frozenset({"expiry", "depletion", "credit_expiry"})
ReArm = Literal["window", "recovery"]


class AlertRule(Entry):
    """One thing to be told of.

    Attributes:
        kind: ``included``: the share of a price's included quantity used up; ``limit``: the share of a limit;
            ``usage``: use of a meter; ``spend``: what the billing period costs so far; ``projected``: what it will cost if
            use goes on; ``expiry``: time until the contract or its trial ends; ``change``: use of the last day against
            the days before; ``balance``: what is left of credits, ``depletion``: time until they run out if use goes on
            as in the last week, ``credit_expiry``: time until granted credits that are still left end.
        on: The meter of ``included``, ``usage`` and ``change``, the feature of ``limit``, the credit type of ``balance``,
            ``depletion`` and ``credit_expiry``; all there are where left out.
        at: When to tell: shares (80%) or amounts. For ``change`` the share of the usual use that is unusual, 200% for
            twice as much. For ``balance`` what it falls below: an amount, or a share of what was granted; 0 for none left.
        before: For ``expiry``, ``depletion`` and ``credit_expiry``: how long before.
        re_arm: ``window`` tells each threshold once in a window; ``recovery`` again after it was back below for a while.
            What has no window of its own (balances, depletion, rolling limits) always arms again by recovery; depletion
            has recovered when the end is a quarter further off than what was told of.
        recovered: Whether to tell as well when it is back below.
    """

    kind: AlertKind
    on: Key | None = None
    at: Thresholds | tuple[()] = ()
    before: tuple[Span, ...] = ()
    re_arm: ReArm = "window"
    recovered: bool = True

    @model_validator(mode="after")
    def _says_when(self) -> "AlertRule":
        if (self.kind in _TIMED) != bool(self.before) or (self.kind in _TIMED) == bool(self.at):
            raise ValueError(
                f"{', '.join(sorted(_TIMED))} say how long before (before: [7 days]),"
                " every other kind at what (at: [80%])"
            )
        return self


def _by_key(value: object) -> object:
    return value if isinstance(value, Mapping) else {"": value}


_ByKey = Annotated[
    Mapping[str, Thresholds],
    BeforeValidator(_by_key),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "array", "items": {"type": ["number", "string"]}},
                {
                    "type": "object",
                    "additionalProperties": {"type": "array", "items": {"type": ["number", "string"]}},
                },
            ],
            "description": "thresholds for all, or for each by its key",
            "examples": ["[70%, 90%]"],
        }
    ),
]


class PlanAlerts(Entry):
    """What a plan tells of by default; a list holds for everything of its kind, keys name single meters or features.

    Attributes:
        included: Shares of included quantities, by meter.
        limits: Shares of limits, by feature.
        usage: Use in the billing period, by meter.
        spend: What the period costs: amounts, or shares of a budget, else of the plan's maximum.
        projected: The same of what it will come to.
        change: Use of the last day as a share of the usual, by meter.
        expiry: How long before a trial or the contract ends.
        balance: What is left of credits: shares of what was granted, or amounts; for all credit types or by key.
        depletion: How long before credits run out at the pace of the last week.
        credit_expiry: How long before credits that are left end.
        re_arm: Once in a window, or again after a recovery.
    """

    included: _ByKey = Field(default_factory=dict)
    limits: _ByKey = Field(default_factory=dict)
    usage: Mapping[Key, Thresholds] = Field(default_factory=dict)
    spend: Thresholds | tuple[()] = ()
    projected: Thresholds | tuple[()] = ()
    change: Mapping[Key, tuple[Share, ...]] = Field(default_factory=dict)
    expiry: tuple[Span, ...] = ()
    balance: _ByKey = Field(default_factory=dict)
    depletion: tuple[Span, ...] = ()
    credit_expiry: tuple[Span, ...] = ()
    re_arm: ReArm = "window"

    def rules(self) -> Iterator[AlertRule]:
        """The same as single rules."""
        by_key: tuple[tuple[AlertKind, Mapping[str, Thresholds]], ...] = (
            ("included", self.included),
            ("limit", self.limits),
            ("usage", self.usage),
            ("balance", self.balance),
        )
        for kind, thresholds in by_key:
            for key, at in thresholds.items():
                yield AlertRule(kind=kind, on=key or None, at=at, re_arm=self.re_arm)
        if self.spend:
            yield AlertRule(kind="spend", at=self.spend, re_arm=self.re_arm)
        if self.projected:
            yield AlertRule(kind="projected", at=self.projected, re_arm=self.re_arm)
        for key, shares in self.change.items():
            at = tuple(Threshold("share", share) for share in shares)
            yield AlertRule(kind="change", on=key, at=at, re_arm=self.re_arm)
        timed: tuple[tuple[AlertKind, tuple[tuple[int, str], ...]], ...] = (
            ("expiry", self.expiry),
            ("depletion", self.depletion),
            ("credit_expiry", self.credit_expiry),
        )
        for kind, before in timed:
            if before:
                yield AlertRule(kind=kind, before=before, re_arm=self.re_arm)

"""Plans: a bundle of fees, prices and features that a contract is made on."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from valorem.core.catalog.entry import Currency, Entry, Key
from valorem.core.catalog.features import FeatureValue
from valorem.core.catalog.prices import PlanPrice
from valorem.core.pricing.policies import PricePolicies
from valorem.core.units import Amount, Span

_WAITS_S = {"minute": 60, "hour": 3600, "day": 86_400}
_LONGEST_WAIT_S = 14 * 86_400


def _billable(span: tuple[int, str]) -> tuple[int, str]:
    if span[1] in ("minute", "hour") or span[0] < 1:
        raise ValueError("a billing interval is one or more days, weeks, months, quarters or years")
    return span


def _waitable(span: tuple[int, str]) -> tuple[int, str]:
    if span[1] not in _WAITS_S or span[0] * _WAITS_S[span[1]] > _LONGEST_WAIT_S:
        raise ValueError("a grace is at most 14 days, in minutes, hours or days")
    return span


class Fee(Entry):
    """A fixed amount for each billing period.

    Attributes:
        amount: In the plan's currency, for one whole period, and for one seat where ``per`` is given.
        per: The key of the contract's dated quantity it is multiplied by (``seat``); without it the fee is charged once.
        billed: Whether it stands on the invoice before its period or on the one after it.
        name: How the invoice line is called; the fee's key where left out.
    """

    amount: Amount
    per: Key | None = None
    billed: Literal["in advance", "in arrears"] = "in advance"
    name: str | None = None


class Bound(Entry):
    """A least or greatest amount, in the plan's currency.

    Attributes:
        amount: Zero or more.
        per: What it bounds; ``invoice`` is the sum of one period's charges.
    """

    amount: Annotated[Amount, Field(ge=0)]
    per: Literal["invoice"] = "invoice"


class Policies(PricePolicies):
    """The switches on which billing systems disagree, the default first; those of a price's arithmetic included.

    Attributes:
        proration: How a part of a period is charged: by whole days, by seconds, or not reduced at all.
        late_events: What usage does that arrives for a closed period: billed as an adjustment on the next invoice, only
            noted, absorbed without a charge, or rejected at the door.
        grace: How long an invoice stays a draft after its period has ended, for usage that is still on its way.
    """

    proration: Literal["day", "second", "none"] = "day"
    late_events: Literal["next_invoice", "note", "absorb", "reject"] = "next_invoice"
    grace: Annotated[Span, AfterValidator(_waitable)] = Field(
        (1, "hour"), json_schema_extra={"default": "1 hour"}
    )

    @property
    def grace_s(self) -> int:
        """The grace in seconds."""
        return self.grace[0] * _WAITS_S[self.grace[1]]


class Plan(Entry):
    """A named offer; contracts pin the catalog version they started on.

    Attributes:
        plan: The key contracts refer to.
        currency: Of every amount in the plan and of its invoices.
        every: The billing interval.
        fees: By key, in the order written.
        prices: Meter to its price: the name of a file in ``prices/``, or the price itself.
        features: Feature to what this plan grants of it.
        minimum: What an invoice for one period comes to at least.
        maximum: What an invoice for one period comes to at most.
    """

    coming: ClassVar[Mapping[str, str]] = MappingProxyType(
        {
            "grants": "credits included in a plan",
            "limits": "limits on use",
            "alerts": "alerts on usage and spend",
            "trial": "trials",
            "phases": "phases and ramps",
            "outcomes": "outcome prices",
        }
    )

    plan: Key
    name: str
    description: str | None = None
    currency: Currency
    every: Annotated[Span, AfterValidator(_billable)] = Field(
        (1, "month"), json_schema_extra={"default": "month"}
    )
    fees: Mapping[Key, Fee] = Field(default_factory=dict)
    prices: Mapping[Key, PlanPrice] = Field(default_factory=dict)
    features: Mapping[Key, FeatureValue] = Field(default_factory=dict)
    minimum: Bound | None = None
    maximum: Bound | None = None
    policies: Policies = Policies()

    @property
    def key(self) -> str:
        """The key contracts refer to."""
        return self.plan

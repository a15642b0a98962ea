"""Plans: a bundle of fees, prices and features that a contract is made on."""

from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from valorem.core.alerts.rules import PlanAlerts
from valorem.core.billing.payment_terms import PaymentTerms
from valorem.core.billing.thresholds import Thresholds
from valorem.core.catalog.features import FeatureValue
from valorem.core.catalog.prices import PlanPrice
from valorem.core.entitlements.limits import Gate, Limits, Prompt
from valorem.core.entry import Currency, Entry, Key
from valorem.core.ledger.terms import GrantTerms
from valorem.core.pricing.policies import PricePolicies
from valorem.core.units import Amount, Quantity, Span

_WAITS_S = {"minute": 60, "hour": 3600, "day": 86_400}
_LONGEST_WAIT_S = 14 * 86_400


def _billable(span: tuple[int, str]) -> tuple[int, str]:
    if span[1] in ("minute", "hour") or span[0] < 1:
        raise ValueError("a billing interval is one or more days, weeks, months, quarters or years")
    return span


def _lasting(span: tuple[int, str]) -> tuple[int, str]:
    if span[1] in ("minute", "hour") or not 1 <= span[0] <= 1200:
        raise ValueError("it lasts one or more days, weeks, months, quarters or years")
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


class AddOn(Entry):
    """Something a contract may add to the plan, in any quantity, from any instant on.

    Attributes:
        amount: In the plan's currency, for one of it and one whole period.
        billed: As for a fee.
        name: How the invoice line is called; the add-on's key where left out.
        features: What it grants beside the plan.
        raises: Feature to how much one of it adds to every limit on that feature.
    """

    amount: Amount
    billed: Literal["in advance", "in arrears"] = "in advance"
    name: str | None = None
    features: Mapping[Key, FeatureValue] = Field(default_factory=dict)
    raises: Mapping[Key, Quantity] = Field(default_factory=dict)


class Trial(Entry):
    """A stretch at the contract's start in which some of it costs nothing.

    Attributes:
        lasts: How long, counted from the contract's very first start even after a change of plan.
        covers: The fees alone, or usage as well.
        features: What it grants beside the plan while it runs.
        raises: Feature to how much it adds to every limit on that feature while it runs.
    """

    lasts: Annotated[Span, AfterValidator(_lasting)]
    covers: Literal["fees", "everything"] = "fees"
    features: Mapping[Key, FeatureValue] = Field(default_factory=dict)
    raises: Mapping[Key, Quantity] = Field(default_factory=dict)


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
        late_events: What usage does that arrives for a closed period: billed as an adjustment on the next invoice, or on
            a note beside it, absorbed without a charge, or rejected at the door.
        grace: How long an invoice stays a draft after its period has ended, for usage that is still on its way.
        decreases: Whether fewer seats or a lower fee give credit for the rest of the period, or count from the next one.
        plan_change: When another plan takes effect if nobody says when: a dearer one at once and a cheaper one at the
            period's end, every one at once, or every one at the period's end.
        counting: Whether tiers and included quantities run on through a change of terms within a period, or begin anew.
        paused_usage: Whether usage that happens during a pause is billed. Fees never are.
        discount_order: Whether of the discounts for the same lines amounts come before shares, or each as it was agreed.
        changes_a_day: How many edits may take effect on one local day before a person has to look.
    """

    proration: Literal["day", "second", "none"] = "day"
    late_events: Literal["next_invoice", "note", "absorb", "reject"] = "next_invoice"
    grace: Annotated[Span, AfterValidator(_waitable)] = Field(
        (1, "hour"), json_schema_extra={"default": "1 hour"}
    )
    decreases: Literal["at_once", "next_period"] = "at_once"
    plan_change: Literal["by_value", "at_once", "period_end"] = "by_value"
    counting: Literal["run_on", "restart"] = "run_on"
    paused_usage: Literal["billed", "free"] = "billed"
    discount_order: Literal["by_kind", "as_agreed"] = "by_kind"
    changes_a_day: Annotated[int, Field(ge=1, le=1000)] = 15

    @property
    def grace_s(self) -> int:
        """The grace in seconds."""
        return self.grace[0] * _WAITS_S[self.grace[1]]


class TermsOfPayment(Entry):
    """By when invoices must be paid.

    Attributes:
        net_days: Days after the issue; 0 is on receipt.
        end_of_month: Whether the days count from the end of the month of issue.
    """

    net_days: Annotated[int, Field(ge=0, le=365)] = 30
    end_of_month: bool = False

    @property
    def terms(self) -> PaymentTerms:
        """As invoices reckon with them."""
        return PaymentTerms(self.net_days, self.end_of_month)


class PlanTax(Entry):
    """How what the plan sells is taxed.

    Attributes:
        code: The tax code of everything on it, as ``product`` in the rows of ``taxes/``; without it the general rates hold.
        codes: Tax codes that differ, by the key of the fee, the add-on or the meter.
        amounts: Whether the plan's amounts are without tax, or with it.
        rounded: Once for each rate over all lines of an invoice, or line by line.
    """

    code: Key | None = None
    codes: Mapping[Key, Key] = Field(default_factory=dict)
    amounts: Literal["exclusive", "inclusive"] = "exclusive"
    rounded: Literal["per_rate", "per_line"] = "per_rate"

    def code_of(self, key: str) -> str | None:
        """The tax code of a fee, an add-on or a meter."""
        return self.codes.get(key, self.code)


class CurrencyAmounts(Entry):
    """A plan's amounts in one more currency: everything the plan charges, none of it converted.

    Attributes:
        fees: Amounts by the fee's key.
        addons: Amounts by the add-on's key.
        prices: Meter to its price in this currency.
        minimum: In the place of the plan's.
        maximum: In the place of the plan's.
        thresholds: In the place of the plan's.
    """

    fees: Mapping[Key, Amount] = Field(default_factory=dict)
    addons: Mapping[Key, Amount] = Field(default_factory=dict)
    prices: Mapping[Key, PlanPrice] = Field(default_factory=dict)
    minimum: Bound | None = None
    maximum: Bound | None = None
    thresholds: Thresholds | None = None


class Phase(Entry):
    """A stretch of a contract with amounts of its own, such as one step of a ramp; the last has no length.

    Attributes:
        lasts: How long; without it to the contract's end.
        name: For people.
        fees: Amounts by fee key that differ from the plan's.
        prices: Meter to a price that takes the place of the plan's.
        multiplier: A factor on every amount of fees and prices.
        minimum: In the place of the plan's.
        maximum: In the place of the plan's.
    """

    lasts: Annotated[Span, AfterValidator(_lasting)] | None = None
    name: str | None = None
    fees: Mapping[Key, Amount] = Field(default_factory=dict)
    prices: Mapping[Key, PlanPrice] = Field(default_factory=dict)
    multiplier: Annotated[Amount, Field(ge=0)] | None = None
    minimum: Bound | None = None
    maximum: Bound | None = None


class Plan(Entry):
    """A named offer; contracts pin the catalog version they started on.

    Attributes:
        plan: The key contracts refer to.
        currency: Of every amount in the plan and of its invoices.
        every: The billing interval.
        fees: By key, in the order written.
        addons: What a contract may add, by key.
        prices: Meter to its price: the name of a file in ``prices/``, or the price itself.
        outcomes: Keys of the outcomes it sells, each in ``outcomes/``; they are billed once both sides have signed them.
        currencies: The same amounts in further currencies; a customer who pays in one of them is charged these.
        trial: What costs nothing at first.
        grants: Credits it includes, by credit type.
        phases: Stretches with amounts of their own, one after the other from the contract's start.
        features: Feature to what this plan grants of it.
        limits: Metered feature, or meter, to how much of it may be used; of several limits the tightest answers.
        gates: Feature to when it opens; closed until then.
        prompts: What to show at a limit, by the key that limits name.
        alerts: What customers on the plan are told of.
        minimum: What an invoice for one period comes to at least.
        maximum: What an invoice for one period comes to at most.
        thresholds: Spend at which usage is billed before its period ends.
        terms: By when its invoices must be paid; the workspace's terms where left out.
        tax: How what it sells is taxed.
    """

    plan: Key
    name: str
    description: str | None = None
    currency: Currency
    every: Annotated[Span, AfterValidator(_billable)] = Field(
        (1, "month"), json_schema_extra={"default": "month"}
    )
    fees: Mapping[Key, Fee] = Field(default_factory=dict)
    addons: Mapping[Key, AddOn] = Field(default_factory=dict)
    prices: Mapping[Key, PlanPrice] = Field(default_factory=dict)
    outcomes: Annotated[tuple[Key, ...], Field(max_length=100)] = ()
    currencies: Mapping[Currency, CurrencyAmounts] = Field(default_factory=dict)
    trial: Trial | None = None
    grants: Mapping[Key, GrantTerms] = Field(default_factory=dict)
    phases: tuple[Phase, ...] = ()
    features: Mapping[Key, FeatureValue] = Field(default_factory=dict)
    limits: Mapping[Key, Limits] = Field(default_factory=dict)
    gates: Mapping[Key, Gate] = Field(default_factory=dict)
    prompts: Mapping[Key, Prompt] = Field(default_factory=dict)
    alerts: PlanAlerts = PlanAlerts()
    minimum: Bound | None = None
    maximum: Bound | None = None
    thresholds: Thresholds | None = None
    terms: TermsOfPayment | None = None
    tax: PlanTax = PlanTax()
    policies: Policies = Policies()

    @model_validator(mode="after")
    def _whole(self) -> "Plan":
        for key in self.addons:
            if key in self.fees:
                raise ValueError(f"{key} is both a fee and an add-on (give one of them another key)")
        for number, phase in enumerate(self.phases, 1):
            if phase.lasts is None and number < len(self.phases):
                raise ValueError(
                    f"phase {number} has no length, so no phase can follow it (write lasts: 6 months)"
                )
            for key in phase.fees:
                if key not in self.fees:
                    raise ValueError(f"phase {number} gives an amount for {key}, which is no fee of the plan")
        for key in self.tax.codes:
            if key not in {*self.fees, *self.addons, *(meter for meter, _ in self.all_prices())}:
                raise ValueError(f"tax.codes: {key} is no fee, add-on or priced meter of the plan")
        for currency, amounts in self.currencies.items():
            self._check_currency(currency, amounts)
        return self

    def _check_currency(self, currency: str, amounts: CurrencyAmounts) -> None:
        if currency == self.currency:
            raise ValueError(f"{currency} is the plan's own currency")
        pairs: tuple[tuple[str, Collection[str], Collection[str]], ...] = (
            ("fee", amounts.fees, self.fees),
            ("add-on", amounts.addons, self.addons),
            ("price", amounts.prices, self.prices),
        )
        for noun, given, needed in pairs:
            if missing := sorted(set(needed) - set(given)):
                raise ValueError(f"{currency} lacks the {noun} {missing[0]} (amounts are never converted)")
            if unknown := sorted(set(given) - set(needed)):
                raise ValueError(f"{currency} has the {noun} {unknown[0]}, which the plan has not")
        for bound in ("minimum", "maximum", "thresholds"):
            if getattr(self, bound) is not None and getattr(amounts, bound) is None:
                raise ValueError(f"{currency} lacks the {bound} (amounts are never converted)")

    @property
    def key(self) -> str:
        """The key contracts refer to."""
        return self.plan

    def all_prices(self) -> Iterator[tuple[str, PlanPrice]]:
        """Every price it holds by meter: its own, those of its phases and those in further currencies."""
        holders: tuple[Plan | Phase | CurrencyAmounts, ...] = (self, *self.phases, *self.currencies.values())
        for holder in holders:
            yield from holder.prices.items()

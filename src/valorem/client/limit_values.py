"""What the server answers about access and notices, typed."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from valorem.client.credit_values import Hold
from valorem.client.values import Interval, Value


class LimitState(Value, frozen=True):
    """Where one limit stands."""

    window: str
    kind: str
    used: Decimal
    limit: Decimal
    remaining: Decimal
    over: Decimal
    resets_at: datetime | None
    origin: str
    held: Decimal = Decimal(0)
    stops_at: Decimal | None = None


class Prompt(Value, frozen=True):
    """What to show at a limit: the plan that gives more, what it gives, and its fixed amounts."""

    key: str
    text: str
    link: str | None
    plan: str | None
    plan_name: str | None
    limit: Decimal | None
    window: str | None
    value: bool | str | None
    fees: dict[str, Decimal] | None
    currency: str | None
    every: str | None


class CheckResult(Value, frozen=True):
    """The answer for one feature; ``used`` to ``resets_at`` are those of the limit that answers."""

    feature: str
    allowed: bool
    reason: str
    kind: str
    value: bool | str
    used: Decimal | None
    limit: Decimal | None
    remaining: Decimal | None
    window: str | None
    resets_at: datetime | None
    unit: str | None
    origin: str
    limits: list[LimitState]
    opens_at: datetime | None
    prompt: Prompt | None
    outage: Literal["closed", "open"]
    text: str


class QuotaHold(Value, frozen=True):
    """Use of a feature that is reserved until it is consumed, released or expires."""

    id: str
    feature: str
    quantity: Decimal
    dimensions: dict[str, str]
    state: str
    at: datetime
    expires: datetime
    resolved_at: datetime | None


class Check(Value, frozen=True):
    """The answers to a check, all as of one instant."""

    customer: str | None
    as_of: datetime
    allowed: bool
    stale: bool
    results: list[CheckResult]
    consumed: Literal["recorded", "duplicate", "denied"] | None = None
    hold: QuotaHold | None = None
    credit_hold: Hold | None = None


class Concession(Value, frozen=True):
    """What a customer is given, or denied, beside its plan."""

    id: str
    feature: str
    origin: str
    value: bool | str | None
    limits: list[dict[str, Any]] | None
    raised_by: Decimal
    zero_rated: dict[str, list[str]]
    since: datetime
    until: datetime | None
    reason: str


class Budget(Value, frozen=True):
    """A budget; in lists with what is spent of it in its running window."""

    id: str
    amount: Decimal
    window: str
    kind: str
    of: str
    meter: str | None
    where: dict[str, str]
    at: list[str]
    set_by: str
    name: str | None
    spent: Decimal | None = None
    left: Decimal | None = None
    window_start: datetime | None = None
    window_end: datetime | None = None


class Crossing(Value, frozen=True):
    """A threshold that was crossed, and when it was back."""

    customer: str
    alert: str
    threshold: str
    level: Decimal
    whole: Decimal | None
    window_start: datetime
    window_end: datetime | None
    crossed_at: datetime
    recovered_at: datetime | None


class AlertRule(Value, frozen=True):
    """A rule beside those of plans."""

    id: str
    customer: str | None
    kind: str
    on: str | None
    at: list[str]
    before: list[str]
    re_arm: str
    recovered: bool


class Endpoint(Value, frozen=True):
    """Where notices go."""

    id: str
    kind: str
    url: str
    topics: list[str]
    customer: str | None
    digest: str
    state: str
    reason: str | None
    failures: int
    created_at: datetime


class SecretEndpoint(Endpoint, frozen=True):
    """An endpoint just made or rotated; ``secret`` is shown this once, None for what is not signed."""

    secret: str | None


class Delivery(Value, frozen=True):
    """A message on its way to an endpoint."""

    message: str
    topic: str
    object: str
    state: str
    attempts: int
    next_at: datetime
    created_at: datetime
    finished_at: datetime | None
    last_status: int | None
    last_error: str | None


class Attempt(Value, frozen=True):
    """One attempt to deliver."""

    number: int
    at: datetime
    status: int | None
    error: str | None
    answer: str | None
    took_ms: int


class Replay(Value, frozen=True):
    """How many messages are sent again."""

    messages: int


class FunnelStep(Value, frozen=True):
    """How many reached a step, and half of them's time since signing up."""

    step: str
    customers: int
    share: Decimal
    median_s: int | None
    stalled: int


class Funnel(Value, frozen=True):
    """A funnel, of all (empty cohort) or of one week of signing up."""

    cohort: str
    steps: list[FunnelStep]
    walls: dict[str, int]


class PlanMargin(Value, frozen=True):
    """What a plan brought and cost."""

    plan: str
    currency: str
    customers: int
    revenue: Decimal
    cost: Decimal | None
    margin: Decimal | None


class WeeklyReport(Value, frozen=True):
    """A week of a free plan, as numbers and ready to read."""

    plan: str
    start: datetime
    end: datetime
    funnel: Funnel
    cohorts: list[Funnel]
    margins: list[PlanMargin]
    crossed: dict[str, int]
    walls: dict[str, int]
    markdown: str
    html: str


class MonthMoved(Value, frozen=True):
    """How invoiced revenue moved from one month to the next, in one currency."""

    currency: str
    before: datetime
    after: datetime
    start: Decimal
    new: Decimal
    expansion: Decimal
    contraction: Decimal
    churned: Decimal
    end: Decimal
    net_retention: Decimal | None
    gross_retention: Decimal | None


class ChargedParts(Value, frozen=True):
    """What a period is charged: what is owed anyway, and what depends on use."""

    fixed: Decimal
    variable: Decimal
    total: Decimal


class PeriodForecast(Value, frozen=True):
    """What was foretold of one period at an instant, and what it came to; ``actual`` is None while it runs."""

    period: Interval
    at: datetime
    elapsed: Decimal
    projected: ChargedParts
    actual: ChargedParts | None


class ForecastAccuracy(Value, frozen=True):
    """By what share of what came forecasts were off."""

    elapsed: Decimal
    periods: int
    fixed: Decimal | None
    variable: Decimal | None
    total: Decimal | None


class ContractForecasts(Value, frozen=True):
    """How a contract's periods are foretold."""

    contract: str
    currency: str
    running: PeriodForecast
    past: list[PeriodForecast]
    accuracy: list[ForecastAccuracy]


class UnitMargin(Value, frozen=True):
    """The use of one meter: what it brought and cost, in all and by the unit."""

    meter: str
    name: str
    unit: str | None
    quantity: Decimal
    revenue: Decimal
    cost: Decimal | None
    margin: Decimal | None
    revenue_per_unit: Decimal | None
    cost_per_unit: Decimal | None
    margin_per_unit: Decimal | None


class ContractMargins(Value, frozen=True):
    """What a contract brought and cost between two instants."""

    contract: str
    currency: str
    start: datetime
    end: datetime
    revenue: Decimal
    cost: Decimal | None
    margin: Decimal | None
    meters: list[UnitMargin]

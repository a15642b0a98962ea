"""What the server answers about outcomes, typed as :mod:`valorem.client.values` is."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from valorem.client.values import Value


class OutcomeSignature(Value, frozen=True):
    """One party's yes to exactly one text."""

    party: str
    person: str
    role: str
    method: str
    at: datetime
    digest: str


class OutcomeDefinition(Value, frozen=True):
    """One version of a definition; ``digest`` is what both sides sign."""

    outcome: str
    number: int
    digest: str
    status: str
    missing: list[str]
    effective_from: datetime
    live_from: datetime | None
    retired_from: datetime | None
    retroactive: bool
    signatures: list[OutcomeSignature]
    terms: dict[str, Any]


class OutcomeDefinitions(Value, frozen=True):
    """The definitions of a contract, all their versions."""

    items: list[OutcomeDefinition]


class OutcomePeriod(Value, frozen=True):
    """One period: what was assumed, confirmed, cancelled within its window and taken back in it, and its money."""

    start: datetime
    end: datetime
    label: str
    assumed: int
    confirmed: int
    cancelled: int
    reversed: int
    amount: Decimal
    credit: Decimal


class Outcome(Value, frozen=True):
    """One outcome; ``matures_at`` is when it is confirmed if nothing is heard."""

    key: str
    state: str
    since: datetime | None
    rule: str
    matures_at: datetime | None
    version: int | None
    value: Decimal | None
    disputed: bool
    billable: bool


class OutcomeDashboard(Value, frozen=True):
    """What both sides see of one definition at an instant."""

    contract: str
    definition: str
    name: str
    currency: str
    at: datetime
    status: list[str]
    assumed: int
    confirmed: int
    reversed: int
    cancelled: int
    next_matures_at: datetime | None
    rejected: dict[str, int]
    periods: list[OutcomePeriod]
    if_silent: Decimal
    newest_evidence: datetime | None
    fresh: bool
    open_disputes: list[str]
    agreement: Decimal | None
    unreadable: dict[str, str]
    outcomes: list[Outcome]
    next: str | None


class OutcomeTransition(Value, frozen=True):
    """One change of state: when, known when, by which rule and which evidence."""

    state: str
    at: datetime
    known_at: datetime
    rule: str
    evidence: list[str]


class OutcomeEvidence(Value, frozen=True):
    """One event behind an outcome, as it counts."""

    source: str
    id: str
    type: str
    time: datetime
    received_at: datetime
    data: dict[str, Any]


class OpenedOutcome(Value, frozen=True):
    """One outcome, opened to its evidence."""

    key: str
    state: str
    at: datetime
    matures_at: datetime | None
    version: int | None
    history: list[OutcomeTransition]
    events: list[OutcomeEvidence]


class OutcomeBill(Value, frozen=True):
    """What one version bills in one period."""

    version: int
    start: datetime
    end: datetime
    quantity: Decimal
    usage: Decimal
    credit: Decimal
    total: Decimal


class OutcomeBills(Value, frozen=True):
    """What each period comes to by an instant, the running one as it stands."""

    currency: str
    items: list[OutcomeBill]
    total: Decimal


class OutcomeDifference(Value, frozen=True):
    """What one period would have been billed before and after an amendment."""

    start: datetime
    end: datetime
    before: Decimal
    after: Decimal


class OutcomeBacktest(Value, frozen=True):
    """An amendment on recorded evidence: in words, in money, and the outcomes whose state it changes."""

    changes: list[str]
    periods: list[OutcomeDifference]
    change: Decimal
    moved: dict[str, list[str]]


class OutcomeReport(Value, frozen=True):
    """Both lists compared key by key; ``digest`` is what is signed."""

    id: str
    period_index: int
    report: dict[str, Any]
    digest: str
    signed: list[str]
    created_at: datetime


class OutcomeReports(Value, frozen=True):
    """The reports of a definition in order of their making."""

    items: list[OutcomeReport]


class OutcomeResolution(Value, frozen=True):
    """How much of an outcome is given back."""

    share: Decimal
    at: datetime
    note: str


class OutcomeDispute(Value, frozen=True):
    """A dispute, and what became of it so far."""

    id: str
    invoice: str | None
    by: str
    at: datetime
    keys: list[str]
    reason: str
    text: str
    answered_at: datetime | None
    resolutions: dict[str, OutcomeResolution]


class OutcomeDisputes(Value, frozen=True):
    """The disputes of a definition in order of time."""

    items: list[OutcomeDispute]


class OutcomeBundle(Value, frozen=True):
    """A ZIP in base64 with everything that shows why outcomes count."""

    sha256: str
    content: str


class SigningLink(Value, frozen=True):
    """A link by which the customer signs one version; its token is shown this once."""

    token: str
    number: int
    digest: str
    expires_at: datetime


class ToSign(Value, frozen=True):
    """What the holder of a link may sign, and for whom."""

    contract: str
    customer: str
    definition: OutcomeDefinition
    expires_at: datetime


class SavingsStep(Value, frozen=True):
    """One step of the arithmetic of a fee."""

    label: str
    text: str
    value: Decimal


class SavingsEstimate(Value, frozen=True):
    """A number that statistics gave, kept for good with all it was made from."""

    period_index: int
    method: str
    point: Decimal
    lower: Decimal
    upper: Decimal | None
    level: Decimal
    sides: str
    inputs: dict[str, str]
    formula: str
    library: str


class SharedPeriod(Value, frozen=True):
    """One period of a share of savings."""

    period_index: int
    start: datetime
    end: datetime
    version: int | None
    over: bool
    known: bool
    actual: Decimal | None
    baseline: Decimal | None
    savings: Decimal | None
    proven: Decimal | None
    carried: Decimal | None
    fee: Decimal | None
    billed: Decimal
    steps: list[SavingsStep]
    estimate: SavingsEstimate | None


class OutcomeSavings(Value, frozen=True):
    """What each period of a definition saved."""

    currency: str
    items: list[SharedPeriod]

"""A payment attempt: what was asked, what was heard, and the state that follows.

What a provider says is kept as a set of reports, and the state is a function of that set: messages that come twice, late or in
another order give the same state. The payment's id is the idempotency key of the charge, so asking again never charges twice.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.money import parse_currency, round_money
from valorem.core.numbers import ZERO, exact, plain

PaymentState = Literal["created", "unknown", "pending", "failed", "succeeded", "parked"]
Outcome = Literal["pending", "failed", "succeeded"]
NextStep = Literal["charge", "ask", "wait", "review", "none"]

_RANK: tuple[Outcome, ...] = ("pending", "failed", "succeeded")


@dataclass(frozen=True, slots=True)
class Report:
    """What a provider said about a payment or a refund, in an answer or in a webhook.

    Attributes:
        payment: The id that was charged under (or refunded under).
        reference: The provider's own id of it.
        outcome: How it stands there. A failure is final only until a success: money that came has come.
        amount: What was (or would be) moved.
        currency: ISO 4217 code.
        reason: Why it failed, in the provider's words.
    """

    payment: str
    reference: str
    outcome: Outcome
    amount: Decimal
    currency: str
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Payment:
    """One attempt to pay an invoice, or one refund of a payment.

    Attributes:
        id: Given before anybody is asked; the idempotency key.
        invoice: The invoice's id.
        provider: The provider's name.
        amount: Above zero, in minor units of the currency.
        currency: ISO 4217 code.
        asked_at: When the provider was last asked to charge; ``None`` before.
        answers_lost: Whether an ask ended without an answer.
        reports: Everything heard.
        refunds: The payment that this refunds, or ``None`` for a payment.

    Raises:
        InvalidInputError: For an amount that cannot be paid.
    """

    id: str
    invoice: str
    provider: str
    amount: Decimal
    currency: str
    asked_at: datetime | None = None
    answers_lost: bool = False
    reports: frozenset[Report] = frozenset()
    refunds: str | None = None

    def __post_init__(self) -> None:
        parse_currency(self.currency, "currency")
        if self.amount <= 0 or self.amount != round_money(self.amount, self.currency):
            raise InvalidInputError(
                f"{plain(self.amount)} {self.currency} cannot be paid",
                field="amount",
                hint="give more than zero, in whole minor units",
            )

    @property
    def state(self) -> PaymentState:
        """How it stands.

        ``created``: nobody was asked. ``unknown``: asked, and the answer was lost. ``pending``: asked, or under way.
        ``parked``: somebody must look, for what was paid is not what was asked.
        """
        if self.mismatches:
            return "parked"
        if self.reports:
            return max((report.outcome for report in self.reports), key=_RANK.index)
        if self.asked_at is None:
            return "created"
        return "unknown" if self.answers_lost else "pending"

    @property
    def mismatches(self) -> tuple[Report, ...]:
        """Successes over another amount or currency, and successes beside the first: paid, but not as asked."""
        paid = sorted(
            (report for report in self.reports if report.outcome == "succeeded"),
            key=lambda report: (not self._as_asked(report), report.reference, report.amount, report.currency),
        )
        references = {report.reference for report in paid}
        if len(references) > 1:
            return tuple(paid)
        return tuple(report for report in paid if not self._as_asked(report))

    @property
    def reference(self) -> str | None:
        """The provider's id: that of the success, or of the last outcome heard."""
        ranked = max(
            self.reports, key=lambda report: (_RANK.index(report.outcome), report.reference), default=None
        )
        return ranked.reference if ranked is not None else None

    @property
    def failure(self) -> str | None:
        """Why it failed, where it did."""
        if self.state != "failed":
            return None
        reasons = sorted(report.reason or "" for report in self.reports if report.outcome == "failed")
        return reasons[-1] or None

    def _as_asked(self, report: Report) -> bool:
        return (report.amount, report.currency) == (self.amount, self.currency)


def asked(payment: Payment, now: datetime) -> Payment:
    """The provider is about to be asked; written down before the call, so that a crash leaves ``pending``, not ``created``.

    Raises:
        UnprocessableError: Where it is decided already.
    """
    if payment.state in ("succeeded", "parked", "failed"):
        raise UnprocessableError(
            f"the payment has {payment.state}", field="state", hint="a new attempt is a new payment"
        )
    return replace(payment, asked_at=now)


def answer_lost(payment: Payment) -> Payment:
    """The call ended without an answer (a timeout, a broken connection): the charge may or may not have happened."""
    return replace(payment, answers_lost=True)


def heard(payment: Payment, reports: Iterable[Report]) -> Payment:
    """Take in what a provider said.

    Raises:
        InvalidInputError: For a report about another payment.
    """
    for report in reports:
        if report.payment != payment.id:
            raise InvalidInputError(
                f"a report about {report.payment[:60]!r} is not about {payment.id}", field="payment"
            )
        payment = replace(payment, reports=payment.reports | {report})
    return payment


@dataclass(frozen=True, slots=True)
class AskPolicy:
    """How long to wait before asking how a payment stands.

    Attributes:
        unknown_after_s: After an ask without an answer.
        pending_every_s: While the provider says it is under way and sends no word.
        park_after_s: After so long without an outcome somebody must look.
    """

    unknown_after_s: int = 30
    pending_every_s: int = 3_600
    park_after_s: int = 14 * 86_400


DEFAULT_ASK_POLICY = AskPolicy()


def next_step(
    payment: Payment,
    now: datetime,
    *,
    last_lookup: datetime | None = None,
    policy: AskPolicy = DEFAULT_ASK_POLICY,
) -> NextStep:
    """What to do about a payment at an instant.

    ``charge`` asks the provider under the payment's own id; ``ask`` looks it up; after a lookup that found nothing, charging
    again under the same id is safe. ``review`` wants a person.
    """
    state = payment.state
    if state in ("succeeded", "failed"):
        return "none"
    if state == "parked":
        return "review"
    if payment.asked_at is None:
        return "charge"
    if now - payment.asked_at >= timedelta(seconds=policy.park_after_s):
        return "review"
    wait_s = policy.unknown_after_s if not payment.reports else policy.pending_every_s
    since = max(payment.asked_at, last_lookup) if last_lookup is not None else payment.asked_at
    return "ask" if now - since >= timedelta(seconds=wait_s) else "wait"


def after_lookup(payment: Payment, found: Report | None) -> tuple[Payment, NextStep]:
    """Take in the answer to a lookup.

    Returns:
        The payment, and ``charge`` where the provider has never heard of it (the same id cannot charge twice).
    """
    if found is not None:
        return heard(payment, (found,)), "none"
    return payment, "charge" if not payment.reports else "wait"


@exact
def refundable(payment: Payment, refunds: Iterable[Payment]) -> Decimal:
    """What of a succeeded payment may still go back, refunds that have not failed counted."""
    if payment.state != "succeeded":
        return ZERO
    taken = sum(
        (each.amount for each in refunds if each.refunds == payment.id and each.state != "failed"), ZERO
    )
    return max(ZERO, payment.amount - taken)

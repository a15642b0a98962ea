"""The life of an invoice: draft, closing, finalised, then paid, late, written off or void; a pure state machine.

What is stored is what happened (``Life``); whether a finalised invoice is paid or late follows from it and the clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from valorem.core.billing.payment_terms import overdue_from
from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError
from valorem.core.numbers import ZERO, exact, plain

Stage = Literal["draft", "closing", "finalised", "uncollectible", "void"]
Status = Literal[
    "draft", "closing", "finalised", "partially_paid", "paid", "overdue", "uncollectible", "void"
]
Step = Literal[
    "edit", "close", "finalise", "pay", "unpay", "use_balance", "credit", "write_off", "void", "reissue"
]

_ISSUED: frozenset[Status] = frozenset(("finalised", "partially_paid", "paid", "overdue", "uncollectible"))
#: From which statuses each step may be taken.
ALLOWED: Mapping[Step, frozenset[Status]] = MappingProxyType(
    {
        "edit": frozenset(("draft", "closing")),
        "close": frozenset(("draft",)),
        "finalise": frozenset(("draft", "closing")),
        "pay": frozenset(("finalised", "partially_paid", "overdue", "uncollectible")),
        "unpay": _ISSUED,
        "use_balance": frozenset(("finalised", "partially_paid", "overdue", "uncollectible")),
        "credit": _ISSUED,
        "write_off": frozenset(("finalised", "partially_paid", "overdue")),
        "void": frozenset(("finalised", "partially_paid", "overdue", "uncollectible")),
        "reissue": frozenset(("void",)),
    }
)
_WAY_OUT: Mapping[Step, str] = MappingProxyType(
    {
        "edit": "a finalised invoice is corrected by a credit note, or voided and reissued",
        "close": "only a draft can begin to close",
        "finalise": "it is final already",
        "pay": "only an issued invoice with something left to pay takes a payment",
        "use_balance": "only an issued invoice with something left to pay takes it",
        "unpay": "only an issued invoice has payments",
        "credit": "a draft is edited instead; a void invoice owes nothing",
        "write_off": "only what is still owed can be written off",
        "void": "only what was issued is voided; a draft follows its usage by itself, and a void invoice stays void",
        "reissue": "void it first",
    }
)


@dataclass(frozen=True, slots=True)
class Life:
    """What has happened to an invoice.

    Attributes:
        stage: How far it has come; being paid or late is no stage.
        total: With tax; zero until it is final.
        paid: What payments brought, less what went back.
        from_balance: What the customer's balance paid.
        credited: What credit notes came to.
        offset: How much of that lessened what is owed; the rest was refunded or went to the balance.
        held: What open disputes hold back: owed, and not due while they are open.
        finalised_at: When it became final.
        due: The last local day for payment; ``None`` until it is final.
        zone: The IANA time zone in which that day ends.
        reason: Why it was voided or written off.
        replaces: The number of the void invoice that it was issued again for.
    """

    stage: Stage = "draft"
    total: Decimal = ZERO
    paid: Decimal = ZERO
    from_balance: Decimal = ZERO
    credited: Decimal = ZERO
    offset: Decimal = ZERO
    held: Decimal = ZERO
    finalised_at: datetime | None = None
    due: date | None = None
    zone: str = "UTC"
    reason: str | None = None
    replaces: str | None = None

    @property
    def owed(self) -> Decimal:
        """What is left to pay; a void invoice owes nothing. Below zero where too much was paid."""
        if self.stage in ("draft", "closing", "void"):
            return ZERO
        return self.total - self.paid - self.from_balance - self.offset

    @property
    def payable(self) -> Decimal:
        """What is to be paid now: what is owed less what disputes hold back."""
        return max(ZERO, self.owed - self.held)

    @property
    def overpaid(self) -> Decimal:
        """What was paid beyond what is owed; it belongs to the customer's balance."""
        return max(ZERO, -self.owed)


def status_of(life: Life, now: datetime) -> Status:
    """How an invoice stands at an instant."""
    if life.stage in ("draft", "closing", "void"):
        return life.stage
    if life.owed <= 0:
        return "paid"
    if life.stage == "uncollectible":
        return "uncollectible"
    if life.payable and life.due is not None and now >= overdue_from(life.due, life.zone):
        return "overdue"
    return "partially_paid" if life.paid or life.from_balance or life.offset else "finalised"


def check_step(life: Life, step: Step, now: datetime) -> None:
    """Whether a step may be taken.

    Raises:
        ConflictError: Where a final invoice would be changed.
        UnprocessableError: For any other step out of turn, with the way out.
    """
    status = status_of(life, now)
    if status in ALLOWED[step]:
        return
    refused = ConflictError if step == "edit" else UnprocessableError
    raise refused(
        f"cannot {step.replace('_', ' ')} an invoice that is {status.replace('_', ' ')}",
        field="status",
        hint=_WAY_OUT[step],
    )


def close(life: Life, now: datetime) -> Life:
    """Its period has ended; it waits for usage that is still on its way."""
    check_step(life, "close", now)
    return replace(life, stage="closing")


def finalise(life: Life, now: datetime, *, total: Decimal, due: date, zone: str) -> Life:
    """It is final: nothing on it changes any more."""
    check_step(life, "finalise", now)
    return replace(life, stage="finalised", total=total, finalised_at=now, due=due, zone=zone)


@exact
def pay(life: Life, amount: Decimal, now: datetime) -> Life:
    """A payment arrived; more than is owed is kept and shows as overpaid."""
    _check_amount(amount)
    check_step(life, "pay", now)
    return replace(life, paid=life.paid + amount)


@exact
def unpay(life: Life, amount: Decimal, now: datetime) -> Life:
    """A payment went back: refunded, reversed by the bank, or won by the payer in a dispute."""
    _check_amount(amount)
    check_step(life, "unpay", now)
    if amount > life.paid:
        raise UnprocessableError(f"{plain(amount)} of {plain(life.paid)} paid cannot go back", field="amount")
    return replace(life, paid=life.paid - amount)


@exact
def use_balance(life: Life, amount: Decimal, now: datetime) -> Life:
    """The customer's balance pays part of it."""
    _check_amount(amount)
    check_step(life, "use_balance", now)
    _check_owed(life, amount)
    return replace(life, from_balance=life.from_balance + amount)


@exact
def credit(life: Life, total: Decimal, now: datetime, *, offset: Decimal = ZERO) -> Life:
    """A credit note was written on it.

    Args:
        life: The invoice.
        total: What the note comes to.
        now: The clock.
        offset: How much of that lessens what is owed.
    """
    _check_amount(total)
    check_step(life, "credit", now)
    _check_owed(life, offset)
    if life.credited + total > life.total:
        raise UnprocessableError(
            f"notes over {plain(life.credited + total)} on an invoice of {plain(life.total)}", field="amount"
        )
    return replace(life, credited=life.credited + total, offset=life.offset + offset)


def write_off(life: Life, reason: str, now: datetime) -> Life:
    """It will not be paid; should money come after all, it still counts."""
    check_step(life, "write_off", now)
    return replace(life, stage="uncollectible", reason=reason)


def void(life: Life, reason: str, now: datetime) -> Life:
    """It is taken back as if never issued; its number stays taken, what the balance paid goes back to the balance.

    Raises:
        UnprocessableError: While something paid with money has not gone back, or where a credit note was written on it.
    """
    check_step(life, "void", now)
    if life.paid or life.credited:
        what = f"{plain(life.paid)} was paid on it" if life.paid else "there are credit notes on it"
        way_out = "return its payments first, or credit the rest of it by a note"
        raise UnprocessableError(what, field="status", hint=way_out)
    return replace(life, stage="void", reason=reason)


def reissue(life: Life, number: str, now: datetime) -> Life:
    """A new draft in place of the void invoice with that number."""
    check_step(life, "reissue", now)
    return Life(replaces=number)


def _check_amount(amount: Decimal) -> None:
    if amount <= 0:
        raise InvalidInputError(f"an amount of {plain(amount)}", field="amount", hint="give more than zero")


def _check_owed(life: Life, amount: Decimal) -> None:
    if amount > max(ZERO, life.owed):
        raise UnprocessableError(
            f"{plain(amount)} is more than the {plain(life.owed)} owed",
            field="amount",
            hint="give the rest to the customer's balance, or refund it",
        )

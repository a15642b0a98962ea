"""Holds: credits reserved before the work, then settled, released, or expired.

State functions: each takes what is known and answers with the record that stands from then on. The same id always gets
the same answer, also a refusal, so a retry can never change what happened.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError
from valorem.core.ledger.policies import DEFAULT_CREDIT_POLICIES, CreditPolicies
from valorem.core.ledger.scope import UNSPECIFIED, Workload
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.time import write_instant

HoldState = Literal["held", "refused", "settled", "released", "expired"]


@dataclass(frozen=True, slots=True)
class Hold:
    """A reservation and what became of it.

    Attributes:
        id: Chosen by the client; unique in the account.
        at: When it was asked for.
        amount: Credits reserved, or asked for where it was refused.
        expires: From when it no longer holds anything.
        work: What it is for.
        state: What became of it.
        resolved_at: When it was settled, released or expired.
        settled: Credits used, once settled.
        shortfall: By how much it was larger than what there was.
    """

    id: str
    at: datetime
    amount: Decimal
    expires: datetime
    work: Workload = UNSPECIFIED
    state: HoldState = "held"
    resolved_at: datetime | None = None
    settled: Decimal = ZERO
    shortfall: Decimal = ZERO

    @property
    def open(self) -> bool:
        """Whether it still reserves anything, as far as is recorded."""
        return self.state == "held"


@exact
def hold(
    request_id: str,
    amount: Decimal,
    *,
    available: Decimal,
    now: datetime,
    lasts: timedelta,
    work: Workload = UNSPECIFIED,
    known: Hold | None = None,
    policies: CreditPolicies = DEFAULT_CREDIT_POLICIES,
) -> Hold:
    """Reserve credits if there are enough; the answer to the same id never changes.

    Args:
        request_id: The client's id for the reservation.
        amount: Credits, above zero.
        available: What this work may use now (:func:`valorem.core.ledger.replay.spendable`), and the soft room where there is
            any (:func:`valorem.core.ledger.admission.soft_room`).
        now: The instant of the request.
        lasts: For how long; an interval, never an instant of the client's clock.
        work: What it is for.
        known: The record under this id, where there is one.
        policies: With overage ``bill`` a hold is granted whatever the balance, since the rest will be billed.

    Returns:
        The record to keep; state ``refused`` where there was not enough.

    Raises:
        InvalidInputError: For an amount or interval that is not above zero.
        ConflictError: Where the id was used for another amount or other work.
    """
    if known is not None:
        if (known.amount, known.work) != (amount, work):
            raise ConflictError(
                f"hold {request_id} was asked for with {plain(known.amount)} credits",
                field="id",
                hint="a new reservation needs a new id",
            )
        return known
    if amount <= 0 or not amount.is_finite():
        raise InvalidInputError("a hold is above zero", field="amount")
    if lasts <= timedelta(0):
        raise InvalidInputError("a hold lasts longer than nothing", field="lasts")
    short = max(amount - max(available, ZERO), ZERO)
    wanted = Hold(request_id, now, amount, now + lasts, work, shortfall=short)
    if short and policies.overage == "block":
        return replace(wanted, state="refused", resolved_at=now)
    return wanted


@exact
def settle(
    known: Hold,
    used: Decimal,
    *,
    now: datetime,
    policies: CreditPolicies = DEFAULT_CREDIT_POLICIES,
) -> Hold:
    """Resolve a hold with what was used; the rest is free again.

    Raises:
        InvalidInputError: For a negative amount, or one above the hold where the policy refuses that.
        ConflictError: Where it was settled with another amount, or released.
        UnprocessableError: Where it was refused, or has expired.
    """
    if used < 0 or not used.is_finite():
        raise InvalidInputError("what was used is zero or more", field="amount")
    if known.state == "settled" and known.settled == used:
        return known
    _check_open(known, now)
    if used > known.amount and policies.settle_above == "refuse":
        raise InvalidInputError(
            f"{plain(used)} credits are more than the {plain(known.amount)} held",
            field="amount",
            hint="hold the maximum before the work, or record the usage instead",
        )
    return replace(known, state="settled", resolved_at=now, settled=used)


def release(known: Hold, *, now: datetime) -> Hold:
    """Give back everything a hold reserves; releasing it again changes nothing.

    Raises:
        ConflictError: Where it was settled.
        UnprocessableError: Where it was refused, or has expired.
    """
    if known.state == "released":
        return known
    _check_open(known, now)
    return replace(known, state="released", resolved_at=now)


def expire(known: Hold, *, now: datetime) -> Hold:
    """What stands at an instant: an open hold whose time is over has expired, any other stays as it is."""
    if known.open and known.expires <= now:
        return replace(known, state="expired", resolved_at=known.expires)
    return known


def _check_open(known: Hold, now: datetime) -> None:
    standing = expire(known, now=now)
    if standing.open:
        return
    said = (
        f"hold {known.id} was {standing.state}" if standing.state != "expired" else f"hold {known.id} expired"
    )
    if standing.resolved_at is not None:
        said += f" at {write_instant(standing.resolved_at)}"
    if standing.state in ("settled", "released"):
        raise ConflictError(said, field="id", hint="it can be resolved only once")
    raise UnprocessableError(said, field="id", hint="ask for a new hold, or record the usage instead")

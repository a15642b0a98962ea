"""Holds inside a check: what is allowed is reserved in the same transaction, of quota and of credits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.contracts.customer import check_text
from valorem.core.entitlements import holds as core
from valorem.core.entitlements.check import Asked, verdict
from valorem.core.entitlements.holds import QuotaHold
from valorem.core.errors import InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.ledger.scope import Workload
from valorem.core.numbers import ONE
from valorem.engine.checking import CheckResult, result_of, stopped_by_budget
from valorem.engine.consuming import ADDITIVE
from valorem.engine.credits.holding import HoldState, place_hold
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.entitlements import Knowledge, Known, counted, held_of, question
from valorem.store.postgres import limits, locks
from valorem.store.postgres import quota_holds as store


@dataclass(frozen=True, slots=True)
class NewHold:
    """What is to be reserved if a check allows it.

    Attributes:
        id: The caller's own; the same id is the same hold.
        lasts: For how long.
        credit: A credit type of which ``amount`` is reserved as well.
        amount: The most the work can cost in it.
    """

    id: str
    lasts: timedelta
    credit: str | None = None
    amount: Decimal | None = None


@dataclass(frozen=True, slots=True)
class HeldCheck:
    """The answer to a check that reserves.

    Attributes:
        result: The check itself; what is reserved by this hold counts in it, where it was allowed.
        customer: Whose.
        as_of: When.
        hold: The quota that is reserved; None where the feature has no limits, or it was denied.
        credits: The credits that are; None where none were asked for, or the check was denied before.
        known: What was known of the customer.
    """

    result: CheckResult
    customer: str
    as_of: datetime
    hold: QuotaHold | None
    credits: HoldState | None
    known: Known

    @property
    def allowed(self) -> bool:
        """Whether everything asked for is reserved."""
        credits_held = self.credits is None or self.credits.hold.state == "held"
        return self.result.verdict.allowed and credits_held


def check_and_hold(
    tx: Transaction, knowledge: Knowledge, subject: str, asked: Asked, new: NewHold
) -> HeldCheck:
    """Check, and reserve the quantity asked for if it is allowed. The same id gets the same hold again.

    Quota is reserved under every limit of the feature, and credits where a type is named: both or neither.

    Raises:
        NotFoundError: If there is no such customer, feature or credit type.
        InvalidInputError: Naming the field.
        ConflictError: If the id was used for something else, or its hold was settled or released.
        UnprocessableError: If there is nothing to hold: the feature has no limits, and no credits were named.
    """
    check_text(new.id, "hold.id", 200)
    if (new.credit is None) != (new.amount is None):
        raise InvalidInputError(
            "a hold of credits names their type and how many",
            field="hold.amount",
            hint="give credit and amount",
        )
    known = knowledge.current(tx, subject)
    if known.customer is None:
        raise NotFoundError(f"there is no customer {subject[:60]!r}", field="customer")
    locks.wait_for(tx.connection, locks.Lock.CONSUME, tx.workspace.id, known.customer)
    quantity = ONE if asked.quantity is None else asked.quantity
    earlier = store.find(tx.connection, tx.workspace.id, known.customer, new.id)
    if earlier is not None:
        core.check_same(earlier, asked.feature, quantity, asked.dimensions)
        earlier = earlier.seen_at(tx.now)
        if earlier.state != "held":
            raise UnprocessableError(
                f"this hold was placed before and is {earlier.state}",
                field="hold.id",
                hint="give a new hold a new id",
            )
    others = [
        one
        for one in store.standing(tx.connection, tx.workspace.id, known.customer, tx.now)
        if one.id != new.id
    ]
    result = _checked(tx, known, asked, others)
    hold = earlier or _hold(tx, known, asked, quantity, new)
    if hold is None and new.credit is None:
        raise UnprocessableError(
            f"{asked.feature} has no limits, so there is nothing to hold",
            field="hold",
            hint="check it without a hold, or name a credit type",
        )
    if earlier is None and not result.verdict.allowed:
        return HeldCheck(result, known.customer, tx.now, None, None, known)
    credit = None if new.credit is None else _hold_credits(tx, known, asked, new)
    if credit is not None and credit.hold.state != "held":
        return HeldCheck(result, known.customer, tx.now, None, credit, known)
    if hold is None:
        return HeldCheck(result, known.customer, tx.now, None, credit, known)
    if earlier is None:
        store.insert(tx.connection, tx.workspace.id, known.customer, hold)
    after = _checked(tx, known, replace(asked, quantity=Decimal(0)), [*others, hold])
    allowed = replace(
        after.verdict, allowed=True, reason=result.verdict.reason if earlier is None else "within_limit"
    )
    return HeldCheck(
        replace(after, verdict=allowed, quantity=quantity), known.customer, tx.now, hold, credit, known
    )


def list_quota_holds(tx: Transaction, customer: str) -> list[QuotaHold]:
    """A customer's holds that reserve something now, the oldest first.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    return store.standing(tx.connection, tx.workspace.id, customer, tx.now)


def release_quota_hold(tx: Transaction, customer: str, hold: str) -> QuotaHold:
    """Give back what a hold reserves.

    Raises:
        NotFoundError: If there is no such customer or hold.
        ConflictError: If it was settled.
        UnprocessableError: If it has expired.
    """
    get_customer(tx, customer)
    locks.wait_for(tx.connection, locks.Lock.CONSUME, tx.workspace.id, customer)
    found = store.find(tx.connection, tx.workspace.id, customer, hold)
    if found is None:
        raise NotFoundError(f"there is no hold {hold[:60]!r}", field="hold")
    released = core.release(found, tx.now)
    if released != found:
        store.resolve(tx.connection, tx.workspace.id, customer, released)
    return released


def _checked(tx: Transaction, known: Known, asked: Asked, others: Sequence[QuotaHold]) -> CheckResult:
    looked = question(tx.connection, tx.workspace.id, known, asked.feature, tx.now)
    found = limits.use(tx.connection, tx.workspace.id, known.subjects, looked.stretches, detail=known.detail)
    under, gate = counted(known, looked, found)
    held = held_of(known, looked.grant, others, tx.now)
    said = verdict(looked.grant, asked, under, gate_use=gate, held=held)
    result = result_of(known, looked.grant, asked, said)
    return stopped_by_budget(tx, known, result) if known.has_hard_budgets else result


def _hold(tx: Transaction, known: Known, asked: Asked, quantity: Decimal, new: NewHold) -> QuotaHold | None:
    grant = known.grant(asked.feature)
    if not grant.limits:
        return None
    meter = known.revisions[grant.meter or ""][1]
    if meter.aggregate not in ADDITIVE:
        raise UnprocessableError(
            f"a {meter.aggregate} cannot be reserved piece by piece",
            field="feature",
            hint="check it without a hold",
        )
    if quantity <= 0 or (meter.aggregation.valueless and quantity % 1):
        raise InvalidInputError(
            "there is nothing to hold", field="quantity", hint="give a quantity above zero"
        )
    return QuotaHold(new.id, asked.feature, quantity, tx.now, tx.now + new.lasts, dict(asked.dimensions))


def _hold_credits(tx: Transaction, known: Known, asked: Asked, new: NewHold) -> HoldState:
    assert known.customer is not None
    assert new.credit is not None
    assert new.amount is not None
    grant = known.grant(asked.feature)
    kind = known.catalog.credits.get(new.credit)
    member = asked.dimensions.get(kind.member) if kind is not None and kind.member is not None else None
    return place_hold(
        tx,
        customer=known.customer,
        credit=new.credit,
        id=new.id,
        amount=new.amount,
        lasts=new.lasts,
        work=Workload(grant.meter, asked.feature, dict(asked.dimensions), member),
    )

"""Disputes: who may open one until when, what it holds back, and what its resolution credits."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.outcomes.signing import Party
from valorem.core.outcomes.terms import DisputeTerms
from valorem.core.time import write_instant

Verdict = Literal["upheld", "rejected"]


@dataclass(frozen=True, slots=True)
class Resolution:
    """What became of one disputed outcome.

    Attributes:
        share: How much of it is given back: one where the dispute is upheld, zero where it is rejected.
        at: When.
        note: Why.
    """

    share: Decimal
    at: datetime
    note: str = ""


@dataclass(frozen=True)
class Dispute:
    """One dispute about outcomes of one finalised invoice.

    Attributes:
        id: Its id.
        by: Who opened it.
        at: When (UTC).
        keys: The outcomes.
        reason: From the definition's list.
        text: In the party's own words.
        answered_at: When the other side answered, where it did.
        resolutions: By key, given so far.
    """

    id: str
    by: Party
    at: datetime
    keys: tuple[str, ...]
    reason: str
    text: str = ""
    answered_at: datetime | None = None
    resolutions: Mapping[str, Resolution] = field(default_factory=dict)


def window_ends(terms: DisputeTerms, finalised_at: datetime) -> datetime:
    """The first instant at which nothing can be disputed any more."""
    return finalised_at + timedelta(days=terms.days)


def check_dispute(
    terms: DisputeTerms,
    dispute: Dispute,
    *,
    finalised_at: datetime,
    invoiced: Collection[str],
    others: Iterable[Dispute] = (),
) -> None:
    """Refuse a dispute that the definition does not allow.

    Raises:
        UnprocessableError: After the window (its end is outside), or for an outcome that is disputed already.
        InvalidInputError: For a reason that is not on the list, or outcomes that the invoice does not have.
    """
    end = window_ends(terms, finalised_at)
    if dispute.at >= end:
        raise UnprocessableError(f"window ended {write_instant(end)} (half-open)", field="at")
    if dispute.reason not in terms.reasons:
        raise InvalidInputError(
            f"{dispute.reason!r} is not a reason of the definition",
            field="reason",
            hint=f"it has {', '.join(terms.reasons)}",
        )
    if not dispute.keys or len(set(dispute.keys)) != len(dispute.keys):
        raise InvalidInputError("name each disputed outcome once, at least one", field="keys")
    if missing := sorted(set(dispute.keys) - set(invoiced)):
        raise InvalidInputError(f"the invoice has no outcome {missing[0]!r}", field="keys")
    taken = {key for other in others for key in other.keys}
    if repeated := sorted(taken & set(dispute.keys)):
        raise UnprocessableError(f"{repeated[0]!r} is disputed already", field="keys")


def resolved(terms: DisputeTerms, dispute: Dispute, now: datetime) -> dict[str, Resolution]:
    """The resolutions there are at an instant, those that silence brings included.

    Where the terms say so, no answer for so many days upholds the dispute, and no reply to an answer rejects it.
    """
    given = {key: each for key, each in dispute.resolutions.items() if each.at <= now}
    answered = dispute.answered_at if dispute.answered_at is not None and dispute.answered_at <= now else None
    if answered is None and terms.vendor_silence_days:
        silent, share = dispute.at + timedelta(days=terms.vendor_silence_days), ONE
    elif answered is not None and terms.customer_silence_days:
        silent, share = answered + timedelta(days=terms.customer_silence_days), ZERO
    else:
        return given
    if now >= silent:
        for key in dispute.keys:
            given.setdefault(key, Resolution(share, silent, "silence"))
    return given


@dataclass(frozen=True, slots=True)
class Effect:
    """What disputes do to the money of one invoice.

    Attributes:
        invoiced: As finalised; it never changes.
        held: Of it, not due while disputes are open.
        due: Invoiced less held less credited.
        credit_note: What the resolutions give back, as a credit note on a final invoice.
        open: Outcomes that are still disputed.
    """

    invoiced: Decimal
    held: Decimal
    due: Decimal
    credit_note: Decimal
    open: tuple[str, ...]


@exact
def effect(
    terms: DisputeTerms,
    disputes: Sequence[Dispute],
    quantities: Mapping[str, Decimal],
    price: Callable[[Decimal], Decimal],
    now: datetime,
) -> Effect:
    """The effect of all disputes of one invoice at an instant.

    What is upheld re-prices the original period without it, so tiers and minimums are honoured, and never costs more.

    Args:
        terms: The definition's.
        disputes: Those that were accepted.
        quantities: Key to what it counts on the invoice.
        price: Quantity of the period to its rounded amount.
        now: The instant.
    """
    whole = sum(quantities.values(), ZERO)
    invoiced = price(whole)
    upheld = contested = ZERO
    still_open: list[str] = []
    for dispute in disputes:
        if dispute.at > now:
            continue
        resolutions = resolved(terms, dispute, now)
        for key in dispute.keys:
            if key in resolutions:
                upheld += quantities[key] * resolutions[key].share
            else:
                contested += quantities[key]
                still_open.append(key)
    credit = max(ZERO, invoiced - price(whole - upheld))
    held = ZERO
    if terms.effect == "hold":
        held = max(ZERO, price(whole - upheld) - price(whole - upheld - contested))
    return Effect(invoiced, held, invoiced - held - credit, credit, tuple(sorted(still_open)))


def rejected_count(terms: DisputeTerms, disputes: Iterable[Dispute], by: Party, now: datetime) -> int:
    """How many of a party's disputed outcomes were rejected, which is shown to both."""
    return sum(
        resolution.share == 0
        for dispute in disputes
        if dispute.by == by
        for resolution in resolved(terms, dispute, now).values()
    )

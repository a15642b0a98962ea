"""What both sides see of a contract's outcomes: one pure function, so the same numbers on every page and in every answer."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.outcomes.agreement import Agreement
from valorem.core.outcomes.charging import VersionBills, charge, total_of
from valorem.core.outcomes.disputes import Dispute, resolved
from valorem.core.outcomes.estimates import Estimate
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions, Governed, Recorded
from valorem.core.outcomes.sharing import NO_ESTIMATES
from valorem.core.outcomes.signing import Party, version_at
from valorem.core.outcomes.states import State
from valorem.core.outcomes.tallies import Standing, standing, tally
from valorem.core.periods import Interval


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of the definition.

    Attributes:
        number: Which.
        digest: What was signed.
        status: Draft, proposed, shadow, live or retired.
        missing: Whose signature is missing.
        effective_from: From when it is meant to hold.
    """

    number: int
    digest: str
    status: str
    missing: tuple[Party, ...]
    effective_from: datetime


@dataclass(frozen=True, slots=True)
class OutcomeView:
    """One outcome, opening to its evidence.

    Attributes:
        key: What is counted.
        state: Now.
        since: Since when.
        rule: What decided it.
        matures_at: When it is confirmed if nothing is heard, while it is assumed.
        version: The version that governs it.
        value: What it is worth, where it is worth something.
        disputed: Whether a dispute about it is open.
        billable: Whether it counts on an invoice.
        evidence: Ids of what its states rest on, in order.
    """

    key: str
    state: State
    since: datetime | None
    rule: str
    matures_at: datetime | None
    version: int | None
    value: Decimal | None
    disputed: bool
    billable: bool
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PeriodView:
    """One period's counts and money.

    Attributes:
        period: Which.
        label: How people name it.
        assumed: Accepted in it.
        confirmed: In it, whatever became of them later.
        cancelled: Refuted in it within their window.
        reversed: In it, whenever they were confirmed.
        amount: Billed for it, credits for earlier periods included.
        credit: Of it, adjustments of earlier periods.
    """

    period: Interval
    label: str
    assumed: int
    confirmed: int
    cancelled: int
    reversed: int
    amount: Decimal
    credit: Decimal


@dataclass(frozen=True)
class Dashboard:
    """Everything both sides see at an instant.

    Attributes:
        outcome: The definition's key.
        name: For people.
        currency: Of the amounts.
        now: The instant.
        versions: All versions of the definition.
        standing: How many are assumed, confirmed, reversed and cancelled, and when the next matures.
        rejected: Reason to how many.
        periods: Each with its counts and its money.
        outcomes: Each with its evidence.
        newest_evidence: When the last evidence arrived.
        fresh: Whether that is recent enough for the definition's source.
        disputes: Open ones.
        agreement: The last comparison of both lists.
        if_silent: What the running period comes to if nothing more happens.
    """

    outcome: str
    name: str
    currency: str
    now: datetime
    versions: tuple[VersionView, ...]
    standing: Standing
    rejected: Mapping[str, int]
    periods: tuple[PeriodView, ...]
    outcomes: tuple[OutcomeView, ...]
    newest_evidence: datetime | None
    fresh: bool
    disputes: tuple[Dispute, ...]
    agreement: Agreement | None
    if_silent: Decimal


@exact
def dashboard(
    definitions: Definitions,
    recorded: Recorded,
    frame: Frame,
    periods: Sequence[Interval],
    now: datetime,
    *,
    closes: Sequence[datetime] | None = None,
    disputes: Sequence[Dispute] = (),
    agreements: Sequence[Agreement] = (),
    estimates: Mapping[int, Estimate] = NO_ESTIMATES,
    duplicates: Iterable[str] = (),
) -> Dashboard:
    """What both sides see at an instant.

    Args:
        definitions: All versions of one definition of the contract.
        recorded: Its events with their arrivals; what arrived after ``now`` is not seen.
        frame: The contract's calendar and rates.
        periods: The periods to be shown, the running one last.
        now: The instant.
        closes: When each period was closed, for those that were; the running one is looked at as it stands.
        disputes: Those that were accepted.
        agreements: Comparisons of both lists, in order of time.
        estimates: By number of the period, as stored; for savings that need one.
        duplicates: Keys that another definition of the group is charged for.
    """
    known = [each for each in recorded if each[1] <= now]
    governed = definitions.fold(known, frame)
    pending = [each for each in disputes if each.at <= now and _open(definitions, each, now)]
    off = _off(definitions, disputes, now) | dict.fromkeys(duplicates, ONE)
    until = None if closes is None else [*closes[: len(periods) - 1], now]
    charged = charge(
        definitions, known, frame, periods, closes=until, off=off, as_of=now, estimates=estimates
    )
    silent = charge(
        definitions, known, frame, periods, closes=until, off=off, over_by=now, estimates=estimates
    )
    newest = max((arrived for _, arrived in known), default=None)
    current = version_at(definitions.versions, now) or definitions.versions[-1]
    outcomes = tuple(each.outcome for each in governed.values())
    return Dashboard(
        outcome=current.definition.outcome,
        name=current.definition.label,
        currency=current.definition.currency,
        now=now,
        versions=tuple(
            VersionView(each.number, each.digest, each.status(now), each.missing(), each.effective_from)
            for each in definitions.versions
        ),
        standing=standing(tally(outcomes), outcomes, now),
        rejected=dict(sorted(Counter(filter(None, (each.rejected_by(now) for each in outcomes))).items())),
        periods=_periods(governed.values(), periods, charged, frame, now),
        outcomes=tuple(_view(each, now, pending, off) for _, each in sorted(governed.items())),
        newest_evidence=newest,
        fresh=_fresh(newest, current.definition.source.freshness, now),
        disputes=tuple(pending),
        agreement=agreements[-1] if agreements else None,
        if_silent=total_of(silent, len(periods) - 1) if periods else ZERO,
    )


def _fresh(newest: datetime | None, freshness: timedelta, now: datetime) -> bool:
    return newest is not None and now - newest <= freshness


def _open(definitions: Definitions, dispute: Dispute, now: datetime) -> bool:
    terms = definitions.versions[-1].definition.disputes
    return not set(dispute.keys) <= resolved(terms, dispute, now).keys()


def _off(definitions: Definitions, disputes: Sequence[Dispute], now: datetime) -> dict[str, Decimal]:
    """Key to the share of it that is not due: what its open dispute holds back, or its resolution gave back."""
    terms = definitions.versions[-1].definition.disputes
    off: dict[str, Decimal] = {}
    for each in disputes:
        if each.at > now:
            continue
        found = resolved(terms, each, now)
        for key in each.keys:
            if key in found:
                off[key] = found[key].share
            elif terms.effect == "hold":
                off[key] = ONE
    return off


def _periods(
    governed: Collection[Governed],
    periods: Sequence[Interval],
    charged: Sequence[VersionBills],
    frame: Frame,
    now: datetime,
) -> tuple[PeriodView, ...]:
    counts = _counts(governed, frame, now)
    found = []
    for index, period in enumerate(periods):
        number = frame.period_of(period.start)
        found.append(
            PeriodView(
                period,
                frame.label(number),
                counts["assumed", number],
                counts["confirmed", number],
                counts["cancelled", number],
                counts["reversed", number],
                total_of(charged, index),
                sum((each.bills[index].credit for each in charged), ZERO),
            )
        )
    return tuple(found)


def _counts(governed: Iterable[Governed], frame: Frame, now: datetime) -> Counter[tuple[str, int]]:
    """(what happened, period) to how often, up to an instant."""
    counts: Counter[tuple[str, int]] = Counter()
    for each in governed:
        for result in each.outcome.results:
            moments = [("assumed", result.accepted_at), (result.end, result.ends_at)]
            if result.reversed_at is not None:
                moments.append(("reversed", result.reversed_at))
            for what, at in moments:
                if at <= now:
                    counts[what, frame.period_of(at)] += 1
    return counts


def _view(
    governed: Governed, now: datetime, disputes: Sequence[Dispute], off: Mapping[str, Decimal]
) -> OutcomeView:
    outcome = governed.outcome
    history = outcome.history(now)
    last = history[-1] if history else None
    counted = list(outcome.standing(now))
    return OutcomeView(
        key=outcome.key,
        state=outcome.state(now),
        since=last.at if last else None,
        rule=last.rule if last else "",
        matures_at=outcome.matures_at(now),
        version=governed.version.number if governed.version else None,
        value=counted[-1].value if counted else None,
        disputed=any(outcome.key in each.keys for each in disputes),
        billable=off.get(outcome.key) != 1 and any(governed.billable(each.ends_at) for each in counted),
        evidence=tuple(dict.fromkeys(id_ for each in history for id_ in each.evidence)),
    )

"""What a contract's outcomes are billed: signed, live, not held, each under the version that governs it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.outcomes.activities import activities_known, activities_of
from valorem.core.outcomes.billing import PeriodBill, bill
from valorem.core.outcomes.estimates import Estimate
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions, Governed, Recorded
from valorem.core.outcomes.sharing import NO_ESTIMATES, SharedPeriod, bills_of_savings, shared_periods
from valorem.core.outcomes.signing import DefinitionVersion
from valorem.core.outcomes.states import Outcome, Result
from valorem.core.outcomes.tallies import Count, Slot, Tallies, tally
from valorem.core.periods import Interval
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies


@dataclass(frozen=True)
class VersionBills:
    """The bills of one version of the definition, one for each period."""

    version: DefinitionVersion
    bills: tuple[PeriodBill, ...]


@exact
def billable(
    governed: Iterable[Governed], off: Mapping[str, Decimal] | None = None, as_of: datetime | None = None
) -> list[Outcome]:
    """The outcomes with only the results that may be billed.

    A result may be billed where its definition had both signatures and was live when it was confirmed. Whatever is not
    confirmed carries no money and is left out; so is what silence will confirm after ``as_of``, where that is given.

    Args:
        governed: Outcomes with the versions that govern them.
        off: Key to the share of it that a dispute holds back or gave back.
        as_of: The instant looked at.
    """
    shares = off or {}
    found = []
    for each in governed:
        left = ONE - shares.get(each.outcome.key, ZERO)
        results = tuple(
            _part(result, left)
            for result in each.outcome.results
            if result.end == "confirmed"
            and each.billable(result.ends_at)
            and (as_of is None or result.ends_at <= as_of)
        )
        if results and left:
            found.append(replace(each.outcome, results=results))
    return found


def _part(result: Result, left: Decimal) -> Result:
    """A result of which only a part is billed."""
    if left == 1:
        return result
    restated = tuple(replace(each, change=each.change * left) for each in result.restated)
    value = None if result.value is None else result.value * left
    return replace(result, credit=result.credit * left, value=value, restated=restated)


@exact
def charge(
    definitions: Definitions,
    recorded: Recorded,
    frame: Frame,
    periods: Sequence[Interval],
    *,
    closes: Sequence[datetime] | None = None,
    off: Mapping[str, Decimal] | None = None,
    as_of: datetime | None = None,
    over_by: datetime | None = None,
    estimates: Mapping[int, Estimate] = NO_ESTIMATES,
    policies: PricePolicies = DEFAULT_POLICIES,
) -> tuple[VersionBills, ...]:
    """What each period is billed, version by version.

    Args:
        definitions: All versions of one definition of the contract.
        recorded: Its events with their arrivals, in any order.
        frame: The contract's calendar and rates.
        periods: In order of time, without gaps, from the first that was billed.
        closes: When each period was closed: it then rests on what had arrived by then, and later evidence adjusts it in the
            next one. Where left out, every period rests on everything.
        off: Key to the share of it that a dispute holds back or gave back.
        as_of: What silence will confirm later is left out; counted in, where left out.
        over_by: Savings are shared of periods that are over by then; ``as_of`` where left out.
        estimates: By number of the period, as stored; for savings that need one.
        policies: How the price's numbers are read.
    """
    known = (
        [list(recorded)]
        if closes is None
        else [[each for each in recorded if each[1] <= close] for close in closes]
    )
    folded = [definitions.fold(each, frame) for each in known]
    tallies = [_tallies(definitions, each, off, as_of) for each in folded]
    found = []
    shared: tuple[SharedPeriod, ...] | None = None
    for version in definitions.versions:
        if version.definition.savings is not None:
            if shared is None:
                over = over_by if over_by is not None else as_of
                shared = shared_periods(
                    definitions, folded[-1], periods, frame, estimates=estimates, off=off, as_of=over
                )
            if _bills(version, periods):
                found.append(VersionBills(version, bills_of_savings(version, shared)))
            continue
        by_close = [each.get(version.number, {}) for each in tallies]
        if closes is None:
            found.extend(_counted(version, by_close[0], frame, periods, policies))
        elif _bills(version, periods):
            activities = activities_known(version.definition, by_close, periods, frame)
            found.append(VersionBills(version, bill(version.definition, activities, frame, policies)))
    return tuple(found)


@exact
def charge_counters(
    definitions: Definitions,
    counters: Mapping[int, Tallies],
    frame: Frame,
    periods: Sequence[Interval],
    policies: PricePolicies = DEFAULT_POLICIES,
) -> tuple[VersionBills, ...]:
    """The same from counters of what may be billed, by number of the version: no single outcome is looked at.

    Args:
        definitions: All versions of one definition of the contract; none shares savings.
        counters: From :func:`valorem.core.outcomes.keeping.billable_counters`.
        frame: The contract's calendar and rates.
        periods: In order of time, without gaps, from the first that was billed.
        policies: How the price's numbers are read.
    """
    return tuple(
        each
        for version in definitions.versions
        for each in _counted(version, counters.get(version.number, {}), frame, periods, policies)
    )


def _counted(
    version: DefinitionVersion,
    counters: Tallies,
    frame: Frame,
    periods: Sequence[Interval],
    policies: PricePolicies,
) -> Iterator[VersionBills]:
    if _bills(version, periods):
        activities = activities_of(version.definition, counters, periods, frame)
        yield VersionBills(version, bill(version.definition, activities, frame, policies))


def total_of(charged: Iterable[VersionBills], index: int) -> Decimal:
    """What all versions together bill in one period."""
    return sum((each.bills[index].total for each in charged), ZERO)


def _tallies(
    definitions: Definitions,
    governed: Mapping[str, Governed],
    off: Mapping[str, Decimal] | None,
    as_of: datetime | None,
) -> Mapping[int, Mapping[Slot, Count]]:
    found = {}
    for version in definitions.versions:
        own = (each for each in governed.values() if each.version is version)
        found[version.number] = tally(billable(own, off, as_of))
    return found


def _bills(version: DefinitionVersion, periods: Sequence[Interval]) -> bool:
    """Whether a version is live in any of the periods, so that its minimum may be due."""
    return any(version.bills_at(period.start) for period in periods) or any(
        version.live_from is not None and version.live_from in period and version.bills_at(version.live_from)
        for period in periods
    )

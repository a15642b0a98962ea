"""What a contract's outcomes are billed: signed, live, not held, each under the version that governs it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.numbers import ZERO, exact
from valorem.core.outcomes.billing import Activity, PeriodBill, activities_known, activities_of, bill
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions, Governed, Recorded
from valorem.core.outcomes.signing import DefinitionVersion
from valorem.core.outcomes.states import Outcome
from valorem.core.outcomes.tallies import Count, Slot, tally
from valorem.core.periods import Interval
from valorem.core.pricing.policies import DEFAULT_POLICIES, PricePolicies


@dataclass(frozen=True)
class VersionBills:
    """The bills of one version of the definition, one for each period."""

    version: DefinitionVersion
    bills: tuple[PeriodBill, ...]


def billable(
    governed: Iterable[Governed], held: Collection[str] = (), as_of: datetime | None = None
) -> list[Outcome]:
    """The outcomes with only the results that may be billed.

    A result may be billed where its definition had both signatures and was live when it was confirmed, and its key is not
    held by an open dispute. Whatever is not confirmed carries no money and is left out; so is what silence will confirm
    after ``as_of``, where that is given.
    """
    found = []
    for each in governed:
        if each.outcome.key in held:
            continue
        results = tuple(
            result
            for result in each.outcome.results
            if result.end == "confirmed"
            and each.billable(result.ends_at)
            and (as_of is None or result.ends_at <= as_of)
        )
        if results:
            found.append(replace(each.outcome, results=results))
    return found


@exact
def charge(
    definitions: Definitions,
    recorded: Recorded,
    frame: Frame,
    periods: Sequence[Interval],
    *,
    closes: Sequence[datetime] | None = None,
    held: Collection[str] = (),
    as_of: datetime | None = None,
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
        held: Keys that an open dispute holds back.
        as_of: What silence will confirm later is left out; counted in, where left out.
        policies: How the price's numbers are read.
    """
    known = (
        [list(recorded)]
        if closes is None
        else [[each for each in recorded if each[1] <= close] for close in closes]
    )
    tallies = [_tallies(definitions, each, frame, held, as_of) for each in known]
    found = []
    for version in definitions.versions:
        by_close = [each.get(version.number, {}) for each in tallies]
        activities: tuple[Activity, ...]
        if closes is None:
            activities = activities_of(version.definition, by_close[0], periods, frame)
        else:
            activities = activities_known(version.definition, by_close, periods, frame)
        if version.definition.price is not None and _bills(version, periods):
            bills = bill(version.definition, activities, frame, policies)
            found.append(VersionBills(version, bills))
    return tuple(found)


def total_of(charged: Iterable[VersionBills], index: int) -> Decimal:
    """What all versions together bill in one period."""
    return sum((each.bills[index].total for each in charged), ZERO)


def _tallies(
    definitions: Definitions,
    recorded: Recorded,
    frame: Frame,
    held: Collection[str],
    as_of: datetime | None,
) -> Mapping[int, Mapping[Slot, Count]]:
    governed = definitions.fold(recorded, frame)
    found = {}
    for version in definitions.versions:
        own = (each for each in governed.values() if each.version is version)
        found[version.number] = tally(billable(own, held, as_of))
    return found


def _bills(version: DefinitionVersion, periods: Sequence[Interval]) -> bool:
    """Whether a version is live in any of the periods, so that its minimum may be due."""
    return any(version.bills_at(period.start) for period in periods) or any(
        version.live_from is not None and version.live_from in period and version.bills_at(version.live_from)
        for period in periods
    )

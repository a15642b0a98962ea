"""Counters of outcomes kept as evidence comes: what is billed is read off them, and only what changed is folded again.

The fold stays the only judge. Kept are the counters of all results, by version and quarter hour. Results that must be
looked at one by one are few: those of a quarter hour that is cut by the instant looked at or by the start of billing,
those under dispute, and those of keys that newer evidence is about.
"""

import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import chain
from typing import Any

from valorem.core.calendar import local_date, start_of_day
from valorem.core.numbers import exact, plain
from valorem.core.outcomes.charging import billable
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions, Governed
from valorem.core.outcomes.signing import DefinitionVersion
from valorem.core.outcomes.states import Outcome, Restatement, Result
from valorem.core.outcomes.tallies import Count, Slot, Tallies, merge, tally
from valorem.core.periods import Interval
from valorem.core.time import on_grid, parse_instant, quarter_hour_of, write_instant

QUARTER = timedelta(minutes=15)
#: Before every event: the border below the first.
BEGINNING = datetime(1, 1, 1, tzinfo=UTC)
_BILLED = ("confirmed", "reversed", "restated")

Counters = Mapping[int, Tallies]
"""Counters by number of the version."""


@exact
def counters_of(governed: Iterable[Governed]) -> dict[int, dict[Slot, Count]]:
    """The counters of all results of outcomes, whether they may be billed or not."""
    by_version: defaultdict[int, list[Outcome]] = defaultdict(list)
    for each in governed:
        if each.version is not None:
            by_version[each.version.number].append(each.outcome)
    return {number: tally(outcomes) for number, outcomes in by_version.items()}


@exact
def changed(before: Counters, *more: Counters, less: Counters) -> dict[int, dict[Slot, Count]]:
    """Counters with others added and some taken off."""
    numbers = {number for each in (before, less, *more) for number in each}
    return {
        number: merge(
            before.get(number, {}),
            *(each.get(number, {}) for each in more),
            {slot: -count for slot, count in less.get(number, {}).items()},
        )
        for number in sorted(numbers)
    }


def borders(
    definitions: Definitions, periods: Sequence[Interval], frame: Frame, as_of: datetime | None
) -> tuple[datetime, ...]:
    """The instants between which counters may be summed before they are priced.

    They are those of the periods, of the local days where a definition has a cap per day, and the edges of every quarter
    hour that is cut.
    """
    found = {BEGINNING, *chain.from_iterable((period.start, period.end) for period in periods)}
    for cut in _cuts(definitions, as_of):
        found |= {quarter_hour_of(cut), quarter_hour_of(cut) + QUARTER}
    for version in definitions.signed:
        found.add(_bills_from(version) or BEGINNING)
        cap = version.definition.cap
        if cap is not None and cap.per == "day" and periods:
            day, last = (local_date(at, frame.zone) for at in (periods[0].start, periods[-1].end))
            while day <= last:
                found.add(start_of_day(day, frame.zone))
                day += timedelta(days=1)
    return tuple(sorted(quarter_hour_of(each) for each in found))


@exact
def coarse(tallies: Tallies, edges: Sequence[datetime]) -> dict[Slot, Count]:
    """The same counters summed between edges, each under the edge before it."""

    def floor(at: datetime) -> datetime:
        return edges[bisect_right(edges, at) - 1]

    return merge(
        *(
            {slot._replace(bucket=floor(slot.bucket), of=floor(slot.of)): count}
            for slot, count in tallies.items()
        )
    )


@exact
def billable_counters(
    definitions: Definitions,
    counters: Counters,
    ending_in: Callable[[Interval], Iterable[Governed]],
    *,
    disputed: Iterable[Governed] = (),
    off: Mapping[str, Decimal] | None = None,
    as_of: datetime | None = None,
) -> dict[int, dict[Slot, Count]]:
    """What may be billed, from counters of everything: the tallies of :func:`valorem.core.outcomes.charging.billable`.

    Args:
        definitions: All versions of one definition of the contract.
        counters: Of all results, summed at most between :func:`borders`.
        ending_in: The outcomes with a result that ends in a quarter hour.
        disputed: The outcomes of the keys in ``off``.
        off: Key to the share of it that a dispute holds back or gave back.
        as_of: What silence will confirm later is left out; counted in, where left out.
    """
    found: dict[int, dict[Slot, Count]] = {}
    single = {
        quarter: list(ending_in(Interval(quarter, quarter + QUARTER)))
        for quarter in sorted({quarter_hour_of(cut) for cut in _cuts(definitions, as_of)})
    }
    known = list(disputed)
    for version in definitions.versions:
        since = _bills_from(version)
        if since is None:
            continue
        whole = {
            slot: count
            for slot, count in counters.get(version.number, {}).items()
            if slot.series in _BILLED
            and slot.of not in single
            and slot.of >= since
            and (as_of is None or slot.of <= as_of)
        }
        parts = [
            _billed(
                [
                    replace(each, outcome=_ending(each.outcome, quarter))
                    for each in outcomes
                    if each.version is version
                ],
                as_of=as_of,
            )
            for quarter, outcomes in single.items()
        ]
        own = [each for each in known if each.version is version]
        less = {slot: -count for slot, count in _billed(own, as_of=as_of).items()}
        found[version.number] = merge(whole, *parts, less, _billed(own, off, as_of))
    return found


def _billed(
    governed: Iterable[Governed],
    off: Mapping[str, Decimal] | None = None,
    as_of: datetime | None = None,
) -> dict[Slot, Count]:
    counted = tally(billable(governed, off, as_of))
    return {slot: count for slot, count in counted.items() if slot.series in _BILLED}


def _ending(outcome: Outcome, quarter: datetime) -> Outcome:
    """The outcome with only the results that end in a quarter hour."""
    results = tuple(each for each in outcome.results if quarter_hour_of(each.ends_at) == quarter)
    return replace(outcome, results=results)


def _bills_from(version: DefinitionVersion) -> datetime | None:
    since = version.in_force_from()
    if since is None or version.live_from is None:
        return None
    return max(since, version.live_from)


def _cuts(definitions: Definitions, as_of: datetime | None) -> Iterator[datetime]:
    """The instants that may fall within a quarter hour."""
    if as_of is not None:
        yield as_of
    for version in definitions.versions:
        since = _bills_from(version)
        if since is not None and not on_grid(since):
            yield since


def write_result(result: Result) -> str:
    """A result as it is kept: all that counters are made of, and nothing else."""
    written: dict[str, Any] = {
        "accepted_at": write_instant(result.accepted_at),
        "ends_at": write_instant(result.ends_at),
        "end": result.end,
        "credit": plain(result.credit),
        "dimensions": result.dimensions,
    }
    if result.reversed_at is not None:
        written |= {"reversed_at": write_instant(result.reversed_at), "reversed_by": result.reversed_by}
    if result.value is not None:
        written["value"] = plain(result.value)
    if result.restated:
        written["restated"] = [
            [write_instant(each.at), plain(each.change), each.evidence] for each in result.restated
        ]
    return json.dumps(written, separators=(",", ":"), ensure_ascii=False)


def read_result(text: str) -> Result:
    """The result that :func:`write_result` wrote."""
    written = json.loads(text)
    back = written.get("reversed_at")
    value = written.get("value")
    return Result(
        accepted_at=parse_instant(written["accepted_at"]),
        ends_at=parse_instant(written["ends_at"]),
        end=written["end"],
        reversed_at=None if back is None else parse_instant(back),
        reversed_by=written.get("reversed_by"),
        value=None if value is None else Decimal(value),
        restated=tuple(
            Restatement(parse_instant(at), Decimal(change), evidence)
            for at, change, evidence in written.get("restated", ())
        ),
        credit=Decimal(written["credit"]),
        dimensions=tuple(written["dimensions"]),
    )

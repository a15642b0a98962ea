"""Outcomes: evidence (a million pieces with ``--full``) folded into states, counters and money, and what one more piece costs.

Times are of the processor, so that other programs beside it do not show.
"""

import gc
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from multiprocessing import get_context
from resource import RUSAGE_SELF, getrusage
from statistics import median

from bench.frame import Fresh, Measurement, Size, percentile
from valorem.core.metering.event import Event
from valorem.core.outcomes.activities import activities_of
from valorem.core.outcomes.billing import bill
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.evidence import CompiledOutcome, Evidence
from valorem.core.outcomes.fold import fold, fold_key
from valorem.core.outcomes.frame import UTC_MONTHS
from valorem.core.outcomes.tallies import difference, merge, standing, tally

EACH, REFOLDS = 5, 20_000
START = datetime(2026, 1, 1, tzinfo=UTC)
DEFINITION = OutcomeDefinition.model_validate(
    {
        "outcome": "resolution",
        "source": {"system": "desk"},
        "evidence": [
            {"event": "touched", "kind": "touch"},
            {"event": "solved", "kind": "success"},
            {"event": "yes", "kind": "confirm"},
            {"event": "reopened", "kind": "refute"},
        ],
        "key": "data.key",
        "actor": "data.actor",
        "dimensions": {"channel": "data.channel"},
        "qualify": {"long_enough": {"data.turns": {"gte": 2}}},
        "attribution": {"within": "30 days", "vendor_actors": ["bot"]},
        "window": "24 hours",
        "currency": "USD",
        "price": {"model": "graduated", "tiers": [{"up_to": 1000, "unit": "0.99"}, {"unit": "0.89"}]},
    }
)
#: Every tenth conversation is reopened after it was confirmed, every fifth is confirmed by an explicit yes.
STORY = ("touched", "solved", "touched", "yes", "reopened")


def run(_: Fresh, size: Size) -> Iterator[Measurement]:
    with get_context("spawn").Pool(1) as pool:  # a process of its own, so that its memory can be told
        yield from pool.apply(_measured, (size.outcomes,))


def _measured(outcomes: int) -> list[Measurement]:
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)  # as the server does
    compiled = CompiledOutcome(DEFINITION)
    before_mib = _peak_mib()
    began = time.process_time()
    evidence = [each for event in _events(outcomes) for each in compiled.read(event, event.time or START)]
    read_s = time.process_time() - began
    began = time.process_time()
    states = fold(compiled, evidence)
    fold_s = time.process_time() - began
    began = time.process_time()
    counters = tally(states.values())
    tally_s = time.process_time() - began
    periods = [UTC_MONTHS.period(UTC_MONTHS.period_of(START) + index) for index in range(4)]
    began = time.process_time()
    bills = bill(DEFINITION, activities_of(DEFINITION, counters, periods, UTC_MONTHS), UTC_MONTHS)
    bill_s = time.process_time() - began
    began = time.process_time()
    shown = standing(counters, states.values(), START + timedelta(days=45))
    standing_s = time.process_time() - began
    assert len(evidence) == outcomes * EACH
    _check(evidence, compiled, shown.confirmed.n)
    count, peak = len(evidence), _peak_mib()
    return [
        Measurement(
            "read events as evidence", {"evidence": count, "evidence/s": count / read_s, "s": read_s}
        ),
        Measurement("fold into states", {"evidence": count, "evidence/s": count / fold_s, "s": fold_s}),
        Measurement("count the states", {"evidence": count, "evidence/s": count / tally_s, "s": tally_s}),
        Measurement("bill four months from counters", {"s": bill_s, "slots": len(counters)}),
        Measurement("what stands at an instant", {"s": standing_s, "slots": len(counters)}),
        Measurement(
            "all of it",
            {
                "evidence": count,
                "evidence/s": count / (read_s + fold_s + tally_s + bill_s),
                "s": read_s + fold_s + tally_s + bill_s,
                "peak_mib": peak - before_mib,
                "bytes/evidence": (peak - before_mib) * 2**20 / count,
                "billed": str(sum((each.total for each in bills), Decimal(0))),
            },
        ),
        _refolded(compiled, evidence),
    ]


def _events(outcomes: int) -> Iterator[Event]:
    """Evidence in order of arrival: conversations begin over ninety days and go on for some."""
    dice = random.Random(7)
    for number in range(outcomes):
        at = START + timedelta(seconds=dice.randrange(90 * 86_400))
        channel = dice.choice(("chat", "mail", "voice"))
        for step, kind in enumerate(story(number)):
            at += timedelta(minutes=dice.randrange(1, 60)) + timedelta(days=2) * (kind == "reopened")
            data = {
                "key": f"conversation-{number}",
                "actor": "bot" if kind in ("touched", "solved") else "customer",
                "channel": channel,
                "turns": 3,
            }
            yield Event(f"{number}-{step}", "/desk", kind, "acme", at, data)


def story(number: int) -> tuple[str, ...]:
    if number % 10 == 0:
        return STORY
    last = "yes" if number % 5 == 1 else "touched"
    return ("touched", "touched", "touched", "solved", last)


def _check(evidence: list[Evidence], compiled: CompiledOutcome, confirmed: int) -> None:
    """Whatever order it arrives in, the states are the same."""
    few = [each for each in evidence if each.key.endswith("77")]
    assert fold(compiled, few) == fold(compiled, few[::-1])
    assert confirmed


def _refolded(compiled: CompiledOutcome, evidence: list[Evidence]) -> Measurement:
    """One more piece of evidence: its outcome is folded again, and the difference is what the counters change by."""
    by_key: dict[str, list[Evidence]] = {}
    for each in evidence:
        by_key.setdefault(each.key, []).append(each)
    took_s: list[float] = []
    for key in list(by_key)[:REFOLDS]:
        own = by_key[key]
        before = fold_key(compiled, key, own[:-1])
        began = time.process_time()
        after = fold_key(compiled, key, own)
        merge(difference(before, after))
        took_s.append(time.process_time() - began)
    return Measurement(
        "fold one outcome again",
        {
            "evidence": EACH,
            "median_us": median(took_s) * 1e6,
            "p99_us": percentile(took_s, 0.99) * 1e6,
            "outcomes/s": len(took_s) / sum(took_s),
        },
    )


def _peak_mib() -> float:
    return getrusage(RUSAGE_SELF).ru_maxrss / 1024

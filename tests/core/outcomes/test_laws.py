"""What must hold whatever arrives, in whatever order, however often."""

from datetime import timedelta
from decimal import Decimal
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.outcomes.make import FAR, definition, event, instant, version
from valorem.core.numbers import ZERO
from valorem.core.outcomes.activities import activities_of
from valorem.core.outcomes.billing import bill, price_quantities
from valorem.core.outcomes.charging import charge, total_of
from valorem.core.outcomes.evidence import CompiledOutcome, Evidence
from valorem.core.outcomes.fold import fold, fold_key
from valorem.core.outcomes.frame import UTC_MONTHS
from valorem.core.outcomes.governing import Definitions
from valorem.core.outcomes.states import Outcome
from valorem.core.outcomes.tallies import Count, Slot, difference, merge, standing, tally
from valorem.core.time import write_instant

START = instant("02-27T00:00")
FIRST = UTC_MONTHS.period_of(instant("02-15T00:00"))
PERIODS = [UTC_MONTHS.period(FIRST + index) for index in range(4)]  # February to May
VALUED = definition(
    value={"amount": "data.value"},
    attribution={"within": "20 days", "model": "linear", "vendor_actors": ["bot"]},
    bills="value",
    price={"model": "percentage", "rate": "1.5%"},
    qualify={"small": {"data.value": {"lt": 900}}},
)
PLAIN = definition(one_per="3 days", reversal_until="30 days", restart_on="last")


@st.composite
def facts(draw, *, latest_days=0):
    hours = draw(st.integers(0, 24 * 60))
    at = START + timedelta(hours=hours)
    arrives = at + timedelta(days=draw(st.integers(0, latest_days)))
    kind = draw(st.sampled_from(["touch", "success", "success", "restate", "confirm", "refute", "retract"]))
    return event(
        kind,
        write_instant(at).removesuffix("Z"),
        draw(st.sampled_from(["a", "b", "c"])),
        arrives=write_instant(arrives).removesuffix("Z"),
        value=draw(st.integers(1, 1000)),
        actor=draw(st.sampled_from(["bot", "ann"])),
    )


many = st.lists(facts(), max_size=25)


@settings(max_examples=150, deadline=None)
@given(events=many, data=st.data(), chosen=st.sampled_from([VALUED, PLAIN]))
def test_order_and_repetition_change_nothing(events, data, chosen):
    compiled = CompiledOutcome(chosen)
    expected = fold(compiled, compiled.read_all(events))
    shuffled = data.draw(st.permutations(events)) + data.draw(
        st.lists(st.sampled_from(events), max_size=5) if events else st.just([])
    )
    assert fold(compiled, compiled.read_all(shuffled)) == expected


@settings(max_examples=100, deadline=None)
@given(events=many, cuts=st.lists(st.integers(0, 25), max_size=3), chosen=st.sampled_from([VALUED, PLAIN]))
def test_counters_kept_event_by_event_are_those_of_the_whole(events, cuts, chosen):
    """However evidence is split into transactions, the deltas add up to the tally of all of it."""
    compiled = CompiledOutcome(chosen)
    edges = sorted({0, *cuts, len(events)})
    counters: dict[Slot, Count] = {}
    known: list[Evidence] = []
    before: dict[str, Outcome] = {}
    for start, end in pairwise(edges):
        known += compiled.read_all(events[start:end])
        after = {
            key: fold_key(compiled, key, [each for each in known if each.key == key])
            for key in sorted({each.key for each in known})
        }
        counters = merge(counters, *(difference(before.get(key), outcome) for key, outcome in after.items()))
        before = after
    assert counters == tally(before.values())


@settings(max_examples=100, deadline=None)
@given(events=many, hours=st.integers(0, 24 * 70), minutes=st.integers(0, 59))
def test_what_a_page_shows_is_what_the_states_say(events, hours, minutes):
    compiled = CompiledOutcome(PLAIN)
    outcomes = list(fold(compiled, compiled.read_all(events)).values())
    now = START + timedelta(hours=hours, minutes=minutes)
    shown = standing(tally(outcomes), outcomes, now)
    results = [result for outcome in outcomes for result in outcome.results]
    assumed = [result for result in results if result.accepted_at <= now < result.ends_at]
    assert shown.assumed.n == len(assumed)
    assert shown.next_matures_at == min((result.ends_at for result in assumed), default=None)
    assert shown.confirmed.n == sum(r.end == "confirmed" and r.ends_at <= now for r in results)
    assert shown.reversed.n == sum(r.reversed_at is not None and r.reversed_at <= now for r in results)


MONOTONE = [
    {"model": "per_unit", "amount": "0.333"},
    {
        "model": "graduated",
        "tiers": [{"up_to": 1, "unit": "3"}, {"up_to": 2, "unit": "1.005"}, {"unit": "0.5"}],
    },
    {"model": "per_unit", "amount": "1.01", "maximum": "2.50"},
    {"model": "per_unit", "amount": "0.99", "minimum": "1.50"},
    {"model": "package", "size": 2, "amount": "1.99"},
]


@settings(max_examples=150, deadline=None)
@given(
    events=st.lists(facts(latest_days=40), max_size=25),
    price=st.sampled_from(MONOTONE),
    bounds=st.sampled_from(
        [{}, {"minimum": {"quantity": 2}}, {"cap": {"quantity": 2}}, {"cap": {"quantity": 1, "per": "day"}}]
    ),
)
def test_billed_less_credited_is_the_price_of_the_final_states(events, price, bounds):
    chosen = definition(price=price, **bounds)
    definitions = Definitions([version(chosen=chosen)])
    closes = [period.end for period in PERIODS[:-1]] + [FAR]
    charged = charge(definitions, events, UTC_MONTHS, PERIODS, closes=closes)
    finally_known = tally(each.outcome for each in definitions.fold(events, UTC_MONTHS).values())
    activities = activities_of(chosen, finally_known, PERIODS, UTC_MONTHS)
    expected = ZERO
    for index, activity in enumerate(activities):
        final = sum(activity.added.values(), ZERO)
        for each in activities:
            final -= sum(each.taken.get(index, {}).values(), ZERO)
            final += sum(each.restated.get(index, {}).values(), ZERO)
        expected += price_quantities(chosen, {(): final}, activity.period, UTC_MONTHS).total
    (billed,) = charged
    paid = sum((each.payable for each in billed.bills), ZERO)
    assert paid + billed.bills[-1].credit_forward == expected
    assert sum((each.total for each in billed.bills), ZERO) == expected
    assert all(each.payable >= 0 >= each.credit_forward for each in billed.bills)


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(facts(latest_days=40), max_size=20),
    signed=st.sampled_from([(), ("vendor",), ("customer",)]),
    live=st.booleans(),
)
def test_one_signature_never_bills(events, signed, live):
    alone = Definitions([version(signed=signed, live=live)])
    assert sum((total_of(charge(alone, events, UTC_MONTHS, PERIODS), i) for i in range(4)), ZERO) == 0
    both = Definitions(
        [
            version(),
            version(
                2,
                definition(window="1 hour", price={"model": "per_unit", "amount": "9"}),
                "02-01T00:00",
                signed=signed,
            ),
        ]
    )
    without = Definitions([version()])
    for index in range(4):
        assert total_of(charge(both, events, UTC_MONTHS, PERIODS), index) == total_of(
            charge(without, events, UTC_MONTHS, PERIODS), index
        )


@settings(max_examples=60, deadline=None)
@given(events=many)
def test_shadow_counts_everything_and_bills_nothing(events):
    shadow = Definitions([version(live=False)])
    live = Definitions([version()])
    assert {key: each.outcome for key, each in shadow.fold(events).items()} == {
        key: each.outcome for key, each in live.fold(events).items()
    }
    assert all(total_of(charge(shadow, events, UTC_MONTHS, PERIODS), index) == 0 for index in range(4))


def test_a_volume_tier_never_makes_a_reversal_dearer_unless_it_says_so():
    tiers = {"model": "volume", "tiers": [{"up_to": 2, "unit": "1"}, {"unit": "0.5"}]}
    events = [event("success", "03-02T10:00", key) for key in "abc"] + [event("refute", "04-02T10:00", "a")]
    for dearer, credit in (("floor_zero", Decimal(0)), ("exact", Decimal("0.50"))):
        chosen = definition(price=tiers, dearer=dearer)
        compiled = CompiledOutcome(chosen)
        tallies = tally(fold(compiled, compiled.read_all(events)).values())
        march, april = bill(chosen, activities_of(chosen, tallies, PERIODS[1:3], UTC_MONTHS), UTC_MONTHS)
        assert (march.total, april.total) == (Decimal("1.50"), credit)

from decimal import Decimal

import pytest

from tests.core.outcomes.make import FAR, definition, event, folded, instant, only, told
from valorem.core.errors import InvalidInputError
from valorem.core.outcomes.evidence import CompiledOutcome, known_by
from valorem.core.outcomes.fold import fold
from valorem.core.outcomes.frame import Frame

TEN = "03-02T10:00"


def test_silence_alone_confirms_and_the_state_is_read_off_without_a_write():
    outcome = only(definition(), event("success", TEN))
    assert told(outcome) == [("assumed", TEN), ("confirmed", "03-03T10:00")]
    assert [each.silent for each in outcome.transitions] == [False, True]
    assert outcome.state(instant("03-02T09:59")) == "candidate"
    assert outcome.state(instant("03-03T09:59")) == "assumed"
    assert outcome.state(instant("03-03T10:00")) == "confirmed"
    assert outcome.matures_at(instant("03-03T07:00")) == instant("03-03T10:00")
    assert outcome.matures_at(instant("03-03T10:00")) is None


@pytest.mark.parametrize(
    ("refuted", "states"),
    [
        ("03-03T09:59:59.999999", ["assumed", "cancelled"]),
        ("03-03T10:00", ["assumed", "confirmed", "reversed"]),
        ("2027-03-03T10:00", ["assumed", "confirmed", "reversed"]),
    ],
)
def test_the_end_of_the_window_is_outside(refuted, states):
    outcome = only(definition(), event("success", TEN), event("refute", refuted))
    assert [each.state for each in outcome.transitions] == states


def test_at_one_instant_success_comes_before_confirm_and_confirm_before_refute():
    events = [event(kind, TEN) for kind in ("refute", "confirm", "success")]
    assert told(only(definition(), *events)) == [("assumed", TEN), ("confirmed", TEN), ("reversed", TEN)]


def test_a_sequence_of_the_source_orders_one_instant():
    numbered = definition(sequence="data.n")
    refute_first = [event("refute", TEN, n=9), event("success", TEN, n=10)]
    assert told(only(numbered, *refute_first))[0] == ("assumed", TEN)
    assert told(only(numbered, event("success", TEN, n=9), event("refute", TEN, n=10)))[-1] == (
        "cancelled",
        TEN,
    )


def test_an_explicit_yes_counts_or_is_ignored():
    events = event("success", TEN), event("confirm", "03-02T10:05")
    assert told(only(definition(), *events))[-1] == ("confirmed", "03-02T10:05")
    assert told(only(definition(explicit="ignored"), *events))[-1] == ("confirmed", "03-03T10:00")


def test_later_successes_restart_the_window_only_where_it_says_so():
    events = event("success", TEN), event("success", "03-02T20:00")
    assert told(only(definition(), *events))[-1] == ("confirmed", "03-03T10:00")
    assert told(only(definition(restart_on="last"), *events))[-1] == ("confirmed", "03-03T20:00")


@pytest.mark.parametrize(
    ("one_per", "confirmed"),
    [("until_reversed", 1), ("forever", 1), ("period", 2), ("4 days", 2), ("40 days", 1)],
)
def test_how_often_a_key_counts_while_it_stands(one_per, confirmed):
    events = event("success", TEN), event("success", "03-05T10:00"), event("success", "04-02T10:00")
    results = only(definition(one_per=one_per), *events).results
    assert len(results) == confirmed


@pytest.mark.parametrize(
    ("one_per", "confirmed"), [("until_reversed", 2), ("forever", 1), ("period", 1), ("1 day", 2)]
)
def test_how_often_a_key_counts_once_it_was_reversed(one_per, confirmed):
    events = event("success", TEN), event("refute", "03-04T10:00"), event("success", "03-05T10:00")
    outcome = only(definition(one_per=one_per), *events)
    assert sum(result.end == "confirmed" for result in outcome.results) == confirmed
    assert outcome.state(FAR) == ("confirmed" if confirmed == 2 else "reversed")


def test_a_cancelled_success_leaves_the_key_free():
    events = event("success", TEN), event("refute", "03-02T11:00"), event("success", "03-02T12:00")
    assert told(only(definition(one_per="forever"), *events))[-1] == ("confirmed", "03-03T12:00")


def test_a_failed_predicate_is_named_and_a_later_success_may_pass():
    chosen = definition(qualify={"priority": {"data.priority": {"lte": 2}}, "open": {"data.closed": False}})
    failed = only(chosen, event("success", TEN, priority=1, closed=True))
    assert (failed.state(FAR), failed.rejected_by(FAR)) == ("rejected", "open")
    passed = only(
        chosen,
        event("success", TEN, priority=3, closed=False),
        event("success", "03-02T11:00", priority=2, closed=False),
    )
    assert told(passed) == [("rejected", TEN), ("assumed", "03-02T11:00"), ("confirmed", "03-03T11:00")]


def test_predicates_judged_at_maturity_look_at_everything_known_then():
    chosen = definition(judged_at="maturity", qualify={"rated": {"data.score": {"gte": 4}}})
    touched = event("touch", "03-02T12:00", score=5)
    assert only(chosen, event("success", TEN), touched).state(FAR) == "confirmed"
    unrated = only(chosen, event("success", TEN))
    assert told(unrated) == [("assumed", TEN), ("rejected", "03-03T10:00")]
    assert unrated.rejected_by(FAR) == "rated"


def test_nothing_is_reversed_after_the_lock():
    chosen = definition(reversal_until="30 days")
    inside = only(chosen, event("success", TEN), event("refute", "04-02T09:59"))
    outside = only(chosen, event("success", TEN), event("refute", "04-02T10:00"))
    assert (inside.state(FAR), outside.state(FAR)) == ("reversed", "confirmed")
    assert [each.reason for each in outside.unheard] == ["after lock"]


def test_a_closed_list_of_reasons():
    rules = [
        {"event": "success", "kind": "success"},
        {"event": "refute", "kind": "refute", "reasons": ["spam", "duplicate"]},
    ]
    chosen = definition(evidence=rules)
    assert (
        only(chosen, event("success", TEN), event("refute", "03-02T11:00", reason="spam")).state(FAR)
        == "cancelled"
    )
    other = only(chosen, event("success", TEN), event("refute", "03-02T11:00", reason="did not buy"))
    assert (other.state(FAR), other.unheard[0].reason) == ("confirmed", "reason not in definition")


def test_a_rise_refutes_and_a_level_alone_does_not():
    rules = [
        {"event": "row", "kind": "success", "when": {"data.state": "done"}},
        {"event": "row", "kind": "refute", "rises": "data.reopened"},
    ]
    rows = [
        ("03-02T10:00", "open", 3),
        ("03-02T11:00", "done", 3),
        ("03-02T12:00", "open", 3),
        ("03-02T13:00", "open", 4),
    ]
    events = [event("row", at, state=state, reopened=count) for at, state, count in rows]
    assert told(only(definition(evidence=rules), *events[:3]))[-1] == ("confirmed", "03-03T11:00")
    assert told(only(definition(evidence=rules), *events))[-1] == ("cancelled", "03-02T13:00")


def test_values_restated_before_and_after_confirmation():
    chosen = definition(
        value={"amount": "data.value"}, bills="value", price={"model": "percentage", "rate": "1%"}
    )
    events = [
        event("success", TEN, value="100"),
        event("restate", "03-02T12:00", value="80"),
        event("restate", "03-20T12:00", value="90.5"),
    ]
    (result,) = only(chosen, *events).results
    assert (result.value, [each.change for each in result.restated]) == (Decimal(80), [Decimal("10.5")])


def test_a_value_keeps_the_rate_of_its_confirmation_day():
    chosen = definition(
        value={"amount": "data.value", "currency": "data.currency"},
        bills="value",
        price={"model": "percentage", "rate": "1%"},
    )
    days = {
        ("EUR", instant("03-03T00:00").date()): Decimal("1.1"),
        ("EUR", instant("03-02T00:00").date()): Decimal(2),
    }
    events = (
        event("success", TEN, value=10, currency="EUR"),
        event("success", TEN, "c2", value=10, currency="XAF"),
    )
    found = folded(chosen, *events, frame=Frame(rates=days))
    assert found["c1"].results[0].value == Decimal(11)
    assert found["c2"].results[0].value is None
    assert found["c2"].unheard[0].reason == "no rate from XAF into USD"


def test_merged_records_count_once_and_the_earlier_wins():
    chosen = definition(alias_of="data.into")
    events = [
        event("success", TEN, "a"),
        event("success", "03-02T11:00", "b"),
        event("touch", "03-02T12:00", "b", into="a"),
        event("success", "03-09T11:00", "b"),
    ]
    found = folded(chosen, *events)
    assert told(found["a"])[-1] == ("confirmed", "03-03T10:00")
    assert (told(found["b"])[-1], found["b"].transitions[-1].rule) == (
        ("rejected", "03-02T12:00"),
        "duplicate",
    )
    into_later = [
        *events[:2],
        event("touch", "03-02T12:00", "a", into="b"),
        event("refute", "03-02T13:00", "b"),
    ]
    swapped = folded(chosen, *into_later)
    assert told(swapped["a"])[-1] == (
        "cancelled",
        "03-02T13:00",
    )  # it hears what is said of the surviving record
    assert swapped["b"].state(FAR) == "rejected"


def test_evidence_that_arrives_too_late_is_shown_and_not_heard():
    chosen = definition(accept_until="2 days")
    late = event("refute", "03-02T11:00", arrives="04-03T00:00")
    outcome = only(chosen, event("success", TEN), late)
    assert (outcome.state(FAR), outcome.unheard[0].reason) == ("confirmed", "too late")
    in_time = event("refute", "03-02T11:00", arrives="04-02T23:59")
    assert only(chosen, event("success", TEN), in_time).state(FAR) == "cancelled"


def test_what_was_known_at_an_instant():
    compiled = CompiledOutcome(definition())
    evidence = compiled.read_all(
        [event("success", TEN), event("refute", "03-02T11:00", arrives="04-03T00:00")]
    )
    before = fold(compiled, known_by(evidence, instant("04-01T00:00")))["c1"]
    after = fold(compiled, evidence)["c1"]
    assert (before.state(FAR), after.state(FAR)) == ("confirmed", "cancelled")
    assert after.transitions[-1].known_at == instant("04-03T00:00")


def test_calendar_days_keep_the_wall_time():
    chosen = definition(window="2 days", window_clock="calendar_days")
    berlin = Frame("Europe/Berlin")
    outcome = only(chosen, event("success", "03-28T11:00"), frame=berlin)
    assert told(outcome)[-1] == ("confirmed", "03-30T10:00")


def test_our_own_writing_back_is_no_evidence():
    chosen = definition(source={"system": "desk", "own_actors": ["valorem"]})
    assert folded(chosen, event("success", TEN, actor="valorem")) == {}


def test_evidence_without_a_key_is_refused_by_name():
    with pytest.raises(InvalidInputError, match=r"data\.key"):
        folded(definition(), event("success", TEN, key=None))  # type: ignore[arg-type]


def test_ids_are_normalised_by_explicit_rules_only():
    chosen = definition(normalize=["trim", "lowercase"])
    events = event("success", TEN, " Ab-1 "), event("refute", "03-02T11:00", "ab-1")
    assert list(folded(chosen, *events)) == ["ab-1"]
    phone = definition(normalize=["e164"])
    assert list(folded(phone, event("success", TEN, "0049 (30) 123-456"))) == ["+4930123456"]
    with pytest.raises(InvalidInputError, match="country code"):
        folded(phone, event("success", TEN, "030 123456"))


def test_the_order_at_one_instant_is_that_of_the_kinds_and_not_of_the_rules():
    backwards = [{"event": kind, "kind": kind} for kind in ("refute", "confirm", "success")]
    events = [event(kind, TEN) for kind in ("refute", "confirm", "success")]
    outcome = only(definition(evidence=backwards), *events)
    assert [each.state for each in outcome.transitions] == ["assumed", "confirmed", "reversed"]


@pytest.mark.parametrize(("again", "accepted"), [("03-06T09:59:59", 1), ("03-06T10:00", 2)])
def test_a_length_of_time_ends_half_open(again, accepted):
    outcome = only(definition(one_per="4 days"), event("success", TEN), event("success", again))
    assert len(outcome.results) == accepted


def test_the_earliest_arrival_of_a_repeated_fact_counts():
    first, again = (event("success", TEN, arrives=at) for at in ("03-02T10:05", "03-09T10:00"))
    for order in ([first, again], [again, first]):
        assert only(definition(), *order).transitions[0].known_at == instant("03-02T10:05")

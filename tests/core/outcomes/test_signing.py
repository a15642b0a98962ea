import json
from decimal import Decimal

import pytest

from tests.core.outcomes.make import definition, event, instant, version
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.outcomes.amending import backtest_amendment, describe_amendment
from valorem.core.outcomes.charging import charge, total_of
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.frame import UTC_MONTHS
from valorem.core.outcomes.governing import Definitions
from valorem.core.outcomes.signing import (
    DefinitionVersion,
    Party,
    Signature,
    canonical_definition,
    check_amendment,
    definition_digest,
    sign,
    version_at,
)


def signature(party: Party, digest: str, at: str = "01-05T10:07") -> Signature:
    return Signature(party, "Ann", "director", "portal", instant(at), digest)


def test_what_means_the_same_has_one_hash():
    one = definition(window="24 hours", qualify={"q": {"data.a": 1, "data.b": "x"}}, key="data.key")
    same = definition(
        window="1 day", qualify={"q": {"data.b": "x", "data.a": Decimal("1.00")}}, key=" data.key "
    )
    assert canonical_definition(one) == canonical_definition(same)
    json.loads(canonical_definition(one), parse_float=lambda text: pytest.fail(f"a float: {text}"))


@pytest.mark.parametrize(
    "change",
    [
        {"window": "25 hours"},
        {"price": {"model": "per_unit", "amount": "0.990001"}},
        {"disputes": {"days": 15}},
        {"one_per": "forever"},
        {"minimum": {"quantity": 1}},
        {"description": "by agreement"},
    ],
)
def test_whatever_is_signed_changes_the_hash(change):
    assert definition_digest(definition()) != definition_digest(definition(**change))


def test_a_version_holds_with_both_signatures_and_not_before():
    draft = DefinitionVersion(1, definition(), instant("01-05T10:00"), live_from=instant("02-01T00:00"))
    assert (draft.status(instant("03-01T00:00")), draft.missing()) == ("draft", ("vendor", "customer"))
    half = sign(draft, signature("vendor", draft.digest))
    assert (half.in_force_from(), half.status(instant("03-01T00:00"))) == (None, "proposed")
    whole = sign(half, signature("customer", draft.digest, "01-09T08:03"))
    assert whole.in_force_from() == instant("01-09T08:03")
    assert [whole.status(instant(at)) for at in ("01-09T08:00", "01-20T00:00", "02-01T00:00")] == [
        "proposed",
        "shadow",
        "live",
    ]


def test_a_signature_is_for_one_text_and_given_once():
    draft = DefinitionVersion(1, definition(), instant("01-05T10:00"))
    with pytest.raises(UnprocessableError, match="the signature is for"):
        sign(draft, signature("vendor", definition_digest(definition(window="1 hour"))))
    with pytest.raises(UnprocessableError, match="signed this version already"):
        sign(sign(draft, signature("vendor", draft.digest)), signature("vendor", draft.digest))


def test_a_version_begins_on_the_grid():
    with pytest.raises(InvalidInputError, match="quarter-hour grid"):
        DefinitionVersion(1, definition(), instant("01-05T10:01"))


def test_the_latest_signed_version_governs_and_a_window_never_changes_under_an_outcome():
    first = version()
    second = version(2, definition(window="3 days"), "03-15T00:00")
    unsigned = version(3, definition(window="1 hour"), "03-16T00:00", signed=("vendor",))
    found = Definitions([unsigned, second, first]).fold(
        [
            event("success", "03-14T20:00", "a"),
            event("refute", "03-16T10:00", "a"),
            event("success", "03-17T00:00", "b"),
        ]
    )
    assert {key: each.version.number for key, each in found.items() if each.version} == {"a": 1, "b": 2}
    assert found["a"].outcome.transitions[-1].state == "reversed"
    assert version_at([first, second, unsigned], instant("03-17T00:00")) is second


def test_what_came_before_any_signature_is_never_counted():
    later = Definitions([version(since="03-10T00:00")])
    found = later.fold(
        [
            event("success", "03-02T10:00"),
            event("success", "03-12T10:00"),
            event("success", "03-02T10:00", "x"),
        ]
    )
    assert [result.accepted_at for result in found["c1"].outcome.results] == [instant("03-12T10:00")]
    assert (found["x"].version, found["x"].outcome.results) == (None, ())


def test_other_instants_may_govern():
    touched = [event("touch", "03-14T00:00"), event("success", "03-16T00:00")]
    for governed_by, number in (("first_touch", 1), ("first_success", 2)):
        chosen = definition(governed_by=governed_by)
        versions = [version(1, chosen), version(2, chosen.model_copy(update={"name": "New"}), "03-15T00:00")]
        governed = Definitions(versions).fold(touched)["c1"]
        assert governed.version is not None
        assert governed.version.number == number
    chosen = definition(governed_by="confirmation")
    versions = [version(1, chosen), version(2, chosen.model_copy(update={"name": "New"}), "03-17T00:00")]
    governed = Definitions(versions).fold(touched)["c1"]
    assert governed.version is not None
    assert governed.version.number == 2


def test_an_amendment_follows_and_does_not_reach_back():
    now = instant("03-01T00:00")
    check_amendment([version()], version(2, definition(window="2 days"), "03-02T00:00"), now)
    for wrong, told in (
        (version(3, definition(window="2 days"), "03-02T00:00"), "does not follow"),
        (version(2, definition(window="2 days"), "02-02T00:00"), "not in the future"),
        (version(2, definition(), "03-02T00:00"), "changes nothing"),
    ):
        with pytest.raises(UnprocessableError, match=told):
            check_amendment([version()], wrong, now)


def test_an_amendment_is_told_in_words_and_money():
    old, new = definition(), definition(window="3 days", price={"model": "per_unit", "amount": "1.20"})
    assert [each.sentence for each in describe_amendment(old, new)] == [
        "outcome resolution: window 1 day → 3 days",
        "outcome resolution: price: amount 0.99 → 1.2 (+21.2 %)",
    ]
    events = [
        event("success", "03-02T10:00", "a"),
        event("success", "03-02T10:00", "b"),
        event("refute", "03-04T10:00", "b"),
        event("success", "03-30T10:00", "c"),
    ]
    march = UTC_MONTHS.period_of(instant("03-01T00:00"))
    tested = backtest_amendment(
        old, new, events, UTC_MONTHS, [UTC_MONTHS.period(march), UTC_MONTHS.period(march + 1)]
    )
    assert [(each.before, each.after) for each in tested.periods] == [
        (Decimal("1.98"), Decimal("1.20")),
        (Decimal("0.00"), Decimal("1.20")),
    ]
    assert tested.moved == {"b": ("reversed", "cancelled")}
    assert tested.change == Decimal("0.42")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"evidence": [{"event": "a", "kind": "touch"}]}, "no rule of kind success"),
        ({"bills": "value"}, "bills: value needs value"),
        ({"window": "3 moons"}, "write it as 24 hours"),
        ({"window": "25 hours", "window_clock": "calendar_days"}, "whole days"),
        ({"price": {"model": "per_unit", "amount": 1, "from": "2026-01-01"}}, "no dates"),
        ({"price": {"model": "percentage", "rate": "1%", "minimum_per_event": 1}}, "single events"),
        ({"price": {"model": "matrix", "rates": [{"tier": "a", "amount": 1}]}}, "dimension tier"),
        ({"attribution": {"within": "1 day", "model": "time_decay"}}, "half_life"),
        ({"one_per": "now and then"}, "until_reversed, forever, period"),
        ({"evidence": [{"event": "a", "kind": "success", "reasons": ["x"]}]}, "refutes or retracts"),
        (
            {
                "savings": {"baseline": {"method": "fixed"}, "share": "10%"},
                "price": {"model": "flat", "amount": 1},
            },
            "exactly one",
        ),
    ],
)
def test_definitions_that_cannot_be_kept_are_refused(fields, told):
    with pytest.raises(ValueError, match=told):
        OutcomeDefinition.model_validate({**definition().model_dump(mode="json", by_alias=True), **fields})


def test_a_signature_under_another_text_is_none():
    other = definition_digest(definition(window="1 hour"))
    signatures = (signature("vendor", other), signature("customer", other))
    forged = DefinitionVersion(1, definition(), instant("01-05T10:00"), signatures, instant("01-05T10:00"))
    assert forged.missing() == ("vendor", "customer")
    assert not forged.bills_at(instant("03-01T00:00"))


def test_what_arrives_at_the_instant_of_a_close_is_on_it():
    march = UTC_MONTHS.period(UTC_MONTHS.period_of(instant("03-01T00:00")))
    late = event("success", "03-02T10:00", arrives="04-01T01:00")
    for close, amount in (("04-01T01:00", "0.99"), ("04-01T00:59", "0.00")):
        charged = charge(Definitions([version()]), [late], UTC_MONTHS, [march], closes=[instant(close)])
        assert total_of(charged, 0) == Decimal(amount)

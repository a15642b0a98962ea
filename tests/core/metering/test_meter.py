"""Meters say what is wrong in them, are identified by what they count, and read events the one way."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event
from valorem.core.metering.meter import Meter, MeterSet, Reading
from valorem.core.metering.read import compile_meter

AT = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)
TOKENS: dict[str, Any] = {"meter": "tokens", "event": "llm.call", "aggregate": "sum", "value": "data.tokens"}


def meter(**changes: Any) -> Meter:
    return Meter.model_validate({key: each for key, each in {**TOKENS, **changes}.items() if each is not ...})


def read(source: Meter, data: dict[str, Any], event_type: str = "llm.call") -> tuple[Reading, ...]:
    return compile_meter(source).read(Event("e1", "/s", event_type, "c1", AT, data))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"meter": "Tokens"}, "pattern"),
        ({"meter": "t" * 64}, "pattern"),
        ({"aggregate": "median"}, "aggregate"),
        ({"event": []}, "event"),
        ({"event": ""}, "1 to 255"),
        ({"event": "valorem.void"}, "cannot be metered"),
        ({"value": ...}, "needs a value"),
        ({"aggregate": "count"}, "takes no value"),
        ({"value": "tokens"}, "column 1: expected"),
        ({"value": 0.5}, "value"),
        ({"dimensions": {"model": "data."}}, "column 1: expected"),
        ({"dimensions": {"Model": "data.model"}}, "pattern"),
        ({"filter": {"status": "ok"}}, "not a path"),
        ({"each": {"kind": {"input": "data.i"}}}, "value or each"),
        ({"value": ..., "each": {"a": {"b": "data.b"}, "c": {"d": "data.d"}}}, "exactly one"),
        ({"value": ..., "each": {"a": {}}}, "1 to 100"),
        ({"value": ..., "each": {"a": {"b": "data.b"}}, "dimensions": {"a": "data.a"}}, "both a dimension"),
        ({"aggregate": "percentile"}, "needs which one"),
        ({"aggregate": "percentile", "percentile": "101%"}, "at most at 100%"),
        ({"percentile": "50%"}, "takes no percentile"),
        ({"convert": {"multiply": 2, "divide": 2}}, "not both"),
        ({"convert": {"divide": 0}}, "above zero"),
        ({"convert": {"rounding": "bankers"}}, "rounding"),
        ({"agregate": "sum"}, "agregate"),
    ],
)
def test_mistakes_are_named(changes, message):
    with pytest.raises(ValidationError, match=message):
        meter(**changes)


def test_reads_a_path():
    source = meter(dimensions={"model": "data.model", "batch": "data.batch", "region": "data.region"})
    assert source.dimension_names == ("batch", "model", "region")
    (reading,) = read(source, {"tokens": 5, "model": "gpt", "batch": True})
    assert reading == Reading(("true", "gpt", None), Decimal(5))
    assert read(source, {"tokens": 5}, "other") == ()


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (0, 0),
        (-5, -5),
        ("12.50", Decimal("12.5")),
        (Decimal("0.10"), Decimal("0.1")),
        (Decimal("-0.0"), 0),
        (10**18 - 1, 10**18 - 1),
    ],
)
def test_numbers(sent, value):
    (reading,) = read(meter(), {"tokens": sent})
    assert reading.value == value
    assert type(reading.value) is Decimal
    assert str(reading.value) != "-0"


@pytest.mark.parametrize(
    "sent",
    [
        None,
        ...,
        True,
        "",
        "1_000",
        "١٢٣",
        " 12 ",
        "sNaN",
        "NaN",
        "0x10",
        "1e3",
        "5 tokens",
        [],
        {},
        10**18,
        10**30,
        Decimal("1e-13"),
        Decimal("1e18"),
        Decimal("0.30000000000000004"),
        "0." + "1" * 13,
    ],
)
def test_what_is_no_number_is_refused_with_field_and_meter(sent):
    with pytest.raises(InvalidInputError, match="meter tokens") as refused:
        read(meter(), {} if sent is ... else {"tokens": sent})
    assert refused.value.field == "data.tokens"
    assert read(meter(filter={"data.tokens": {"exists": True}}), {}) == ()


def test_filtered_out_events_are_never_refused():
    assert read(meter(filter={"data.status": "ok"}), {"status": "failed"}) == ()


def test_each_spreads_one_event():
    source = meter(
        value=...,
        each={"kind": {"input": "data.i", "cached": "data.c", "output": "2 * coalesce(data.o, 0)"}},
        dimensions={"a": "data.a", "z": "data.z"},
    )
    assert source.dimension_names == ("a", "kind", "z")
    assert read(source, {"i": 0, "c": None, "o": 3, "a": "x"}) == (
        Reading(("x", "input", None), Decimal(0)),
        Reading(("x", "output", None), Decimal(6)),
    )
    with pytest.raises(InvalidInputError) as refused:
        read(source, {"i": "many"})
    assert refused.value.field == "data.i"


def test_a_derived_dimension():
    source = meter(dimensions={"context": "if(data.tokens > 272000, 'long', 'short')"})
    for tokens, context in ((272_000, "short"), (272_001, "long"), (Decimal("272000.5"), "long")):
        assert read(source, {"tokens": tokens})[0].dimensions == (context,)


@pytest.mark.parametrize(
    ("sent", "text"),
    [
        (Decimal("1.0"), "1"),
        (5, "5"),
        (False, "false"),
        ("", ""),
        (None, None),
        ("é" * 127, "é" * 127),
        (Decimal("1E+3"), "1000"),
    ],
)
def test_dimension_values(sent, text):
    assert read(meter(dimensions={"d": "data.d"}), {"tokens": 1, "d": sent})[0].dimensions == (text,)


UNFIT: list[object] = [["a"], {"a": 1}, "x" * 256, "é" * 128, 10**300]


@pytest.mark.parametrize("sent", UNFIT)
def test_dimension_values_that_are_refused(sent):
    with pytest.raises(InvalidInputError) as refused:
        read(meter(dimensions={"d": "data.d"}), {"tokens": 1, "d": sent})
    assert refused.value.field == "data.d"


def test_count_and_unique():
    assert read(meter(aggregate="count", value=...), {}) == (Reading((), Decimal(1)),)
    unique = meter(aggregate="unique", value="data.user")
    assert read(unique, {"user": Decimal("7.0")}) == (Reading((), "7"),)
    for sent in (None, ["u"], "u" * 256):
        with pytest.raises(InvalidInputError):
            read(unique, {"user": sent})


def test_expression_values_are_rounded_once_and_bounded():
    (reading,) = read(meter(value="data.tokens / 3"), {"tokens": 2})
    assert reading.value == Decimal("0.666666666667")
    with pytest.raises(InvalidInputError, match="18 digits"):
        read(meter(value="data.tokens * 10"), {"tokens": 10**17 * 9})
    with pytest.raises(InvalidInputError, match="division by zero"):
        read(meter(value="1 / data.tokens"), {"tokens": 0})
    (constant,) = read(meter(value=2), {})
    assert constant.value == 2


def test_fingerprint_follows_what_is_counted():
    base = meter(filter={"data.a": "x", "data.b": 1}, dimensions={"p": "data.p", "q": "data.q"})
    same = [
        meter(filter={"data.b": Decimal("1.0"), "data.a": "x"}, dimensions={"q": "data.q", "p": " data.p "}),
        base.model_copy(update={"name": "Tokens", "unit": "token", "meter": "other"}),
        Meter.model_validate(
            {**base.model_dump(mode="json", exclude_defaults=True), "convert": {"divide": 1000}}
        ),
    ]
    assert {each.fingerprint() for each in same} == {base.fingerprint()}
    other = [
        meter(filter={"data.a": "x"}, dimensions={"p": "data.p", "q": "data.q"}),
        base.model_copy(update={"aggregate": "max"}),
        meter(),
        meter(value="data.other"),
        meter(event=["llm.call", "llm.retry"]),
        meter(dimensions={"p": "data.p"}),
        meter(value=..., each={"p": {"a": "data.a"}}),
    ]
    assert base.fingerprint() not in {each.fingerprint() for each in other if each.aggregate == "sum"}
    assert len({each.fingerprint() for each in other if each.aggregate == "sum"}) == 6
    assert meter(event=["b", "a", "b"]).fingerprint() == meter(event=["a", "b"]).fingerprint()


def test_a_set_knows_which_of_its_meters_count_a_type():
    calls = compile_meter(meter(meter="calls", aggregate="count", value=..., event=["llm.call", "image"]))
    tokens = compile_meter(meter())
    again = compile_meter(meter(meter="tokens_again", name="Same"))
    meters = MeterSet([calls, tokens, again])
    assert len(meters.meters) == 2
    event = Event("e1", "/s", "llm.call", "c1", AT, {"tokens": 3})
    assert [(index, read(event)) for index, read in meters.matching("llm.call")] == [
        (0, (Reading((), Decimal(1)),)),
        (1, (Reading((), Decimal(3)),)),
    ]
    assert [index for index, _ in meters.matching("image")] == [0]
    assert meters.matching("other") == ()


@given(
    st.dictionaries(
        st.sampled_from(["tokens", "status", "model"]),
        st.sampled_from([1, "2", "x", None, True, Decimal("1.5")]),
    )
)
def test_reading_is_deterministic_and_never_crashes(data):
    source = meter(filter={"data.status": {"ne": "x"}}, dimensions={"model": "data.model"})
    event = Event("e1", "/s", "llm.call", "c1", AT, data)

    def outcome() -> object:
        try:
            return compile_meter(source).read(event)
        except InvalidInputError as refused:
            return str(refused)

    assert outcome() == outcome()

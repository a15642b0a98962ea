"""Events are read exactly or refused with the field that is wrong, fast path and slow path alike."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError
from valorem.core.limits import LIMITS, Limits
from valorem.core.metering import event as module
from valorem.core.metering.event import Event, check_time, decode_event
from valorem.core.metering.fingerprint import fingerprint

ENVELOPE = '"specversion": "1.0", "id": "e1", "source": "/s", "type": "llm.call", "subject": "c1"'
AT = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)


def raw_event(data: str = '{"tokens": 5}', more: str = "") -> bytes:
    return f'{{{ENVELOPE}, "data": {data}{more}}}'.encode()


def with_member(name: str, value: str) -> bytes:
    members = {**json.loads("{" + ENVELOPE + "}"), "data": {}}
    members.pop(name, None)
    rest = json.dumps(members)[1:]
    return f'{{"{name}": {value}, {rest}'.encode()


def test_reads_every_attribute_and_ignores_extensions():
    event = decode_event(
        raw_event(
            more=', "time": "2026-03-05T16:30:00+02:00", "sequence": "7", "traceparent": "00-1:2", "x": {"y": 1},'
            '"datacontenttype": "application/json; charset=utf-8"'
        )
    )
    assert event == Event(
        "e1", "/s", "llm.call", "c1", AT, {"tokens": 5}, "7", "application/json; charset=utf-8"
    )
    assert event.time is not None
    assert event.time.tzinfo is UTC


def test_without_data_or_time():
    event = decode_event(f"{{{ENVELOPE}}}".encode())
    assert (event.data, event.time) == ({}, None)
    assert event.at(AT).time == AT
    assert event.at(AT).at(AT + timedelta(1)).time == AT


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ("0.1", Decimal("0.1")),
        ("1e-400", None),
        ("0.30000000000000004", Decimal("0.30000000000000004")),
        ("1E5", Decimal(100000)),
        ("-0", 0),
        ("-5", -5),
        ("18446744073709551617", 18446744073709551617),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ("1.0000000000000000000000000000000000001", Decimal("1.0000000000000000000000000000000000001")),
        ('"\\u00e9\\\\u0000"', "é\\u0000"),
        ('"🙂"', "🙂"),
        ('"\\ud83d\\ude42"', "🙂"),
        ('"a\\":b"', 'a":b'),
        ('":b"', ":b"),
    ],
)
def test_values_are_read_exactly(data, value):
    if value is None:
        with pytest.raises(InvalidInputError) as refused:
            decode_event(raw_event(f'{{"x": {data}}}'))
        assert refused.value.field == "data.x"
        return
    read = decode_event(raw_event(f'{{"x": {data}}}')).data["x"]
    assert read == value
    assert not isinstance(read, float)


BAD = [
    (raw_event('{"x": NaN}'), "data.x"),
    (raw_event('{"a": [1, {"x": -Infinity}]}'), "data.a[1].x"),
    (raw_event('{"x": 1e400}'), "data.x"),
    (raw_event('{"a": {"x": [0, 1e309]}}'), "data.a.x[1]"),
    (raw_event('{"x": ' + "9" * 5000 + "}"), "data.x"),
    (raw_event('{"x": ' + "9" * 400 + "}"), "data.x"),
    (raw_event('{"x": 1_000}'), None),
    (raw_event('{"x": 0x10}'), None),
    (raw_event('{"x": 01}'), None),
    (raw_event('{"x": "a\\u0000b"}'), "data.x"),
    (raw_event('{"x\\u0000": 1}'), "data"),
    (raw_event('{"x": "\\ud800"}'), None),
    (raw_event('{"x": "\\udc00 tail"}'), None),
    (raw_event(more=', "ext": "\\ud800"'), None),
    (raw_event('{"x": "a\x00b"}'), None),
    (raw_event().replace(b"c1", b"c\xff"), None),
    (raw_event(more=', "ext": "é"').replace(b"\xc3\xa9", b"\xed\xa0\x80"), None),
    (raw_event('{"x": 1, "x": 2}'), "data.x"),
    (raw_event('{"x" : 1, "x": 2}'), "data.x"),
    (raw_event('{"x"\t: 1, "x"\n:2}'), "data.x"),
    (raw_event('{"a": {"x": 1, "\\u0078": 2}}'), "data.a.x"),
    (raw_event('{"a": [{"x": 1, "x": 1}]}'), "data.a[0].x"),
    (raw_event(more=', "id": "e2"'), "id"),
    (raw_event(more=', "ext": {"x": 1, "x": 2}'), "ext.x"),
    (raw_event('{"x": ' + "[" * 40 + "]" * 40 + "}"), "data.x" + "[0]" * 30),
    (raw_event('{"x": ' + "[" * 1000 + "]" * 1000 + "}"), None),
    (raw_event('{"x": ' + "[" * 30_000 + "]" * 30_000 + "}"), None),
    (raw_event(more=', "ext": ' + '{"a":' * 40 + "1" + "}" * 40), "ext" + ".a" * 31),
    (b"\xef\xbb\xbf" + raw_event(), None),
    (raw_event()[:-1], None),
    (raw_event() + b" x", None),
    (raw_event() + raw_event(), None),
    (b"[]", None),
    (b"5", None),
    (b"", None),
    (raw_event("[1]"), "data"),
    (raw_event("null"), "data"),
    (raw_event('"text"'), "data"),
    (raw_event(more=', "data_base64": "AA=="'), "data_base64"),
    (raw_event(more=', "datacontenttype": "text/csv"'), "datacontenttype"),
    (raw_event(more=', "datacontenttype": 5'), "datacontenttype"),
    (raw_event('{"' + "k" * 256 + '": 1}'), "data." + "k" * 40 + "…"),
    (raw_event('{"x": "' + "y" * 65_536 + '"}'), "data"),
    (raw_event(more=', "ext": "' + "y" * 90_000 + '"'), None),
    (with_member("specversion", '"0.3"'), "specversion"),
    (with_member("specversion", "1.0"), "specversion"),
    (f'{{"id": "e1", {ENVELOPE[22:]}}}'.encode(), "id"),
    (with_member("id", '""'), "id"),
    (with_member("id", "5"), "id"),
    (with_member("id", "null"), "id"),
    (with_member("id", '"' + "i" * 256 + '"'), "id"),
    (with_member("id", '"' + "é" * 128 + '"'), "id"),
    (with_member("source", '"' + "i" * 65_000 + '"'), "source"),
    (with_member("subject", '"' + "i" * 256 + '"'), "subject"),
    (with_member("type", "[]"), "type"),
    (with_member("sequence", "true"), "sequence"),
    *(
        (raw_event(more=f', "time": {time}'), "time")
        for time in (
            '"2026-03-05T14:30:00"',
            '"2026-03-05T14:30:60Z"',
            '"2026-03-05T24:00:00Z"',
            '"2026-03-05T14:30Z"',
            '"2026-03-05"',
            '"2100-02-29T00:00:00Z"',
            '"10000-01-01T00:00:00Z"',
            '"0000-01-01T00:00:00Z"',
            '"0001-01-01T00:00:00+05:00"',
            '"9999-12-31T23:59:59-05:00"',
            '"2026-W10-4T14:30:00Z"',
            '"20260305T143000Z"',
            '"2026-03-05T14:30:00,5Z"',
            '"٢٠٢٦-03-05T14:30:00Z"',
            '""',
            "1772721000",
            "1772721000000",
            "1772721000.5",
            "true",
            "{}",
        )
    ),
]


@pytest.mark.parametrize(("raw", "field"), BAD, ids=lambda value: ascii(value)[:70])
def test_bad_input_names_the_field(raw, field):
    with pytest.raises(InvalidInputError) as refused:
        decode_event(raw)
    assert refused.value.field == field
    assert refused.value.message


def test_a_missing_attribute_is_named():
    for name in ("specversion", "id", "source", "type", "subject"):
        members = json.loads(raw_event())
        del members[name]
        with pytest.raises(InvalidInputError) as refused:
            decode_event(json.dumps(members).encode())
        assert refused.value.field == name


def test_a_correction_needs_no_subject():
    members = json.loads(raw_event())
    del members["subject"]
    members["type"] = "valorem.void"
    assert decode_event(json.dumps(members).encode()).subject == ""


def test_longest_allowed_attributes():
    for text in ("i" * 255, "é" * 127 + "x", "🙂" * 63):
        assert decode_event(with_member("id", json.dumps(text, ensure_ascii=False))).id == text
        assert decode_event(with_member("id", json.dumps(text))).id == text


def test_composed_and_decomposed_ids_differ():
    ids = {decode_event(with_member("id", f'"{text}"')).id for text in ("\u00e9", "e\u0301")}
    assert len(ids) == 2


@pytest.mark.parametrize(
    ("text", "microsecond"), [("00.9999999Z", 999_999), ("00.123456789Z", 123_456), ("00.5Z", 500_000)]
)
def test_digits_past_the_microsecond_are_cut(text, microsecond):
    event = decode_event(raw_event(more=f', "time": "2026-03-05T14:30:{text}"'))
    assert event.time == AT.replace(microsecond=microsecond)


def test_depth_counts_containers():
    for depth in (31, 32):
        nested = '{"x": ' + "[" * (depth - 2) + "]" * (depth - 2) + "}"
        assert decode_event(raw_event(nested)).data
    with pytest.raises(InvalidInputError, match="nested deeper"):
        decode_event(raw_event('{"x": ' + "[" * 31 + "]" * 31 + "}"))


def test_declared_limits_apply():
    tight = replace(LIMITS, attribute_bytes=3)
    with pytest.raises(InvalidInputError, match="longer than 3 bytes"):
        decode_event(raw_event(), tight)
    with pytest.raises(InvalidInputError, match="at most 100"):
        decode_event(raw_event('{"x": "' + "y" * 100 + '"}'), replace(LIMITS, data_bytes=100))
    with pytest.raises(InvalidInputError, match="member name"):
        decode_event(raw_event('{"tokens": 1}'), replace(LIMITS, key_bytes=4))


def test_the_accept_window_has_closed_ends():
    late, ahead = timedelta(seconds=LIMITS.accept_late_s), timedelta(seconds=LIMITS.accept_future_s)
    step = timedelta(microseconds=1)
    check_time(AT - late, AT)
    check_time(AT + ahead, AT)
    for outside in (AT - late - step, AT + ahead + step):
        with pytest.raises(InvalidInputError) as refused:
            check_time(outside, AT)
        assert refused.value.field == "time"


def test_keys_must_outlive_the_accept_window():
    with pytest.raises(InvalidInputError, match="could count twice") as refused:
        Limits(accept_late_s=40 * 86_400)
    assert refused.value.field == "limits.key_retention_s"
    with pytest.raises(InvalidInputError, match="above zero"):
        Limits(depth=0)


def test_sequence_orders_digits_by_value():
    def order(sequence: str | None) -> bytes:
        return Event("e", "s", "t", "c", AT, {}, sequence).order

    assert order(None) < order("9") < order("10") < order("0011")
    assert order("a") < order("ab") < order("b")
    assert decode_event(with_member("sequence", "12")).sequence == "12"


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.text(st.characters(exclude_categories=["Cs"]))
)
documents = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('ab:" é', max_size=4), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(
    st.dictionaries(st.text('xy:" \\', max_size=3), documents, max_size=5),
    st.booleans(),
    st.sampled_from([None, 2]),
)
def test_any_json_object_is_read_as_the_standard_library_reads_it(data, escaped, indent):
    members = {**json.loads("{" + ENVELOPE + "}"), "data": data, "time": "2026-03-05T14:30:00Z"}
    raw = json.dumps(members, ensure_ascii=escaped, indent=indent).encode()
    try:
        event = decode_event(raw)
    except InvalidInputError as refused:
        assert "NUL" in refused.message  # noqa: PT017 - nothing else in these documents is refused
        return
    assert event.data == data
    assert event.time == AT


@given(
    st.dictionaries(
        st.text("xyz", min_size=1, max_size=2), st.integers(-9, 9) | st.text(":a", max_size=3), max_size=4
    )
)
def test_fast_path_and_exact_path_agree(data):
    raw = raw_event(json.dumps(data), ', "time": "2026-03-05T14:30:00.25Z"')
    plain = module._decode_plain(raw, LIMITS)
    exact = module._decode_any(raw, LIMITS)
    assert plain is None or plain == exact


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([":", " :", "\t: "])), min_size=1, max_size=5)
)
def test_repeated_names_are_always_found(members):
    data = "{" + ",".join(f'"{name}"{colon}1' for name, colon in members) + "}"
    names = [name for name, _ in members]
    if len(set(names)) == len(names):
        assert set(decode_event(raw_event(data)).data) == set(names)
    else:
        with pytest.raises(InvalidInputError, match="twice"):
            decode_event(raw_event(data))


def print_of(data: str, **changes: object) -> int:
    return fingerprint(msgspec.structs.replace(decode_event(raw_event(data)), **changes))


def test_fingerprint_is_by_value():
    prints = {
        print_of(data)
        for data in (
            '{"a": 1, "b": [0.50]}',
            '{ "b":[0.5],"a":1.0 }',
            '{"b":[5e-1],"a":1.000}',
            '{"a":10e-1,"b":[5E-1]}',
        )
    }
    assert len(prints) == 1
    assert -(2**63) <= prints.pop() < 2**63
    assert print_of('{"a": -0.0}') == print_of('{"a": 0}')
    assert print_of('{"a": 1e20}') == print_of('{"a": 100000000000000000000}')
    assert print_of("{}", time=AT) == print_of("{}", time=AT.replace(microsecond=0))


def test_fingerprint_tells_payloads_apart():
    different = [
        print_of(data)
        for data in (
            "{}",
            '{"a": 1}',
            '{"a": "1"}',
            '{"a": true}',
            '{"a": null}',
            '{"a": [1]}',
            '{"a": 1.1}',
            '{"a": "1.1"}',
        )
    ]
    different += [print_of("{}", **changes) for changes in ({"type": "u"}, {"subject": "c2"}, {"time": AT})]
    assert len(set(different)) == len(different)


def test_fingerprint_ignores_who_sent_it_again():
    assert print_of("{}", id="e2", source="/other", sequence="5") == print_of("{}")


def test_zone_of_a_time_is_normalised():
    offset = raw_event(more=', "time": "2026-03-05T15:30:00+01:00"')
    assert fingerprint(decode_event(offset)) == fingerprint(
        decode_event(raw_event(more=', "time": "2026-03-05T14:30:00Z"'))
    )

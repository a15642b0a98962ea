"""A record becomes what it says, digit for digit, or is told apart with the field that is missing."""

from datetime import UTC, datetime
from decimal import Decimal
from itertools import permutations
from pathlib import Path
from typing import Any

import msgspec
import pytest

from valorem.core.catalog.problems import CatalogError
from valorem.core.catalog.tree import parse_catalog
from valorem.core.errors import InvalidInputError
from valorem.core.ids import identity
from valorem.core.metering.corrections import collect_corrections, effective
from valorem.core.metering.event import decode_event
from valorem.core.sources.definition import SourceDefinition
from valorem.core.sources.mapping import RecordMap, Said, Unread, order_of, split_records
from valorem.core.sources.settling import Known, settle, settle_missing

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
EXAMPLES = Path(__file__).parents[3] / "examples/sources"


def source_of(meaning: str = "fact", **rule: Any) -> SourceDefinition:
    return SourceDefinition.model_validate(
        {
            "source": "shop",
            "webhook": {"scheme": "stripe", "secret": "signing"},
            "map": [
                {
                    "event": "order.paid",
                    "meaning": meaning,
                    "key": "data.id",
                    "version": "data.version",
                    "time": "data.at",
                    "subject": "data.customer",
                    "data": {"amount": "data.amount", "order": "data.id"},
                    "gone": {"when": {"data.status": "deleted"}},
                    **rule,
                }
            ],
        }
    )


def record(version: int, amount: str = "10.10", **more: Any) -> dict[str, Any]:
    found = {
        "id": 7,
        "version": version,
        "at": "2026-03-05T10:00:00Z",
        "customer": "acme",
        "amount": Decimal(amount),
    }
    return {**found, **more}


def said_of(source: SourceDefinition, each: dict[str, Any], via: Any = "poll") -> Said:
    [said] = RecordMap(source).read(each, via)
    assert isinstance(said, Said)
    return said


def counted(events: list[bytes]) -> list[tuple[str, str, str]]:
    """What events come to once every correction holds: subject, time and amount."""
    decoded = {each: decode_event(each) for each in events}
    holding = collect_corrections(1, decoded.values())
    found = []
    for event in {(each.source, each.id): each for each in decoded.values()}.values():
        if event.type.startswith("valorem."):
            continue
        left = effective(event, holding.get(identity(1, event.source, event.id)))
        if left is not None:
            found.append((left.subject, str(left.time), str(left.data["amount"])))
    return sorted(found)


def fold(source: SourceDefinition, records: list[dict[str, Any]]) -> list[bytes]:
    known: Known | None = None
    events: list[bytes] = []
    for each in records:
        settled = settle(source, said_of(source, each), known, NOW)
        known, events = settled.known, events + list(settled.events)
    return events


def test_digits_survive() -> None:
    huge = "1234567890123456.78"
    raw = msgspec.json.decode(f'{{"id": 7, "version": 1, "at": "2026-03-05T10:00:00Z", "customer": "a", "amount": {huge}}}',
                              strict=True)  # fmt: skip
    assert isinstance(raw["amount"], float)  # what a plain reader would make of it
    exact = msgspec.json.Decoder(float_hook=Decimal).decode(
        f'{{"id": 7, "version": 1, "at": "2026-03-05T10:00:00Z", "customer": "a", "amount": {huge}}}'
    )
    [event] = fold(source_of(), [exact])
    assert b'"amount":1234567890123456.78' in event
    assert decode_event(event).data["amount"] == Decimal(huge)


@pytest.mark.parametrize("order", list(permutations([1, 2, 3, 4])))
def test_versions_of_a_fact_come_to_the_newest_in_any_order(order: tuple[int, ...]) -> None:
    versions = {
        1: record(1, "10"),
        2: record(2, "12"),
        3: record(3, "12", customer="other"),
        4: record(4, "15", customer="other", at="2026-03-05T11:00:00Z"),
    }
    events = fold(source_of(), [versions[number] for number in (*order, *order)])
    assert counted(events) == [("other", "2026-03-05 11:00:00+00:00", "15")]
    assert len({decode_event(each).id for each in events}) == len(events)


def test_a_fact_that_is_gone_is_voided_and_may_come_back() -> None:
    source = source_of()
    events = fold(source, [record(1), record(2, status="deleted"), record(1)])
    assert counted(events) == []
    events = fold(source, [record(1), record(2, status="deleted"), record(3, "4")])
    assert [row[2] for row in counted(events)] == ["4"]
    assert fold(source, [record(2, status="deleted"), record(1)]) == []


def test_what_is_missing_from_a_whole_reading_is_gone() -> None:
    source = source_of()
    first = settle(source, said_of(source, record(1)), None, NOW)
    gone = settle_missing(source, first.known, NOW)
    assert gone.effect == "voided"
    assert settle_missing(source, gone.known, NOW).events == ()
    assert counted([*first.events, *gone.events]) == []


def test_states_are_named_by_what_they_say() -> None:
    source = source_of("state")
    states = [record(1), record(2, "11"), record(3, "10.1000")]
    ids = [{decode_event(each).id for each in fold(source, list(order))} for order in permutations(states)]
    assert all(each == ids[0] for each in ids)
    assert len(ids[0]) == 2  # the third says what the first said, at the same time
    [ended] = settle(source, said_of(source, record(4, status="deleted")), None, NOW).events
    assert decode_event(ended).type == "order.paid.gone"


def test_of_one_version_what_was_read_stands_against_a_message() -> None:
    source = source_of()
    read = settle(source, said_of(source, record(1, "12")), None, NOW)
    late = settle(source, said_of(source, record(1, "10"), "webhook"), read.known, NOW)
    assert (late.effect, late.events) == ("older", ())
    told = settle(source, said_of(source, record(1, "10"), "webhook"), None, NOW)
    assert settle(source, said_of(source, record(1, "12")), told.known, NOW).effect == "amended"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"at": None}, "data.at"),
        ({"id": ""}, "data.id"),
        ({"customer": None}, "data.customer"),
        ({"at": "soon"}, "data.at"),
    ],
)
def test_a_record_that_lacks_something_is_told_apart(change: dict[str, Any], field: str) -> None:
    [unread] = RecordMap(source_of()).read(record(1) | change, "poll")
    assert isinstance(unread, Unread)
    assert unread.field == field
    assert unread.hint


@pytest.mark.parametrize(
    ("time", "value", "expected"),
    [
        ({"at": "data.at", "format": "unix"}, Decimal("1772704800.5"), "2026-03-05 10:00:00.500000+00:00"),
        ({"at": "data.at", "format": "unix_ms"}, "1772704800123", "2026-03-05 10:00:00.123000+00:00"),
        ({"at": "data.at", "format": "local", "zone": "Europe/Berlin"}, "2026-03-05 11:00", "2026-03-05 10:00:00+00:00"),
        ({"at": "data.at", "format": "local", "zone": "Europe/Berlin"}, "2026-10-25 02:30:00", "2026-10-25 00:30:00+00:00"),
        ({"at": "data.at", "format": "local", "zone": "Europe/Berlin", "repeated": "later"},
         "2026-10-25 02:30:00", "2026-10-25 01:30:00+00:00"),
        ({"at": "data.at", "format": "local", "zone": "+01:00"}, "2026-07-01", "2026-06-30 23:00:00+00:00"),
        ("data.at", "2026-03-05T10:00:00.123456789-05:00", "2026-03-05 15:00:00.123456+00:00"),
    ],
)  # fmt: skip
def test_times_as_others_write_them(time: Any, value: Any, expected: str) -> None:
    assert str(said_of(source_of(time=time), record(1, at=value)).at) == expected


def test_versions_sort_by_value() -> None:
    numbers = [order_of(each) for each in (2, "10", Decimal("10.5"), "1700000000000")]
    assert numbers == sorted(numbers)
    assert order_of("2026-03-05T10:00:00+02:00") == order_of("2026-03-05T08:00:00Z")
    assert order_of("2026-03-05T10:00:00Z") < order_of("2026-03-05T10:00:00.5Z")


def test_records_of_a_message() -> None:
    assert split_records([{"a": {"x": 1}}, {"a": [{"x": 2}, {"x": 3}]}], "data.a") == [
        {"x": 1},
        {"x": 2},
        {"x": 3},
    ]
    with pytest.raises(InvalidInputError, match="no record"):
        split_records({"b": 1}, "data.a")
    with pytest.raises(InvalidInputError, match="JSON object"):
        split_records("text", None)


def test_every_example_reads() -> None:
    files = {}
    for path in sorted(EXAMPLES.glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        name = (
            next(line for line in text.splitlines() if line.startswith("source:"))
            .partition(": ")[2]
            .split()[0]
        )
        files[f"sources/{name}.yaml"] = text
    assert len(parse_catalog(files).sources) == 6


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("source: x\nmap: []\n", "x.yaml"),
        ("source: x\nwebhook: {scheme: zendesc, secret: a}\nmap:\n- {event: e, key: data.id, time: data.t, subject: data.s, data: {a: data.a}}\n",
         "sources/x.yaml:2:19: webhook.scheme"),
        ("source: x\nwebhook: {scheme: hmac, secret: a}\nmap:\n- {event: e, key: data.id, time: data.t, subject: data.s, data: {a: data.a}}\n",
         "hmac goes with scheme: hmac"),
        ("source: x\nwebhook: {scheme: stripe, secret: a}\nmap:\n- {event: e, key: dta.id, time: data.t, subject: data.s, data: {a: data.a}}\n",
         "sources/x.yaml:4"),
        ("source: x\nwebhook: {scheme: stripe, secret: a}\nmap:\n- {event: valorem.void, key: data.id, time: data.t, subject: data.s, data: {a: data.a}}\n",
         "valorem.void is not mapped"),
        ("source: x\npoll: {kind: rest_api, url: ftp://x, path: p}\nmap:\n- {event: e, key: data.id, time: data.t, subject: data.s, data: {a: data.a}}\n",
         "url begins with https://"),
        ("source: x\npoll: {kind: rest_api, url: 'https://x', path: p}\npush: [{outcome: nothing, path: p}]\nmap:\n- {event: e, key: data.id, time: data.t, subject: data.s, data: {a: data.a}}\n",
         "there is no outcome nothing"),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(text: str, told: str) -> None:
    with pytest.raises(CatalogError) as refused:
        parse_catalog({"sources/x.yaml": text})
    assert told in refused.value.report()

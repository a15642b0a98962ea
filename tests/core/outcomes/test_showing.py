"""What both sides see: dashboard, bundle, agreement, disputes."""

import io
import json
import random
import zipfile
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tests.core.outcomes.make import Recorded, definition, event, instant, version
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.outcomes.agreement import Listed, compare, ready_after
from valorem.core.outcomes.bundle import RawLink, evidence_bundle
from valorem.core.outcomes.dashboard import Dashboard, dashboard
from valorem.core.outcomes.disputes import Dispute, Resolution, check_dispute, effect, rejected_count
from valorem.core.outcomes.frame import UTC_MONTHS
from valorem.core.outcomes.governing import Definitions
from valorem.core.outcomes.terms import AgreementTerms, DisputeTerms

MARCH = UTC_MONTHS.period_of(instant("03-01T00:00"))
PERIODS = [UTC_MONTHS.period(MARCH), UTC_MONTHS.period(MARCH + 1)]
EVENTS = [
    event("success", "03-02T10:00", "a"),
    event("success", "03-03T10:00", "b"),
    event("refute", "03-03T12:00", "b"),
    event("success", "03-04T10:00", "c"),
    event("refute", "04-02T10:00", "c"),
    event("success", "04-10T10:00", "d"),
    event("success", "04-12T08:00", "e", status="spam"),
]
CHOSEN = definition(qualify={"honest": {"data.status": {"ne": "spam"}}})
NOW = instant("04-10T12:00")


def shown(events: list[Recorded] = EVENTS, now: datetime = NOW, **more: Any) -> Dashboard:
    return dashboard(Definitions([version(chosen=CHOSEN)]), events, UTC_MONTHS, PERIODS, now, **more)


def test_a_dashboard_has_the_same_numbers_everywhere():
    page = shown()
    assert (page.standing.assumed.n, page.standing.next_matures_at) == (1, instant("04-11T10:00"))
    assert [(p.label, p.confirmed, p.reversed, p.amount) for p in page.periods] == [
        ("2026-03", 2, 0, Decimal("1.98")),
        ("2026-04", 0, 1, Decimal("-0.99")),
    ]
    assert page.if_silent == Decimal("0.00")  # one credit, and one more that matures
    assert {each.key: each.state for each in page.outcomes} == {
        "a": "confirmed",
        "b": "cancelled",
        "c": "reversed",
        "d": "assumed",
    }
    assert [each.evidence for each in page.outcomes if each.key == "c"] == [
        (f"desk/{EVENTS[3][0].id}", f"desk/{EVENTS[4][0].id}")
    ]
    assert (page.fresh, shown(now=NOW + timedelta(days=9)).fresh) == (False, False)
    assert shown(now=instant("04-12T08:30")).fresh
    assert shown(now=instant("04-12T08:30")).rejected == {"honest": 1}


def test_a_dispute_holds_its_money_back_while_it_is_open():
    dispute = Dispute("1", "customer", instant("04-03T00:00"), ("a",), "not_ours")
    page = shown(disputes=[dispute])
    assert page.periods[0].amount == Decimal("0.99")
    assert [(each.disputed, each.billable) for each in page.outcomes if each.key == "a"] == [(True, False)]
    closed = Dispute(
        "1", "customer", dispute.at, ("a",), "not_ours", resolutions={"a": Resolution(Decimal(0), NOW)}
    )
    assert shown(disputes=[closed]).periods[0].amount == Decimal("1.98")
    half = replace(closed, resolutions={"a": Resolution(Decimal("0.5"), NOW)})
    assert shown(disputes=[half]).periods[0].amount == Decimal("1.49")  # 1.5 × 0.99, rounded once


def test_a_bundle_has_the_same_bytes_each_time():
    definitions = Definitions([version(chosen=CHOSEN)])
    links = {f"desk/{EVENTS[0][0].id}": RawLink("ab" * 32, "https://desk.example/a")}

    def build(events: list[Recorded]) -> bytes:
        governed = list(definitions.fold(events, UTC_MONTHS).values())
        random.Random(len(events)).shuffle(governed)
        return evidence_bundle(governed, events, now=NOW, links=links)

    once = build(EVENTS)
    assert build([*EVENTS[::-1], EVENTS[2]]) == once
    with zipfile.ZipFile(io.BytesIO(once)) as archive:
        names = archive.namelist()
        first = json.loads(archive.read("outcomes/000001.json"))
        manifest = json.loads(archive.read("manifest.json"))
    assert names[:2] == ["definitions/1.json", "definitions/1.signatures.json"]
    assert set(manifest["sha256"]) == set(names) - {"manifest.json"}
    assert (first["key"], first["state"], first["evidence"][0]["source"]) == (
        "a",
        "confirmed",
        "https://desk.example/a",
    )
    assert build([*EVENTS, event("refute", "04-10T11:00", "a")]) != once


def test_agreement_compares_keys_and_not_totals():
    vendor = {key: Listed(Decimal(1)) for key in "abcd"}
    source = {key: Listed(Decimal(1)) for key in "cdef"}
    report = compare(vendor, source, AgreementTerms())
    assert (report.agreement, report.agrees, report.value_difference) == (
        Decimal("0.3333"),
        False,
        Decimal(0),
    )
    assert (report.vendor_only, report.source_only) == (("a", "b"), ("e", "f"))
    assert compare({}, {}, AgreementTerms()).agrees


def test_the_threshold_is_met_exactly_and_for_a_row_of_cycles():
    same = {str(number): Listed() for number in range(95)}
    more = {**same, **{str(number): Listed() for number in range(95, 100)}}
    met, missed = (
        compare(same, more, AgreementTerms()),
        compare(dict(list(same.items())[1:]), more, AgreementTerms()),
    )
    assert (met.agrees, missed.agrees) == (True, False)
    twice = AgreementTerms(cycles=2)
    assert [ready_after(row, twice) for row in ([met], [met, missed, met], [missed, met, met, met])] == [
        None,
        None,
        2,
    ]


def test_lags_are_told():
    at = instant("03-02T10:00")
    vendor = {str(n): Listed(at=at + timedelta(minutes=n)) for n in range(1, 21)}
    report = compare(vendor, {key: Listed(at=at) for key in vendor}, AgreementTerms())
    assert report.lags == (timedelta(minutes=10), timedelta(minutes=19))


TERMS = DisputeTerms(days=14)
FINAL = instant("04-01T00:00")
INVOICED = {f"o{number}": Decimal(1) for number in range(10)}


def opened(
    at: str = "04-10T00:00", keys: tuple[str, ...] = ("o1",), reason: str = "not_ours", **more: Any
) -> Dispute:
    return Dispute("d", "customer", instant(at), keys, reason, **more)


@pytest.mark.parametrize(
    ("dispute", "told"),
    [
        (opened("04-15T00:00"), r"window ended 2026-04-15T00:00:00Z \(half-open\)"),
        (opened(reason="too dear"), "not a reason of the definition"),
        (opened(keys=("o77",)), "the invoice has no outcome 'o77'"),
        (opened(keys=("o1", "o1")), "each disputed outcome once"),
        (opened(keys=("o9",)), "disputed already"),
    ],
)
def test_a_dispute_the_definition_does_not_allow_is_refused(dispute, told):
    others = [opened(keys=("o9",))]
    with pytest.raises((UnprocessableError, InvalidInputError), match=told):
        check_dispute(TERMS, dispute, finalised_at=FINAL, invoiced=INVOICED, others=others)
    check_dispute(TERMS, opened("04-14T23:59"), finalised_at=FINAL, invoiced=INVOICED, others=others)


def test_hold_or_pay_then_credit():
    given = {
        "o1": Resolution(Decimal(1), NOW),
        "o2": Resolution(Decimal("0.5"), NOW),
        "o3": Resolution(Decimal(0), NOW),
    }
    dispute = opened(keys=("o1", "o2", "o3"), resolutions=given)

    def price(quantity):
        return quantity * 2

    before = effect(TERMS, [dispute], INVOICED, price, NOW - timedelta(seconds=1))
    assert (before.due, before.held, before.open) == (Decimal(14), Decimal(6), ("o1", "o2", "o3"))
    paid = effect(
        DisputeTerms(effect="pay_then_credit"), [dispute], INVOICED, price, NOW - timedelta(seconds=1)
    )
    assert (paid.due, paid.held) == (Decimal(20), Decimal(0))
    after = effect(TERMS, [dispute], INVOICED, price, NOW)
    assert [after.invoiced, after.credit_note, after.due] == [Decimal(20), Decimal(3), Decimal(17)]
    assert after.open == ()
    assert rejected_count(TERMS, [dispute], "customer", NOW) == 1


def test_silence_decides_where_the_terms_say_so():
    terms = DisputeTerms(vendor_silence_days=5, customer_silence_days=3)
    unanswered, answered = opened(), opened(answered_at=instant("04-11T00:00"))

    def price(quantity):
        return quantity

    at = [
        effect(terms, [unanswered], INVOICED, price, instant(day)).credit_note
        for day in ("04-14T23:59", "04-15T00:00")
    ]
    assert at == [0, 1]
    late = effect(terms, [answered], INVOICED, price, instant("04-14T00:00"))
    assert (late.credit_note, late.held) == (Decimal(0), Decimal(0))

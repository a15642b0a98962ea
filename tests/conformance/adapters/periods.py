"""Calendars and periods: day counts, next borders, cut periods, anchors."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.calendar import add_days, add_months, calendar_days, local, local_date, start_of_day
from valorem.core.contracts.proration import share_of
from valorem.core.periods import (
    Cadence,
    Interval,
    Unit,
    boundary,
    calendar_anchor,
    index_at,
    longest,
    period_at,
    periods_between,
    shortest,
)

CADENCES: dict[str, tuple[int, Unit]] = {
    "day": (1, "day"),
    "daily": (1, "day"),
    "week": (1, "week"),
    "weekly": (1, "week"),
    "month": (1, "month"),
    "monthly": (1, "month"),
    "bimonthly": (2, "month"),
    "quarter": (1, "quarter"),
    "quarterly": (1, "quarter"),
    "half_yearly": (2, "quarter"),
    "semiannual": (2, "quarter"),
    "year": (1, "year"),
    "yearly": (1, "year"),
    "annual": (1, "year"),
}
DESIGNATORS: dict[str, Unit] = {"Y": "year", "M": "month", "W": "week", "D": "day"}
SPAN = re.compile(r"(-)?P(?:(\d+)Y)?(?:(\d+)M)?(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


def cadence(name: str, count: int = 1) -> Cadence:
    if name not in CADENCES:
        raise Unsupported(f"no interval {name!r}")
    times, unit = CADENCES[name]
    return Cadence(times * count, unit)


def iso_cadence(text: str) -> Cadence:
    match = re.fullmatch(r"P(\d+)([YMWD])", text)
    if match is None:
        raise Unsupported(f"a cadence of {text}")
    return Cadence(int(match[1]), DESIGNATORS[match[2]])


def moved(instant: datetime, span: str | None) -> datetime:
    """The instant moved by an ISO 8601 duration."""
    if span is None:
        return instant
    match = SPAN.fullmatch(span)
    assert match, span
    sign = -1 if match[1] else 1
    years, months, weeks, days, hours, minutes, seconds = (
        sign * int(part or 0) for part in match.groups()[1:]
    )
    day = add_months(instant.date(), years * 12 + months)
    return datetime.combine(day, instant.timetz()) + timedelta(
        weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds
    )


def zoned(text: str) -> tuple[datetime, str]:
    """``2024-01-15T00:00:00+05:30[Asia/Kolkata]`` as an instant and a zone."""
    match = re.fullmatch(r"(.+)\[(.+)\]", text)
    assert match, text
    return datetime.fromisoformat(match[1]), match[2]


@adapter("calendar_days")
def _calendar_days(inputs: Inputs) -> dict[str, Any]:
    zone = inputs["timezone"]
    start, end = (
        start_of_day(date.fromisoformat(inputs[name]), zone)
        for name in ("start_calendar_date", "end_calendar_date")
    )
    return {"days": calendar_days(start, end, zone)}


@adapter("billing_period_next_date")
def _next_date(inputs: Inputs) -> dict[str, Any]:
    start, _ = zoned(inputs["current_period_start"])
    anchor, zone = zoned(inputs["billing_anchor"])
    every = cadence(inputs["period"], inputs["unit"])
    # The source counts in dates: a border later on the start's own day opens the running period, and what comes
    # before an anchor still to come belongs to the period that the anchor opens.
    day_end = start_of_day(add_days(local_date(start, zone), 1), zone) - timedelta(microseconds=1)
    index = index_at(anchor, every, zone, max(day_end, anchor)) + 1
    after = local(boundary(anchor, every, zone, index), zone)
    return {"next": f"{after.isoformat()}[{zone}]"}


@adapter("billing_period_generation")
def _generation(inputs: Inputs) -> dict[str, Any]:
    start = datetime.fromisoformat(inputs["subscription_start"]).astimezone(UTC).replace(microsecond=0)
    ends = [
        datetime.fromisoformat(inputs[name]) for name in ("phase_end", "subscription_end") if inputs[name]
    ]
    end = min(ends, default=datetime(9000, 1, 1, tzinfo=UTC))
    until = datetime.fromisoformat(inputs["generate_until"])
    anchor = moved(start, inputs["billing_anchor_offset"])
    billing = iso_cadence(inputs["billing_cadence"])
    contract = Interval(start, end)
    versions: dict[str, int] = {}
    lines = []
    for item in inputs["items"]:
        version = versions[item["key"]] = versions.get(item["key"], -1) + 1
        opens = moved(start, item["start_after"])
        closes = min(end, moved(start, item["end_after"])) if item["end_after"] else end
        if closes <= opens:
            continue
        active = Interval(opens, closes)
        name = f"{item['key']}/v[{version}]"
        if item["service_cadence"] is None:
            services = iter([(name, active, active)])
        else:
            every = iso_cadence(item["service_cadence"])
            services = (
                (f"{name}/period[{number}]", period.interval, period.full)
                for number, period in enumerate(periods_between(anchor, every, "UTC", active))
            )
        for key, service, full in services:
            billed = period_at(anchor, billing, "UTC", service.start).full.overlap(contract)
            assert billed
            in_advance = item["price"].endswith("in_advance")
            invoiced_at = service.start if in_advance else max(service.end, billed.end)
            if invoiced_at > until:
                break
            lines.append(
                {
                    "key": key,
                    "service_period": [service.start, service.end],
                    "full_service_period": [full.start, full.end],
                    "billing_period": [billed.start, billed.end],
                }
            )
    return {"lines": lines}


@adapter("period.dates")
def _dates(inputs: Inputs) -> dict[str, Any]:
    zone = inputs.get("timezone", "UTC")
    every = cadence(inputs["interval"])
    anchor = start_of_day(date.fromisoformat(inputs["anchor"]), zone)
    if inputs.get("billing_time") == "calendar" or inputs.get("calendar"):
        anchor = calendar_anchor(anchor, every, zone)
    at = start_of_day(date.fromisoformat(inputs["at"]), zone)
    started = start_of_day(date.fromisoformat(inputs.get("started", inputs["anchor"])), zone)
    # A bill in advance and a termination look at the running period, a bill in arrears at the one before the day.
    running = inputs.get("pay_in_advance") or inputs.get("terminated")
    full = period_at(anchor, every, zone, at if running else at - timedelta(microseconds=1)).full
    billed = full.overlap(Interval(started, full.end)) or full
    answers: dict[str, Any] = {
        "from": local_date(billed.start, zone).isoformat(),
        "to": local_date(billed.end - timedelta(microseconds=1), zone).isoformat(),
        "days": calendar_days(billed.start, billed.end, zone),
        "denominator_days": share_of(billed, full, zone, "day").denominator,
    }
    return {key: answers[key] for key in inputs["case"].expected}


@adapter("calendar.anchor")
def _anchor(inputs: Inputs) -> dict[str, Any]:
    zone = inputs.get("timezone", "UTC")
    anchor = start_of_day(date.fromisoformat(inputs["anchor"]), zone)
    every = cadence(inputs["interval"])
    count = len(inputs["case"].expected["boundaries"])
    borders = (boundary(anchor, every, zone, index) for index in range(count))
    return {"boundaries": [local_date(border, zone).isoformat() for border in borders]}


@adapter("calendar.term_period")
def _term_period(inputs: Inputs) -> dict[str, Any]:
    named = [{name: cadence(name) for name in names} for names in inputs["cases"]]

    def name_of(chosen: Cadence, among: dict[str, Cadence]) -> str:
        return next(name for name, every in among.items() if every == chosen)

    return {
        "term": [name_of(longest(among.values()), among) for among in named],
        "billing_period": [name_of(shortest(among.values()), among) for among in named],
    }

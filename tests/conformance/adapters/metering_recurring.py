"""Meters of levels: prorated by day, averaged over time, billed in advance, in increments, and swapped."""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from tests.conformance.adapters.metering import cents, instant, running
from tests.conformance.runner import Inputs, adapter
from valorem.core.calendar import add_months, local_date
from valorem.core.metering.aggregation import AGGREGATIONS
from valorem.core.metering.conversion import round_quantity
from valorem.core.metering.recurring import (
    Change,
    Days,
    billed_in_advance,
    increments,
    mean_level,
    present,
    prorated_sum,
    prorated_unique,
    swapped,
    to_quantity,
)
from valorem.core.metering.tally import EMPTY, Tally, fold, merge, value

ADDS = ("add", "added")
WEIGHTED = AGGREGATIONS["time_weighted_sum"]
MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october"]
MONTHS += ["november", "december"]


def days(period: Sequence[str]) -> Days:
    """The peers write both ends of a period as days that belong to it."""
    return Days(date.fromisoformat(period[0][:10]), date.fromisoformat(period[1][:10]) + timedelta(days=1))


def changes(events: Sequence[Sequence[str]]) -> list[Change]:
    """``[time, operation, key]`` or ``[time, key, operation]``, in the order of the case."""
    found = []
    for number, (at, *rest) in enumerate(events):
        operation = next(each for each in rest if each in (*ADDS, "remove", "removed"))
        key = next((each for each in rest if each != operation), operation)
        # The order of the list is the order of events of one instant.
        found.append(Change(instant(_with_zone(at)) + timedelta(microseconds=number), key, operation in ADDS))
    return found


def _with_zone(text: str) -> str:
    if "T" not in text or text.endswith("Z"):
        return text
    return f"{text}:00Z" if re.fullmatch(r".*T\d\d:\d\d", text) else f"{text}Z"


def carried(inputs: Inputs) -> list[str]:
    """What was there when the period began: named, or a number of nameless things."""
    return list(inputs.get("carried_ids") or [f"carried {n}" for n in range(int(inputs.get("carried", 0)))])


def rounded_up(units: Fraction) -> Decimal:
    """The peer rounds a prorated aggregate up at the fifth decimal."""
    return round_quantity(to_quantity(units), "up", 5)


@adapter("aggregation.sum.prorated")
def sum_prorated(inputs: Inputs) -> dict[str, Any]:
    """What is carried counts in full, an addition from its day on."""
    period, level = days(inputs["period"]), Decimal(str(inputs.get("carried", 0)))
    additions = [(date.fromisoformat(at[:10]), Decimal(str(each))) for at, each in inputs.get("events", [])]
    full = sum((each for _, each in additions), level)
    in_full = "advance" in inputs.get("mode", "")
    units = Fraction(full) if in_full else prorated_sum(period, level, additions)
    quantity = to_quantity(units) if in_full else rounded_up(units)
    answers: dict[str, Any] = {"fraction": str(units)}
    for key, number in (("value", quantity), ("full_units", full)):
        if metric := re.match(r"(round|ceil|floor) (-?\d+)", inputs.get("metric_rounding", "")):
            function = {"round": "half_up", "ceil": "up", "floor": "down"}[metric[1]]
            number = round_quantity(number, function, int(metric[2]))  # type: ignore[arg-type]  # noqa: PLW2901
        answers[key] = number
    return {key: answers[key] for key in inputs["case"].expected}


@adapter("aggregation.unique_count.prorated")
def unique_prorated(inputs: Inputs) -> dict[str, Any]:
    """Days on which each thing was there, over the days of the period."""
    period = days(inputs["period"])
    start, end = period.start, period.end
    if "subscription_started" in inputs:
        start = date.fromisoformat(inputs["subscription_started"][:10])
    if "terminated_at" in inputs:
        end = date.fromisoformat(inputs["terminated_at"][:10]) + timedelta(days=1)
    if "upgraded_at" in inputs:  # the day of the upgrade belongs to the new terms
        end = date.fromisoformat(inputs["upgraded_at"][:10])
    things, toggles = carried(inputs), changes(inputs.get("events", []))
    units = prorated_unique(period, toggles, carried=things, active=Days(start, end), zone="UTC")
    answers = {
        "fraction": str(units),
        "value": rounded_up(units),
        "units": len(present(toggles, things)),
    }
    return {key: answers[key] for key in inputs["case"].expected}


def month_of(text: str) -> Days:
    """The calendar month of a date, or the month that begins on it where the case says anniversary."""
    first = (
        date.fromisoformat(text[:7] + "-01") if "anniversary" not in text else date.fromisoformat(text[:10])
    )
    return Days(first, add_months(first, 1))


@adapter("aggregation.unique_count.pay_in_advance", "aggregation.unique_count.pay_in_advance.prorated")
def unique_in_advance(inputs: Inputs) -> dict[str, Any]:
    """Only a rise above the period's highest number is billed; a renewal bills what is there in full."""
    case, price, things = inputs["case"], inputs["unit_price"], carried(inputs)
    events = inputs.get("events") or [[at, f"seat {n}", "add"] for n, at in enumerate(inputs.get("adds", []))]
    toggles = changes(events)
    prorated = inputs.get("prorated", case.kind.endswith("prorated"))
    period = month_of(str(inputs.get("month") or inputs.get("subscription") or events[0][0]))
    states = billed_in_advance(period, toggles, carried=things, prorated=prorated, zone="UTC")
    billed = [to_quantity(state.billed) for state in states]
    answers: dict[str, Any] = {
        "units": [state.present for state in states],
        "usage_cents": [cents(units, price) for units in billed],
        "fee_cents": [cents(units, price) for units in increments(billed, Decimal(len(things)))],
    }
    there = len(present(toggles, things))
    for key in case.expected:
        if renewal := re.fullmatch(r"(?:after_(\d+)_more_\w+?_)?renewal_[\d_]+_cents", key):
            answers[key] = cents(Decimal(there + int(renewal[1] or 0)), price)
    return {key: answers[key] for key in case.expected}


def level(events: Sequence[Sequence[str]]) -> Tally:
    """The tally of the changes of a level."""
    return fold(
        WEIGHTED,
        [
            (Decimal(str(each)), instant(_with_zone(at)), b"%d" % number)
            for number, (at, each) in enumerate(events)
        ],
    )


def mean(before: Tally, within: Tally, start: datetime, end: datetime) -> Decimal:
    """The time-weighted mean of a level over an interval."""
    return mean_level(value(WEIGHTED, within, start, end, before=before), start, end)


@adapter("aggregation.weighted_sum")
def weighted_sum(inputs: Inputs) -> dict[str, Any]:
    """Level-seconds over the seconds of the period; the level it starts with came before it."""
    start = instant(inputs["period"][0])
    end = start + timedelta(days=int(inputs["days"]))
    earlier = (start - timedelta(days=1)).isoformat().replace("+00:00", "Z")
    before = level([[earlier, inputs.get("initial", "0")]])
    units = mean(before, level(inputs["events"]), start, end)
    return {"value_round5": round_quantity(units, "half_up", 5)}


@adapter("aggregation.weighted_sum.e2e")
def weighted_sum_months(inputs: Inputs) -> dict[str, Any]:
    """Months in a row; a recurring meter carries its level into the next."""
    case, before = inputs["case"], EMPTY
    answers: dict[str, Any] = {}
    for key, events in inputs.items():
        if not key.endswith("_events"):
            continue
        name = key.removesuffix("_events")
        within = level(events)
        at = local_date(instant(_with_zone(events[0][0])), "UTC") if events else None
        first = at.replace(day=1) if at else date(2023, MONTHS.index(name) + 1, 1)
        start, end = instant(first.isoformat()), instant(add_months(first, 1).isoformat())
        units = mean(before, within, start, end)
        until = merge(before, within)
        answers |= {
            f"{name}_fee_cents": cents(units, inputs["unit_price"]),
            f"{name}_units_round5": round_quantity(units, "half_up", 5),
            f"{name}_closing_level": until.total,
        }
        before = until if inputs.get("recurring") else EMPTY
    return {key: answers[key] for key in case.expected}


@adapter("meter.latest_incremental")
def latest_incremental(inputs: Inputs) -> dict[str, Any]:
    """Billed by increments of the latest value, shown as the latest value."""
    levels = running("latest", inputs["daily_values"])
    return {"billed": increments(levels), "usage_endpoint_full_period": levels[-1]}


@adapter("meter.latest_commit_window")
def latest_commit_window(inputs: Inputs) -> dict[str, Any]:
    """A commitment covers the increments of its own days."""
    steps = increments(running("latest", inputs["daily_values"]))
    first, last = inputs["commit_from_day"], inputs.get("commit_to_day", len(steps))
    covered = sum(steps[first - 1 : last], Decimal(0))
    return {"covered_quantity": covered, "uncovered_quantity": sum(steps, Decimal(0)) - covered}


@adapter("meter.latest_rate_change")
def latest_rate_change(inputs: Inputs) -> dict[str, Any]:
    """Each increment at the rate of its own time."""
    charges = [
        Decimal(cents(Decimal(str(segment["qty"])), str(segment["rate"]))).scaleb(-2)
        for segment in inputs["segments"]
    ]
    return {"charges": charges, "total": sum(charges, Decimal(0))}


@adapter("meter.swap")
def swap(inputs: Inputs) -> dict[str, Any]:
    """Before the swap the first metric counts, after it the second goes on from there."""
    first, second, at = inputs["metric_A"], inputs["metric_B"], inputs["swap_date"]

    def quantities(metric: dict[str, Any], events: list[list[str]]) -> list[Decimal]:
        return running(metric["agg"], [each for _, each in events], [instant(day) for day, _ in events])

    before = quantities(first, [event for event in first["events"] if event[0] < at])
    replaced = quantities(second, [event for event in second["events"] if event[0] < at])
    until, at_swap = (each[-1] if each else Decimal(0) for each in (before, replaced))
    after = quantities(second, second["events"])[len(replaced) :]
    levels = [*before, *(swapped(until, at_swap, now) for now in after)]
    return {"incremental": increments(levels), "period_quantity": levels[-1]}


@adapter("meter.outcome_dedupe")
def outcome_dedupe(inputs: Inputs) -> dict[str, Any]:
    """One outcome for each conversation, taken back when the customer returns."""
    billable = re.compile(r"resolution_.*|procedure_handoff|disqualification|qualification")
    found = [
        Change(
            instant("2026-01-01") + timedelta(seconds=number),
            event["conv"],
            event["type"] != "customer_returned",
        )
        for number, event in enumerate(inputs["events"])
        if event["type"] == "customer_returned" or billable.fullmatch(event["type"])
    ]
    return {"billable": len(present(found))}

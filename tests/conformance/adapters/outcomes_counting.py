"""Which keys count, and for whom: outcome.returns, .dedupe, .attribution."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.outcomes import (
    FAR,
    KINDS,
    WINDOWS,
    bills_of,
    definition,
    event,
    instant,
    month_name,
    months,
    price_of,
    stated,
    told,
)
from tests.conformance.adapters.pricing import asked, number
from tests.conformance.runner import Inputs, adapter
from valorem.core.numbers import ZERO
from valorem.core.outcomes.activities import activities_of
from valorem.core.outcomes.attribution import attributed, split, weights
from valorem.core.outcomes.billing import bill
from valorem.core.outcomes.evidence import CompiledOutcome
from valorem.core.outcomes.fold import fold
from valorem.core.outcomes.frame import UTC_MONTHS, Frame
from valorem.core.outcomes.grouping import charged_once
from valorem.core.outcomes.tallies import tally
from valorem.core.time import write_instant


@adapter("outcome.returns")
def returns(inputs: Inputs) -> Any:
    chosen = definition(
        evidence=[
            {"event": "success", "kind": "success"},
            {"event": "return", "kind": "refute", "reasons": inputs["valid_reasons"]},
        ],
        reason="data.reason",
        window=f"{inputs['return_days']} days",
        window_clock=inputs.get("window_clock", "elapsed"),
        reversal_until="never",
        price=price_of(inputs),
    )
    frame = Frame(inputs.get("zone", "UTC"))
    events = []
    for lead in inputs["leads"]:
        events.append(event("success", lead["delivered"], str(lead["id"])))
        if back := lead.get("return"):
            events.append(event("return", back["at"], str(lead["id"]), reason=back["reason"]))
    outcomes = fold(compiled := CompiledOutcome(chosen), compiled.read_all(events), frame)
    tallies = tally(outcomes.values())
    periods = months((slot.bucket for slot in tallies), frame)
    bills = bill(chosen, activities_of(chosen, tallies, periods, frame), frame)
    refused = {
        f"return_{key}": f"refused: {each.reason}"
        for key, outcome in outcomes.items()
        for each in outcome.unheard
    }
    accepted = {
        f"return_{key}": "accepted"
        for key, outcome in outcomes.items()
        if any(each.state == "cancelled" for each in outcome.transitions)
    }
    return asked(
        inputs["case"],
        {
            "states": [outcomes[str(lead["id"])].state(FAR) for lead in inputs["leads"]],
            **accepted,
            **refused,
            **{
                month_name(period.start, frame.zone): each.total
                for period, each in zip(periods, bills, strict=True)
            },
        },
    )


@adapter("outcome.dedupe")
def dedupe(inputs: Inputs) -> Any:
    if any("kind" in each for each in inputs["events"]):
        return merged(inputs)
    definitions, outcomes = {}, {}
    for each in inputs["events"]:
        if each["type"] not in definitions:
            evidence = [{"event": each["type"], "kind": "success"}]
            definitions[each["type"]] = definition(
                outcome=each["type"], evidence=evidence, price=price_of(each), one_per="forever"
            )
    events = [event(each["type"], each["at"], str(each.get("key", "k"))) for each in inputs["events"]]
    for name, chosen in definitions.items():
        compiled = CompiledOutcome(chosen)
        outcomes[name] = fold(compiled, compiled.read_all(events)).values()
    answers = {}
    for policy in ("highest", "first"):
        picked = charged_once(definitions, outcomes, FAR, UTC_MONTHS, policy)
        names = [each.charged for each in picked]
        if not inputs.get("one_per_key", True):
            names += [name for each in picked for name in each.duplicates]
        prices = [number(next(e["price"] for e in inputs["events"] if e["type"] == name)) for name in names]
        answers[policy] = sum(prices, ZERO)
    return asked(inputs["case"], answers)


def merged(inputs: Inputs) -> Any:
    """Records of one kind, some of which become part of others."""
    said_so = (*WINDOWS, "price", "one_per_key", "one_per", "normalize")
    rules = [{"event": kind, "kind": kind} for kind in KINDS if kind != "restate"]
    chosen = stated(
        {name: inputs[name] for name in said_so if name in inputs},
        evidence=[*rules, {"event": "merge", "kind": "touch"}],
        alias_of="data.into",
    )
    outcomes = fold(compiled := CompiledOutcome(chosen), compiled.read_all(told(inputs["events"]))).values()
    bills = bills_of(chosen, tally(outcomes), UTC_MONTHS)
    answers = {
        "amount": sum((each.total for each in bills), ZERO),
        "outcomes": sum(1 for each in outcomes for _ in each.standing(FAR)),
        "states": {each.key: each.state(FAR) for each in outcomes},
    }
    return asked(inputs["case"], answers)


@adapter("outcome.attribution")
def attribution(inputs: Inputs) -> Any:
    if "successes" in inputs:
        within = timedelta(seconds=int(inputs["window_s"])) if "window_s" in inputs else None
        within = within or timedelta(days=int(inputs["window_days"]))
        touches = [instant(at) for at in inputs.get("touches", [inputs.get("touch")])]
        counted = [
            any(attributed(touch, instant(at), within) for touch in touches) for at in inputs["successes"]
        ]
        return {"attributed": counted}
    return asked(inputs["case"], shares(inputs))


def shares(inputs: Inputs) -> dict[str, Any]:
    """The amount each touch gets, by every model the case asks for."""
    given = inputs["touches"]
    if isinstance(given, int):
        start = datetime(2026, 1, 1, tzinfo=UTC)
        given = [write_instant(start + timedelta(days=day)) for day in range(given)]
    rows = [each if isinstance(each, Mapping) else {"at": each} for each in given]
    rows.sort(key=lambda each: instant(each["at"]))
    success = inputs.get("success", rows[-1]["at"])
    succeeded = instant(success["at"] if isinstance(success, Mapping) else success)
    amount = next((inputs[name] for name in ("value", "amount", "fee", "price") if name in inputs), None)
    half_life = next(
        (
            timedelta(**{unit: int(inputs[key])})
            for key, unit in (("half_life_s", "seconds"), ("half_life_days", "days"))
            if key in inputs
        ),
        timedelta(days=7),
    )
    if "window_s" in inputs or "window_days" in inputs:
        within = timedelta(seconds=int(inputs.get("window_s", 0)), days=int(inputs.get("window_days", 0)))
        rows = [each for each in rows if attributed(instant(each["at"]), succeeded, within)]
    place = Decimal("1e-12") if amount is None else Decimal("0.01")
    answers: dict[str, Any] = {}
    for model in ("first", "last", "linear", "position", "time_decay"):
        weighed = weights([instant(each["at"]) for each in rows], succeeded, model, half_life)
        parts = split(number(amount if amount is not None else "1"), weighed, place)
        named = [
            str(each[name]) for each in rows for name in ("id", "touch", "channel", "name") if name in each
        ]
        asked_for = inputs["case"].expected
        for name in (model, "position_40_20_40" if model == "position" else model):
            shaped = isinstance(asked_for.get(name), Mapping) and len(named) == len(rows)
            answers[name] = dict(zip(named, parts, strict=True)) if shaped else parts
    answers["shares"] = answers.get(inputs.get("model", "linear"), [])
    return answers

"""Outcomes: outcome.states, .time, .late, .definition, .returns, .dedupe, .attribution."""

import re
from calendar import month_name as month_names
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.pricing import asked, tiered
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.calendar import local_date
from valorem.core.metering.event import Event
from valorem.core.numbers import ZERO
from valorem.core.outcomes.activities import activities_known, activities_of
from valorem.core.outcomes.billing import PeriodBill, bill
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.durations import Clock, parse_duration, window_end, write_duration
from valorem.core.outcomes.evidence import CompiledOutcome, Evidence, known_by
from valorem.core.outcomes.fold import fold
from valorem.core.outcomes.frame import UTC_MONTHS, Frame
from valorem.core.outcomes.governing import Definitions, Governed
from valorem.core.outcomes.signing import DefinitionVersion, Party, Signature, definition_digest
from valorem.core.outcomes.states import Outcome
from valorem.core.outcomes.tallies import Slot, Tallies, tally
from valorem.core.periods import Cadence, Interval
from valorem.core.time import write_instant

Recorded = tuple[Event, datetime]
KINDS = ("touch", "success", "restate", "confirm", "refute", "retract")
HAPPENED = ("time", "at", "event_time")
ARRIVED = ("arrives", "arrived", "known_at", "received_at", "arrives_at")
FAR = datetime(2200, 1, 1, tzinfo=UTC)
#: Members of a case's definition that are written in the definition under another name or form.
ONCE = {"per_period": "period", "per_billing_period": "period", "once": "forever", True: "forever"}
GOVERNED = {
    "time of first success of the key": "first_success",
    "time of first touch of the key": "first_touch",
    "time of confirmation": "confirmation",
}


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


def seconds(count: Any) -> str:
    return write_duration(timedelta(seconds=int(count)))


def definition(**fields: Any) -> OutcomeDefinition:
    """A definition whose evidence is an event of each kind, with the fields of the case on top."""
    plain: dict[str, Any] = {
        "outcome": "outcome",
        "source": {"system": "source"},
        "evidence": [{"event": kind, "kind": kind} for kind in KINDS if kind != "restate"],
        "key": "data.key",
        "currency": "USD",
        "price": {"model": "per_unit", "amount": "1"},
    }
    return OutcomeDefinition.model_validate({**plain, **fields})


def price_of(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The price a case states, whichever way."""
    bounds = {
        name: inputs[key]
        for name, key in (("maximum", "cap_amount"), ("minimum", "minimum_amount"), ("included", "included"))
        if key in inputs
    }
    if "tiers" in inputs:
        tiers = [dict(each) for each in inputs["tiers"]]
        for name in ("up_to", "to"):
            tiers[-1].pop(name, None)  # beyond the last one nothing is said; nothing is asked either
        return {**tiered(inputs.get("model", "graduated"), tiers), **bounds}
    if "package_size" in inputs or inputs.get("model") == "package":
        size = inputs.get("package_size", inputs.get("size"))
        return {"model": "package", "size": size, "amount": inputs["price"], **bounds}
    return {"model": "per_unit", "amount": inputs.get("price", "1"), **bounds}


def length(value: Any) -> str:
    """A length of time in any of the ways cases write one: seconds, text, or ``{days: 30}``."""
    if isinstance(value, Mapping):
        ((unit, count),) = value.items()
        return f"{count} {str(unit).removesuffix('s')}s"
    if isinstance(value, int):
        return seconds(value)
    text = re.sub(r"(?<=\d)h$", " hours", str(value).replace("_", " "))
    return re.sub(r"(?<=\d)d$", " days", text)


def once(value: Any) -> str:
    if isinstance(value, Mapping):
        return length(value)
    if isinstance(value, str) and (
        match := re.match(r"(?:once_)?(?:per[_ ])?(\d+)[_ ](second|minute|hour|day|week)", value)
    ):
        return f"{match[1]} {match[2]}s"
    return str(ONCE.get(value, value))


def until(value: Any) -> str:
    return value if value in ("forever", "never") else length(value)


def predicates(told: Any) -> dict[str, Any]:
    """Named predicates, or one that is not named."""
    if all(isinstance(each, Mapping) and any("." in str(key) for key in each) for each in told.values()):
        return dict(told)
    return {"qualified": told}


def attribution_terms(told: Mapping[str, Any]) -> dict[str, Any]:
    terms = {name: each for name, each in told.items() if name in ("model", "vendor_actors", "exclusive")}
    for name in ("within", "window"):
        for suffix, write in (("", length), ("_s", seconds), ("_days", "{} days".format)):
            if f"{name}{suffix}" in told:
                terms["within"] = write(told[f"{name}{suffix}"])
    if "half_life_days" in told:
        terms["half_life"] = f"{told['half_life_days']} days"
    return terms


#: Members that a definition has under the same name.
SAME = {"window_clock", "restart_on", "reversal_policy", "late", "judged_at", "governed_by", "normalize"}
#: Members that are written otherwise: the definition's field and how its value is written.
WRITTEN: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "window_s": ("window", seconds),
    "window_days": ("window", "{} days".format),
    "window": ("window", length),
    "explicit": ("explicit", str),
    "reversal_until": ("reversal_until", until),
    "one_per_s": ("one_per", seconds),
    "one_per_key_days": ("one_per", "{} days".format),
    "reversal_window_s": ("reversal_until", seconds),
    "lock_s": ("reversal_until", seconds),
    "lock_days": ("reversal_until", "{} days".format),
    "accept_until_s": ("accept_until", seconds),
    "accept_until_days": ("accept_until", "{} days".format),
    "accept_until": ("accept_until", length),
    "minimum_quantity": ("minimum", lambda count: {"quantity": str(count)}),
    "cap_quantity": ("cap", lambda count: {"quantity": str(count)}),
    "cap_per_day": ("cap", lambda count: {"quantity": str(count), "per": "day"}),
    "qualify": ("qualify", predicates),
    "predicate": ("qualify", predicates),
    "attribution": ("attribution", attribution_terms),
    "attribution_window_s": ("attribution", lambda count: {"within": seconds(count)}),
    "attribution_window_days": ("attribution", lambda count: {"within": f"{count} days"}),
    "explicit_confirmation": ("explicit", str),
    "one_per_key": ("one_per", once),
    "one_per": ("one_per", once),
    "one_per_days": ("one_per", "{} days".format),
    "reversal_until_s": ("reversal_until", seconds),
    "reversal_until_days": ("reversal_until", "{} days".format),
}
#: Members that say the price, or the contract's calendar.
ELSEWHERE = {
    *("price", "currency", "model", "tiers", "cap_amount", "minimum_amount", "included", "size"),
    *("zone", "time_zone", "unit", "name", "outcome", "tie", "sequence"),
}


def stated(fields: Mapping[str, Any], **others: Any) -> OutcomeDefinition:
    """The definition of a case."""
    if unknown := set(fields) - SAME - ELSEWHERE - set(WRITTEN):
        raise Unsupported(f"a definition with {', '.join(sorted(unknown))}")
    told = {name: value for name, value in fields.items() if name in SAME}
    for name, (field, write) in WRITTEN.items():
        if name in fields:
            told[field] = write(fields[name])
    told["governed_by"] = GOVERNED.get(told.get("governed_by", "first_success"), told.get("governed_by"))
    if told["governed_by"] is None:
        told.pop("governed_by")
    if {"vendor_actors", "exclusive"} & set(told.get("attribution", {})):
        told["actor"] = "data.actor"
    return definition(**told, price=price_of(fields), currency=fields.get("currency", "USD"), **others)


def event(kind: str, at: str, key: str = "k", known_at: str | None = None, **data: Any) -> Recorded:
    happened = instant(at)
    identifier = str(data.pop("id", f"{kind}/{key}/{at}/{sorted(data.items())}"))
    arrived = instant(known_at) if known_at else happened
    return Event(identifier, "source", kind, "customer", happened, {"key": key, **data}), arrived


def told(events: Iterable[Mapping[str, Any]]) -> list[Recorded]:
    found = []
    for each in events:
        others = {
            name: value for name, value in each.items() if name not in (*HAPPENED, *ARRIVED, "kind", "key")
        }
        at = next(each[name] for name in HAPPENED if name in each)
        arrives = next((each[name] for name in ARRIVED if name in each), None)
        found.append(event(each["kind"], at, str(each.get("key", "k")), arrives, **others))
    return found


def numbered(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The source's own order of changes, where a case gives one."""
    names = [name for name in ("seq", "sequence") if any(name in each for each in events)]
    return {"sequence": f"data.{names[0]}"} if names else {}


def months(instants: Iterable[datetime], frame: Frame) -> list[Interval]:
    """The periods from the first instant to the last, without gaps."""
    indices = [frame.period_of(each) for each in instants]
    return [frame.period(index) for index in range(min(indices), max(indices) + 1)] if indices else []


def label(period: Interval, frame: Frame) -> str:
    return frame.label(frame.period_of(period.start))


def month_name(at: datetime, zone: str = "UTC") -> str:
    return local_date(at, zone).strftime("%B").lower()


def state_at(transition: Any) -> str:
    return f"{transition.state} {write_instant(transition.at)}"


@adapter("outcome.states")
def states(inputs: Inputs) -> Any:
    if "definition" not in inputs:
        return one_state(inputs)
    fields = inputs["definition"]
    zones = [each[name] for each in (fields, inputs) for name in ("zone", "time_zone") if name in each]
    frame = Frame(zones[0] if zones else "UTC")
    chosen = stated(fields, **numbered(inputs["events"]))
    outcomes = fold(compiled := CompiledOutcome(chosen), compiled.read_all(told(inputs["events"])), frame)
    answers: dict[str, Any] = {
        "transitions": {key: transitions(outcome) for key, outcome in outcomes.items()},
        "utc_months": by_month(chosen, outcomes.values(), UTC_MONTHS),
        "months": by_month(chosen, outcomes.values(), frame),
        "local_months": by_month(chosen, outcomes.values(), frame),
        "states": {key: outcome.state(FAR) for key, outcome in outcomes.items()},
        "rejected": {key: outcome.rejected_by(FAR) for key, outcome in outcomes.items()},
        "amount": sum((each["amount"] for each in by_month(chosen, outcomes.values(), frame).values()), ZERO),
    }
    for zone in inputs.get("zones", ()):
        answers.setdefault("months_by_zone", {})[zone] = by_month(chosen, outcomes.values(), Frame(zone))
    if len(outcomes) == 1:
        answers["state"] = next(iter(outcomes.values())).state(FAR)
    if "as_of" in inputs["case"].expected:
        asked_at = inputs["case"].expected["as_of"]
        answers["as_of"] = {at: states_at(outcomes, instant(at), of) for at, of in asked_at.items()}
    return asked(inputs["case"], answers)


def states_at(outcomes: Mapping[str, Outcome], at: datetime, shape: Any) -> Any:
    if isinstance(shape, Mapping):
        return {key: outcomes[key].state(at) for key in shape}
    (outcome,) = outcomes.values()
    return outcome.state(at)


def transitions(outcome: Outcome) -> list[dict[str, Any]]:
    return [
        {"state": "confirms_at_if_silent" if each.silent else each.state, "at": each.at}
        for each in outcome.transitions
    ]


def by_month(chosen: OutcomeDefinition, outcomes: Iterable[Outcome], frame: Frame) -> dict[str, Any]:
    """Counts and money of each period in which something happened."""
    tallies = tally(outcomes)
    periods = months((slot.bucket for slot in tallies), frame)
    counts: dict[str, defaultdict[str, int]] = {label(each, frame): defaultdict(int) for each in periods}
    for slot, count in tallies.items():
        counts[frame.label(frame.period_of(slot.bucket))][slot.series] += count.n
    bills = bill(chosen, activities_of(chosen, tallies, periods, frame), frame)
    return {
        name: {
            **{series: found[series] for series in ("confirmed", "reversed", "cancelled")},
            "net": found["confirmed"] - found["reversed"],
            "amount": billed.total,
        }
        for (name, found), billed in zip(counts.items(), bills, strict=True)
        if any(found[series] for series in ("confirmed", "reversed", "cancelled"))
    }


def one_state(inputs: Inputs) -> Any:
    """A single key whose success a rating may refute."""
    rules: list[dict[str, Any]] = [{"event": "success", "kind": "success"}]
    events = [event("success", inputs["success"])]
    refuting = inputs.get("refuting", {})
    for name in refuting if isinstance(refuting, list) else ():
        rules.append({"event": name, "kind": "refute"})
        if told_by := inputs.get(name):
            events.append(event(name, told_by["at"] if isinstance(told_by, Mapping) else told_by))
    for name, bound in refuting.items() if isinstance(refuting, Mapping) else ():
        match = re.fullmatch(r"(\w+)_(at_most|below|at_least|above)", name)
        if match is None:
            raise Unsupported(f"refuting by {name}")
        operator = {"at_most": "lte", "below": "lt", "at_least": "gte", "above": "gt"}[match[2]]
        rules.append({"event": match[1], "kind": "refute", "when": {"data.score": {operator: bound}}})
        if rating := inputs.get(match[1]):
            events.append(event(match[1], rating["at"], score=rating["score"]))
    chosen = definition(evidence=rules, window=seconds(inputs["window_s"]), price=price_of(inputs))
    (outcome,) = fold(compiled := CompiledOutcome(chosen), compiled.read_all(events)).values()
    answers: dict[str, Any] = {"state": outcome.state(FAR), "transitions": transitions(outcome)}
    bills = bills_of(chosen, tally([outcome]), UTC_MONTHS)
    answers["amount"] = sum((each.total for each in bills), Decimal("0.00"))
    return asked(inputs["case"], answers)


def bills_of(chosen: OutcomeDefinition, tallies: Tallies, frame: Frame) -> tuple[PeriodBill, ...]:
    periods = months((slot.bucket for slot in tallies), frame)
    return bill(chosen, activities_of(chosen, tallies, periods, frame), frame)


#: The members that say how long an outcome is assumed.
WINDOWS = ("window", "window_s", "window_days", "window_clock")


@adapter("outcome.time")
def times(inputs: Inputs) -> Any:
    frame = Frame(inputs.get("zone", "UTC"), Cadence(1, inputs.get("period", inputs.get("every", "month"))))
    if "successes" not in inputs:
        return asked(inputs["case"], clocks(inputs, frame))
    chosen = stated({name: inputs[name] for name in WINDOWS if name in inputs})
    compiled = CompiledOutcome(chosen)
    events = [event("success", at, f"k{index}") for index, at in enumerate(inputs["successes"])]
    confirmed = [
        result.ends_at
        for outcome in fold(compiled, compiled.read_all(events), frame).values()
        for result in outcome.results
    ]
    periods = [frame.period(frame.period_of(at)) for at in confirmed]
    return asked(
        inputs["case"],
        {
            "periods": [label(each, frame) for each in periods],
            "confirmed": confirmed,
            **{f"{month_name(each.start, frame.zone)}_starts": each.start for each in around(periods, frame)},
        },
    )


def around(periods: Iterable[Interval], frame: Frame) -> list[Interval]:
    indices = {frame.period_of(each.start) + step for each in periods for step in (0, 1)}
    return [frame.period(index) for index in sorted(indices, reverse=True)]


def clocks(inputs: Inputs, frame: Frame) -> dict[str, Any]:
    answers = {}
    for name, written in inputs["window"].items():
        text = re.sub(r"(?<=\d)h$", " hours", str(written))
        length = write_duration(parse_duration(text))
        clock: Clock = "elapsed" if name == "elapsed" else "calendar_days"
        chosen = definition(window=length, window_clock=clock)
        events = [event("success", inputs["success"])]
        if "refute" in inputs:
            events.append(event("refute", inputs["refute"]))
        (outcome,) = fold(compiled := CompiledOutcome(chosen), compiled.read_all(events), frame).values()
        answers[name] = {
            "ends": window_end(instant(inputs["success"]), chosen.window, clock, frame.zone),
            "state": " then ".join(each.state for each in outcome.transitions[1:]),
        }
    return answers


@adapter("outcome.late")
def late(inputs: Inputs) -> Any:
    frame = Frame(inputs.get("zone", "UTC"))
    said_so = (*WINDOWS, "late", "price", "accept_until_s", "accept_until_days", "reversal_policy")
    chosen = stated({name: inputs[name] for name in said_so if name in inputs})
    ((name, closed),) = ((key, inputs[key]) for key in inputs if str(key).endswith("_finalised"))
    compiled = CompiledOutcome(chosen)
    facts = told(
        {"kind": kind, **(inputs[kind] if isinstance(inputs[kind], Mapping) else {"at": inputs[kind]})}
        for kind in ("success", "confirm", "refute", "retract")
        if kind in inputs
    )
    evidence = compiled.read_all(facts)
    finalised, arrives = instant(closed), max(arrived for _, arrived in facts)
    periods = months([finalised - timedelta(microseconds=1), arrives], frame)
    closes = [finalised, *(max(each.end, arrives) for each in periods[1:])]
    bills = bill(
        chosen, activities_known(chosen, seen(compiled, evidence, closes, frame), periods, frame), frame
    )
    before = next(iter(fold(compiled, known_by(evidence, finalised), frame).values()), None)
    (after,) = fold(compiled, evidence, frame).values()
    month = str(name).removesuffix("_finalised")
    adjustments = {
        f"{month_name(period.start, frame.zone)}_adjustment": each.credit
        for period, each in zip(periods[1:], bills[1:], strict=True)
    }
    known = before.history(finalised) if before is not None else ()
    said = state_at(known[-1]) if known else "unknown"
    return asked(
        inputs["case"],
        {
            f"as_of_{finalised.date()}": f"{said}, invoiced {bills[0].total}",
            "after_arrival": state_at(after.history(FAR)[-1]),
            f"{month}_invoice": "unchanged"
            if bills[0].total == bill_known(chosen, compiled, evidence, closes, periods, frame)
            else "changed",
            **adjustments,
        },
    )


def seen(
    compiled: CompiledOutcome, evidence: Sequence[Evidence], closes: Iterable[datetime], frame: Frame
) -> list[dict[Slot, Any]]:
    return [tally(fold(compiled, known_by(evidence, each), frame).values()) for each in closes]


def bill_known(
    chosen: OutcomeDefinition,
    compiled: CompiledOutcome,
    evidence: Sequence[Evidence],
    closes: Sequence[datetime],
    periods: Sequence[Interval],
    frame: Frame,
) -> Decimal:
    """The first invoice as it was drawn up when nothing later was known."""
    known = activities_known(chosen, seen(compiled, evidence, closes[:1], frame), periods[:1], frame)
    return bill(chosen, known, frame)[0].total


@adapter("outcome.definition")
def versions(inputs: Inputs) -> Any:
    frame = Frame(inputs.get("zone", "UTC"))
    asked_by = inputs.get("governed_by", "first_success")
    governed_by = GOVERNED.get(asked_by, str(asked_by))
    if governed_by not in GOVERNED.values():
        raise Unsupported(f"governed by {inputs['governed_by']}")
    signed = [version(each, governed_by) for each in inputs["versions"]]
    found = Definitions(signed).fold(told(inputs["events"]), frame)
    answers: dict[str, Any] = {str(each.get("key", "k")): {"version": None} for each in inputs["events"]}
    answers |= {key: governed_answer(each) for key, each in found.items()}
    totals: defaultdict[str, Decimal] = defaultdict(Decimal)
    for name in set(inputs["case"].expected) & {name.lower() for name in month_names}:
        totals[name] = ZERO
    for each in signed:
        tallies = tally(one.outcome for one in found.values() if one.version is each)
        periods = months((slot.bucket for slot in tallies), frame)
        bills = bill(each.definition, activities_of(each.definition, tallies, periods, frame), frame)
        for period, billed in zip(periods, bills, strict=True):
            totals[month_name(period.start, frame.zone)] += billed.total
    return asked(inputs["case"], {**answers, **totals})


def version(fields: Mapping[str, Any], governed_by: str) -> DefinitionVersion:
    told_by = {key: value for key, value in fields.items() if key not in ("v", "from", "signed")}
    chosen = stated(told_by).model_copy(update={"governed_by": governed_by})
    since = instant(fields["from"])
    parties: list[Party] = list(fields["signed"])
    signed = fields["signed"] if isinstance(fields["signed"], Mapping) else {}
    digest = definition_digest(chosen)
    signatures = tuple(
        Signature(party, party, "signatory", "paper", instant(signed.get(party, fields["from"])), digest)
        for party in parties
    )
    return DefinitionVersion(fields["v"], chosen, since, signatures, live_from=since)


def governed_answer(governed: Governed) -> dict[str, Any]:
    reached: dict[str, Any] = {
        each.state: each.at for each in governed.outcome.transitions if each.state != "assumed"
    }
    return {"version": governed.version.number if governed.version else None, **reached}

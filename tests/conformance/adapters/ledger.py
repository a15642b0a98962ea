"""Credits: burn-down, balances over periods, collection and correction, grants and rollover."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.pricing import asked, number
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.errors import InvalidInputError
from valorem.core.ledger.account import Account, Facts, Phase
from valorem.core.ledger.burns import Burn, Reset
from valorem.core.ledger.grants import Grant, Refill
from valorem.core.ledger.history import history
from valorem.core.ledger.levels import level_phases
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.replay import opening, replay
from valorem.core.ledger.resets import check_reset, natural_resets
from valorem.core.ledger.rollover import Rollover, rolled_over
from valorem.core.periods import Cadence, Unit
from valorem.core.time import parse_instant

UNITS: dict[str, Unit] = {"D": "day", "W": "week", "M": "month", "Y": "year"}
#: The peer carries usage that nothing paid for to the next grant of the same period.
CARRIED = CreditPolicies(uncovered="carried")
START = datetime(2024, 1, 1, tzinfo=UTC)


def cadence(text: str) -> Cadence:
    match = re.fullmatch(r"P(\d+)([DWMY])", text)
    hours = re.fullmatch(r"PT(\d+)H", text)
    if hours and int(hours[1]) % 24 == 0:  # in UTC, in which these cases are told
        return Cadence(int(hours[1]) // 24, "day")
    if match is None:
        raise Unsupported(f"a recurrence of {text}: periods are whole days or longer")
    return Cadence(int(match[1]), UNITS[match[2]])


def instant(text: str | None, otherwise: datetime | None = None) -> datetime | None:
    if text is None:
        return otherwise
    return parse_instant(text)


GRANT_KEYS = {
    "id", "amount", "priority", "effective_at", "expires_at", "voided_at", "deleted_at", "created_at",
    "reset_min_rollover", "reset_max_rollover", "recurrence",
}  # fmt: skip


def grant(given: Mapping[str, Any]) -> Grant:
    if unknown := set(given) - GRANT_KEYS:
        raise Unsupported(f"a grant with {', '.join(sorted(unknown))}")
    recurrence = given.get("recurrence")
    start = parse_instant(given["effective_at"])
    gone = [each for each in (instant(given.get("voided_at")), instant(given.get("deleted_at"))) if each]
    return Grant(
        id=given["id"],
        amount=number(given["amount"]),
        start=start,
        expires=instant(given.get("expires_at")),
        priority=int(given.get("priority", 50)),
        created_at=instant(given.get("created_at")),
        voided_at=min(gone, default=None),
        reset=Rollover(
            floor_amount=number(given.get("reset_min_rollover")),
            cap_amount=number(given.get("reset_max_rollover")),
        ),
        refill=Refill(cadence(recurrence["interval"]), parse_instant(recurrence["anchor"]))
        if recurrence
        else None,
    )


def burns(events: Sequence[Mapping[str, Any]]) -> tuple[Burn, ...]:
    return tuple(
        Burn(parse_instant(event["at"]), f"{index:06}", number(event["value"]))
        for index, event in enumerate(events)
    )


def resets(given: Sequence[Any], *, keep: bool) -> tuple[Reset, ...]:
    return tuple(
        Reset(parse_instant(each), keep)
        if isinstance(each, str)
        else Reset(parse_instant(each["at"]), bool(each.get("preserve_overage", keep)))
        for each in given
    )


@adapter("credit_burndown")
def credit_burndown(inputs: Inputs) -> Any:
    if inputs.get("aggregation", "SUM") not in ("SUM", "COUNT"):
        return credit_level(inputs)
    facts = Facts(
        grants=tuple(map(grant, inputs["grants"])),
        burns=burns(inputs["usage_events"]),
        resets=resets(inputs.get("resets", ()), keep=bool(inputs.get("preserve_overage"))),
    )
    snapshot = inputs["start_snapshot"]
    try:
        checkpoint = opening(
            facts.grants,
            parse_instant(snapshot["at"]),
            {key: number(value) for key, value in snapshot["balances"].items()},
            overage=number(snapshot.get("overage")),
            used_in_period=number(snapshot.get("usage_in_period")),
        )
        account = replay(
            facts,
            parse_instant(inputs["until"]),
            CARRIED,
            checkpoint=checkpoint,
            with_phases=True,
            closing=True,
        )
    except InvalidInputError:
        return {"error": True}
    return asked_account(inputs["case"], account, facts)


def credit_level(inputs: Inputs) -> Any:
    if inputs["aggregation"] != "LATEST" or inputs.get("resets"):
        raise Unsupported(f"burning by the {inputs['aggregation']} of a meter")
    limits = tuple(map(grant, inputs["grants"]))
    since, until = parse_instant(inputs["start_snapshot"]["at"]), parse_instant(inputs["until"])
    phases = level_phases(limits, burns(inputs["usage_events"]), since, until, CARRIED)
    return asked(
        inputs["case"],
        {
            "balances": phases[-1].balances,
            "balance": phases[-1].balance,
            "overage": phases[-1].overage,
            "segment_count": len(phases),
        },
    )


def asked_account(case: Any, account: Account, facts: Facts) -> dict[str, Any]:
    answer = {
        "balances": {each.id: account.balances().get(each.id, Decimal(0)) for each in facts.grants},
        "overage": account.overage,
        "usage_in_period": account.used_in_period,
        "usage_since": account.period_start,
        "start_of_period": account.period_start,
        "balance": account.balance,
        "total_available_grant_amount": account.granted,
        "total_grant_usage": account.drawn_in_period,
        "total_grant_usage_plus_balance": account.drawn_in_period + account.balance,
        "segment_count": len(account.phases),
    }
    if "segments" in case.expected:
        said = case.expected["segments"]
        if len(said) != len(account.phases):
            answer["segments"] = [written_phase(phase, {}) for phase in account.phases]
        else:
            pairs = zip(account.phases, said, strict=True)
            answer["segments"] = [written_phase(phase, like) for phase, like in pairs]
    return asked(case, answer)


def written_phase(phase: Phase, like: Mapping[str, Any]) -> dict[str, Any]:
    named = like.get("balance_at_start", {})
    written = {
        "from": phase.start,
        "to": phase.end,
        "total_usage": phase.used,
        "overage": phase.overage,
        "overage_at_start": phase.overage_at_start,
        "balance_at_start": {key: phase.balances.get(key, Decimal(0)) for key in named},
        "total_balance_at_start": phase.balance_at_start,
        "total_balance_after": phase.balance_after,
        "usage_reset": phase.reset,
        "rollover": phase.rollover,
    }
    return {key: value for key, value in written.items() if key in like} if like else {}


@adapter("entitlement_balance")
def entitlement_balance(inputs: Inputs) -> Any:
    measured_from = parse_instant(inputs["measure_usage_from"])
    period = inputs["usage_period"]
    anchor = (
        measured_from.replace(day=1)
        if period["anchor"] == "first of month"
        else parse_instant(period["anchor"])
    )
    keep = bool(inputs.get("preserve_overage"))
    manual = resets(inputs.get("manual_resets", ()), keep=keep)

    def at(moment: datetime) -> tuple[Account, Facts]:
        natural = natural_resets(
            anchor, cadence(period["interval"]), "UTC", measured_from, moment, keep_overage=keep
        )
        facts = Facts(
            tuple(map(grant, inputs["grants"])), burns(inputs["usage_events"]), resets=(*natural, *manual)
        )
        return replay(
            facts, moment, CARRIED, checkpoint=opening(facts.grants, measured_from, {}), closing=True
        ), facts

    expected = inputs["case"].expected
    account, facts = at(parse_instant(inputs["query_at"]))
    answer = {
        "usage_in_period": account.used_in_period,
        "balance": account.balance,
        "overage": account.overage,
        "balances": {each.id: account.balances().get(each.id, Decimal(0)) for each in facts.grants},
        "start_of_period": account.period_start,
        "total_available_grant_amount": account.granted,
    }
    for key in expected:
        if key.startswith("balances_at_"):
            answer[key] = at(day(key.removeprefix("balances_at_")))[0].balances()
    return asked(inputs["case"], answer)


def day(text: str) -> datetime:
    return parse_instant(text if "T" in text else f"{text}T00:00:00Z")


@adapter("entitlement_balance_history")
def entitlement_balance_history(inputs: Inputs) -> Any:
    edges = window_edges(inputs["window"], parse_instant(inputs["from"]), parse_instant(inputs["to"]))
    start = edges[0]
    facts = Facts(tuple(map(grant, inputs["grants"])), burns(inputs["usage_events"]))
    windows = history(facts, edges, CARRIED, checkpoint=opening(facts.grants, start, {}))
    expected = inputs["case"].expected
    return {
        "balance_at_window_start": {
            key: windows[int(key)].balance for key in expected.get("balance_at_window_start", {})
        },
        "usage_in_window": {key: windows[int(key)].used for key in expected.get("usage_in_window", {})},
    }


def window_edges(window: str, start: datetime, end: datetime) -> list[datetime]:
    steps = {"HOUR": timedelta(hours=1), "DAY": timedelta(days=1), "MINUTE": timedelta(minutes=1)}
    if window == "MONTH":
        return [start, *month_starts(start, end)]
    if window not in steps:
        raise Unsupported(f"windows of {window}")
    return [start + steps[window] * index for index in range((end - start) // steps[window] + 1)]


def month_starts(start: datetime, end: datetime) -> list[datetime]:
    """The beginnings of the months after an instant, up to another and with it."""
    found = natural_resets(start, Cadence(1, "month"), "UTC", start, end, keep_overage=False)
    return [each.at for each in found if start < each.at <= end]


@adapter("entitlement_reset_validation")
def entitlement_reset_validation(inputs: Inputs) -> Any:
    now = datetime(2024, 6, 1, tzinfo=UTC)
    try:
        check_reset(
            relative(inputs["reset_at"], now),
            since=relative(inputs.get("measure_usage_from", START.isoformat()), now),
            now=now,
            last=relative(inputs["last_reset"], now) if inputs.get("last_reset") else None,
        )
    except InvalidInputError:
        return {"error": True}
    return {"error": False}


def relative(text: str, now: datetime) -> datetime:
    """An instant, or one such as ``now+1m``."""
    match = re.fullmatch(r"now(?:([+-]\d+)([smhd]))?", text)
    if match is None:
        return parse_instant(text)
    length = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", None: "seconds"}[match[2]]
    return now + timedelta(**{length: int(match[1] or 0)})


@adapter("grant_active_at")
def grant_active_at(inputs: Inputs) -> Any:
    return {"active": grant(inputs["grant"]).active_at(parse_instant(inputs["at"]))}


@adapter("grant_rollover")
def grant_rollover(inputs: Inputs) -> Any:
    rule = Rollover(
        floor_amount=number(inputs["reset_min_rollover"]), cap_amount=number(inputs["reset_max_rollover"])
    )
    left = number(inputs["ending_balance"])
    return {"rolled_over": rolled_over(rule, left, left)}

"""Kinds of limits and thresholds."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.alerts.thresholds import Level, Threshold, foremost
from valorem.core.entitlements.check import Asked, Counted, limit_state
from valorem.core.entitlements.grants import Owned
from valorem.core.entitlements.limits import Limit, stops_at
from valorem.core.entitlements.windows import Span, Window
from valorem.core.metering.aggregation import AGGREGATIONS
from valorem.core.metering.tally import Tally
from valorem.core.units import parse_share

_START, _END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)
#: What the peers' names of threshold types mean; the first two are older names of the fourth and third.
_TYPES = {
    "NUMBER": ("used", "amount"),
    "PERCENT": ("used", "share"),
    "usage_percentage": ("used", "share"),
    "usage_value": ("used", "amount"),
    "balance_value": ("left", "amount"),
    "balance_percentage": ("left", "share"),
}


@adapter("notification_threshold")
def notification_threshold(inputs: Inputs) -> Any:
    whole, left = _number(inputs.get("total_available_grant_amount")), _number(inputs.get("balance"))
    used = _number(inputs.get("usage"))
    if used is None:  # what is gone of the grants, and what went past them
        used = (whole or Decimal(0)) - (left or Decimal(0)) + (_number(inputs.get("overage")) or Decimal(0))
    level = Level(used=used, whole=whole, left=left)
    return {
        "active_usage_threshold": _foremost(inputs, "used", level),
        "active_balance_threshold": _foremost(inputs, "left", level),
    }


def _foremost(inputs: Inputs, of: str, level: Level) -> Mapping[str, Any] | None:
    """The written threshold that says most, of those on use or of those on the balance."""
    if unknown := sorted({one["type"] for one in inputs["thresholds"]} - set(_TYPES)):
        raise Unsupported(f"thresholds of type {', '.join(unknown)}")
    written = [one for one in inputs["thresholds"] if _TYPES[one["type"]][0] == of]
    # An older name gives way to the newer one for the same point: the newer ones stand last.
    written.sort(key=lambda one: one["type"].islower())
    thresholds = [_threshold(one) for one in written]
    found = foremost(thresholds, level)
    return None if found is None else written[_place(thresholds, found)]


def _place(thresholds: list[Threshold], found: Threshold) -> int:
    return max(place for place, one in enumerate(thresholds) if one == found)


def _threshold(written: Mapping[str, Any]) -> Threshold:
    of, form = _TYPES[written["type"]]
    value = Decimal(str(written["value"]))
    return Threshold(form, value.scaleb(-2) if form == "share" else value, of)  # type: ignore[arg-type]


@adapter("limit.soft_pct", "limit.hard", "limit.soft")
def limit(inputs: Inputs) -> Any:
    """Where a limit stops and what it says to a request; the keys that are expected say which of the answers is wanted."""
    share = _first(inputs, "enforce_at_pct", "enforce_at", "soft_pct", "pct")
    terms: dict[str, Any] = {"max": _most(inputs), "window": "month"}
    if inputs["case"].kind != "limit.hard":
        terms |= {
            "kind": "soft",
            "enforce_at": None if share is None else parse_share(f"{share}".rstrip("%") + "%"),
        }
    made = Limit.model_validate(terms)
    used = _number(_first(inputs, "used", "usage", "consumed")) or Decimal(0)
    asked = _number(_first(inputs, "request", "quantity", "asked", "units"))
    span = Span(_START, _END, _END)
    counted = Counted(span, AGGREGATIONS["sum"], [({}, Tally(1, used))])
    state = limit_state(Owned(made, "plan"), counted, Asked("f", Decimal(1) if asked is None else asked))
    answers = {
        "blocked_at": stops_at(made),
        "allowed": state.allows,
        "blocked": not state.allows,
        "remaining": state.remaining,
        "over": state.over,
        "overage": state.over,
        "reason": state.reason,
    }
    wanted = inputs["case"].expected
    if missing := sorted(set(wanted) - set(answers)):
        raise Unsupported(f"the case asks for {', '.join(missing)}")
    return {name: answers[name] for name in wanted}


def _most(inputs: Inputs) -> Decimal:
    most = _number(_first(inputs, "pack", "max", "limit", "cap", "quota", "included"))
    if most is None:
        raise Unsupported("the case names no amount")
    times = _number(_first(inputs, "packs", "seats", "pack_count"))
    return most if times is None else Limit(max=most, window=Window("never")).times(times).max


def _first(inputs: Inputs, *names: str) -> Any:
    return next((inputs[name] for name in names if inputs.get(name) is not None), None)


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))

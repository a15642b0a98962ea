"""Kinds of limits and thresholds."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.alerts.thresholds import Level, Threshold, foremost
from valorem.core.entitlements.limits import Limit, stops_at
from valorem.core.units import parse_share

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
    level = Level(
        used=_number(inputs["usage"]) or Decimal(0),
        whole=_number(inputs.get("total_available_grant_amount")),
        left=_number(inputs.get("balance")),
    )
    return {
        "active_usage_threshold": _foremost(inputs, "used", level),
        "active_balance_threshold": _foremost(inputs, "left", level),
    }


def _foremost(inputs: Inputs, of: str, level: Level) -> Mapping[str, Any] | None:
    """The written threshold that says most, of those on use or of those on the balance."""
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


@adapter("limit.soft_pct")
def soft_percent(inputs: Inputs) -> Any:
    share = parse_share(f"{inputs['enforce_at_pct']}%")
    limit = Limit.model_validate(
        {"max": inputs["pack"], "window": "month", "kind": "soft", "enforce_at": share}
    )
    return {"blocked_at": stops_at(limit)}


@adapter("limit.hard")
def hard(inputs: Inputs) -> Any:
    most = inputs.get("pack", inputs.get("max", inputs.get("limit")))
    if most is None:
        raise Unsupported("the case names no amount")
    return {"blocked_at": stops_at(Limit.model_validate({"max": most, "window": "month"}))}


def _number(value: Any) -> Decimal | None:
    return None if value is None else Decimal(str(value))

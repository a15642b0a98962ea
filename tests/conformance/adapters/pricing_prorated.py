"""Prorated levels: what a meter stands at, charged for the days it stood there."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.pricing import (
    number,
    tiered,
    version,
)
from tests.conformance.runner import Case, Inputs, Unsupported, adapter
from valorem.core.metering.recurring import Change, Days
from valorem.core.money import round_money
from valorem.core.pricing.graduated import Graduated
from valorem.core.pricing.prorated import (
    LevelChange,
    prorate_changes,
    rate_prorated_graduated,
    rate_prorated_volume,
    toggles,
)
from valorem.core.pricing.volume import Volume


def graduated(inputs: Inputs) -> Graduated:
    price = version(tiered("graduated", inputs["tiers"]))
    assert isinstance(price, Graduated)
    return price


COMPARED = {"round": "ROUND_HALF_UP", "ceil": "ROUND_CEILING", "floor": "ROUND_FLOOR"}


@adapter("charge.graduated.prorated")
def graduated_prorated(inputs: Inputs) -> Any:
    changes = [
        LevelChange(number(full), number(part))
        for full, part in zip(inputs["event_full_units"], inputs["event_prorated_units"], strict=True)
    ]
    return compared(inputs["case"], rate_prorated_graduated(graduated(inputs), changes))


@adapter("charge.volume.prorated")
def volume_prorated(inputs: Inputs) -> Any:
    price = version(tiered("volume", inputs["tiers"]))
    assert isinstance(price, Volume)
    amount = rate_prorated_volume(price, number(inputs["full_units"]), number(inputs["prorated_units"]))
    return compared(inputs["case"], amount)


def compared(case: Case, amount: Decimal) -> dict[str, Any]:
    """The amount, rounded the way the case says it was compared."""
    how = case.expected.get("compare")
    if how is None:
        return {"amount": amount}
    name, digits = re.fullmatch(r"([a-z]+)(\d+)", how).groups()  # type: ignore[union-attr]
    return {"amount": amount.quantize(Decimal(1).scaleb(-int(digits)), COMPARED[name]), "compare": how}


class Level:
    """The events of a recurring meter, and what is charged for one month of them."""

    def __init__(self, inputs: Inputs) -> None:
        self.price = graduated(inputs)
        self.unique = "unique" in str(inputs.get("metric", ""))
        self.carried = number(inputs.get("carried_units"))
        self.events = [tuple(each) for each in inputs.get("events", ())]
        if later := inputs.get("later_event"):
            self.events.append(tuple(later))

    def changes(self, count: int) -> list[tuple[date, Decimal]]:
        """The first events, as changes of the level."""
        if not self.unique:
            return [(date.fromisoformat(day), number(units)) for day, units in self.events[:count]]
        things = [
            Change(datetime.fromisoformat(day).replace(tzinfo=UTC), key, how == "add")
            for day, key, how in self.events[:count]
        ]
        return list(toggles(things))

    def cents(self, month: date, count: int, until: date | None = None) -> Decimal:
        """The usage of a month after so many events, up to a day that is no longer billed."""
        period = Days(month, (month + timedelta(days=31)).replace(day=1))
        changes = self.changes(count)
        carried = self.carried + sum((units for day, units in changes if day < month), Decimal(0))
        within = [(day, units) for day, units in changes if day >= month]
        shares = prorate_changes(period, carried, within, until=until)
        return round_money(rate_prorated_graduated(self.price, shares), "USD").scaleb(2)

    def month(self, index: int) -> date:
        return date.fromisoformat(self.events[index][0]).replace(day=1)


@adapter("charge.graduated.prorated.e2e")
def graduated_prorated_e2e(inputs: Inputs) -> Any:
    level = Level(inputs)
    own = len(inputs.get("events", ()))
    first = level.month(0)
    answers: dict[str, Any] = {}
    for key in inputs["case"].expected:
        if key == "usage_cents":
            answers[key] = level.cents(first, own)
        elif key == "usage_cents_at_subscription_start":
            answers[key] = level.cents(first, 0)
        elif key == "usage_cents_after_each_event":
            answers[key] = [level.cents(level.month(index), index + 1) for index in range(own)]
        elif key == "usage_before_last_event_cents":
            answers[key] = level.cents(level.month(own - 1), own - 1)
        elif key == "usage_after_last_event_cents":
            answers[key] = level.cents(level.month(own - 1), own)
        elif key == "termination_invoice_cents":
            last = date.fromisoformat(inputs["terminate"])
            answers[key] = level.cents(last.replace(day=1), own, until=last + timedelta(days=1))
        else:
            answers[key] = level.cents(*dated_answer(key, first, own, len(level.events)))
    return answers


MONTHS = {date(2000, number, 1).strftime("%B").lower(): number for number in range(1, 13)}


def dated_answer(key: str, first: date, own: int, events: int) -> tuple[date, int]:
    """Which month a key asks about, and after how many events."""
    if match := re.fullmatch(r"invoice_(\d{4})_(\d\d)_01_cents", key):
        billed = date(int(match[1]), int(match[2]), 1) - timedelta(days=1)
        return billed.replace(day=1), own
    if match := re.fullmatch(r"usage_cents_(\d{4})_(\d\d)_\d\d", key):
        return date(int(match[1]), int(match[2]), 1), own
    if match := re.fullmatch(r"after_add_(\d{4})_(\d\d)_\d\d_cents", key):
        return date(int(match[1]), int(match[2]), 1), events
    if (match := re.fullmatch(r"([a-z]+)(_start)?_cents", key)) and match[1] in MONTHS:
        return date(first.year, MONTHS[match[1]], 1), own if match[2] else events
    raise Unsupported(f"no answer to {key}")

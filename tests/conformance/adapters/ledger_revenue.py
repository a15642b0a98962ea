"""Revenue recognition and whole templates as the leaders' documents state them."""

import re
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.ledger_leaders import (
    DAY,
    START,
    at_midnight,
    burn,
    contract,
    cost_of,
    known_only,
    paid,
    rounded,
)
from tests.conformance.adapters.pricing import asked, number
from tests.conformance.runner import Inputs, adapter
from valorem.core.ledger.account import Account, Facts
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.granting import granted_by
from valorem.core.ledger.grants import Grant, ends_after
from valorem.core.ledger.recharge import (
    RechargeRule,
    credits_to_buy,
)
from valorem.core.ledger.replay import replay
from valorem.core.ledger.revenue import by_day, deferred, expected_breakage, spread
from valorem.core.ledger.terms import GrantTerms
from valorem.core.money import round_money

# revrec.*


def months(usage: list[Any]) -> list[Burn]:
    burns = []
    for index, amount in enumerate(usage):
        at = ends_after(START, (index, "month")) if index else START
        assert at is not None
        burns.append(burn(number(amount), at))
    return burns


def month_end(index: int) -> datetime:
    end = ends_after(START, (index, "month"))
    assert end is not None
    return end


@adapter("revrec.breakage", "revrec.overage")
def revrec_year(inputs: Inputs) -> Any:
    known_only(inputs, "commit", "monthly_usage")
    burns = months(inputs["monthly_usage"])
    year = len(burns)
    facts = Facts((paid(inputs["commit"], expires=month_end(year)),), tuple(burns))
    monthly = [replay(facts, month_end(index + 1), closing=True) for index in range(year)]
    closed = replay(facts, month_end(year))
    last = by_day(closed.happenings).get(month_end(year).date())
    at_expiry = [
        name for name in ("revenue", "breakage", "refunded", "lapsed") if last and getattr(last, name)
    ]
    answer: dict[str, Any] = {
        "remaining_by_month": [account.balance for account in monthly],
        "expired": closed.sum_of("expired"),
        "expiry_recognised_as": "+".join(at_expiry),
        "breakage": sum((day.breakage for day in by_day(closed.happenings).values()), Decimal(0)),
    }
    for key in inputs["case"].expected:
        if match := re.fullmatch(r"(remaining_after|invoice)_month(\d+)", key):
            answer[key] = month_answer(monthly, match[1], int(match[2]))
    return asked(inputs["case"], answer)


def month_answer(monthly: list[Account], what: str, number_from_one: int) -> Decimal:
    account = monthly[number_from_one - 1]
    if what == "remaining_after":
        return account.balance
    before = monthly[number_from_one - 2].overage if number_from_one > 1 else Decimal(0)
    return account.overage - before


@adapter("revrec.breakage_estimate")
def revrec_breakage_estimate(inputs: Inputs) -> Any:
    known_only(inputs, "commit", "expected_breakage")
    return {"breakage": expected_breakage(number(inputs["commit"]), number(inputs["expected_breakage"]))}


@adapter("revrec.daily_fixed")
def revrec_daily_fixed(inputs: Inputs) -> Any:
    known_only(inputs, "amount", "period_days", "currency")
    amount, days = number(inputs["amount"]), int(inputs["period_days"])
    daily = spread(amount, days, inputs.get("currency", "USD"))
    return asked(
        inputs["case"],
        {
            "per_day_2dp": rounded(amount / days),
            "per_day": amount / days,
            "sum_over_period": sum(daily, Decimal(0)),
            "days": daily,
        },
    )


@adapter("revrec.usage")
def revrec_usage(inputs: Inputs) -> Any:
    known_only(inputs, "days", "unit")
    names = {name: START + DAY * index for index, name in enumerate(inputs["days"])}
    burns = [cost_of(inputs["days"][name], inputs["unit"], name, at) for name, at in names.items()]
    recognised = by_day(replay(Facts(burns=tuple(burns)), START + DAY * len(burns)).happenings)
    answer = {
        re.sub(r"\W", "", name).lower(): recognised[at.date()].on_demand
        if at.date() in recognised
        else Decimal(0)
        for name, at in names.items()
    }
    answer["total"] = sum((day.on_demand for day in recognised.values()), Decimal(0))
    return asked(inputs["case"], answer)


@adapter("revrec.wallet")
def revrec_wallet(inputs: Inputs) -> Any:
    known_only(inputs, "bought", "used")
    account = replay(Facts((paid(inputs["bought"]),), (burn(number(inputs["used"])),)), START + DAY)
    return {"recognised": by_day(account.happenings)[START.date()].revenue, "liability": deferred(account)}


@adapter("revrec.prepaid")
def revrec_prepaid(inputs: Inputs) -> Any:
    known_only(inputs, "commit", "multiplier", "usage")
    grant = paid(inputs["commit"])
    factor = number(inputs.get("multiplier", 1))
    burns = tuple(
        cost_of(each["qty"], number(each["list"]) * factor, f"line {index}")
        for index, each in enumerate(inputs["usage"])
    )
    account = replay(Facts((grant,), burns), START + DAY)
    return asked(
        inputs["case"],
        {
            "scheduled_invoice": grant.cost,
            "usage_invoice": account.overage,
            "drawn": [each.amount for each in account.of_kind("drawn")],
            "remaining": account.balance,
            "deferred": deferred(account),
        },
    )


@adapter("revrec.free_credit")
def revrec_free_credit(inputs: Inputs) -> Any:
    known_only(inputs, "credit", "expires", "in_window", "after")
    ends = at_midnight(inputs["expires"])
    grant = Grant("credit", number(inputs["credit"]), ends - DAY * 10, expires=ends)
    burns = [
        cost_of(each["qty"], each["rate"], f"{when} {index}", at)
        for when, at in (("in_window", ends - DAY), ("after", ends))
        for index, each in enumerate(inputs[when])
    ]
    account = replay(Facts((grant,), tuple(burns)), ends + DAY)
    on_demand = [each.amount for each in account.of_kind("uncovered")]
    ledger = [grant.amount, -account.sum_of("drawn"), -account.sum_of("expired")]
    return asked(
        inputs["case"],
        {"ledger": ledger, "invoice_total": account.overage, "recognised_on_demand": on_demand},
    )


# template.*


@adapter("template.hybrid")
def template_hybrid(inputs: Inputs) -> Any:
    known_only(inputs, "seats", "seat_price", "credits_per_seat", "used", "topup")
    seats = number(inputs["seats"])
    terms = GrantTerms.model_validate({"amount": number(inputs["credits_per_seat"]), "per": "seat"})
    included = granted_by("credits", terms, contract(seat=int(seats)), START)
    usage = (burn(number(inputs["used"])),)
    before = replay(Facts(included, usage), START + DAY)
    pack = inputs["topup"]
    rule = RechargeRule("pack", Decimal(0), amount=number(pack["credits"]))
    topups: tuple[Grant, ...] = ()
    after = before
    while after.overage:  # each pack holds more than nothing, so this ends
        name, ends = f"topup {len(topups)}", ends_after(START, (1, "year"))
        topups = (*topups, paid(credits_to_buy(rule, after.balance), pack["price"], name, ends))
        after = replay(Facts((*included, *topups), usage), START + DAY)
    invoice = round_money(seats * number(inputs["seat_price"]), "USD") + sum(
        (each.cost for each in topups), Decimal(0)
    )
    return asked(
        inputs["case"],
        {
            "included": sum((grant.amount for grant in included), Decimal(0)),
            "shortfall": before.overage,
            "invoice": invoice,
            "topup_left": sum((after.balances()[each.id] for each in topups), Decimal(0)),
        },
    )


@adapter("template.pooled_seat_credits")
def template_pooled(inputs: Inputs) -> Any:
    known_only(inputs, "plan", "seats", "credits_per_seat", "used")
    terms = GrantTerms.model_validate({"amount": number(inputs["credits_per_seat"]), "per": "seat"})
    grants = granted_by("ai_credits", terms, contract(seat=int(inputs["seats"])), START)
    facts = Facts(grants, (burn(number(inputs["used"])),))
    during = replay(facts, month_end(1), closing=True)
    return asked(
        inputs["case"],
        {
            "pool": during.granted,
            "left": during.balance,
            "carried": replay(facts, month_end(1)).balance,
            "overage": during.overage,
        },
    )

"""Wallets and the double-entry credits of two peers: who pays, what is given back, top-ups."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, cast, get_args

from tests.conformance.adapters.pricing import asked, number
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.errors import UnprocessableError
from valorem.core.ledger.account import Account, Facts
from valorem.core.ledger.applying import (
    Applied,
    Charge,
    SettlementMode,
    apply_credits,
    live_balance,
    settle_charge,
)
from valorem.core.ledger.breakage import Breakage
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.grants import Grant, check_voidable
from valorem.core.ledger.policies import CreditPolicies, Criterion
from valorem.core.ledger.recharge import RechargeRule, RechargeState, advance
from valorem.core.ledger.replay import replay
from valorem.core.ledger.scope import EVERYTHING, Scope, Workload
from valorem.core.money import round_money

START = datetime(2026, 1, 10, tzinfo=UTC)
USE = START + timedelta(days=1)
END = START + timedelta(days=2)
SPANS = {"d": "days", "h": "hours", "m": "minutes", "w": "weeks"}


def known_only(given: Mapping[str, Any], known: set[str], what: str) -> None:
    if unknown := set(given) - known - {"case"}:
        raise Unsupported(f"{what} with {', '.join(sorted(unknown))}")


def moment(text: Any, index: int) -> datetime:
    """``-3d``, ``now``, or nothing, where the order of the list tells the age."""
    if text is None:
        return START + timedelta(seconds=index)
    match = re.fullmatch(r"([+-]?\d+)([dhmw])|now", str(text))
    if match is None:
        raise Unsupported(f"created {text}")
    return START + (timedelta(**{SPANS[match[2]]: int(match[1])}) if match[1] else timedelta(0))


# credit_*


FEATURES_FIRST: tuple[Criterion, ...] = ("priority", "expiry", "scoped first", "oldest")


@adapter("credit_ledger_collection")
def credit_ledger_collection(inputs: Inputs) -> Any:
    known_only(inputs, {"sources", "collect_amount", "charge_feature"}, "a collection")
    grants = []
    for index, source in enumerate(inputs["sources"]):
        known_only(source, {"id", "priority", "amount", "features", "expires"}, "a source")
        features = source.get("features")
        grants.append(
            Grant(
                source["id"],
                number(source["amount"]),
                START,
                expires=day_number(source.get("expires")),
                priority=int(source.get("priority", 0)),
                created_at=START + timedelta(seconds=index),
                scope=Scope(products=tuple(features)) if features else EVERYTHING,
            )
        )
    burn = Burn(
        START, "charge", number(inputs["collect_amount"]), Workload(product=inputs.get("charge_feature"))
    )
    account = replay(Facts(tuple(grants), (burn,)), END, CreditPolicies(order=FEATURES_FIRST))
    return {"taken": [[each.lot.grant, each.amount] for each in account.of_kind("drawn") if each.lot]}


def day_number(text: str | None) -> datetime | None:
    """``T10``: ten days on."""
    return None if text is None else START + timedelta(days=int(text.removeprefix("T")))


@adapter("credit_ledger_correction")
def credit_ledger_correction(inputs: Inputs) -> Any:
    known_only(inputs, {"collected", "correct_amount"}, "a correction")
    collected = [(name, number(amount)) for name, amount in inputs["collected"]]
    grants = tuple(
        Grant(name, amount, START, created_at=START + timedelta(seconds=index))
        for index, (name, amount) in enumerate(collected)
    )
    used = sum((amount for _, amount in collected), Decimal(0))
    burns = (Burn(START, "charge", used), Burn(USE, "charge", -number(inputs["correct_amount"])))
    account = replay(Facts(grants, burns), END, CreditPolicies(order=("oldest",)))
    consumed = {lot.key.grant: lot.consumed for lot in account.lots}
    return {
        "restored": [[each.lot.grant, each.amount] for each in account.of_kind("restored") if each.lot],
        "remaining_used": [[name, consumed[name]] for name, _ in collected],
    }


@adapter("credit_breakage_impact")
def credit_breakage_impact(inputs: Inputs) -> Any:
    known_only(inputs, {"plans", "releases", "reopens"}, "breakage")
    breakage = Breakage(number(inputs["plans"]), number(inputs["releases"]), number(inputs["reopens"]))
    return {"customer_visible_impact": breakage.impact}


@adapter("credit_wallet_balance")
def credit_wallet_balance(inputs: Inputs) -> Any:
    known_only(inputs, {"funded", "charges", "usage"}, "a wallet")
    pending = []
    for charge in inputs["charges"]:
        known_only(charge, {"what", "amount", "settlement_mode"}, "a charge")
        amount = charge["amount"]
        if not_due(charge["what"]):
            continue
        if amount is None:
            price = re.match(r"usage@([\d.]+)", charge["what"])
            if price is None:
                raise Unsupported(f"a charge for {charge['what']}")
            amount = number(inputs["usage"]) * number(price[1])
        pending.append((number(amount), settlement_mode(charge["settlement_mode"])))
    settled = number(inputs["funded"])
    return {"settled": settled, "live": live_balance(settled, pending)}


def not_due(what: str) -> bool:
    """Whether a charge is invoiced later than the balance is asked for: in arrears of a period still to come or to end."""
    return re.search(r"in[- ]arrears.*\bin \d+[smhd]\b|no impact", what) is not None


def settlement_mode(text: str) -> SettlementMode:
    if text not in get_args(SettlementMode):
        raise Unsupported(f"charges settled as {text}")
    return cast("SettlementMode", text)


@adapter("credits.settle_mode")
def credits_settle_mode(inputs: Inputs) -> Any:
    settlement = settle_charge(
        number(inputs["charge"]), number(inputs["balance"]), settlement_mode(inputs["mode"])
    )
    return asked(
        inputs["case"],
        {"consumed": settlement.consumed, "invoice": settlement.invoice, "advance": settlement.advance},
    )


# wallet.*


FIFO: tuple[Criterion, ...] = ("priority", "oldest")


def cents(amount: Decimal) -> Decimal:
    return amount.scaleb(2)


@adapter("wallet.ledger")
def wallet_ledger(inputs: Inputs) -> Any:
    known_only(inputs, {"grants", "consume_cents", "void_credits"}, "a wallet")
    grants = []
    for index, given in enumerate(inputs["grants"]):
        known_only(given, {"credits", "kind", "priority", "created", "later"}, "a grant")
        created = moment(given.get("created"), index) + timedelta(hours=1 if given.get("later") else 0)
        grants.append(
            Grant(
                f"g{index}",
                number(given["credits"]),
                START - timedelta(days=30),
                priority=int(given.get("priority", 50)),
                created_at=created,
                source="purchased" if given.get("kind") == "purchased" else "promotional",
            )
        )
    burns = []
    if "consume_cents" in inputs:
        burns.append(Burn(USE, "invoice", number(inputs["consume_cents"]).scaleb(-2)))
    policies = CreditPolicies(order=FIFO)
    if "void_credits" in inputs:
        said = str(inputs["void_credits"])
        amount = number(re.sub(r"[^\d.]", "", said)) + (1 if said.startswith("more than") else 0)
        later = USE + timedelta(seconds=1)
        before = replay(Facts(tuple(grants), tuple(burns)), later, policies)
        try:
            check_voidable(amount, before.available)
        except UnprocessableError as error:
            return {"error": f"{error.status} validation"}
        burns.append(Burn(later, "void", amount, purpose="void"))
    account = replay(Facts(tuple(grants), tuple(burns)), END, policies)
    return asked(inputs["case"], ledger_answers(account, grants))


def ledger_answers(account: Account, grants: list[Grant]) -> dict[str, Any]:
    left = account.balances()
    moved = [each for each in account.of_kind("drawn", "voided") if each.lot is not None]
    source = {grant.id: grant.source for grant in grants}

    def used(kind: str) -> Decimal:
        return sum(
            (cents(each.amount) for each in moved if each.lot and source[each.lot.grant] == kind), Decimal(0)
        )

    return {
        "funding_cents": [cents(each.amount) for each in moved],
        "remaining_cents": [cents(left[grant.id]) for grant in grants],
        "granted_used": used("promotional"),
        "purchased_used": used("purchased"),
        "overage_cents": cents(account.overage),
    }


@adapter("wallet.topup")
def wallet_topup(inputs: Inputs) -> Any:
    if "paid_credits" in inputs:
        known_only(inputs, {"paid_credits", "rate", "currency"}, "a top-up")
        currency, rate = inputs.get("currency", "USD"), number(inputs.get("rate", 1))
        money = round_money(number(inputs["paid_credits"]) * rate, currency)
        grant = Grant("topup", money / rate, START, cost=money, currency=currency, source="purchased")
        account = replay(Facts((grant,)), START)
        return asked(
            inputs["case"],
            {
                "credits": grant.amount,
                "invoice_cents": cents(grant.cost),
                "balance_cents": cents(account.balance * rate),
            },
        )
    rule = inputs["rule"]
    if rule["trigger"] != "threshold":
        raise Unsupported(f"a top-up by {rule['trigger']}")
    fixed = rule.get("method", "fixed") == "fixed"
    recharge = RechargeRule(
        "rule",
        number(rule["threshold_credits"]),
        amount=number(rule.get("paid_credits")) + number(rule.get("granted_credits")) if fixed else None,
        target=None if fixed else number(rule["target_ongoing_balance"]),
    )
    burn = Burn(
        START, "usage", number(inputs.get("plan_in_advance_cents", inputs.get("usage_cents"))).scaleb(-2)
    )
    facts = Facts((Grant("granted", number(inputs["granted"]), START),), (burn,))
    balance = replay(facts, USE).balance
    _, purchase = advance(recharge, RechargeState(), balance, USE)
    bought = (Grant(purchase.id, purchase.credits, purchase.at),) if purchase else ()
    after = replay(Facts((*facts.grants, *bought), facts.burns), END)
    return asked(inputs["case"], {"after": after.balance})


FEE_TYPES = ("charge", "subscription", "add_on", "commitment")


def wallet(given: Mapping[str, Any], index: int, inputs: Inputs) -> Grant:
    known_only(given, {"name", "cents", "currency", "priority", "fee_types", "metric", "metrics"}, "a wallet")
    types = given.get("fee_types") or [kind for kind in FEE_TYPES if given["name"].endswith(f"{kind}_only")]
    metrics = given.get("metrics") or ([given["metric"]] if "metric" in given else [])
    return Grant(
        given["name"],
        number(given.get("cents", inputs.get("all_balances"))).scaleb(-2),
        START,
        priority=int(given.get("priority", 50)),
        currency=given.get("currency"),
        created_at=START + timedelta(seconds=index),
        scope=Scope(products=tuple(types), meters=tuple(metrics)),
    )


def fees(given: Any) -> list[Charge]:
    if isinstance(given, str):
        match = re.fullmatch(
            r"(\d+) charge fees, each ([\d.]+) \+ ([\d.]+) tax, only the (last|first) for metric (\w+)", given
        )
        if match is None:
            raise Unsupported(f"fees written as {given!r}")
        place = 0 if match[4] == "first" else int(match[1]) - 1
        given = [
            {
                "type": "charge",
                "cents": match[2],
                "tax": match[3],
                "metric": match[5] if index == place else None,
            }
            for index in range(int(match[1]))
        ]
    return [
        Charge(
            f"fee {index}",
            number(fee["cents"]).scaleb(-2),
            number(fee.get("tax")).scaleb(-2),
            Workload(product=fee.get("type", "charge"), meter=fee.get("metric")),
        )
        for index, fee in enumerate(given)
    ]


@adapter("wallet.allocate")
def wallet_allocate(inputs: Inputs) -> Any:
    known_only(
        inputs,
        {"fees", "invoice_total", "invoice_currency", "wallets_in_created_order", "all_balances"},
        "an allocation",
    )
    grants = [wallet(each, index, inputs) for index, each in enumerate(inputs["wallets_in_created_order"])]
    total = number(inputs["invoice_total"]).scaleb(-2) if "invoice_total" in inputs else None
    applied = apply_credits(
        grants, fees(inputs["fees"]), inputs.get("invoice_currency", "EUR"), total=total, order=FIFO
    )
    return {"allocation": {name: cents(amount) for name, amount in applied.by_grant.items()}}


@adapter("wallet.e2e")
def wallet_e2e(inputs: Inputs) -> Any:
    rate = number(inputs.get("tax")).scaleb(-2)
    if "fees_precise_cents" in inputs:
        amounts = [round_money(number(each).scaleb(-2), "EUR") for each in inputs["fees_precise_cents"]]
        net = sum(amounts, Decimal(0))
        tax = round_money(net * rate, "EUR")
        charges = [Charge(f"fee {index}", amount, amount * rate) for index, amount in enumerate(amounts)]
        held = number(inputs["wallet_cents"]).scaleb(-2)
        applied = apply_credits([Grant("wallet", held, START)], charges, "EUR", total=net + tax)
        paid = applied.by_grant.get("wallet", Decimal(0))
        answer = {
            "fees": net,
            "tax": tax,
            "total_before_credits": net + tax,
            "prepaid": paid,
            "total": applied.due,
            "wallet_after": held - paid,
        }
        return asked(inputs["case"], {key: cents(value) for key, value in answer.items()})
    balance = number(inputs["wallet_credits"]) * number(inputs.get("rate", 1))
    prepaid, after = [], []
    for metric, amount in inputs["fees"]:
        applied = pay_one(inputs, balance, metric, number(amount), rate)
        prepaid.append(applied.by_grant.get("wallet", Decimal(0)))
        balance -= prepaid[-1]
        after.append(balance)
    return asked(inputs["case"], {"prepaid": prepaid, "balance_after": after})


def pay_one(inputs: Inputs, balance: Decimal, metric: str, amount: Decimal, rate: Decimal) -> Applied:
    scope = Scope(meters=tuple(inputs.get("limited_to", ())))
    charge = Charge("fee", amount, amount * rate, Workload(product="charge", meter=metric))
    return apply_credits([Grant("wallet", balance, START, scope=scope)], [charge], "EUR", order=FIFO)

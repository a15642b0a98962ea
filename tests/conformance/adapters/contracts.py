"""Contracts as they run: subscription.*, fixed_charge, invoice.timing, invoice.midcycle_price_change."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.pricing import asked, number
from tests.conformance.contracts import (
    Books,
    after,
    books,
    cents,
    days,
    double,
    edit,
    every_of,
    exact_total,
    fee,
    first_period_of,
    in_cents,
    instant,
    plan,
    signed,
    span,
    taxed,
    through,
    total,
    zone_of,
)
from tests.conformance.runner import Inputs, Quirk, Unsupported, adapter
from valorem.core.billing.fees import fee_lines
from valorem.core.billing.invoice import Invoice
from valorem.core.billing.schedule import contract_boundary, contract_period, period_index_at
from valorem.core.billing.timing import plan_change_at, with_trial
from valorem.core.calendar import local_date
from valorem.core.contracts.agreed import Access, Commitment
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.edits import AddCommitment, Cancel, SetPlan
from valorem.core.contracts.effective import trial_end
from valorem.core.contracts.history import History
from valorem.core.contracts.proration import Share, change_amounts, share_of, takes_effect
from valorem.core.money import round_money
from valorem.core.periods import Cadence, Interval, Period

USAGE = {"model": "per_unit", "amount": "0.01"}  # quantities in cents


def trial(inputs: Inputs, name: str = "trial_days") -> dict[str, Any]:
    return {"trial": {"lasts": f"{inputs[name]} days"}} if inputs.get(name) else {}


def known(inputs: Inputs, *names: str) -> None:
    if unknown := set(inputs) - {*names, "case"}:
        raise Unsupported(f"a subscription with {', '.join(sorted(unknown))}")


@adapter("subscription.proration")
def subscription_proration(inputs: Inputs) -> Any:
    known(
        inputs,
        *("plan_cents", "interval", "period", "billing", "started", "trial_days", "fee_days", "period_days"),
        *("pay_in_advance", "terminated", "timezone"),
    )
    amount, zone = cents(inputs["plan_cents"]), zone_of(inputs.get("timezone"))
    if "fee_days" in inputs:
        exact = Share(*days(inputs["fee_days"]), "day").of(amount)
    else:
        every = every_of(inputs.get("interval", "monthly"))
        if "period_days" in inputs:
            start, every = first_period_of(inputs["period_days"])
        else:
            start = instant(inputs["started"] if "started" in inputs else inputs["period"][0])
        offer = plan(every=every, fees={"plan": fee(amount)}, **trial(inputs))
        end = after(inputs["terminated"], zone) if "terminated" in inputs else None
        account = books(offer, start, billing=inputs.get("billing", "calendar"), zone=zone, end=end)
        exact = exact_total(fee_lines(account.terms, first(account.contract)))
    precise = inputs["case"].expected.get("precise_amount_cents", 0)
    return asked(
        inputs["case"],
        {
            "amount_cents": in_cents(round_money(exact, "USD")),
            "precise_amount_cents": double(in_cents(exact), precise),
        },
    )


def first(contract: Contract) -> Period:
    period = contract_period(contract, 0)
    assert period is not None
    return period


@adapter("subscription.termination", "subscription.termination_credit")
def subscription_termination(inputs: Inputs) -> Any:
    known(
        inputs,
        *("plan_cents", "tax", "billing", "start", "end", "start_and_end", "tz", "pay_in_advance"),
        *("usage_cents", "interval"),
    )
    zone = zone_of(inputs.get("tz"))
    start, last = (inputs.get(name, inputs.get("start_and_end")) for name in ("start", "end"))
    in_advance = inputs.get("pay_in_advance", "start_and_end" in inputs)
    every = every_of(inputs.get("interval", "monthly"))
    fees = {"plan": fee(cents(inputs["plan_cents"]), in_advance=in_advance)}
    offer = plan(every=every, fees=fees, prices={"usage": USAGE})
    account = books(
        offer,
        instant(start),
        billing=inputs.get("billing", "calendar"),
        zone=zone,
        used={0: inputs.get("usage_cents", 0)},
    )
    opening = account.close(0)
    account.change(edit(after(last, zone), Cancel()))
    closing = account.close(1)
    first_tax, first_total = taxed(opening.total, inputs.get("tax"))
    credit = -sum((line.amount for line in closing.lines if line.timing == "adjustment"), Decimal(0))
    credit_tax, credit_total = taxed(credit, inputs.get("tax"))
    net = closing.total + credit
    tax, gross = taxed(net, inputs.get("tax"))
    note = {"net": in_cents(credit), "tax": in_cents(credit_tax), "total": in_cents(credit_total)}
    return asked(
        inputs["case"],
        {
            "first_invoice_total": in_cents(first_total),
            "first_invoice_tax": in_cents(first_tax),
            "invoice_cents": in_cents(first_total),
            "credit_note": note,
            "credit_note_total": note["total"],
            "subscription_fee": in_cents(total(closing.lines, "fee") + credit),
            "net": in_cents(net),
            "tax": in_cents(tax),
            "total": in_cents(gross),
            "final_invoice_net": in_cents(net),
            "final_invoice_tax": in_cents(tax),
            "credit_applied": in_cents(min(credit_total, gross)),
            "final_invoice_total": in_cents(max(Decimal(0), gross - credit_total)),
        },
    )


@adapter("subscription.trial")
def subscription_trial(inputs: Inputs) -> Any:
    known(
        inputs,
        *("plan_cents", "pay_in_advance", "billing", "start", "trial_days", "upgrade", "new_plan_cents"),
        *("new_trial_days", "interval"),
    )
    every = every_of(inputs.get("interval", "monthly"))
    in_advance = inputs.get("pay_in_advance", True)
    offers = [
        plan(
            "first",
            every,
            fees={"plan": fee(cents(inputs.get("plan_cents", 0)), in_advance=in_advance)},
            **trial(inputs),
        )
    ]
    start = instant(inputs["start"])
    if "upgrade" in inputs:
        fees = {"plan": fee(cents(inputs["new_plan_cents"]), in_advance=in_advance)}
        offers.append(plan("second", every, fees=fees, **trial(inputs, "new_trial_days")))
    contract = signed(offers[0], start, billing=inputs.get("billing", "calendar"))
    ends = trial_end(contract, offers[-1])
    assert ends is not None
    account = Books(History(with_trial(contract, ends)), offers)
    if "upgrade" in inputs:
        account.change(edit(instant(inputs["upgrade"]), SetPlan(plan="second", catalog_version=1)))
    charged = period_index_at(account.contract, ends)
    border = contract_boundary(account.contract, charged)
    # A contract starts on a quarter hour: the case's clock is moved there and back.
    moved = clock(inputs["start"]) - start
    for index in range(charged + 3):
        account.close(index)
    return asked(
        inputs["case"],
        {
            "invoiced_after": (border + moved).strftime("%Y-%m-%dT%H:%M"),
            "fee_cents": in_cents(sum_of(account, charged)),
            "trial_ends": str(local_date(border, "UTC")),
            "april_fee_cents": in_cents(sum_of(account, charged + 1)),
            "next_fee_cents": in_cents(sum_of(account, charged + 1)),
        },
    )


def sum_of(account: Books, period_index: int) -> Decimal:
    return total(line for line in account.lines if line.period_index == period_index)


def clock(text: str) -> datetime:
    read = datetime.fromisoformat(text if "T" in text else f"{text}T00:00")
    return read.replace(tzinfo=read.tzinfo or instant(text).tzinfo)


@adapter("subscription.upgrade", "subscription.downgrade")
def subscription_change(inputs: Inputs) -> Any:
    if "plans_cents" in inputs:
        return chain(inputs)
    known(inputs, "billing", "tax", "from", "to", "start", "upgrade", "requested", "downgrade")
    requested = instant(
        next(inputs[name] for name in ("upgrade", "downgrade", "requested") if name in inputs)
    )
    offers = [
        plan(
            name,
            every_of(inputs[name].get("interval", "monthly")),
            fees={
                "plan": fee(
                    cents(inputs[name]["cents"]), in_advance=inputs[name].get("pay_in_advance", False)
                )
            },
        )
        for name in ("from", "to")
    ]
    account = books(offers, instant(inputs["start"]), billing=inputs.get("billing", "anniversary"))
    effective = plan_change_at(account.contract, offers[0].policies, offers[0], offers[1], requested)
    index = period_index_at(account.contract, effective)
    border = contract_boundary(account.contract, index)
    for each in range(index + 1):  # what is billed before anybody asks for a change
        if contract_boundary(account.contract, each) < effective or border != effective:
            account.close(each)
    every = Cadence(*offers[1].every)  # type: ignore[arg-type]
    other = offers[0].every != offers[1].every
    account.change(
        edit(effective, SetPlan(plan="to", catalog_version=1, every=span(every) if other else None))
    )
    if not other and border != effective:
        return same_interval(inputs, account, effective)
    at = period_index_at(account.contract, effective)
    made = account.close(at)
    ahead = contract_period(account.contract, at)
    assert ahead is not None
    credit = -sum((line.amount for line in made.lines if line.timing == "adjustment"), Decimal(0))
    fresh = sum((line.amount for line in made.lines if line.timing == "in_advance"), Decimal(0))
    return change_answers(inputs, effective, ahead.interval, credit, fresh)


def same_interval(inputs: Inputs, account: Books, effective: datetime) -> Any:
    period = contract_period(account.contract, period_index_at(account.contract, effective))
    assert period is not None
    lines = fee_lines(account.terms, period)
    credit = -sum((line.amount for line in lines if line.charge.endswith(":ends")), Decimal(0))
    fresh = sum(
        (line.amount for line in lines if "@" in line.charge and not line.charge.endswith(":ends")),
        Decimal(0),
    )
    rest = Interval(effective, period.interval.end)
    return change_answers(inputs, effective, rest, credit, fresh)


def change_answers(
    inputs: Inputs, effective: datetime, covered: Interval, credit: Decimal, fresh: Decimal
) -> Any:
    return asked(
        inputs["case"],
        {
            "takes_effect": str(local_date(effective, "UTC")),
            "credit_note_cents": in_cents(credit),
            "credit_note_cents_incl_tax": in_cents(taxed(credit, inputs.get("tax"))[1]),
            "new_invoice_cents": in_cents(fresh),
            "new_period": [str(local_date(covered.start, "UTC")), through(covered.end)],
        },
    )


def chain(inputs: Inputs) -> Any:
    """Upgrades one after the other: in advance each is invoiced when it is made, in arrears when the period ends."""
    known(inputs, "billing", "tax", "plans_cents", "pay_in_advance", "start", "upgrades", "interval")
    amounts = [cents(each) for each in inputs["plans_cents"]]
    in_advance, every = inputs.get("pay_in_advance", False), every_of(inputs.get("interval", "monthly"))
    offers = [
        plan(f"plan_{place}", every, fees={"plan": fee(amount, in_advance=in_advance)})
        for place, amount in enumerate(amounts)
    ]
    account = books(offers, instant(inputs["start"]), billing=inputs.get("billing", "calendar"))
    moves = [takes_effect(instant(each), "UTC", "day") for each in inputs["upgrades"]]
    if not in_advance:
        return chain_in_arrears(inputs, account, moves)
    fees, notes = [account.close(0).total], []
    for before, now, at in zip(amounts, amounts[1:], moves, strict=False):
        period = contract_period(account.contract, period_index_at(account.contract, at))
        assert period is not None
        rest = Interval(at, period.interval.end)
        share = share_of(rest, period.full, "UTC", "day")
        changed = change_amounts(before, now, share, "USD")
        fees.append(changed.charge)
        notes.append(taxed(-changed.credit, inputs.get("tax"))[1])
    return asked(
        inputs["case"],
        {
            "invoice_fees_cents": [in_cents(each) for each in fees],
            "credit_note_cents_incl_tax": [in_cents(each) for each in notes],
        },
    )


def chain_in_arrears(inputs: Inputs, account: Books, moves: Sequence[datetime]) -> Any:
    """Each plan's fee for its own days, the day of a change being the new plan's; nothing was paid, so no note is due."""
    for place, (at, asked_at) in enumerate(zip(moves, inputs["upgrades"], strict=True), 1):
        made = edit(at, SetPlan(plan=f"plan_{place}", catalog_version=1), recorded=instant(asked_at))
        account.change(made.model_copy(update={"id": f"upgrade {place}"}))
    last = period_index_at(account.contract, moves[-1]) if moves else 0
    for index in range(last + 2):
        account.close(index)
    fees = [Decimal(0)] * (len(moves) + 1)
    for line in account.lines:
        # What a change takes back is of the plan before it, and of several of one instant the last one holds.
        ends = line.charge.endswith(":ends")
        fees[(bisect_left if ends else bisect_right)(moves, line.period.start)] += line.amount
    gross = [taxed(each, inputs.get("tax"))[1] for each in fees]
    return asked(
        inputs["case"],
        {
            "invoice_fees_cents": [in_cents(each) for each in fees],
            "invoice_totals_cents": [in_cents(each) for each in gross],
            "credit_note_cents_incl_tax": [],
            "credit_notes": [],
        },
    )


@adapter("fixed_charge")
def fixed_charge(inputs: Inputs) -> Any:
    if "month_cents" in inputs:
        raise Quirk(
            "the peer bills the day of a change to the old plan and to the new one; here it belongs to the new"
        )
    known(inputs, "start", "first_fees_cents", "upgrade", "new_same_addon_cents", "new_other_cents")
    start, upgrade = instant(inputs["start"]), instant(inputs["upgrade"])
    contract = signed(plan(), start)
    period = first(contract)
    rest = Interval(upgrade, period.interval.end)
    paid = share_of(rest, period.interval, "UTC", "day")  # of what was billed for the period as it was cut
    ahead = share_of(rest, period.full, "UTC", "day")
    credit = change_amounts(cents(inputs["first_fees_cents"][-1]), Decimal(0), paid, "USD").credit
    same, other = (
        change_amounts(Decimal(0), cents(inputs[name]), ahead, "USD").charge
        for name in ("new_same_addon_cents", "new_other_cents")
    )
    return asked(inputs["case"], {"fees": [in_cents(same + credit), in_cents(other)]})


@adapter("invoice.midcycle_price_change")
def midcycle_price_change(inputs: Inputs) -> Any:
    known(inputs, "old_per_1k", "new_per_1k", "change", "defer", "sep_k", "oct_k")
    day = f"2026-{inputs['change']}"
    price = [
        {"model": "per_unit", "amount": inputs["old_per_1k"], "per": 1000},
        {"model": "per_unit", "amount": inputs["new_per_1k"], "per": 1000, "from": day},
    ]
    if not day.endswith("-01"):
        raise Unsupported("usage of a month cut by the change, without the share of each part")
    used = {index: number(inputs[name]) * 1000 for index, name in enumerate(("sep_k", "oct_k"))}
    account = books(plan(prices={"usage": price}), instant("2026-09-01"), used=used)
    totals = [account.close(index).total for index in range(3)]
    return asked(inputs["case"], {"oct1_invoice": totals[1], "nov1_invoice": totals[2]})


@adapter("invoice.timing")
def invoice_timing(inputs: Inputs) -> Any:
    known(
        inputs,
        *("subscription", "advance", "recurring_commit", "start", "usage_in_jan"),
        "scheduled_charges_on_usage_invoices",
    )
    start = instant(f"2026-{inputs['start']}")
    fees = {"subscription": fee(number(inputs["subscription"]), in_advance=inputs["advance"])}
    used = {0: number(inputs["usage_in_jan"])}
    account = books(plan(fees=fees, prices={"usage": {**USAGE, "amount": 1}}), start, used=used)
    period = first(account.contract)
    if inputs.get("recurring_commit"):
        access = Access(amount=number(inputs["recurring_commit"]), start=start, end=period.interval.end)
        account.change(edit(start, AddCommitment(commitment=Commitment(id="commit", access=(access,)))))
    opening, following = account.close(0), account.close(1)
    return asked(
        inputs["case"],
        {
            "invoice_1": {
                "date": f"{opening.issued_at:%m-%d}",
                "lines": [line.amount for line in opening.lines],
            },
            "invoice_2": {
                "covers": covers(following),
                "usage_after_commit": total(following.lines, "usage", "commitment"),
                "total": following.total,
            },
        },
    )


def covers(invoice: Invoice) -> str:
    assert invoice.closed is not None
    assert invoice.ahead is not None
    return f"{invoice.closed.start:%b} usage + {invoice.ahead.start:%b} fee"

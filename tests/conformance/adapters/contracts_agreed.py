"""What contracts agree beside the plan: coupons, commitments, overrides, orders, minimums of outcomes."""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.pricing import asked, number, version
from tests.conformance.contracts import (
    Books,
    after,
    books,
    cents,
    double,
    edit,
    every_of,
    fee,
    in_cents,
    instant,
    plan,
    total,
)
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.billing.discounts import discount_lines, precise_shares, state_after
from valorem.core.billing.fees import fee_lines
from valorem.core.billing.schedule import contract_period
from valorem.core.contracts.agreed import Charge, Commitment, Discount, Override
from valorem.core.contracts.edits import AddCharge, AddDiscount
from valorem.core.contracts.orders import (
    dates_from,
    instalments,
    invoiced_total,
    true_up,
    yearly_access,
)
from valorem.core.contracts.overrides import overridden
from valorem.core.contracts.proration import share_of
from valorem.core.money import round_money
from valorem.core.periods import Cadence, Interval, Period
from valorem.core.pricing.slices import rate_slice

START = instant("2026-01-01")
#: What the peer keeps of a coupon's share in one fee, in decimals of a cent.
PLACES = 5


def account(fees: Mapping[str, Any], discounts: Sequence[Discount]) -> Books:
    """A contract with these amounts in cents as charges on a date, and these discounts."""
    # This peer applies coupons in the order they were made; JPY so that an amount is a whole number of cents.
    offer = plan(currency="JPY", policies={"discount_order": "as_agreed"})
    made = books(offer, START)
    charges = [
        AddCharge(charge=Charge(id=key, name=key, amount=Decimal(amount), at=START))
        for key, amount in fees.items()
    ]
    made.change(edit(START, *charges, *(AddDiscount(discount=each) for each in discounts)))
    return made


def period_of(made: Books) -> Period:
    period = contract_period(made.contract, 0)
    assert period is not None
    return period


def coupon_of(written: Mapping[str, Any], only: tuple[str, ...] | None) -> tuple[Discount, Decimal, int]:
    """The coupon, what it gave before, and over how many periods it still counts."""
    lasts: Any = written.get("frequency", "once")
    remaining = int(written.get("remaining", 1))
    if lasts == "recurring":
        lasts = remaining
    fields: dict[str, Any] = {"id": "coupon", "lasts": lasts, "only": only}
    off = next((written[name] for name in ("cents", "fixed", "amount") if name in written), None)
    if off is not None:
        fields["amount"] = number(off)
    else:
        fields["percent"] = cents(number(written.get("rate", written.get("pct"))))
    return Discount(**fields), number(written.get("used")), remaining


@adapter("coupon")
def coupon(inputs: Inputs) -> Any:
    if "coupons_order" in inputs:
        return breakdown(inputs)
    fees = {f"fee_{place}": amount for place, amount in enumerate(inputs["fees_cents"])}
    if "coupons_in_created_order" in inputs:
        coupons = [
            coupon_of(each, None)[0].model_copy(update={"id": f"coupon_{place}"})
            for place, each in enumerate(inputs["coupons_in_created_order"])
        ]
        made = account(fees, coupons)
        lines = fee_lines(made.terms, period_of(made))
        given = -total(discount_lines(made.terms, period_of(made), lines, {}))
        return asked(inputs["case"], {"coupons": given, "net": total(lines) - given})
    eligible = inputs.get("eligible_fee_indexes")
    only = None if eligible is None else tuple(f"fee_{place}" for place in eligible)
    discount, used, _ = coupon_of(inputs["coupon"], only)
    made = account(fees, [discount])
    lines = fee_lines(made.terms, period_of(made))
    given = -total(discount_lines(made.terms, period_of(made), lines, {"coupon": used}))
    state = state_after(discount, used + given, 1)
    shares = precise_shares({key: number(each) for key, each in fees.items()}, [(given, only)], PLACES)
    return asked(
        inputs["case"],
        {
            "credit": given,
            "per_fee": list(shares.values()),
            "remaining": state.periods,
            "remaining_cents": state.left,
            "terminated": state.ended,
            "net": total(lines) - given,
        },
    )


def breakdown(inputs: Inputs) -> Any:
    """Coupons over two subscriptions: those for a metric, then those for a plan, then the rest."""
    groups = {
        name: {key: number(amount) for key, amount in inputs[f"{name}_fees_cents"].items()}
        for name in ("sub1", "sub2")
    }
    fees = {**groups["sub1"], **groups["sub2"]}
    amounts: list[tuple[Decimal, tuple[str, ...] | None]] = []
    for text in inputs["coupons_order"]:
        match = re.fullmatch(r"(metric-limited|plan-limited|unlimited)(?: ([\w+]+))? (\d+)", text)
        if match is None:
            raise Unsupported(f"a coupon written as {text}")
        names: tuple[str, ...] | None = None
        if match[1] == "metric-limited":
            names = tuple(match[2].split("+"))
        elif match[1] == "plan-limited":
            names = tuple(groups[match[2]])
        amounts.append((number(match[3]), names))
    discounts = [
        Discount(id=f"coupon_{place}", amount=amount, lasts="once", only=names)
        for place, (amount, names) in enumerate(amounts)
    ]
    made = account(fees, discounts)
    lines = fee_lines(made.terms, period_of(made))
    given = -total(discount_lines(made.terms, period_of(made), lines, {}))
    shares = precise_shares(fees, amounts, PLACES)
    left = {key: fees[key] - shares[key] for key in fees}
    rates = {key: cents(rate) for key, rate in inputs["tax"].items()}
    tax = round_money(sum((left[key] * rates[key] for key in fees), Decimal(0)), "JPY")
    net = total(lines) - given
    return asked(
        inputs["case"],
        {
            "precise_coupon_per_fee_cents": shares,
            "tax_per_fee_cents": {key: round_money(left[key] * rates[key], "JPY") for key in fees},
            "fees": total(lines),
            "coupons": given,
            "net": net,
            "tax": tax,
            "total": net + tax,
        },
    )


# Commitments


@adapter("commitment.coefficient")
def coefficient(inputs: Inputs) -> Any:
    first, last = inputs["period"]
    full = Interval(instant(first), after(last))
    part = Interval(instant(inputs.get("from", first)), after(inputs["to"]) if "to" in inputs else full.end)
    share = share_of(part, full, "UTC", "day").of(Decimal(1))
    return {"coefficient": double(share, inputs["case"].expected["coefficient"])}


@adapter("commitment.true_up")
def commitment_true_up(inputs: Inputs) -> Any:
    known = {"plan_cents", "commitment_cents", "charges_cents", "charges", "interval", "billing", "start"}
    if unknown := set(inputs) - known - {"billed", "usage_cents", "pay_in_advance", "case"}:
        raise Unsupported(f"a commitment with {', '.join(sorted(unknown))}")
    used = [number(each) for each in inputs.get("charges_cents", [inputs.get("usage_cents", 0)])]
    names = inputs.get("charges", [""] * len(used))
    recurring = [each for each, name in zip(used, names, strict=True) if name.startswith("recurring")]
    offer = plan(
        every=every_of(inputs["interval"]),
        fees={"plan": fee(cents(inputs["plan_cents"]), in_advance=inputs.get("pay_in_advance", False))},
        prices={"usage": {"model": "per_unit", "amount": "0.01"}},
        minimum={"amount": str(cents(inputs["commitment_cents"]))},
    )
    made = books(
        offer,
        instant(inputs["start"]),
        billing=inputs["billing"],
        used={0: sum(used, Decimal(0)), 1: sum(recurring, Decimal(0))},
    )
    missing = [in_cents(total(made.close(index).lines, "minimum")) for index in range(3)]
    return asked(
        inputs["case"],
        {
            "true_up_cents": missing[1],
            "first_period_cents": missing[1],
            "second_period_cents": missing[2],
        },
    )


@adapter("commits.postpaid_trueup")
def postpaid_true_up(inputs: Inputs) -> Any:
    return {"trueup": true_up(number(inputs["commit"]), number(inputs["spent"]))}


@adapter("commits.schedules")
def schedules(inputs: Inputs) -> Any:
    if unknown := set(inputs) - {"commit", "access", "invoice", "support", "case"}:
        raise Unsupported(f"an order with {', '.join(sorted(unknown))}")
    access = yearly_access([number(each) for each in inputs["access"]], START, "UTC")
    commitment = Commitment(id="order", access=access)
    years = [int(name.removeprefix("year")) for name in inputs["invoice"]]
    starts = dates_from(START, Cadence(1, "year"), max(years), "UTC")
    charges = instalments(
        "order",
        "Order",
        number(inputs["commit"]),
        "USD",
        [starts[year - 1] for year in years],
        [number(each) for each in inputs["invoice"].values()],
    )
    if support := inputs.get("support"):
        at = dates_from(START, Cadence(1, "month"), int(support["month"]), "UTC")[-1]
        charges += (Charge(id="support", name="Support", amount=number(support["amount"]), at=at),)
    return asked(
        inputs["case"],
        {
            "access_total": commitment.total,
            "invoiced_total": invoiced_total(charges),
            "invoices": [each.amount for each in charges],
        },
    )


# Overrides


@adapter("overrides.precedence")
def precedence(inputs: Inputs) -> Any:
    written = [override(place, each) for place, each in enumerate(inputs["overrides"])]
    listed = number(inputs["list"])
    answers = {
        "rate_off_commit": overridden(listed, written).amount,
        "rate": overridden(listed, written).amount,
    }
    for each in written:
        if each.commitment is not None:
            name = each.commitment.upper()
            answers[f"rate_on_commit_{name}"] = overridden(listed, written, commitment=each.commitment).amount
    return asked(inputs["case"], answers)


def override(place: int, written: Mapping[str, Any]) -> Override:
    known = {"scope", "commit", "multiplier", "overwrite", "amount", "price", "rate", "priority"}
    if unknown := set(written) - known:
        raise Unsupported(f"an override with {', '.join(sorted(unknown))}")
    amount = next(
        (written[name] for name in ("overwrite", "amount", "price", "rate") if name in written), None
    )
    return Override(
        id=f"override_{place}",
        meter="usage",
        commitment=written["commit"].lower() if "commit" in written else None,
        multiplier=None if amount is not None else number(written["multiplier"]),
        amount=None if amount is None else number(amount),
        priority=written.get("priority"),
    )


@adapter("overrides.targets")
def targets(inputs: Inputs) -> Any:
    """A multiplier on the rate of a commitment, and another on the list rate."""
    on_commitment = [
        Override(id="commit", meter="usage", multiplier=number(inputs["commit_rate_multiplier"]))
    ]
    on_list = [Override(id="list", meter="usage", multiplier=number(inputs["list_multiplier"]))]
    return asked(
        inputs["case"],
        {
            "commit_A": [overridden(number(each), on_commitment).amount for each in inputs["commit_rate"]],
            "on_demand": [overridden(number(each), on_list).amount for each in inputs["list"]],
        },
    )


@adapter("template.outcome_min")
def outcome_minimum(inputs: Inputs) -> Any:
    unit = number(inputs["unit"])
    price = version({"model": "per_unit", "amount": unit, "minimum": unit * number(inputs["minimum_units"])})
    amounts = [
        sum((line.total for line in rate_slice(price, quantity=number(each), currency="USD")), Decimal(0))
        for each in inputs["outcomes"]
    ]
    return {"amounts": amounts}

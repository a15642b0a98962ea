"""Money of outcomes: outcome.bill, .percent, .fx, .dispute, .shadow."""

from calendar import month_name as month_names
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.outcomes import (
    FAR,
    bills_of,
    definition,
    event,
    instant,
    price_of,
)
from tests.conformance.adapters.pricing import asked, number
from tests.conformance.runner import Inputs, Unsupported, adapter
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.numbers import ZERO
from valorem.core.outcomes.activities import Activity
from valorem.core.outcomes.agreement import Listed, compare, ready_after
from valorem.core.outcomes.billing import PeriodBill, bill, credits_in_order, price_quantities
from valorem.core.outcomes.charging import charge, total_of
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.disputes import Dispute, Resolution, check_dispute, effect
from valorem.core.outcomes.evidence import CompiledOutcome
from valorem.core.outcomes.fold import fold
from valorem.core.outcomes.frame import UTC_MONTHS
from valorem.core.outcomes.governing import Definitions
from valorem.core.outcomes.signing import PARTIES, DefinitionVersion, Signature, definition_digest
from valorem.core.outcomes.tallies import tally
from valorem.core.outcomes.terms import AgreementTerms, DisputeTerms
from valorem.core.periods import Interval

MONTHS = [name.lower() for name in month_names][1:]


def whole_month(name: str) -> Interval:
    frame = UTC_MONTHS
    return frame.period(frame.period_of(datetime(2026, MONTHS.index(name) + 1, 15, tzinfo=UTC)))


@adapter("outcome.bill")
def billed(inputs: Inputs) -> Any:
    case = inputs["case"]
    names = [name for name in inputs if name in MONTHS]
    if not names:
        return asked(case, one_bill(inputs))
    policies = [name for name in ("re_rate_original", "net_in_current") if name in case.expected]
    answers: dict[str, Any] = {
        policy: asked(replace(case, expected=case.expected[policy]), bill_answers(inputs, names, policy))
        for policy in policies
    }
    rest = [key for key in case.expected if key not in policies]
    if rest:
        policy = inputs.get("reversal_policy", "re_rate_original")
        answers |= asked(replace(case, expected=dict.fromkeys(rest)), bill_answers(inputs, names, policy))
    return answers


def terms_of(inputs: Inputs, **fields: Any) -> OutcomeDefinition:
    bounds: dict[str, Any] = {}
    if "minimum_quantity" in inputs:
        bounds["minimum"] = {"quantity": str(inputs["minimum_quantity"])}
    if "cap_quantity" in inputs:
        bounds["cap"] = {"quantity": str(inputs["cap_quantity"])}
    if "dearer" in inputs:
        bounds["dearer"] = inputs["dearer"]
    return definition(price=price_of(inputs), currency=inputs.get("currency", "USD"), **bounds, **fields)


def one_bill(inputs: Inputs) -> dict[str, Any]:
    """A single period."""
    counts = [
        inputs[name]
        for name in ("confirmed", "outcomes", "resolutions", "resolved", "quantity")
        if name in inputs
    ]
    if len(counts) != 1:
        raise Unsupported("a bill without months")
    total = price_quantities(
        terms_of(inputs), {(): number(counts[0])}, whole_month("march"), UTC_MONTHS
    ).total
    return dict.fromkeys(("amount", "total", "invoice", "fee"), total)


def bill_answers(inputs: Inputs, names: Sequence[str], policy: str) -> dict[str, Any]:
    activities = []
    for index, name in enumerate(names):
        fields = inputs[name]
        taken: dict[int, dict[tuple[str | None, ...], Decimal]] = {
            of: {(): number(fields[f"reversed_from_{other}"])}
            for of, other in enumerate(names)
            if f"reversed_from_{other}" in fields
        }
        if "reversed" in fields:
            taken[index] = {(): number(fields["reversed"])}
        activities.append(Activity(whole_month(name), {(): number(fields.get("confirmed"))}, taken))
    answers: dict[str, Any] = {}
    chosen = terms_of(inputs, reversal_policy=policy)
    bills = bill(chosen, activities, UTC_MONTHS)
    exactly = bill(chosen.model_copy(update={"dearer": "exact"}), activities, UTC_MONTHS)
    unbounded = chosen.model_copy(
        update={"price": terms_of({**inputs, "cap_amount": "1000000000000"}).price, "cap": None}
    )
    uncapped = bill(unbounded, activities, UTC_MONTHS)
    for name, each in zip(names, bills, strict=True):
        answers |= {
            name: each.total if not each.adjustments else each.usage,
            f"{name}_invoice": each.payable,
            f"{name}_usage": each.usage,
            f"{name}_credit": each.credit,
            f"{name}_carried": each.credit_forward or each.carried,
            f"{name}_carried_forward": each.credit_forward,
            f"{name}_net": each.total,
            f"{name}_adjustment": each.credit,
            f"{name}_quantity": each.quantity,
        }
    following = [*names[1:], MONTHS[(MONTHS.index(names[-1]) + 1) % 12]]
    for name, each in zip(following, bills, strict=True):
        answers[f"carried_to_{name}"] = each.credit_forward or each.carried
    answers |= {f"{name}_uncapped": each.usage for name, each in zip(names, uncapped, strict=True)}
    answers |= re_rated(bills, exactly, uncapped)
    return answers


def re_rated(
    bills: Sequence[PeriodBill], exactly: Sequence[PeriodBill], uncapped: Sequence[PeriodBill]
) -> dict[str, Any]:
    """What the last re-rating of an earlier period came to."""
    answers: dict[str, Any] = {"total": sum((each.total for each in bills), ZERO)}
    for suffix, found in (("", bills), ("_uncapped", uncapped)):
        for each in found:
            for adjustment in each.adjustments:
                answers[f"re_rated{suffix}"] = adjustment.priced
    left = bills[-1].credit_forward or bills[-1].carried
    answers |= dict.fromkeys(("carried_forward", "carry_forward", "carried"), left)
    answers["credit_floor_zero"] = bills[-1].credit
    answers["exact"] = exactly[-1].credit
    return answers


@adapter("outcome.percent")
def percent(inputs: Inputs) -> Any:
    """Orders of March, and what April says about them."""
    guarantee = inputs.get("guarantee", {})
    chosen = percent_definition(inputs, guarantee)
    compiled = CompiledOutcome(chosen)
    start = datetime(2026, 3, 31, tzinfo=UTC)
    orders = {each["id"]: each for each in inputs["orders"]}
    events = [
        event("order", start.isoformat(), str(key), decision=each["decision"], value=each["value"])
        for key, each in orders.items()
    ]
    april = list(inputs.get("april_events", ()))
    for index, each in enumerate(april):
        at = start + timedelta(days=int(each.get("after_days", 1)), minutes=index)
        if "at" in each:
            at = instant(each["at"])
        data = {"reason": each.get("reason", each["kind"]), "bank_fee": each.get("bank_fee", "0")}
        value = each.get("value", each.get("new_value", orders[each["order"]]["value"]))
        events.append(event(each["kind"], at.isoformat(), str(each["order"]), value=value, **data))
    outcomes = fold(compiled, compiled.read_all(events))
    bills = bills_of(chosen, tally(outcomes.values()), UTC_MONTHS)
    march: dict[tuple[str | None, ...], Decimal] = {
        (): sum((r.value or ZERO for o in outcomes.values() for r in o.results), ZERO)
    }
    answers: dict[str, Any] = {"march_fee": bills[0].usage}
    for key, outcome in outcomes.items():
        for unheard in outcome.unheard:
            said = {"reason not in definition": "no effect: reason not covered"}
            answers[f"order_{key}"] = said.get(unheard.reason, f"no effect: {unheard.reason}")
    taken = [
        (result.reversed_by, result.value or ZERO)
        for _, result in sorted(
            ((r.reversed_at, r) for o in outcomes.values() for r in o.results if r.reversed_at),
            key=lambda each: each[0],
        )
    ]
    amounts = credits_in_order(
        chosen, march, [{(): value} for _, value in taken], whole_month("march"), UTC_MONTHS
    )
    names = {"cancelled": "april_credit_cancel", "chargeback": "april_credit_fee_back"}
    for name in names.values():
        answers[name] = ZERO
    for (rule, _), amount in zip(taken, amounts, strict=True):
        answers[names[str(rule)]] += amount
    paid = (r.pays for o in outcomes.values() for r in o.results if r.pays is not None)
    answers["april_guarantee_payout"] = sum(paid, ZERO)
    answers["april_credit"] = bills[1].credit if len(bills) > 1 else ZERO
    return asked(inputs["case"], answers)


def percent_definition(inputs: Inputs, guarantee: Mapping[str, Any]) -> OutcomeDefinition:
    within = next(
        (each["within_days"] for each in inputs.get("april_events", ()) if "within_days" in each), 30
    )
    parts = [part.strip() for part in str(guarantee.get("pays", "order value")).split("+")]
    known = {"order value": "data.value", "bank fee": "data.bank_fee"}
    if unknown := [part for part in parts if part not in known]:
        raise Unsupported(f"a guarantee that pays {unknown[0]}")
    return definition(
        evidence=[
            {"event": "order", "kind": "success", "when": {"data.decision": "approved"}},
            {"event": "cancelled", "kind": "refute", "name": "cancelled", "until": f"{within} days"},
            {"event": ["restate", "restated"], "kind": "restate"},
            {
                "event": "chargeback",
                "kind": "refute",
                "name": "chargeback",
                "reasons": guarantee.get("reasons", ["none"]),
                "pays": " + ".join(known[part] for part in parts),
                "reverses": guarantee.get("fee_back", True),
            },
        ],
        reason="data.reason",
        value={"amount": "data.value"},
        bills="value",
        price={"model": "percentage", "rate": inputs["fee_share"]},
        currency=inputs.get("currency", "USD"),
    )


@adapter("outcome.fx")
def foreign(inputs: Inputs) -> Any:
    """Values in several currencies, at the rate of the day each was confirmed."""
    currency = inputs["contract_currency"]
    kinds = ("success", "restate", "refute")
    chosen = definition(
        evidence=[{"event": kind, "kind": kind} for kind in kinds],
        value={"amount": "data.amount", "currency": "data.currency", "rate": "data.rate"},
        bills="value",
        price={"model": "percentage", "rate": inputs["share"]},
        currency=currency,
    )
    start = datetime(2026, 3, 10, tzinfo=UTC)
    events = [
        event(
            "success",
            start.isoformat(),
            each["currency"],
            amount=each["amount"],
            currency=each["currency"],
            rate=each.get("rate_at_confirmation", "1"),
        )
        for each in inputs["recovered"]
    ]
    if april := inputs.get("april"):
        told = april.get("reversed", [])
        gone = told if isinstance(told, list) else [told]
        later = datetime(2026, 4, 10, tzinfo=UTC).isoformat()
        events += [event("refute", later, key, rate=april.get("rate_in_april")) for key in gone]
        events += [
            event("restate", later, key, amount=amount) for key, amount in april.get("restated", {}).items()
        ]
    outcomes = fold(compiled := CompiledOutcome(chosen), compiled.read_all(events))
    bills = bills_of(chosen, tally(outcomes.values()), UTC_MONTHS)
    return asked(
        inputs["case"],
        {
            f"value_{currency.lower()}": bills[0].quantity,
            "march_fee": bills[0].usage,
            "april_credit": bills[1].credit if len(bills) > 1 else ZERO,
        },
    )


@adapter("outcome.dispute")
def dispute(inputs: Inputs) -> Any:
    invoice = inputs["invoice"]
    named = [each["reason"] for each in inputs["disputes"] if "reason" in each]
    reasons = inputs.get("reasons", inputs.get("valid_reasons", named or ["not_achieved"]))
    silence = ("vendor_silence_days", "customer_silence_days")
    terms = DisputeTerms(
        days=inputs["dispute_days"],
        effect=inputs.get("effect", "hold"),
        reasons=tuple(reasons),
        **{name: inputs[name] for name in silence if name in inputs},
    )
    chosen = definition(price=price_of(inputs), currency=inputs.get("currency", "USD"))
    finalised = instant(invoice["finalised"])
    quantities = {f"o{index}": Decimal(1) for index in range(int(invoice["outcomes"]))}
    free = iter(quantities)
    accepted: list[Dispute] = []
    answers: dict[str, Any] = {}
    for index, each in enumerate(inputs["disputes"]):
        keys = tuple(next(free) for _ in range(int(each["outcomes"])))
        reason = each.get("reason", terms.reasons[0])
        opened = Dispute(str(index), each.get("by", "customer"), instant(each["at"]), keys, reason)
        if "answered" in each:
            opened = replace(opened, answered_at=instant(each["answered"]))
        name = ("first", "second", "third", "fourth", "fifth")[index]
        try:
            check_dispute(terms, opened, finalised_at=finalised, invoiced=quantities, others=accepted)
        except UnprocessableError as refused:
            answers[name] = f"refused: {refused.message}"
            continue
        except InvalidInputError:
            answers[name] = "refused: reason not in definition"
            continue
        answers[name] = "accepted"
        if "resolved" in each:
            at, upheld = instant(each["resolved"]), int(each.get("upheld", 0))
            part = next(
                (number(each[key]) for key in ("partial", "share", "partial_share") if key in each), ZERO
            )
            given = {
                key: Resolution(Decimal(1) if place < upheld else part, at) for place, key in enumerate(keys)
            }
            opened = replace(opened, resolutions=given)
        accepted.append(opened)

    def price(quantity: Decimal) -> Decimal:
        period = UTC_MONTHS.period(UTC_MONTHS.period_of(finalised) - 1)
        return price_quantities(chosen, {(): quantity}, period, UTC_MONTHS).total

    last = max((each.at for each in accepted), default=finalised)
    during = effect(terms, accepted, quantities, price, last)
    after = effect(terms, accepted, quantities, price, FAR)
    return asked(
        inputs["case"],
        {
            **answers,
            "invoiced": after.invoiced,
            "due_while_open": during.due,
            "held": during.held,
            "credit_note": after.credit_note,
            "settled": after.due,
            "due": after.due,
            "due_after": after.due,
        },
    )


@adapter("outcome.shadow")
def shadow(inputs: Inputs) -> Any:
    terms = AgreementTerms(threshold=inputs["threshold"], cycles=inputs.get("cycles", 1))
    names = [name for name in inputs if name in MONTHS]
    reports = [compare(*lists(inputs[name]), terms) for name in names]
    unbilled = shadow_version()
    answers: dict[str, Any] = {
        name: {
            "billed": in_shadow(unbilled, name, len(lists(inputs[name])[0])),
            "both": len(report.both),
            "vendor_only": len(report.vendor_only),
            "source_only": len(report.source_only),
            "agreement": report.agreement,
            "ready": ready_after(reports[: index + 1], terms) is not None,
        }
        for index, (name, report) in enumerate(zip(names, reports, strict=True))
    }
    ready = ready_after(reports, terms)
    if ready is None:
        answers["first_billed_period"] = None
    else:
        following = UTC_MONTHS.period_of(whole_month(names[ready]).start) + 1
        answers["first_billed_period"] = UTC_MONTHS.label(following)
    for name, shape in inputs["case"].expected.items():
        if isinstance(shape, Mapping):
            answers[name] = asked(replace(inputs["case"], expected=shape), answers[name])
    return asked(inputs["case"], answers)


def shadow_version() -> DefinitionVersion:
    """A definition that both sides signed and that is not live yet."""
    chosen, since = definition(), datetime(2026, 1, 1, tzinfo=UTC)
    digest = definition_digest(chosen)
    signed = tuple(Signature(party, party, "signatory", "paper", since, digest) for party in PARTIES)
    return DefinitionVersion(1, chosen, since, signed)


def in_shadow(unbilled: DefinitionVersion, month: str, count: int) -> Decimal:
    """What so many outcomes of a month are billed in shadow."""
    period = whole_month(month)
    events = [event("success", period.start.isoformat(), f"k{index}") for index in range(count)]
    return total_of(charge(Definitions([unbilled]), events, UTC_MONTHS, [period]), 0)


def lists(counts: Mapping[str, Any]) -> tuple[dict[str, Listed], dict[str, Listed]]:
    """Lists of keys with as many in common as the case says, or the very keys."""
    if isinstance(counts["vendor"], list):
        return {key: Listed() for key in counts["vendor"]}, {key: Listed() for key in counts["source"]}
    both = [f"both {index}" for index in range(counts["both"])]
    ours = [f"vendor {index}" for index in range(counts["vendor"] - counts["both"])]
    theirs = [f"source {index}" for index in range(counts["source"] - counts["both"])]
    return {key: Listed() for key in both + ours}, {key: Listed() for key in both + theirs}

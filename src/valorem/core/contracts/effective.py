"""What a contract's plan comes to at an instant: its currency, the running phase, then what was negotiated."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

from valorem.core.calendar import add_days, add_months, instant_of, local
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Fee, Phase, Plan
from valorem.core.contracts.agreed import Discount, Override
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.overrides import (
    more_included,
    overridden_fee,
    overridden_price,
    scaled_price,
)
from valorem.core.contracts.standing import Standing
from valorem.core.errors import UnprocessableError
from valorem.core.numbers import ONE
from valorem.core.periods import Cadence
from valorem.core.pricing.price import Price


def effective_plan(contract: Contract, standing: Standing, catalog: Catalog, at: datetime) -> Plan:
    """The plan as it is charged at an instant: every amount in the contract's currency, with all that was agreed.

    Its add-ons have become fees per key, and nothing is left of its phases and further currencies. Where nothing was
    agreed beside it, it is the plan itself.

    Raises:
        NotFoundError: Where the catalog version has no such plan.
        UnprocessableError: Where the plan has no amounts in the contract's currency.
    """
    plan = in_currency(catalog.plan(standing.plan), contract.currency)
    if not (plan.addons or plan.phases or _agrees_amounts(standing)):
        return plan
    phases = plan.phases if standing.phases is None else standing.phases
    phase = phase_at(contract, phases, at) or Phase()
    overrides = [each for each in standing.overrides if each.in_force(at)]
    fees = {
        **plan.fees,
        **{
            key: Fee(amount=addon.amount, per=key, billed=addon.billed, name=addon.name)
            for key, addon in plan.addons.items()
        },
    }
    written = {**plan.prices, **phase.prices}
    free = [each for each in standing.discounts if each.usage is not None]
    return plan.model_copy(
        update={
            "fees": {key: _fee(key, fee, phase, overrides) for key, fee in fees.items()},
            "addons": {},
            "prices": {
                key: _price(key, catalog.price_named(price), phase, overrides, free)
                for key, price in written.items()
            },
            "phases": (),
            "currencies": {},
            "minimum": standing.minimum or phase.minimum or plan.minimum,
            "maximum": standing.maximum or phase.maximum or plan.maximum,
            "thresholds": standing.thresholds or plan.thresholds,
        }
    )


def _agrees_amounts(standing: Standing) -> bool:
    """Whether anything is agreed that changes the plan's own amounts."""
    return bool(
        standing.overrides
        or standing.phases is not None
        or standing.minimum
        or standing.maximum
        or standing.thresholds
        or any(each.usage is not None for each in standing.discounts)
    )


def _fee(key: str, fee: Fee, phase: Phase, overrides: Sequence[Override]) -> Fee:
    amount = phase.fees.get(key, fee.amount) * (ONE if phase.multiplier is None else phase.multiplier)
    amount = overridden_fee(amount, key, overrides).amount
    return fee if amount == fee.amount else fee.model_copy(update={"amount": amount})


def _price(
    key: str, price: Price, phase: Phase, overrides: Sequence[Override], free: Sequence[Discount]
) -> Price:
    if phase.multiplier is not None:
        price = scaled_price(price, phase.multiplier)
    price = overridden_price(price, key, overrides)
    more = sum((each.usage for each in free if each.meter == key and each.usage is not None), Decimal(0))
    return more_included(price, more) if more else price


def in_currency(plan: Plan, currency: str) -> Plan:
    """A plan with its amounts in one currency.

    Raises:
        UnprocessableError: Where it has none in that currency; amounts are never converted.
    """
    if plan.currency == currency:
        return plan
    amounts = plan.currencies.get(currency)
    if amounts is None:
        raise UnprocessableError(
            f"plan {plan.key!r} has no amounts in {currency}",
            field="plan",
            hint=f"it has {', '.join([plan.currency, *plan.currencies])}; write currencies.{currency} in the plan",
        )
    return plan.model_copy(
        update={
            "currency": currency,
            "fees": {
                key: fee.model_copy(update={"amount": amounts.fees[key]}) for key, fee in plan.fees.items()
            },
            "addons": {
                key: addon.model_copy(update={"amount": amounts.addons[key]})
                for key, addon in plan.addons.items()
            },
            "prices": {key: amounts.prices[key] for key in plan.prices},
            "minimum": amounts.minimum,
            "maximum": amounts.maximum,
            "thresholds": amounts.thresholds,
            "currencies": {},
        }
    )


def phase_edges(contract: Contract, phases: Sequence[Phase]) -> Iterator[datetime]:
    """The ends of phases, counted from the contract's start."""
    months = days = 0
    for phase in phases:
        if phase.lasts is None:
            return
        length = Cadence(*phase.lasts)  # type: ignore[arg-type]  # the plan has checked its unit
        months, days = months + length.months, days + length.days
        yield _later(contract.start, months, days, contract.time_zone)


def phase_at(contract: Contract, phases: Sequence[Phase], at: datetime) -> Phase | None:
    """The phase that runs at an instant; none after the last one that has a length."""
    for phase, end in zip(phases, phase_edges(contract, phases), strict=False):
        if at < end:
            return phase
    return phases[-1] if phases and phases[-1].lasts is None else None


def trial_end(contract: Contract, plan: Plan) -> datetime | None:
    """When the plan's trial is over, counted from the customer's first start; ``None`` where it has none."""
    if plan.trial is None:
        return None
    length = Cadence(*plan.trial.lasts)  # type: ignore[arg-type]  # the plan has checked its unit
    start = contract.first_start or contract.start
    return _later(start, length.months, length.days, contract.time_zone)


def _later(start: datetime, months: int, days: int, zone: str) -> datetime:
    wall = local(start, zone)
    day = add_days(add_months(wall.date(), months), days)
    return instant_of(datetime.combine(day, wall.time()), zone)

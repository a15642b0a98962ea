"""Shares of savings as bills of a contract's periods: which version holds, what is over, and the arithmetic of each fee."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

from valorem.core.money import round_money
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.outcomes.billing import PeriodBill
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.estimates import Estimate
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.governing import Definitions, Governed
from valorem.core.outcomes.measuring import facts_of, standing_in
from valorem.core.outcomes.savings import Facts, SavingsFee, savings_fee
from valorem.core.outcomes.signing import DefinitionVersion, version_at
from valorem.core.periods import Interval
from valorem.core.pricing.lines import Rated, RatedLine, Step

#: The stages of a share of savings, as applied.
_STAGES = ("baseline", "saved", "interval", "losses", "least saving", "share", "bounds")
NO_ESTIMATES: Mapping[int, Estimate] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class SharedPeriod:
    """One period of a share of savings.

    Attributes:
        index: Its number.
        period: Which.
        version: The version that holds for it; ``None`` where none does for the whole of it.
        over: Whether it is over, its time for late facts included.
        facts: What is known of it; ``None`` where nothing is, or its estimate is not made yet.
        fee: What it comes to; ``None`` where nothing can be said yet, and nothing is billed.
        billed: Of the fee, what is billed: nothing in shadow, less what a dispute holds back.
    """

    index: int
    period: Interval
    version: DefinitionVersion | None
    over: bool
    facts: Facts | None
    fee: SavingsFee | None
    billed: Decimal


@exact
def shared_periods(
    definitions: Definitions,
    governed: Mapping[str, Governed],
    periods: Sequence[Interval],
    frame: Frame,
    *,
    estimates: Mapping[int, Estimate] = NO_ESTIMATES,
    off: Mapping[str, Decimal] | None = None,
    as_of: datetime | None = None,
) -> tuple[SharedPeriod, ...]:
    """What each period saved and what of it is ours; losses are carried on across amendments.

    A period is shared as a whole: by the version in force at its start, and billed where that was live by then.

    Args:
        definitions: All versions.
        governed: The outcomes, each with the version that governs it.
        periods: In order of time, without gaps, from the contract's first.
        frame: The contract's calendar.
        estimates: By number of the period, as stored.
        off: Key to the share that a dispute holds back or gave back; it takes that part of the fee of the key's period.
        as_of: A period that is not over by then is not shared yet; all are, where left out.
    """
    outcomes = [each.outcome for each in governed.values()]
    carried = ZERO
    found = []
    for index, period in enumerate(periods):
        version = version_at(definitions.versions, period.start)
        savings = version.definition.savings if version is not None else None
        if version is None or savings is None:
            found.append(SharedPeriod(index, period, None, over=False, facts=None, fee=None, billed=ZERO))
            continue
        over = as_of is None or period.end + (savings.run_out or timedelta(0)) <= as_of
        compiled = definitions.compiled[version.number]
        results = standing_in(outcomes, period)
        facts = facts_of(compiled, results, period, frame, estimates.get(index)) if over else None
        fee = None
        billed = ZERO
        if facts is not None:
            fee = savings_fee(savings, facts, carried, version.definition.currency)
            carried = fee.carried
            if version.bills_at(period.start):
                billed = fee.fee - _held(governed, off or {}, period, fee.fee, version.definition)
        found.append(SharedPeriod(index, period, version, over, facts, fee, billed))
    return tuple(found)


def _held(
    governed: Mapping[str, Governed],
    off: Mapping[str, Decimal],
    period: Interval,
    fee: Decimal,
    definition: OutcomeDefinition,
) -> Decimal:
    """What disputes take off a fee: the largest share of any fact of the period that is disputed."""
    shares = [
        off[key] for key, each in governed.items() if key in off and standing_in([each.outcome], period)
    ]
    return round_money(fee * max(shares), definition.currency) if shares else ZERO


def bills_of_savings(version: DefinitionVersion, shared: Sequence[SharedPeriod]) -> tuple[PeriodBill, ...]:
    """The bills of one version, one for each period; those of periods under another version are empty."""
    return tuple(_bill(version, each) for each in shared)


def _bill(version: DefinitionVersion, shared: SharedPeriod) -> PeriodBill:
    lines: tuple[RatedLine, ...] = ()
    fee = shared.fee
    mine = fee is not None and shared.version is version and version.bills_at(shared.period.start)
    if mine and fee is not None and shared.facts is not None:
        lines = (_line(version.definition, shared, fee, shared.facts),)
    total = shared.billed if mine else ZERO
    quantity = fee.proven if mine and fee is not None else ZERO
    return PeriodBill(
        shared.index, quantity, Rated(lines, _STAGES), total, (), total, max(ZERO, total), min(ZERO, total)
    )


def _line(definition: OutcomeDefinition, shared: SharedPeriod, fee: SavingsFee, facts: Facts) -> RatedLine:
    terms = definition.savings
    assert terms is not None  # shared_periods has seen to it
    percent = plain(terms.share * 100)
    return RatedLine(
        key="savings",
        kind="usage",
        description=f"{definition.label}: {percent} % of what was saved",
        dimensions={},
        start=shared.period.start,
        end=shared.period.end,
        quantity=fee.proven,
        unit_amount=None,
        exact=fee.bounded,
        amount=fee.fee,
        discount=fee.fee - shared.billed,
        steps=tuple(fee_steps(definition, fee, facts, shared.billed)),
        selector=None,
    )


def fee_steps(
    definition: OutcomeDefinition, fee: SavingsFee, facts: Facts, billed: Decimal | None = None
) -> list[Step]:
    """The arithmetic of one fee, for people."""
    terms = definition.savings
    assert terms is not None  # there is a fee
    steps = [
        Step("baseline", f"{terms.baseline.method}, adjusted", fee.baseline),
        Step("saved", f"{plain(fee.baseline)} − {plain(facts.actual)}", fee.savings),
    ]
    if fee.proven != fee.savings:
        text = f"{terms.interval} of the estimate, {plain(terms.level * 100)} % {terms.sides}-sided"
        steps.append(Step("interval", text, fee.proven))
    if fee.offset:
        steps.append(
            Step("losses", f"{plain(fee.offset)} make up for earlier losses", fee.proven - fee.offset)
        )
    if not fee.reached:
        least = f"the least saving of {plain(terms.minimum_rate * 100)} % was not reached"
        steps.append(Step("least saving", least, ZERO))
    else:
        left = max(ZERO, fee.proven - fee.offset)
        steps.append(Step("share", f"{plain(left)} × {plain(terms.share)}", fee.exact))
    if fee.bounded != fee.exact:
        steps.append(Step("bounds", "cap and minimum", fee.bounded))
    if billed is not None and billed != fee.fee:
        steps.append(Step("disputed", f"{plain(fee.fee)} − what disputes hold or gave back", billed))
    return steps

"""Outcomes as lines of an invoice: what each period stands at now, so that billing is that less what was billed.

All of a contract's outcome lines together are the price of the final states, whatever order the evidence arrived in: every
invoice carries what its period stands at, and for each earlier one the difference to what was billed for it.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from types import MappingProxyType

from valorem.core.billing.draft import unbilled
from valorem.core.billing.invoice import Line, Selector
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.outcomes.charging import VersionBills
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.signing import DefinitionVersion
from valorem.core.periods import Period
from valorem.core.pricing.lines import RatedLine, Step

KIND = "outcome"
_TAKEN, _SAVINGS = ":taken_back", ":savings"


def charge_prefix(outcome: str) -> str:
    """How the charges of a definition's lines begin."""
    return f"outcome:{outcome}:"


@exact
def standing_lines(charged: Iterable[VersionBills], periods: Sequence[Period]) -> tuple[Line, ...]:
    """What each period stands at: its own lines, and for one that was adjusted a line with all that was taken back.

    Args:
        charged: From :func:`valorem.core.outcomes.charging.charge`, over these periods.
        periods: The contract's, in order.
    """
    return tuple(line for each in charged for line in _version_lines(each, periods))


@exact
def outcome_lines(
    definition: OutcomeDefinition,
    standing: Sequence[Line],
    billed: Sequence[Line],
    closing: int,
    *,
    note: bool = False,
) -> tuple[Line, ...]:
    """The lines of the invoice that closes a period: all of that period, and what changed about earlier ones.

    Args:
        definition: The version in force; its ``late`` says what evidence does that came after a period was billed.
        standing: What each period stands at, from :func:`standing_lines`.
        billed: Outcome lines of the same definition on earlier invoices.
        closing: The number of the period the invoice closes.
        note: Instead the lines of the note beside it: what came late, where ``late`` wants it so.
    """
    if note and definition.late != "note":
        return ()
    now, before = _by_period(standing), _by_period(billed)
    found: list[Line] = []
    for index in sorted(now.keys() | before.keys()):
        due = index == closing or _waited(now.get(index, ()), before.get(index, ()))
        lines = unbilled(now.get(index, ()), before.get(index, ()), closing=due)
        found.extend(
            line
            for line in lines
            if (due or definition.late == "next_invoice" or line.charge.endswith(_TAKEN)) != note
        )
    return tuple(found)


@exact
def merged_lines(lines: Iterable[Line]) -> dict[int, tuple[Line, ...]]:
    """What lines of several invoices come to, one line for each charge, by number of the period."""
    found: dict[tuple[int, str], Line] = {}
    for line in lines:
        before = found.get((line.period_index, line.charge))
        amount = line.amount if before is None else before.amount + line.amount
        found[line.period_index, line.charge] = replace(line, amount=amount, timing="in_arrears")
    return {index: tuple(each) for index, each in _by_period(found.values()).items()}


def _waited(lines: Sequence[Line], before: Sequence[Line]) -> bool:
    """Whether a period's savings are billed for the first time after its own invoice: late facts were waited for."""
    return bool(lines) and not before and all(line.charge.endswith(_SAVINGS) for line in lines)


def _by_period(lines: Iterable[Line]) -> dict[int, list[Line]]:
    found: defaultdict[int, list[Line]] = defaultdict(list)
    for line in lines:
        found[line.period_index].append(line)
    return found


def _version_lines(charged: VersionBills, periods: Sequence[Period]) -> Iterator[Line]:
    version = charged.version
    taken: defaultdict[int, Decimal] = defaultdict(Decimal)
    for bill in charged.bills:
        for each in bill.adjustments:
            taken[each.index] += each.amount
    for bill, period in zip(charged.bills, periods, strict=True):
        for rated in bill.rated.lines:
            if rated.quantity or rated.total:
                yield _line(version, period, rated, bill.rated.order)
        if amount := taken[bill.index]:
            yield _taken_back(version, period, amount)


def _line(version: DefinitionVersion, period: Period, rated: RatedLine, order: tuple[str, ...]) -> Line:
    values = json.dumps(sorted(rated.dimensions.items()), separators=(",", ":"), ensure_ascii=False)
    part = f"{rated.key}{values if rated.dimensions else ''}"
    outcome = version.definition.outcome
    return Line(
        kind="outcome",
        key=outcome,
        charge=f"{charge_prefix(outcome)}{version.number}:{part}",
        timing="in_arrears",
        description=rated.description,
        period_index=period.index,
        period=period.interval,
        quantity=rated.quantity,
        unit_amount=rated.unit_amount,
        exact_amount=rated.exact - rated.discount,
        amount=rated.total,
        dimensions=rated.dimensions,
        steps=rated.steps,
        pipeline=order,
        selectors=(_selector(version, period),),
    )


def _taken_back(version: DefinitionVersion, period: Period, amount: Decimal) -> Line:
    outcome = version.definition.outcome
    return Line(
        kind="outcome",
        key=outcome,
        charge=f"{charge_prefix(outcome)}{version.number}{_TAKEN}",
        timing="adjustment",
        description=f"{version.definition.label}: taken back",
        period_index=period.index,
        period=period.interval,
        quantity=None,
        unit_amount=None,
        exact_amount=amount,
        amount=amount,
        dimensions=MappingProxyType({}),
        steps=(Step("taken back", f"{plain(ZERO)} − what was confirmed and taken back later", amount),),
        pipeline=("taken back",),
        selectors=(_selector(version, period),),
    )


def _selector(version: DefinitionVersion, period: Period) -> Selector:
    return Selector(version.definition.outcome, version.digest, period.interval, MappingProxyType({}))

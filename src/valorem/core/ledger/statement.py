"""A statement that a customer can read: what there was, what came, what it was used for, what is left."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.ledger.account import Account, Facts, Happening
from valorem.core.ledger.burns import by_workload
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.scope import Workload
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.periods import Interval
from valorem.core.time import write_instant

LineKind = Literal["opening", "granted", "used", "returned", "expired", "taken back", "closing"]


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One line.

    Attributes:
        at: When; for usage, the end of the stretch it sums up.
        kind: What it is.
        text: In words.
        change: Credits added, or taken off where below zero.
        balance: Credits after it.
    """

    at: datetime
    kind: LineKind
    text: str
    change: Decimal
    balance: Decimal


@dataclass(frozen=True, slots=True)
class Statement:
    """A stretch of an account: opening + Σ changes = closing.

    Attributes:
        lines: The opening, what changed in order of time, usage by workload, and the closing.
        opening: Credits at the start.
        closing: Credits at the end, held ones included.
        used: Credits used by the workloads' values, the most first.
        uncovered: Credits used beyond what there was.
    """

    lines: tuple[StatementLine, ...]
    opening: Decimal
    closing: Decimal
    used: tuple[tuple[str, Decimal], ...]
    uncovered: Decimal


@exact
def statement(
    account: Account, facts: Facts, over: Interval, *, by: str = "meter", unit: str = "credits"
) -> Statement:
    """The statement of an interval.

    Args:
        account: A replay from the beginning up to the interval's end.
        facts: What it was replayed from.
        over: From when to when.
        by: What usage is summed up by: ``meter``, ``product``, ``member`` or a dimension.
        unit: What one credit is called.
    """
    grants = {grant.id: grant for grant in facts.grants}
    opening = sum((change_of(each) for each in account.happenings if each.at < over.start), ZERO)
    within = [each for each in account.happenings if over.start <= each.at <= over.end]
    balance = opening
    lines = [StatementLine(over.start, "opening", "Balance brought forward", ZERO, balance)]
    for each in within:
        if each.kind in _LINES and each.lot is not None:
            kind, change = _LINES[each.kind], change_of(each)
            balance += change
            text = _text(each, grants[each.lot.grant], unit)
            lines.append(StatementLine(each.at, kind, text, change, balance))
    drawn = [(each.burn.work, each.amount) for each in within if each.kind == "drawn" and each.burn]
    used = [(value or "other", amount) for value, amount in by_workload(drawn, by).items()]
    for name, amount in used:
        balance -= amount
        lines.append(
            StatementLine(over.end, "used", f"{plain(amount)} {unit} used: {name}", -amount, balance)
        )
    lines.append(StatementLine(over.end, "closing", "Balance carried forward", ZERO, balance))
    uncovered = sum(
        (
            each.amount if each.kind == "uncovered" else -each.amount
            for each in within
            if each.kind in ("uncovered", "dropped", "forgiven")
        ),
        ZERO,
    )
    return Statement(tuple(lines), opening, balance, tuple(used), uncovered)


#: Kind of happening to the line it makes; usage is summed up instead.
_LINES: dict[str, LineKind] = {
    "granted": "granted",
    "restored": "returned",
    "expired": "expired",
    "voided": "taken back",
}
_SIGNS = {"granted": 1, "restored": 1, "drawn": -1, "expired": -1, "voided": -1}


def change_of(each: Happening) -> Decimal:
    """What a happening does to the balance, held credits included."""
    return _SIGNS.get(each.kind, 0) * each.amount


def _text(each: Happening, grant: Grant, unit: str) -> str:
    amount = f"{plain(each.amount)} {unit}"
    match each.kind:
        case "granted":
            until = f", to be used before {write_instant(grant.expires)}" if grant.expires else ""
            return f"{amount} {grant.source}{until}"
        case "restored":
            return f"{amount} given back by a correction"
        case "expired":
            return f"{amount} expired unused"
        case _:
            return f"{amount} taken back"


@exact
def burn_by(account: Account, dimension: str) -> list[tuple[str | None, Decimal]]:
    """Credits used by the values of ``meter``, ``product``, ``member`` or a dimension, the most first; uncovered ones too."""
    drawn: list[tuple[Workload, Decimal]] = []
    for each in account.happenings:
        if each.burn is None or each.burn.purpose == "void":
            continue
        if each.kind in ("drawn", "uncovered"):
            drawn.append((each.burn.work, each.amount))
        elif each.kind in ("restored", "dropped"):
            drawn.append((each.burn.work, -each.amount))
    return list(by_workload(drawn, dimension).items())

"""How far a forecast was from what came: of what is owed anyway, and of what depends on use."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.invoice import Line
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.periods import Interval

_FIXED = frozenset({"fee", "charge"})
_MILLIONTH = ONE.scaleb(-6)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a period is charged, in two parts.

    Attributes:
        fixed: Fees and agreed charges, with the discounts on what is billed in advance.
        variable: Everything else: usage, outcomes, and the discounts, minimum and maximum that depend on them.
    """

    fixed: Decimal
    variable: Decimal

    @property
    @exact
    def total(self) -> Decimal:
        """Both."""
        return self.fixed + self.variable


@dataclass(frozen=True, slots=True)
class Forecast:
    """What was foretold of one period at one instant in it, and what the period came to.

    Attributes:
        period: The period.
        at: When the forecast is made: it knows the use until then.
        elapsed: Which share of the period had passed.
        projected: What it said.
        actual: What the period came to; None while it runs.
    """

    period: Interval
    at: datetime
    elapsed: Decimal
    projected: Parts
    actual: Parts | None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """By what share of what came forecasts were off, over several periods; None where nothing came but something was foretold.

    Attributes:
        elapsed: Which share of their periods had passed.
        periods: How many.
        fixed: Of the fixed part,
        variable: of the variable part,
        total: and of both together.
    """

    elapsed: Decimal
    periods: int
    fixed: Decimal | None
    variable: Decimal | None
    total: Decimal | None


@exact
def parts_of(lines: Iterable[Line]) -> Parts:
    """The two parts of some lines; each line is in one of them."""
    fixed = variable = ZERO
    for line in lines:
        if line.kind in _FIXED or (line.kind == "discount" and line.timing == "in_advance"):
            fixed += line.amount
        else:
            variable += line.amount
    return Parts(fixed, variable)


@exact
def error_share(pairs: Iterable[tuple[Decimal, Decimal]]) -> Decimal | None:
    """The weighted absolute percentage error: Σ|foretold − came| ÷ Σ|came|, as a fraction to six digits.

    Args:
        pairs: What was foretold, and what came.

    Returns:
        Zero where nothing was off; None where something was foretold and nothing came.
    """
    off = came = ZERO
    for foretold, actual in pairs:
        off += abs(foretold - actual)
        came += abs(actual)
    if not came:
        return None if off else ZERO
    return (off / came).quantize(_MILLIONTH)


def accuracy_of(forecasts: Iterable[Forecast]) -> list[Accuracy]:
    """How far forecasts were off, by the share of the period that had passed; those without an outcome are left out."""
    by_share: dict[Decimal, list[tuple[Parts, Parts]]] = {}
    for each in forecasts:
        if each.actual is not None:
            by_share.setdefault(each.elapsed, []).append((each.projected, each.actual))
    return [
        Accuracy(
            elapsed,
            len(pairs),
            error_share((foretold.fixed, came.fixed) for foretold, came in pairs),
            error_share((foretold.variable, came.variable) for foretold, came in pairs),
            error_share((foretold.total, came.total) for foretold, came in pairs),
        )
        for elapsed, pairs in sorted(by_share.items())
    ]

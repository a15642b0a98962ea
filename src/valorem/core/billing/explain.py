"""An invoice line as a person reads it: its steps, one after the other, down to which events."""

from collections.abc import Iterator
from decimal import Decimal

from valorem.core.billing.invoice import Line
from valorem.core.numbers import plain
from valorem.core.time import write_instant

_DECIMALS_SHOWN = 12


def shortened(number: Decimal) -> str:
    """A number for people: past twelve decimals it is cut, and an ellipsis says so."""
    text = plain(number)
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction[:_DECIMALS_SHOWN]}…" if len(fraction) > _DECIMALS_SHOWN else text


def explain_line(line: Line, currency: str) -> list[str]:
    """The arithmetic of a line as text: one row for each step, then the order of the pipeline and the events."""
    return list(_explained(line, currency))


def _explained(line: Line, currency: str) -> Iterator[str]:
    yield f"{line.description}: {plain(line.amount)} {currency}"
    yield f"  {'period':<16} {write_instant(line.period.start)} to {write_instant(line.period.end)}"
    for step in line.steps:
        yield f"  {step.label:<16} {step.text} = {shortened(step.value)}"
    yield f"  {'order':<16} {' → '.join(line.pipeline)}"
    for selector in line.selectors:
        values = ", ".join(f"{name} = {value}" for name, value in sorted(selector.dimensions.items()))
        yield (
            f"  {'events':<16} meter {selector.meter} (revision {selector.fingerprint}), "
            f"{write_instant(selector.interval.start)} to {write_instant(selector.interval.end)}"
            + (f", where {values}" if values else "")
        )

"""An invoice line as a person reads it: its steps, one after the other, down to which events."""

from collections.abc import Iterator

from valorem.core.billing.invoice import Line
from valorem.core.numbers import plain
from valorem.core.time import write_instant


def explain_line(line: Line, currency: str) -> list[str]:
    """The arithmetic of a line as text: one row for each step, then the order of the pipeline and the events."""
    return list(_explained(line, currency))


def _explained(line: Line, currency: str) -> Iterator[str]:
    yield f"{line.description}: {plain(line.amount)} {currency}"
    yield f"  period      {write_instant(line.period.start)} to {write_instant(line.period.end)}"
    for step in line.steps:
        yield f"  {step.label:<16} {step.text} = {plain(step.value)}"
    yield f"  order           {' → '.join(line.pipeline)}"
    for selector in line.selectors:
        values = ", ".join(f"{name} = {value}" for name, value in sorted(selector.dimensions.items()))
        yield (
            f"  events          meter {selector.meter} (revision {selector.fingerprint}), "
            f"{write_instant(selector.interval.start)} to {write_instant(selector.interval.end)}"
            + (f", where {values}" if values else "")
        )

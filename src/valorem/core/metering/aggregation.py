"""The nine aggregations as declared values: what each keeps, and how a correction reaches it."""

from dataclasses import dataclass
from typing import Literal

AggregationName = Literal[
    "count", "sum", "max", "min", "latest", "unique", "average", "percentile", "time_weighted_sum"
]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """How readings become one quantity.

    Attributes:
        name: As the catalog writes it.
        total: Keeps Σ value.
        moment: Keeps Σ value · epoch seconds.
        low: Keeps the least value.
        high: Keeps the greatest value.
        last: Keeps the value of the latest event.
        values: Keeps every distinct value with how often it was seen.
        text: Readings are text, not numbers.
        valueless: Counts events; a meter names no value.
        void: How a correction takes an event out: ``subtract`` its tally, or ``recount`` the quarter hour.
        needs_events: No exact mergeable state exists: the quantity is computed from recorded events.
    """

    name: AggregationName
    total: bool = False
    moment: bool = False
    low: bool = False
    high: bool = False
    last: bool = False
    values: bool = False
    text: bool = False
    valueless: bool = False
    void: Literal["subtract", "recount"] = "subtract"
    needs_events: bool = False


AGGREGATIONS: dict[str, Aggregation] = {
    aggregation.name: aggregation
    for aggregation in (
        Aggregation("count", valueless=True),
        Aggregation("sum", total=True),
        Aggregation("average", total=True),
        Aggregation("min", low=True, void="recount"),
        Aggregation("max", high=True, void="recount"),
        Aggregation("latest", last=True, void="recount"),
        Aggregation("unique", values=True, text=True),
        Aggregation("time_weighted_sum", total=True, moment=True),
        Aggregation("percentile", needs_events=True),
    )
}

"""Percentage: a share of a value, with a fixed part and bounds for each event, and a free start."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import Field, model_validator

from valorem.core.numbers import ZERO, plain
from valorem.core.pricing.base import PriceBase
from valorem.core.pricing.parts import Part, Usage, times
from valorem.core.pricing.policies import PricePolicies
from valorem.core.pricing.tiers import check_bounds
from valorem.core.units import Amount, Quantity, Share


class Percentage(PriceBase):
    """A share of the measured value.

    Without a free start, a minimum or maximum per event is worked out at ingest (:func:`derived_value`), and the
    measured quantity is then already the amount. A free start that touches the parts charged per event must see the
    values of the events in order.

    Attributes:
        rate: The share, as 1.3% or 0.013.
        fixed: Added for each paid event.
        free_events: The first events of a period, which cost nothing.
        free_amount: The value at the start of a period that costs nothing; of ``free_events`` and ``free_amount`` the
            limit reached first ends the free start.
        minimum_per_event: What a paid event costs at least.
        maximum_per_event: What a paid event costs at most.
    """

    model: Literal["percentage"]
    rate: Share
    fixed: Amount = ZERO
    free_events: Annotated[int, Field(ge=0)] = 0
    free_amount: Quantity = ZERO
    minimum_per_event: Amount | None = None
    maximum_per_event: Amount | None = None

    @model_validator(mode="after")
    def _event_bounds(self) -> "Percentage":
        check_bounds(self.minimum_per_event, self.maximum_per_event)
        return self

    @property
    def bounded(self) -> bool:
        """Whether single events have a minimum or a maximum."""
        return self.minimum_per_event is not None or self.maximum_per_event is not None

    @property
    def reads_events(self) -> bool:
        """Whether the free start can only be told from the events in order."""
        return bool(self.free_events) or bool(self.free_amount and (self.fixed or self.bounded))

    @property
    def rates_single_events(self) -> bool:
        """Whether the derived meter already sums what each event costs."""
        return self.bounded and not self.reads_events

    def derived_value(self, value: str) -> str:
        """The expression for what one event costs, given the expression of its value."""
        amount = f"({value}) * {plain(self.rate)} + {plain(self.fixed)}"
        if self.minimum_per_event is not None:
            amount = f"max({amount}, {plain(self.minimum_per_event)})"
        if self.maximum_per_event is not None:
            amount = f"min({amount}, {plain(self.maximum_per_event)})"
        return amount

    def parts(self, usage: Usage, policies: PricePolicies) -> tuple[Part, ...]:  # noqa: ARG002 - no tiers
        """The share of the paid value, and the fixed part of the paid events."""
        if self.rates_single_events:
            text = f"sum over {usage.events} events of {self.derived_value('value')}"
            amount = usage.quantity
            return (
                (Part("events", "share of each event", Decimal(usage.events), None, amount, text),)
                if amount
                else ()
            )
        if self.bounded:
            return self._bounded_parts(usage)
        if not usage.quantity:
            return ()
        free, free_count = self.free_start(usage)
        paid = usage.quantity - free
        parts = (
            [times("share", f"{plain(self.rate.scaleb(2))}% of the value", paid, self.rate)] if paid else []
        )
        count = Decimal(max(0, usage.events - free_count))
        if self.fixed and count:
            parts.append(times("fixed", "fixed part per event", count, self.fixed))
        return tuple(parts)

    def free_start(self, usage: Usage) -> tuple[Decimal, int]:
        """How much of the value and how many whole events the free start takes."""
        if not self.reads_events:
            return min(self.free_amount, usage.quantity), 0
        events = list(self._events(usage.values))
        value = sum((value - paid for value, paid, _ in events), ZERO)
        return min(value, usage.quantity), sum(free for _, _, free in events)

    def _events(self, values: tuple[Decimal, ...]) -> Iterator[tuple[Decimal, Decimal, bool]]:
        """Each event as (value, paid value, whether it is free as a whole).

        An event is free as a whole while the running total with it stays below ``free_amount``; the event that reaches
        the limit pays for what goes past it.
        """
        running = ZERO
        for index, value in enumerate(values):
            before, running = running, running + value
            if (self.free_events and index >= self.free_events) or (
                self.free_amount and before >= self.free_amount
            ):
                yield value, value, False
            elif self.free_amount and running >= self.free_amount:
                yield value, running - self.free_amount, False
            else:
                yield value, ZERO, True

    def _bounded_parts(self, usage: Usage) -> tuple[Part, ...]:
        paying = [
            paid for value, paid, free in self._events(usage.values) if not free and (paid or not value)
        ]
        if not paying:
            return ()
        amount = sum((self.cost_of_event(paid) for paid in paying), ZERO)
        text = f"sum over {len(paying)} paid events of {self.derived_value('value')}"
        return (Part("events", "share of each paid event", Decimal(len(paying)), None, amount, text),)

    def cost_of_event(self, value: Decimal) -> Decimal:
        """What one paid event of this value costs; the same as :meth:`derived_value` says as an expression."""
        amount = value * self.rate + self.fixed
        if self.minimum_per_event is not None:
            amount = max(amount, self.minimum_per_event)
        if self.maximum_per_event is not None:
            amount = min(amount, self.maximum_per_event)
        return amount

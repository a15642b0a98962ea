"""The demonstration's proof: invoices equal arithmetic of its own, and every event counted once."""

from dataclasses import dataclass
from decimal import Decimal

from valorem.cli.demo.arithmetic import fees, month_total
from valorem.cli.demo.story import FEBRUARY, MARCH, Story
from valorem.cli.demo.traffic import START
from valorem.client.values import InvoiceHeader


@dataclass(frozen=True, slots=True)
class Proof:
    """What was compared.

    Attributes:
        invoices: Finalised invoices looked at.
        billed: Their sum.
        computed: The same sum by the demonstration's own arithmetic.
        differing: Customers whose invoices differ from it.
        recomputed: Invoices whose bytes came out the same when computed again from recorded events.
        events_sent: Distinct events sent.
        events_counted: Events the counters hold.
    """

    invoices: int
    billed: Decimal
    computed: Decimal
    differing: tuple[str, ...]
    recomputed: int
    events_sent: int
    events_counted: int

    @property
    def holds(self) -> bool:
        """Whether everything agrees."""
        return (
            not self.differing
            and self.billed == self.computed
            and self.recomputed == self.invoices
            and self.events_sent == self.events_counted
        )


def prove(story: Story, invoices: list[InvoiceHeader], *, recompute: int) -> Proof:
    """Compare every customer's invoices with the plain arithmetic, and compute some of them again from their events.

    Over both months a customer pays the fees of January, February and March (ahead), what January and February cost,
    late calls and the one taken back included, whichever invoice carries them.
    """
    billed: dict[str, Decimal] = {}
    for header in invoices:
        assert header.total is not None  # only finalised ones are given
        billed[header.customer] = billed.get(header.customer, Decimal(0)) + header.total
    differing, computed, counted = [], Decimal(0), story.sent.counted()
    for buyer in story.buyers:
        calls = counted.get(buyer.key, [])
        january = month_total(buyer, (call for call in calls if START <= call.time < FEBRUARY))
        february = month_total(buyer, (call for call in calls if FEBRUARY <= call.time < MARCH))
        expected = january + february + fees(buyer)
        computed += expected
        if billed.get(buyer.key, Decimal(0)) != expected:
            differing.append(buyer.key)
    again = [header for header in invoices if header.number is not None][-recompute:]
    same = sum(story.client.verify_invoice(header.id).same for header in again)
    return Proof(
        invoices=len(again),
        billed=sum(billed.values(), Decimal(0)),
        computed=computed,
        differing=tuple(differing),
        recomputed=same,
        events_sent=len(story.sent.calls) - len(story.sent.voided),
        events_counted=_events_counted(story),
    )


def _events_counted(story: Story) -> int:
    return sum(
        row.events
        for buyer in story.buyers
        for row in story.client.usage(buyer.key, "calls", start=START, end=MARCH, by="month").rows
    )

"""How recurring revenue moves from one month to the next: new, expansion, contraction, churn."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.numbers import ZERO, exact


@dataclass(frozen=True, slots=True)
class Movement:
    """What changed between two moments; every part but ``fx`` is zero or more.

    Attributes:
        start: Revenue before.
        new: Of customers that had none.
        expansion: More from customers that stayed.
        contraction: Less from customers that stayed.
        churned: Of customers that have none any more.
        reactivation: Of customers that had some earlier, none before, and some now.
        fx: From exchange rates alone, of either sign.
    """

    start: Decimal
    new: Decimal = ZERO
    expansion: Decimal = ZERO
    contraction: Decimal = ZERO
    churned: Decimal = ZERO
    reactivation: Decimal = ZERO
    fx: Decimal = ZERO

    @property
    def net(self) -> Decimal:
        """The change as a whole."""
        return self.new + self.reactivation + self.expansion - self.contraction - self.churned + self.fx

    @property
    def end(self) -> Decimal:
        """Revenue after."""
        return self.start + self.net

    @exact
    def grr(self) -> Decimal | None:
        """Gross revenue retention: what is left of the start without any expansion; None from nothing."""
        return (self.start - self.contraction - self.churned) / self.start if self.start else None

    @exact
    def nrr(self) -> Decimal | None:
        """Net revenue retention: what the customers of the start pay now; None from nothing."""
        kept = self.start - self.contraction - self.churned
        return (kept + self.expansion) / self.start if self.start else None


@exact
def movement(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> Movement:
    """The movement between two moments, from each customer's recurring revenue then."""
    new = expansion = contraction = churned = ZERO
    for customer in before.keys() | after.keys():
        had, has = before.get(customer, ZERO), after.get(customer, ZERO)
        if not had:
            new += has
        elif not has:
            churned += had
        elif has > had:
            expansion += has - had
        else:
            contraction += had - has
    return Movement(sum(before.values(), ZERO), new, expansion, contraction, churned)

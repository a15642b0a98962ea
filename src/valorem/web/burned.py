"""What was used of everything that is priced, in the order in which it is paid for; the console and the portal show the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import adds_up, usage_needs
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.contracts.contract import Contract
from valorem.core.metering.measured import Measured
from valorem.core.numbers import ZERO, exact
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.measuring import measure
from valorem.engine.tallies import live_tallies
from valorem.engine.terms import terms_for
from valorem.web.bars import Part


@dataclass(frozen=True, slots=True)
class Burned:
    """What was used of one thing.

    Attributes:
        key: Of the meter.
        name: For people.
        unit: Of the quantities.
        used: All of it.
        parts: ``included`` first, then ``paid``.
        cost: What the paid part costs so far.
        currency: Of the cost.
    """

    key: str
    name: str
    unit: str | None
    used: Decimal
    parts: tuple[Part, ...]
    cost: Decimal
    currency: str


@exact
def measured(tx: Transaction, contract: Contract) -> dict[str, list[Measured]]:
    """What the running period's invoice is made from: for each priced meter, what was counted so far."""
    terms = terms_for(tx, contract)
    period = contract_period(contract, period_index_at(contract, tx.now))
    assert period is not None  # it runs
    subjects = get_customer(tx, contract.customer).subjects
    needs = usage_needs(terms, period)
    answers = measure(tx, subjects, needs, live_tallies(tx, subjects, [need.meter for need in needs]))
    found: dict[str, list[Measured]] = {}
    for need in needs:
        counting = answers[need.key] if adds_up(need.meter) else answers[need.key][-1:]
        found.setdefault(need.meter_key, []).extend(each for answer in counting for each in answer)
    return found


@exact
def burned(tx: Transaction, contract: Contract, so_far: Invoice) -> list[Burned]:
    """What was used this period of everything that is priced: the included part, then the paid part.

    Args:
        tx: The transaction.
        contract: A contract that runs.
        so_far: Its next invoice as it stands.
    """
    counted = measured(tx, contract)
    found = []
    for priced in terms_for(tx, contract).at(tx.now).priced:
        version = priced.price.at(tx.now)
        used = sum((each.quantity for each in counted.get(priced.key, ())), ZERO)
        if version.convert is not None:
            used = version.convert.apply(used).invoiced
        included = version.included
        free = min(used, included)
        parts = [Part("included", free, included)] if included else []
        if used > free or not included:
            parts.append(Part("paid", used - free, used - free))
        cost = total_of(lines_of(so_far, priced.key))
        name = version.name or priced.meter.name or priced.key
        unit = priced.meter.unit
        found.append(Burned(priced.key, name, unit, used, tuple(parts), cost, contract.currency))
    return found


def lines_of(so_far: Invoice, key: str) -> tuple[Line, ...]:
    """The lines of the running period's use of one meter."""
    return tuple(
        line
        for line in so_far.lines
        if line.kind == "usage" and line.key == key and line.timing != "adjustment"
    )


@exact
def total_of(lines: Sequence[Line]) -> Decimal:
    """The sum of lines."""
    return sum((line.amount for line in lines), ZERO)

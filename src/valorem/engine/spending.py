"""What a customer has spent between two instants: the same charges that its invoice is made of."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.charges import period_charges
from valorem.core.billing.invoice import Line
from valorem.core.billing.needs import PeriodUsage, UsageNeed, usage_needs
from valorem.core.billing.projection import projected_usage
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.billing.terms import Terms
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.sources import Sources
from valorem.core.errors import InvalidInputError
from valorem.core.metering.measured import Measured
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Interval, Period
from valorem.engine.engine import Transaction
from valorem.engine.measuring import Reading, measure_sources, read_at_once
from valorem.engine.sources import sources_for
from valorem.engine.terms import counting, terms_for
from valorem.store.postgres import contracts

_MOST_CONTRACTS = 200
_Key = tuple[int, datetime, str | None, tuple[tuple[str, str], ...], str]


def running(tx: Transaction, customer: str) -> Contract | None:
    """The customer's contract that runs now; of several the one that started last."""
    rows = contracts.load_page(
        tx.connection, tx.workspace.id, customer=customer, after=None, limit=_MOST_CONTRACTS
    )
    found = [row.contract for row in rows]
    running = [one for one in found if one.start <= tx.now and (one.end is None or tx.now < one.end)]
    return max(running, key=lambda one: (one.start, one.id), default=None)


def spending_of(tx: Transaction, customer: str) -> "Spending | None":
    """How to find out what a customer spends; None while no contract of it runs."""
    contract = running(tx, customer)
    if contract is None:
        return None
    return spending_under(tx, contract)


def spending_under(tx: Transaction, contract: Contract, sources: Sources | None = None) -> "Spending":
    """How to find out what is spent under a contract, by its customer and by the accounts that it pays for."""
    sources = sources or sources_for(tx, contract)
    return Spending(tx, counting(terms_for(tx, contract), sources), sources)


def period_at(contract: Contract, at: datetime) -> Interval | None:
    """The billing period that holds an instant."""
    try:
        found = contract_period(contract, period_index_at(contract, at))
    except InvalidInputError:
        return None  # the contract does not run then
    return None if found is None else found.interval


@dataclass
class Spending:
    """What one contract is charged, worked out from the live counters; what was worked out once is kept.

    Attributes:
        tx: The transaction.
        terms: The contract's terms, with the accounts that are counted apart.
        sources: Whose counters the contract bills.
    """

    tx: Transaction
    terms: Terms
    sources: Sources
    _charged: dict[_Key, Decimal] = field(default_factory=dict)
    _reading: Reading | None = None

    def read_ahead(self, period: Period, ends: Iterable[datetime]) -> None:
        """Read the counters for many ends of one period in a query or two; what is asked for besides is read then."""
        needs = (need for end in ends for need in usage_needs(self.terms, period, end))
        self._reading = read_at_once(self.tx, ((self.sources, need) for need in needs))

    @exact
    def between(
        self,
        interval: Interval,
        *,
        of: str = "everything",
        meter: str | None = None,
        where: Mapping[str, str] | None = None,
    ) -> Decimal:
        """What was charged for an interval: the charges until its end, less those until its start, period by period.

        Args:
            interval: On the quarter-hour grid.
            of: ``usage`` alone or ``everything``.
            meter: Only what this meter's use is charged.
            where: Only use with these values of dimensions, as if it were all there is.
        """
        total = ZERO
        for period in self._periods(interval):
            inside = period.interval
            total += self._until(period, min(interval.end, inside.end), of, meter, where or {})
            if interval.start > inside.start:
                total -= self._until(period, interval.start, of, meter, where or {})
        return total

    @exact
    def projected(self, period: Period) -> Decimal:
        """What the running period will have been charged if use goes on as it does."""
        return sum((line.amount for line in self.projected_lines(period, self.tx.now)), ZERO)

    def projected_lines(self, period: Period, at: datetime) -> tuple[Line, ...]:
        """What a period's charges looked like coming to at an instant in it, from the use until then."""
        usage = self._measured(usage_needs(self.terms, period, at), None, {})
        return period_charges(self.terms, period, projected_usage(self.terms, at, usage)).lines

    def lines(self, period: Period, until: datetime) -> tuple[Line, ...]:
        """What a period is charged for everything until an instant."""
        needs = usage_needs(self.terms, period, until)
        return period_charges(self.terms, period, self._measured(needs, None, {}), needs).lines

    def _periods(self, interval: Interval) -> Iterator[Period]:
        contract = self.terms.contract
        start = max(interval.start, contract.start)
        end = interval.end if contract.end is None else min(interval.end, contract.end)
        if start >= end:
            return
        index = period_index_at(contract, start)
        while (period := contract_period(contract, index)) is not None and period.interval.start < end:
            yield period
            index += 1

    def _until(
        self, period: Period, until: datetime, of: str, meter: str | None, where: Mapping[str, str]
    ) -> Decimal:
        key = (period.index, until, meter, tuple(sorted(where.items())), of)
        if key not in self._charged:
            self._charged[key] = self._charge(period, until, of, meter, where)
        return self._charged[key]

    def _charge(
        self, period: Period, until: datetime, of: str, meter: str | None, where: Mapping[str, str]
    ) -> Decimal:
        if until <= period.interval.start:
            return ZERO
        needs = usage_needs(self.terms, period, until)
        usage = self._measured(needs, meter, where)
        lines = period_charges(self.terms, period, usage, needs).lines
        if meter is not None:
            lines = tuple(line for line in lines if line.kind == "usage" and line.key == meter)
        elif of == "usage" or where:
            lines = tuple(line for line in lines if line.kind in ("usage", "discount"))
        return sum((line.amount for line in lines), ZERO)

    def _measured(
        self, needs: Sequence[UsageNeed], meter: str | None, where: Mapping[str, str]
    ) -> PeriodUsage:
        asked = []
        for need in needs:
            extra = tuple(name for name in where if name not in need.dimensions)
            known = all(name in need.meter.dimension_names for name in where)
            asked.append(replace(need, dimensions=(*need.dimensions, *extra)) if known else need)
        found = measure_sources(self.tx, self.sources, asked, self._reading)
        if not where and meter is None:
            return found
        usage = {}
        for need in needs:
            concerned = meter in (None, need.meter_key) and all(
                name in need.meter.dimension_names for name in where
            )
            usage[need.key] = [
                [_without(one, need.dimensions) for one in answer if _fits(one, where)] if concerned else []
                for answer in found[need.key]
            ]
        return usage


def _fits(one: Measured, where: Mapping[str, str]) -> bool:
    return all(one.dimensions.get(name) == value for name, value in where.items())


def _without(one: Measured, dimensions: Sequence[str]) -> Measured:
    return replace(one, dimensions={name: one.dimensions[name] for name in dimensions})

"""Forecasts of a contract's periods, and how far they were off: computed afresh from the counters, never kept."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.contracts.contract import Contract
from valorem.core.errors import UnprocessableError
from valorem.core.insight.forecasts import Accuracy, Forecast, accuracy_of, parts_of
from valorem.core.numbers import exact
from valorem.core.periods import Interval, Period
from valorem.core.time import QUARTER_HOUR_S, quarter_hour_of
from valorem.engine.contracts import get_contract
from valorem.engine.engine import Transaction
from valorem.engine.spending import spending_under

_LOOKED_AT = (Decimal("0.25"), Decimal("0.5"), Decimal("0.75"))
_QUARTER_HOUR = timedelta(seconds=QUARTER_HOUR_S)


@dataclass(frozen=True, slots=True)
class ContractForecasts:
    """How a contract's periods were and are foretold.

    Attributes:
        contract: Its id.
        currency: Of the amounts.
        running: The forecast of the running period as it stands.
        past: Those of periods that are over, a quarter, half and three quarters through each, the oldest first.
        accuracy: How far those were off.
    """

    contract: str
    currency: str
    running: Forecast
    past: list[Forecast]
    accuracy: list[Accuracy]


def contract_forecasts(tx: Transaction, contract_id: str, *, periods: int) -> ContractForecasts:
    """What the running period will come to, and how far such forecasts of earlier periods were off.

    A forecast of an earlier period is made again from the use until then, by the same function. Use of then that was
    reported later is in it.

    Args:
        tx: The transaction; a snapshot.
        contract_id: The contract.
        periods: How many earlier periods, at most.

    Raises:
        NotFoundError: If there is no such contract.
        UnprocessableError: If it does not run now.
    """
    contract = get_contract(tx, contract_id).contract
    if contract.start > tx.now or (contract.end is not None and contract.end <= tx.now):
        raise UnprocessableError(
            f"contract {contract_id} does not run now", field="contract", hint="ask while it runs"
        )
    spending = spending_under(tx, contract)
    index = period_index_at(contract, tx.now)
    past = []
    for earlier in range(max(0, index - periods), index):
        period = _period(contract, earlier)
        came = parts_of(spending.lines(period, period.interval.end))
        for share in _LOOKED_AT:
            at = _through(period.interval, share)
            if at > period.interval.start:
                foretold = parts_of(spending.projected_lines(period, at))
                past.append(Forecast(period.interval, at, share, foretold, came))
    period = _period(contract, index)
    now = Forecast(
        period.interval,
        tx.now,
        _passed(period.interval, tx.now),
        parts_of(spending.projected_lines(period, tx.now)),
        None,
    )
    return ContractForecasts(contract.id, contract.currency, now, past, accuracy_of(past))


def _period(contract: Contract, index: int) -> Period:
    period = contract_period(contract, index)
    assert period is not None  # it holds an instant at which the contract runs
    return period


@exact
def _through(interval: Interval, share: Decimal) -> datetime:
    """The quarter hour that holds the instant at which a share of an interval has passed."""
    quarters = (interval.end - interval.start) // _QUARTER_HOUR
    return quarter_hour_of(interval.start) + int(quarters * share) * _QUARTER_HOUR


@exact
def _passed(interval: Interval, at: datetime) -> Decimal:
    return (
        Decimal((at - interval.start) // _QUARTER_HOUR) / ((interval.end - interval.start) // _QUARTER_HOUR)
    ).quantize(Decimal("0.000001"))

"""Usage as burns: the counters' quarter hours of every meter that a burn table prices."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.calendar import zone_info
from valorem.core.ledger.burns import Burn
from valorem.core.ledger.tables import Bucket, BurnTable, burns_of
from valorem.core.metering.measured import Measured
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import value
from valorem.core.numbers import ZERO, exact
from valorem.core.pricing.derive import derive_meter
from valorem.core.time import QUARTER_HOUR_S
from valorem.engine.credits.definitions import BurnPeriod, Definition
from valorem.engine.engine import Transaction
from valorem.engine.meters import revision_ids
from valorem.store.postgres import credits as store
from valorem.store.postgres.credits import BucketRow

_QUARTER = timedelta(seconds=QUARTER_HOUR_S)


def usage_burns(
    tx: Transaction, definition: Definition, periods: Sequence[BurnPeriod], until: datetime
) -> tuple[Burn, ...]:
    """The credits that counted usage burns in whole periods, up to an instant.

    Args:
        tx: The transaction.
        definition: Of the account.
        periods: In order; tiers begin anew with each.
        until: Usage from then on is left out.
    """
    burns: list[Burn] = []
    for period in periods:
        burns += _period_burns(tx, definition, period, until)
    return tuple(burns)


def burn_revisions(tx: Transaction, definition: Definition, period: BurnPeriod) -> list[int]:
    """The ids of the meter revisions that count what a period burns."""
    return sorted(set(_revisions(tx, definition, period, burn_meters(definition, period)).values()))


def _revisions(
    tx: Transaction, definition: Definition, period: BurnPeriod, pairs: Sequence[tuple[BurnTable, Meter]]
) -> Mapping[str, int]:
    if not pairs:
        return {}
    return tx.once(
        ("burn revisions", definition.place.credit, id(period.catalog)),
        lambda: revision_ids(tx, [meter for _, meter in pairs]),
    )


def burn_meters(definition: Definition, period: BurnPeriod) -> list[tuple[BurnTable, Meter]]:
    """The burn tables in force in a period, each with the meter revision it reads."""
    key = definition.place.credit
    if key not in period.catalog.credits:
        return []
    tables = [period.catalog.burn_table(key, meter) for meter in sorted(period.catalog.credit(key).burn)]
    return [(table, derive_meter(period.catalog.meters[table.meter], table.price)) for table in tables]


def _period_burns(tx: Transaction, definition: Definition, period: BurnPeriod, until: datetime) -> list[Burn]:
    pairs = burn_meters(definition, period)
    end = min(period.interval.end, until)
    if not pairs or end <= period.interval.start:
        return []
    ids = _revisions(tx, definition, period, pairs)
    rows = store.buckets(
        tx.connection,
        tx.workspace.id,
        definition.customer.subjects,
        sorted({ids[meter.fingerprint()] for _, meter in pairs}),
        period.interval.start,
        end,
    )
    # An account is read several times while it is tended; what its counters still say has been worked out.
    key = ("burns", definition.place, id(period.catalog), period.interval, period.zone)
    known = tx.memo.get(key)
    if known is not None and known[0] == rows:
        return list(known[1])
    found: list[Burn] = []
    for table, meter in pairs:
        mine = [row for row in rows if row.revision == ids[meter.fingerprint()]]
        found += burns_of(table, _buckets(meter, mine), zone=zone_info(period.zone))
    tx.memo[key] = rows, tuple(found), period.catalog  # which keeps its id
    return found


@exact
def _buckets(meter: Meter, rows: Sequence[BucketRow]) -> list[Bucket]:
    """What was measured, quarter hour by quarter hour; a conversion that rounds is applied to the running total."""
    counted: dict[tuple[str | None, ...], tuple[Decimal, Decimal]] = {}
    buckets: dict[datetime, list[Measured]] = {}
    for row in rows:
        quantity = value(meter.aggregation, row.tally, row.at, row.at + _QUARTER)
        if meter.convert is not None:
            raw, converted = counted.get(row.dimensions, (ZERO, ZERO))
            raw += quantity
            after = meter.convert.apply(raw).invoiced
            counted[row.dimensions] = raw, after
            quantity = after - converted
        dimensions = dict(zip(meter.dimension_names, row.dimensions, strict=True))
        buckets.setdefault(row.at, []).append(Measured(dimensions, quantity, row.tally.n))
    return [Bucket(at, tuple(measured)) for at, measured in buckets.items()]

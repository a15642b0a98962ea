"""What customers have been conceded, as values and as rows keep it."""

from decimal import Decimal
from typing import Any

from pydantic import TypeAdapter

from valorem.core.catalog.features import FeatureValue
from valorem.core.entitlements.grants import Concession, Value
from valorem.core.entitlements.limits import Limit
from valorem.core.numbers import parse_decimal, plain
from valorem.engine.engine import Transaction
from valorem.store.postgres import limits
from valorem.store.postgres.limits import ConcessionRow

LIMITS: TypeAdapter[tuple[Limit, ...]] = TypeAdapter(tuple[Limit, ...])
_VALUE: TypeAdapter[Value] = TypeAdapter(FeatureValue)


def read_concessions(tx: Transaction, customer: str) -> list[Concession]:
    """A customer's concessions as values."""
    return [_read(row) for row in limits.load_concessions(tx.connection, tx.workspace.id, customer)]


def write_concession(made: Concession) -> dict[str, Any]:
    """What a row keeps of a concession."""
    return {
        "origin": made.origin,
        "value": None if made.value is None else _VALUE.dump_python(made.value, mode="json"),
        "numeric": isinstance(made.value, Decimal),
        "limits": None if made.limits is None else LIMITS.dump_python(made.limits, mode="json"),
        "raised_by": plain(made.raised_by),
        "zero_rated": {name: list(values) for name, values in (made.zero_rated or {}).items()},
        "reason": made.reason,
    }


def _read(row: ConcessionRow) -> Concession:
    terms = row.terms
    value = terms["value"]
    return Concession(
        id=row.id,
        feature=row.feature,
        origin=terms["origin"],
        since=row.since,
        until=row.until,
        value=parse_decimal(value) if terms["numeric"] else value,
        limits=None if terms["limits"] is None else LIMITS.validate_python(terms["limits"]),
        raised_by=parse_decimal(terms["raised_by"]),
        zero_rated=terms["zero_rated"] or None,
        reason=terms["reason"],
    )

"""Concessions: what one customer is given, or denied, beside its plan."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from valorem.core.entitlements.grants import Concession, Value
from valorem.core.entitlements.limits import Limit
from valorem.core.errors import InvalidInputError, NotFoundError
from valorem.core.ids import part_of
from valorem.core.numbers import ZERO, parse_decimal
from valorem.core.time import parse_grid_instant, quarter_hour_of
from valorem.engine.alerts import arm
from valorem.engine.catalog import current_catalog
from valorem.engine.conceded import LIMITS, read_concessions, write_concession
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.store.postgres import limits
from valorem.store.postgres.limits import ConcessionRow


def grant_concession(
    tx: Transaction,
    customer: str,
    feature: str,
    *,
    origin: Literal["override", "promotion"] = "override",
    value: Value | None = None,
    limit: Sequence[Mapping[str, Any]] | None = None,
    raised_by: Decimal = ZERO,
    zero_rated: Mapping[str, Sequence[str]] | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
    reason: str = "",
) -> Concession:
    """Give a customer more, or less, of a feature than its plan does.

    Args:
        tx: The transaction.
        customer: The customer's key.
        feature: A feature of the newest catalog, or a meter that is limited by its own name.
        origin: An ``override`` by agreement, or a ``promotion``.
        value: In the place of the plan's.
        limit: In the place of the plan's limits, each written as in the catalog; empty takes them away.
        raised_by: So much more in every limit.
        zero_rated: Dimension to values whose use does not count.
        since: From when, on the quarter-hour grid; this quarter hour where left out.
        until: To when; for ever where left out.
        reason: For people.

    Raises:
        NotFoundError: If there is no such customer or feature.
        InvalidInputError: Naming the field.
    """
    get_customer(tx, customer)
    catalog = current_catalog(tx)[1]
    if feature not in catalog.features and feature not in catalog.meters:
        raise NotFoundError(f"there is no feature {feature[:60]!r}", field="feature")
    if value is None and limit is None and not raised_by and not zero_rated:
        raise InvalidInputError(
            "a concession changes something", field="value", hint="give value, limit, raised_by or zero_rated"
        )
    start = quarter_hour_of(tx.now) if since is None else parse_grid_instant(since, "since")
    end = None if until is None else parse_grid_instant(until, "until")
    if end is not None and end <= start:
        raise InvalidInputError("it ends before it begins", field="until")
    made = Concession(
        id=new_id("con", part_of(tx.workspace.id, customer), tx.now),
        feature=feature,
        origin=origin,
        since=start,
        until=end,
        value=value,
        limits=None if limit is None else read_limits(limit, "limit"),
        raised_by=parse_decimal(raised_by, "raised_by"),
        zero_rated=zero_rated,
        reason=reason,
    )
    row = ConcessionRow(made.id, feature, start, end, write_concession(made), tx.now)
    limits.insert_concession(tx.connection, tx.workspace.id, customer, row)
    arm(tx, customer)
    return made


def list_concessions(tx: Transaction, customer: str) -> list[Concession]:
    """A customer's concessions, those that have ended too.

    Raises:
        NotFoundError: If there is no such customer.
    """
    get_customer(tx, customer)
    return read_concessions(tx, customer)


def end_concession(tx: Transaction, customer: str, concession: str) -> None:
    """Let a concession end now.

    Raises:
        NotFoundError: If there is none that has not ended.
    """
    ended = limits.end_concession(
        tx.connection, tx.workspace.id, customer, concession, quarter_hour_of(tx.now)
    )
    if not ended:
        raise NotFoundError(f"there is no concession {concession[:60]!r} in force", field="concession")
    arm(tx, customer)


def read_limits(written: Sequence[Mapping[str, Any]], field: str) -> tuple[Limit, ...]:
    """Limits as the catalog writes them.

    Raises:
        InvalidInputError: Naming the field.
    """
    try:
        return LIMITS.validate_python([dict(one) for one in written])
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join((field, *map(str, first["loc"])))
        raise InvalidInputError(first["msg"], field=where) from None

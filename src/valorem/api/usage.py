"""``/v1/usage``: what a customer used, by period, hour, day or month, and by dimension."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant
from valorem.core.errors import InvalidInputError
from valorem.engine.usage import usage

router = APIRouter(prefix="/v1/usage", tags=["usage"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]


class UsageRowAnswer(Answer):
    """What was used in one stretch of time, for one combination of dimension values."""

    start: Instant
    end: Instant
    dimensions: dict[str, str | None]
    quantity: ExactOut
    events: int


class UsageAnswer(Answer):
    """A customer's usage of one meter. It holds every event acknowledged before ``as_of``.

    Attributes:
        source: ``recorded events`` for what no counter holds: percentiles, and meters still being recounted.
        rows: In order of time, then dimensions; stretches without usage are left out.
        total: Over everything looked at, in one number; null where nothing was used.
    """

    customer: str
    meter: str
    unit: str | None
    zone: str
    start: Instant
    end: Instant
    as_of: Instant
    source: Literal["counters", "recorded events"]
    rows: list[UsageRowAnswer]
    total: ExactOut | None


@router.get("")
def get_usage(
    caller: Reader,
    customer: Annotated[str, Query(max_length=255)],
    meter: Annotated[str, Query(max_length=63)],
    start: Annotated[Instant | None, Query()] = None,
    end: Annotated[Instant | None, Query()] = None,
    contract: Annotated[
        str | None,
        Query(
            max_length=64, description="whose periods, zone and catalog version; else the running contract"
        ),
    ] = None,
    by: Literal["period", "hour", "day", "month"] = "period",
    dimension: Annotated[
        list[str] | None, Query(max_length=20, description="group by this dimension; may be repeated")
    ] = None,
    where: Annotated[
        list[str] | None,
        Query(
            max_length=50,
            description="only this value of a dimension, as `name:value`; repeated, any of them",
        ),
    ] = None,
) -> UsageAnswer:
    """A customer's usage of one meter, in the time zone of its contract."""
    with caller.reading() as tx:
        report = usage(
            tx,
            customer=customer,
            meter=meter,
            start=start,
            end=end,
            by=by,
            dimensions=tuple(dimension or ()),
            filter=_wanted(where or []),
            contract=contract,
        )
    rows = [UsageRowAnswer.model_validate(row) for row in report.rows]
    return UsageAnswer(
        customer=customer,
        meter=meter,
        unit=report.unit,
        zone=report.zone,
        start=report.start,
        end=report.end,
        as_of=report.as_of,
        source=report.source,
        rows=rows,
        total=report.total,
    )


def _wanted(where: list[str]) -> dict[str, list[str]]:
    wanted: dict[str, list[str]] = {}
    for text in where:
        name, colon, value = text.partition(":")
        if not colon or not name:
            raise InvalidInputError(f"{text[:60]!r} is no condition", field="where", hint="write name:value")
        wanted.setdefault(name, []).append(value)
    return wanted

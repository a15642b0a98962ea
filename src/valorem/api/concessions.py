"""``/v1/concessions``: what single customers are given, or denied, beside their plan."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Page, Text
from valorem.core.entitlements.grants import Concession
from valorem.core.numbers import ZERO
from valorem.engine import concessions

router = APIRouter(prefix="/v1/concessions", tags=["entitlements"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("limits:write"))]


class NewConcession(Body):
    """More, or less, of a feature than a customer's plan gives.

    Attributes:
        value: In the place of the plan's: true, false, or a value feature's value.
        limits: In the place of the plan's limits, written as in the catalog; an empty list takes them away.
        raised_by: So much more in every limit.
        zero_rated: Dimension to values whose use does not count.
        since: On the quarter-hour grid; this quarter hour where left out.
        until: To when; for ever where left out.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"customer": "acme", "feature": "batch_jobs", "raised_by": "50", "origin": "promotion"},
                {"customer": "acme", "feature": "sso", "value": True, "reason": "agreed with sales"},
            ]
        }
    )

    customer: Name
    feature: Name
    origin: Literal["override", "promotion"] = "override"
    value: bool | Exact | Text | None = None
    limits: Annotated[list[dict[str, Any]], Field(max_length=20)] | None = None
    raised_by: Exact = ZERO
    zero_rated: dict[str, list[Name]] | None = None
    since: Instant | None = None
    until: Instant | None = None
    reason: Text = ""


class ConcessionAnswer(Answer):
    """A concession as it stands."""

    id: str
    feature: str
    origin: Literal["override", "promotion"]
    value: bool | ExactOut | str | None
    limits: list[dict[str, Any]] | None
    raised_by: ExactOut
    zero_rated: dict[str, list[str]]
    since: Instant
    until: Instant | None
    reason: str

    @classmethod
    def of(cls, made: Concession) -> "ConcessionAnswer":
        """From the engine's value."""
        limits = None
        if made.limits is not None:
            limits = [one.model_dump(mode="json", exclude_none=True) for one in made.limits]
        value: bool | Decimal | str | None = made.value
        return cls(
            id=made.id,
            feature=made.feature,
            origin=made.origin,
            value=value,
            limits=limits,
            raised_by=made.raised_by,
            zero_rated={name: list(values) for name, values in (made.zero_rated or {}).items()},
            since=made.since,
            until=made.until,
            reason=made.reason,
        )


@router.post("", status_code=201, response_model=ConcessionAnswer)
def grant_concession(body: NewConcession, caller: Writer) -> Response:
    """Give a customer more, or less, of a feature."""
    return caller.once(
        lambda tx: ConcessionAnswer.of(
            concessions.grant_concession(
                tx,
                body.customer,
                body.feature,
                origin=body.origin,
                value=body.value,
                limit=body.limits,
                raised_by=body.raised_by,
                zero_rated=body.zero_rated,
                since=body.since,
                until=body.until,
                reason=body.reason,
            )
        )
    )


@router.get("")
def list_concessions(
    caller: Reader, customer: Annotated[str, Query(max_length=255)]
) -> Page[ConcessionAnswer]:
    """A customer's concessions, those that have ended too."""
    with caller.reading() as tx:
        found = concessions.list_concessions(tx, customer)
    return Page(items=[ConcessionAnswer.of(one) for one in found])


@router.delete("/{concession}", status_code=204)
def end_concession(concession: str, caller: Writer, customer: Annotated[str, Query(max_length=255)]) -> None:
    """Let a concession end now."""
    caller.acting(lambda tx: concessions.end_concession(tx, customer, concession))

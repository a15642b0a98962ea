"""``/v1/clock``: the workspace's time; a sandbox's moves only when told."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.invoices import CloseAnswer
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name
from valorem.engine import clock

router = APIRouter(prefix="/v1/clock", tags=["clock"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Mover = Annotated[Caller, Depends(Needs("clock:write"))]


class Advance(Body):
    """Where to move a sandbox's clock: either ``to`` an instant, or over a number of ``periods``."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"to": "2026-04-01T00:00:00Z"}, {"periods": 1}]}
    )

    to: Instant | None = None
    periods: Annotated[int, Field(ge=1, le=1200)] | None = None
    contract: Name | None = None


class ClockAnswer(Answer):
    """What time it is, and the next instant at which something falls due."""

    now: Instant
    moves_by_itself: bool
    next_due_at: Instant | None


class AdvanceAnswer(Answer):
    """How the clock moved, and what was done on the way."""

    before: Instant
    now: Instant
    closed: CloseAnswer


@router.get("")
def get_clock(caller: Reader) -> ClockAnswer:
    """The workspace's time."""
    with caller.reading() as tx:
        return ClockAnswer.model_validate(clock.get_clock(tx))


@router.post("/advance", status_code=200, response_model=AdvanceAnswer)
def advance_clock(body: Advance, caller: Mover) -> Response:
    """Move a sandbox's clock forward, doing everything that falls due on the way.

    Every stop is kept: where the server was killed on the way, the clock stands at the last stop.
    """
    return caller.once_around(
        lambda: AdvanceAnswer.model_validate(
            clock.advance_clock(
                caller.engine, caller.workspace.id, to=body.to, periods=body.periods, contract=body.contract
            )
        ),
        status=200,
    )

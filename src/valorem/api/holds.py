"""``/v1/holds``: credits reserved before the work, settled or released after it. The hold's own id makes a repeat safe."""

from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.scope import UNSPECIFIED, Workload
from valorem.engine.credits import holding

router = APIRouter(prefix="/v1/holds", tags=["credits"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("events:write"))]
Id = Annotated[str, Path(max_length=200, description="your own id of the hold")]
State = Literal["held", "refused", "settled", "released", "expired"]
_DAY_S = 86_400


class WorkBody(Body):
    """What the credits are for, for grants that pay for some work only and for caps."""

    meter: Name | None = None
    product: Name | None = None
    dimensions: Annotated[dict[Name, Name], Field(max_length=20, default_factory=dict)]
    member: Name | None = None

    def workload(self) -> Workload:
        """The same as the ledger knows it."""
        return Workload(self.meter, self.product, dict(self.dimensions), self.member)


class HoldBody(Body):
    """Credits to reserve.

    Attributes:
        id: Your own; the same id always gets the same answer.
        amount: The most the work can cost.
        lasts_s: For how many seconds, counted by the server.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "req-1", "customer": "acme", "credit": "ai_credits", "amount": "12.5", "lasts_s": 300}
            ]
        }
    )

    id: Annotated[Name, Field(max_length=200)]
    customer: Name
    credit: Name
    amount: Exact
    lasts_s: Annotated[int, Field(ge=1, le=30 * _DAY_S)] = 600
    work: WorkBody | None = None


class ReleaseBody(Body):
    """Whose hold it is."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer": "acme", "credit": "ai_credits"}]})

    customer: Name
    credit: Name


class SettleBody(ReleaseBody):
    """What was used."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"customer": "acme", "credit": "ai_credits", "used": "7.25"}]}
    )

    used: Exact


class HoldAnswer(Answer):
    """A hold as it stands. ``shortfall`` is by how much it was larger than what there was."""

    id: str
    state: State
    amount: ExactOut
    at: Instant
    expires: Instant
    resolved_at: Instant | None
    settled: ExactOut
    shortfall: ExactOut


class HoldStateAnswer(HoldAnswer):
    """A hold, and what the account has after it.

    Attributes:
        verdict: `allow`: credits pay for it; `bill`: the rest is billed; `throttle`: work may go on slowly; `block`: it was
            refused. `shortfall` is by how much it was larger than what there was.
    """

    verdict: Literal["allow", "bill", "throttle", "block"]
    available: ExactOut
    held: ExactOut

    @classmethod
    def of(cls, found: holding.HoldState) -> "HoldStateAnswer":
        """As the engine has it."""
        hold: Hold = found.hold
        return cls(
            **HoldAnswer.model_validate(hold).model_dump(mode="json"),
            available=found.available,
            held=found.held,
            verdict=found.verdict,
        )


@router.post("")
def place_hold(body: HoldBody, caller: Writer) -> HoldStateAnswer:
    """Reserve credits. The answer's ``state`` is ``held``, or ``refused`` where there are not enough."""
    work = UNSPECIFIED if body.work is None else body.work.workload()
    return HoldStateAnswer.of(
        caller.acting(
            lambda tx: holding.place_hold(
                tx,
                customer=body.customer,
                credit=body.credit,
                id=body.id,
                amount=body.amount,
                lasts=timedelta(seconds=body.lasts_s),
                work=work,
            )
        )
    )


@router.get("/{hold_id}")
def get_hold(
    hold_id: Id,
    caller: Reader,
    customer: Annotated[str, Query(max_length=255)],
    credit: Annotated[str, Query(max_length=63)],
) -> HoldAnswer:
    """One hold."""
    with caller.reading() as tx:
        return HoldAnswer.model_validate(holding.get_hold(tx, customer=customer, credit=credit, id=hold_id))


@router.post("/{hold_id}/settle")
def settle_hold(hold_id: Id, body: SettleBody, caller: Writer) -> HoldStateAnswer:
    """Say what was used; the rest is free again."""
    return HoldStateAnswer.of(
        caller.acting(
            lambda tx: holding.settle_hold(
                tx, customer=body.customer, credit=body.credit, id=hold_id, used=body.used
            )
        )
    )


@router.post("/{hold_id}/release")
def release_hold(hold_id: Id, body: ReleaseBody, caller: Writer) -> HoldStateAnswer:
    """Give back everything that is reserved."""
    return HoldStateAnswer.of(
        caller.acting(
            lambda tx: holding.release_hold(tx, customer=body.customer, credit=body.credit, id=hold_id)
        )
    )

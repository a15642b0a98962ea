"""``/v1/catalog/migrations``: move chosen contracts to a newer catalog version, see before what it does, undo it."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, ExactOut, Instant, Name, Text
from valorem.engine import migrating
from valorem.engine.migrating import Migration, MigrationReport

router = APIRouter(prefix="/v1/catalog/migrations", tags=["catalog"], route_class=StrictRoute)
Writer = Annotated[Caller, Depends(Needs("customers:write"))]
MigrationId = Annotated[str, Path(max_length=90)]


class MigrationBody(Body):
    """Which contracts move where, and when.

    Attributes:
        id: Names it; the same again moves nothing twice, and it is undone by it.
        version: The catalog version to move to; the newest where left out.
        when: ``now``, ``period_end``, ``renewal``, or an instant.
        plan: Only contracts on this plan now.
        customers: Only contracts of these customers.
        to_plan: Another plan of that version.
        reason: Why, for the history of each.
        preview: Only show what it does; nothing is written.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"id": "prices-2027", "version": 4, "plan": "team", "when": "renewal", "preview": True}
            ]
        }
    )

    id: Annotated[Name, Field(max_length=90)]
    version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    when: Literal["now", "period_end", "renewal"] | Instant = "period_end"
    plan: Name | None = None
    customers: Annotated[list[Name], Field(max_length=1000, default_factory=list)]
    to_plan: Name | None = None
    reason: Annotated[Text, Field(max_length=500)] = ""
    preview: bool = False


class MovedAnswer(Answer):
    """A contract that moves, and when."""

    contract: str
    at: Instant


class StayedAnswer(Answer):
    """A chosen contract that stays, and why."""

    contract: str
    customer: str
    why: str


class EffectAnswer(Answer):
    """What a contract's last whole period costs as it was, and as it would have been."""

    contract: str
    customer: str
    before: ExactOut
    after: ExactOut
    difference: ExactOut


class MigrationAnswer(Answer):
    """What a migration did or would do; ``effects`` has those first who pay most more."""

    version: int
    moved: list[MovedAnswer]
    stayed: list[StayedAnswer]
    effects: list[EffectAnswer]
    difference: ExactOut


@router.post("", status_code=201, response_model=MigrationAnswer)
def migrate(body: MigrationBody, caller: Writer) -> Response:
    """Move the chosen contracts; those that cannot move are named and stay. With ``preview`` nothing is written."""
    author = caller.principal.key_name
    if body.preview:
        answer = caller.acting(lambda tx: _answer(migrating.preview_migrate(tx, _migration(body), author)))
        return Response(answer.model_dump_json(), 200, media_type="application/json")
    return caller.once(lambda tx: _answer(migrating.migrate(tx, _migration(body), author)))


@router.post("/{migration}/undo", status_code=201, response_model=MigrationAnswer)
def undo_migration(migration: MigrationId, caller: Writer) -> Response:
    """Take a migration back for every contract on which it has not taken effect."""
    author = caller.principal.key_name
    return caller.once(lambda tx: _answer(migrating.undo_migration(tx, migration, author)))


def _migration(body: MigrationBody) -> Migration:
    when: Literal["now", "period_end", "renewal"] | datetime = body.when
    return Migration(body.id, body.version, when, body.plan, tuple(body.customers), body.to_plan, body.reason)


def _answer(report: MigrationReport) -> MigrationAnswer:
    return MigrationAnswer(
        version=report.version,
        moved=[MovedAnswer(contract=contract, at=at) for contract, at in report.moved],
        stayed=[StayedAnswer.model_validate(each) for each in report.stayed],
        effects=[EffectAnswer.model_validate(each) for each in report.effects],
        difference=report.difference,
    )

"""``/v1/workspaces``: sealed worlds; ``live`` follows real time, a sandbox has its own clock."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends
from pydantic import ConfigDict
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.keys import IssuedKeyAnswer
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name, Page
from valorem.core.errors import ForbiddenError
from valorem.engine import keys, workspaces

router = APIRouter(prefix="/v1/workspaces", tags=["workspaces"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(Needs("admin"))]


class NewWorkspace(Body):
    """A workspace to make."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "pricing-test", "clock_at": "2026-01-01T00:00:00Z"}]}
    )

    name: Name
    kind: Literal["live", "sandbox"] = "sandbox"
    clock_at: Instant | None = None


class WorkspaceAnswer(Answer):
    """A workspace. ``clock_at`` is a sandbox's own time, null for live."""

    id: int
    name: str
    kind: Literal["live", "sandbox"]
    clock_at: Instant | None


class IssuedWorkspace(Answer):
    """A new workspace and the first key into it, shown this once."""

    workspace: WorkspaceAnswer
    admin_key: IssuedKeyAnswer


@router.post("", status_code=201, response_model=IssuedWorkspace)
def create_workspace(body: NewWorkspace, caller: Administrator) -> Response:
    """Make a workspace and an admin key for it. Only an admin key of a live workspace may."""
    _check_live(caller)

    def effect() -> IssuedWorkspace:
        made = workspaces.create_workspace(
            caller.engine, name=body.name, kind=body.kind, clock_at=body.clock_at
        )
        issued = keys.issue_key(caller.engine, made.id, name="first admin key", scopes=["admin"])
        return IssuedWorkspace(
            workspace=WorkspaceAnswer.model_validate(made), admin_key=IssuedKeyAnswer.of(issued)
        )

    return caller.once_around(
        effect, kept=lambda answer: answer.model_copy(update={"admin_key": answer.admin_key.without_secret()})
    )


@router.get("")
def list_workspaces(caller: Administrator) -> Page[WorkspaceAnswer]:
    """The workspaces: every one for an admin of a live workspace, its own for a sandbox's."""
    found = workspaces.list_workspaces(caller.engine)
    if caller.workspace.kind != "live":
        found = [workspace for workspace in found if workspace.id == caller.workspace.id]
    return Page(items=[WorkspaceAnswer.model_validate(workspace) for workspace in found])


def _check_live(caller: Caller) -> None:
    if caller.workspace.kind != "live":
        raise ForbiddenError(
            "a sandbox's key cannot make workspaces", hint="use an admin key of a live workspace"
        )

"""``/v1/keys``: API keys of the caller's workspace."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name, Page
from valorem.engine import keys
from valorem.engine.keys import IssuedKey, Scope

router = APIRouter(prefix="/v1/keys", tags=["keys"], route_class=StrictRoute)
Administrator = Annotated[Caller, Depends(Needs("admin"))]


class NewKey(Body):
    """A key to make. ``admin`` may do everything."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"name": "gateway", "scopes": ["events:write"]}]}
    )

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20)]
    expires_at: Instant | None = None


class KeyAnswer(Answer):
    """What is known of a key; the key itself is kept nowhere."""

    id: str
    name: str
    prefix: str
    scopes: list[str]
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None


class IssuedKeyAnswer(KeyAnswer):
    """A new key, shown this once: a repeat with the same Idempotency-Key answers ``key: null``."""

    key: str | None

    @classmethod
    def of(cls, issued: IssuedKey) -> "IssuedKeyAnswer":
        """As issued."""
        return cls(key=issued.key, **KeyAnswer.model_validate(issued.record).model_dump())

    def without_secret(self) -> "IssuedKeyAnswer":
        """What may be kept."""
        return self.model_copy(update={"key": None})


@router.post("", status_code=201, response_model=IssuedKeyAnswer)
def create_key(body: NewKey, caller: Administrator) -> Response:
    """Make a key; its text is shown in this answer and never again."""
    return caller.once_around(
        lambda: IssuedKeyAnswer.of(
            keys.issue_key(
                caller.engine,
                caller.workspace.id,
                name=body.name,
                scopes=body.scopes,
                expires_at=body.expires_at,
            )
        ),
        kept=IssuedKeyAnswer.without_secret,
    )


@router.get("")
def list_keys(caller: Administrator) -> Page[KeyAnswer]:
    """Every key of the workspace, revoked ones too."""
    found = keys.list_keys(caller.engine, caller.workspace.id)
    return Page(items=[KeyAnswer.model_validate(record) for record in found])


@router.delete("/{key_id}", status_code=204)
def revoke_key(key_id: Annotated[str, Path(max_length=64)], caller: Administrator) -> None:
    """Make a key worthless. This server refuses it at once, others within two seconds."""
    keys.revoke_key(caller.engine, caller.workspace.id, key_id)
    caller.gate.forget(key_id)

"""``/v1/outcomes/signing``: a link by which the customer reads and signs one text, without a key."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.outcome_access import OF, OfBody, Vendor
from valorem.api.outcome_deals import DefinitionAnswer, definition_answer
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name
from valorem.engine import outcome_links as links
from valorem.engine.retrying import in_transaction

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)
_TOKEN = "vl_sign.1.ctr_019b0000000000000000000000." + "x" * 43
Token = Annotated[str, Field(max_length=200)]


class InvitationBody(OfBody):
    """A link for the customer; the newest version where ``number`` is left out."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**OF, "number": 1, "lasts_days": 14}]})

    number: Annotated[int, Field(ge=1, le=100_000)] | None = None
    lasts_days: Annotated[int, Field(ge=1, le=90)] = 14


class LinkBody(Body):
    """The token of a link."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"token": _TOKEN}]})

    token: Token


class LinkSignatureBody(LinkBody):
    """A yes to exactly the text that was read, named by its digest."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"token": _TOKEN, "digest": "5f" * 32, "person": "Cora Customer", "role": "CFO"}]
        }
    )

    digest: Annotated[str, Field(pattern="^[0-9a-fA-F]{64}$")]
    person: Name
    role: Name


class InvitationAnswer(Answer):
    """A link; its token is shown this once, and works once."""

    token: str
    number: int
    digest: str
    expires_at: Instant


class ToSignAnswer(Answer):
    """What the holder of a link may sign, and for whom."""

    contract: str
    customer: str
    definition: DefinitionAnswer
    expires_at: Instant


@router.post("/signing/links", status_code=201, response_model=InvitationAnswer)
def invite_to_sign(body: InvitationBody, caller: Vendor) -> Response:
    """Make a link by which the customer signs once; an earlier one for the same version stops working."""

    def made(tx: Any) -> InvitationAnswer:
        found = links.invite(
            tx,
            body.contract,
            body.definition,
            made_by=caller.principal.key_id,
            number=body.number,
            lasts=timedelta(days=body.lasts_days),
        )
        return InvitationAnswer(
            token=found.token,
            number=found.version.number,
            digest=found.version.digest,
            expires_at=found.expires_at,
        )

    return caller.once(made)


@router.post("/signing/look", status_code=200)
def look_at_link(body: LinkBody, request: Request) -> ToSignAnswer:
    """What a link is for; it needs no key, and looking does not use it."""
    engine: Any = request.app.state.engine
    with engine.transaction(links.workspace_of(body.token), snapshot=True, read_only=True) as tx:
        found = links.look(tx, body.token)
        return ToSignAnswer(
            contract=found.contract,
            customer=found.customer,
            definition=definition_answer(found.version, tx.now),
            expires_at=found.expires_at,
        )


@router.post("/signing", status_code=201)
def sign_by_link(body: LinkSignatureBody, request: Request) -> DefinitionAnswer:
    """Sign as the customer with a link, which is used up; it needs no key."""

    def signed(tx: Any) -> DefinitionAnswer:
        version = links.sign_by_link(tx, body.token, digest=body.digest, person=body.person, role=body.role)
        return definition_answer(version, tx.now)

    return in_transaction(request.app.state.engine, links.workspace_of(body.token), signed)

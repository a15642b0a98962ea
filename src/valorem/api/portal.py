"""``/v1/portal``: links that open one customer's portal, once; and how the portal looks."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name, Text
from valorem.core.portal.settings import PortalSettings
from valorem.engine import portal

router = APIRouter(prefix="/v1", tags=["portal"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("customers:write"))]
Administrator = Annotated[Caller, Depends(Needs("admin"))]


class NewPortalLink(Body):
    """Whose portal to open, and where it is shown."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"customer": "acme", "lasts_s": 300, "origin": "https://app.example.com"}]
        }
    )

    customer: Name
    lasts_s: Annotated[int, Field(ge=10, le=86_400)] = int(portal.LINK_LASTS.total_seconds())
    origin: Annotated[
        Text | None, Field(description="who shows it in a frame; one of the settings' origins")
    ] = None
    language: Annotated[
        Text | None, Field(description="in which it opens; the customer's own if left out")
    ] = None


class PortalLinkAnswer(Answer):
    """A link, shown this once: a repeat with the same Idempotency-Key answers ``url: null``.

    ``expires_at`` is in real time, also in a sandbox.
    """

    url: str | None
    customer: str
    origin: str | None
    language: str | None
    expires_at: Instant

    def without_secret(self) -> "PortalLinkAnswer":
        """What may be kept."""
        return self.model_copy(update={"url": None})


class EndedAnswer(Answer):
    """How many sessions were ended."""

    customer: str
    ended: int


class PortalSettingsBody(PortalSettings):
    """How the portal looks, who may frame it, and which plans customers may choose themselves."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "name": "Metered GmbH",
                    "accent": "#0b6e4f",
                    "origins": ["https://app.example.com"],
                    "support": "help@example.com",
                    "offers": ["team", "business"],
                }
            ]
        }
    )


@router.post("/portal/links", status_code=201, response_model=PortalLinkAnswer)
def create_portal_link(body: NewPortalLink, caller: Writer) -> Response:
    """Make a link that opens a customer's portal. It works once, and not for long: make it when it is followed."""

    def effect() -> PortalLinkAnswer:
        now: datetime = caller.engine.real_now()
        with caller.engine.transaction(caller.workspace.id) as tx:
            made = portal.make_portal_link(
                tx,
                body.customer,
                real_now=now,
                by=f"key {caller.principal.key_id}",
                lasts=timedelta(seconds=body.lasts_s),
                origin=body.origin,
                language=body.language,
            )
        return PortalLinkAnswer(
            url=f"{_base(caller.request)}/portal/enter?t={made.token}",
            customer=made.customer,
            origin=made.origin,
            language=made.language,
            expires_at=made.expires_at,
        )

    return caller.once_around(effect, kept=PortalLinkAnswer.without_secret)


@router.delete("/portal/sessions")
def end_portal_sessions(
    caller: Writer, customer: Annotated[str, Query(max_length=255, description="the customer's key")]
) -> EndedAnswer:
    """End every open session of a customer's portal at once; links that were not followed yet open nothing."""
    ended = portal.end_portal_sessions(
        caller.engine, caller.workspace.id, customer, by=f"key {caller.principal.key_id}"
    )
    return EndedAnswer(customer=customer, ended=ended)


@router.get("/settings/portal")
def get_portal_settings(caller: Reader) -> PortalSettings:
    """How the portal looks and what it offers."""
    with caller.reading() as tx:
        return portal.get_portal_settings(tx)


@router.put("/settings/portal", response_model=PortalSettings)
def set_portal_settings(body: PortalSettingsBody, caller: Administrator) -> Response:
    """Put settings in the place of those there are. A colour that cannot be read on the pages is refused."""
    return caller.once(
        lambda tx: portal.set_portal_settings(tx, PortalSettings.model_validate(body.model_dump())),
        status=200,
    )


def _base(request: Request) -> str:
    scheme = request.headers.get("x-forwarded-proto") or request.url.scheme
    return f"{scheme}://{request.headers.get('host') or request.url.netloc}"

"""The calls about the portal: links into it, its sessions, how it looks."""

from collections.abc import Mapping
from typing import Any

from valorem.client.call import Call, Method
from valorem.client.portal_values import PortalEnded, PortalLink


def create_portal_link(
    customer: str, *, lasts_s: int | None = None, origin: str | None = None, language: str | None = None
) -> Call[PortalLink]:
    """A link that opens a customer's portal once; make it when somebody is about to follow it.

    Args:
        customer: The customer's key.
        lasts_s: How long it can be followed; ten minutes where left out.
        origin: Your page that shows it in a frame, one of the settings' origins; none for a page of its own.
        language: In which it opens; the customer's own where left out.
    """
    body = {"customer": customer, "lasts_s": lasts_s, "origin": origin, "language": language}
    return Call("POST", "/v1/portal/links", PortalLink, body=body, once=True)


def end_portal_sessions(customer: str) -> Call[PortalEnded]:
    """End every open session of a customer's portal at once."""
    return Call("DELETE", "/v1/portal/sessions", PortalEnded, query={"customer": customer})


def get_portal_settings() -> Call[dict[str, Any]]:
    """How the portal looks, who may frame it, and which plans customers may choose themselves."""
    return Call("GET", "/v1/settings/portal", dict[str, Any])


def set_portal_settings(settings: Mapping[str, Any]) -> Call[dict[str, Any]]:
    """Put settings in the place of those there are."""
    return Call("PUT", "/v1/settings/portal", dict[str, Any], body=settings, once=True)


class PortalMethods:
    """The calls as methods."""

    create_portal_link = Method(create_portal_link)
    end_portal_sessions = Method(end_portal_sessions)
    get_portal_settings = Method(get_portal_settings)
    set_portal_settings = Method(set_portal_settings)

"""Every page of the portal."""

import pytest

from tests.web.portal.conftest import Portal

PAGES = (
    "/",
    "/usage",
    "/usage?by=kind",
    "/usage?meter=calls&by=user",
    "/usage/events",
    "/usage/events?by=model&only=large",
    "/credits",
    "/credits?by=model",
    "/limits",
    "/invoices",
    "/plan",
    "/plan/calculator",
    "/plan/change?plan=business",
    "/outcomes",
)


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there(acme: Portal, path: str) -> None:
    assert "Acme" in acme.page(path)

"""The console's side of the portal: how it is set up, and a look through a customer's eyes."""

import pytest

from tests.api.conftest import World, furnished, world  # noqa: F401
from tests.web.console import Console, sign_in, signed_up, text_of
from valorem.engine.people import MAY


@pytest.fixture
def console(furnished: World) -> Console:  # noqa: F811
    signed_up(furnished.engine)
    return sign_in(furnished.http)


def test_the_vendor_sets_the_portal_up(furnished: World, console: Console) -> None:  # noqa: F811
    form = {
        "name": "Metered",
        "accent": "#0b6e4f",
        "mode": "auto",
        "corners": "round",
        "origins": "https://app.example.com\nhttps://b.example.com",
        "offers": "team",
        "names": "small: Small model",
        "language": "de",
        "support": "help@example.com",
        "logo": "<svg xmlns='http://www.w3.org/2000/svg'/>",
    }
    assert console.submit("/settings/portal", form).status_code == 303
    kept = furnished.get("/v1/settings/portal").json()
    assert kept["origins"] == ["https://app.example.com", "https://b.example.com"]
    assert kept["names"] == {"small": "Small model"}
    assert kept["logo"]["format"] == "svg"
    assert console.submit("/settings/portal", {**form, "logo": ""}).status_code == 303
    assert furnished.get("/v1/settings/portal").json()["logo"] == kept["logo"]
    refused = console.submit("/settings/portal", {**form, "accent": "#ffd200"})
    assert refused.status_code == 400
    assert "the nearest that can be is #" in text_of(refused.text).lower()
    assert 'value="#ffd200"' in refused.text
    assert "portal.settings" in console.get("/settings/audit").text


def test_an_operator_looks_through_a_customer_s_eyes_and_the_log_knows(console: Console) -> None:
    assert "read" in MAY["viewer"]
    answer = console.submit("/customers/acme/portal", {}, page="/customers/acme")
    assert answer.status_code == 303
    entered = console.get("!" + answer.headers["location"])
    page = console.get("!" + entered.headers["location"])
    assert "You see what Acme sees" in text_of(page.text)
    log = text_of(console.get("/settings/audit").text)
    assert "portal.impersonate" in log
    assert "portal.enter" in log
    assert console.submit("/customers/nobody/portal", {}, page="/customers/acme").status_code == 404

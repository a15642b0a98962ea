"""What people come for, in light and dark, on a wide screen and on a phone."""

import re
from decimal import Decimal

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import MODES, Opens, Site
from tests.web.console import OWNER, PASSWORD
from valorem.engine.sessions import make_link

pytestmark = [pytest.mark.browser, pytest.mark.slow]
modes = pytest.mark.parametrize(("theme", "size"), MODES)


@modes
def test_set_up_once_then_sign_in(site: Site, open_page: Opens, theme: str, size: str) -> None:
    with site.engine.database.system() as connection:
        connection.execute("TRUNCATE person, web_session, one_use_link")
    site.sandbox()
    token = make_link(site.engine, "set_up")
    watched = open_page(theme, size, signed_in=False)
    page = watched.page
    page.goto(f"{site.url}/set-up?token={token}")
    page.get_by_label("Your name").fill("Olga")
    page.get_by_label("E-mail address").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("healthy")
    watched.check()
    page.locator("details.user summary").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.get_by_label("E-mail address").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("healthy")
    watched.check()


@modes
def test_a_line_is_explained_down_to_an_event(site: Site, open_page: Opens, theme: str, size: str) -> None:
    sandbox = site.sandbox()
    sandbox.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    last = sandbox.get("/v1/invoices?newest_first=true")["items"][0]
    watched = open_page(theme, size)
    page = watched.page
    page.goto(sandbox.page("/invoices"))
    page.get_by_role("link", name=last["number"]).click()
    shown = page.locator(".facts .headline data").get_attribute("value")
    assert shown == sandbox.get(f"/v1/invoices/{last['id']}")["document"]["total"]
    page.locator("figure.chart").first.scroll_into_view_if_needed()
    page.locator("figure.chart[data-ready]").first.wait_for()
    watched.check()
    page.get_by_role("link", name=re.compile("Tokens")).first.click()
    expect(page.locator(".arithmetic")).to_contain_text("1000000 × 2 / 1000000")
    page.get_by_role("link", name="first").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("first")
    expect(page.locator("table")).to_contain_text("1,000,000")
    watched.check()


@modes
def test_a_price_change_is_previewed_and_applied(site: Site, open_page: Opens, theme: str, size: str) -> None:
    sandbox = site.sandbox()
    watched = open_page(theme, size)
    page = watched.page
    page.goto(sandbox.page("/catalog/change"))
    plan = page.get_by_label("plans/team.yaml")
    plan.fill(plan.input_value().replace("amount: 2,", "amount: 3,"))
    page.get_by_role("button", name="Show what would change").click()
    expect(page.locator(".diff li")).to_have_count(1)
    row = page.get_by_role("row", name=re.compile("Acme"))
    before, after = (
        Decimal(value)
        for value in row.locator(".money data").evaluate_all(
            "all => all.map(each => each.getAttribute('value'))"
        )
    )
    contract = sandbox.get("/v1/contracts?customer=acme")["items"][0]["id"]
    assert before == Decimal(sandbox.get(f"/v1/invoices/preview?contract={contract}")["projected"]["total"])
    assert after > before
    watched.check()
    page.get_by_label("Why").fill("Dearer tokens")
    page.get_by_role("button", name="Apply as version 2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Version 2")
    assert sandbox.get("/v1/catalog")["version"] == 2
    watched.check()


@modes
def test_a_number_moves_while_events_arrive(site: Site, open_page: Opens, theme: str, size: str) -> None:
    sandbox = site.sandbox()
    watched = open_page(theme, size)
    page = watched.page
    page.goto(sandbox.page("/customers/acme"))
    contract = sandbox.get("/v1/contracts?customer=acme")["items"][0]["id"]
    expect(page.locator("[data-live]")).to_have_attribute("data-state", "live")
    first = sandbox.get(f"/v1/invoices/preview?contract={contract}")["so_far"]["total"]
    number = page.locator(f"#so-far-{contract}")
    expect(number).to_have_attribute("value", first)
    sandbox.use("second", 5_000_000)
    second = sandbox.get(f"/v1/invoices/preview?contract={contract}")["so_far"]["total"]
    assert Decimal(second) == Decimal(first) + 10
    expect(number).to_have_attribute("value", second)
    watched.check()


@modes
def test_a_clock_is_advanced_and_invoices_close(site: Site, open_page: Opens, theme: str, size: str) -> None:
    sandbox = site.sandbox()
    sandbox.post("/v1/invoices/close", {})
    watched = open_page(theme, size)
    page = watched.page
    page.goto(sandbox.page("/clock"))
    page.get_by_role("button", name=re.compile("a period of Acme ends")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 Apr 2026")
    expect(page.get_by_role("status").first).to_contain_text("1 invoice drafted")
    page.get_by_role("button", name=re.compile("draft becomes final")).click()
    expect(page.get_by_role("status").first).to_contain_text("1 invoice made final")
    invoices = sandbox.get("/v1/invoices")["items"]
    assert [bool(each["number"]) for each in invoices] == [True, True]
    watched.check()


def test_a_dead_stream_says_so(site: Site, open_page: Opens) -> None:
    sandbox = site.sandbox()
    watched = open_page("light", "wide")
    watched.expected = ("ERR_", "Failed to load")
    page = watched.page
    page.goto(sandbox.page("/"))
    expect(page.locator("[data-live]")).to_have_attribute("data-state", "live")
    page.route(re.compile(r"/live\?"), lambda route: route.abort())
    page.goto(sandbox.page("/"))
    expect(page.locator("[data-live]")).to_have_attribute("data-state", "lost")
    expect(page.locator("#live-state")).to_contain_text("reconnecting")
    watched.check()


def test_the_palette_goes_anywhere_by_keyboard(site: Site, open_page: Opens) -> None:
    sandbox = site.sandbox()
    watched = open_page("light", "wide")
    page = watched.page
    page.goto(sandbox.page("/"))
    page.keyboard.press("Control+k")
    page.keyboard.type("acm")
    expect(page.get_by_role("option").first).to_contain_text("Acme")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Acme")
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invoices")
    watched.check()


def test_a_chart_is_read_by_the_arrow_keys(site: Site, open_page: Opens) -> None:
    sandbox = site.sandbox()
    watched = open_page("light", "wide")
    page = watched.page
    page.goto(sandbox.page("/customers/acme"))
    page.locator("figure.chart").first.scroll_into_view_if_needed()
    page.locator("figure.chart[data-ready]").first.wait_for()
    page.locator("figure.chart .drawing").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("figure.chart .reading").first).to_contain_text("1,000,000")
    watched.check()

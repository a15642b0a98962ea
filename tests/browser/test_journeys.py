"""What people come for: each journey once, and where it ends again in dark and light, wide and on a phone, in two locales."""

import re
from collections.abc import Callable
from decimal import Decimal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OTHER_MODES, Opens, Sandbox, Site, serious_faults
from tests.web.console import OWNER, PASSWORD
from valorem.core.numbers import plain
from valorem.engine.sessions import make_link

pytestmark = [pytest.mark.browser, pytest.mark.slow]
Modes = Callable[[str, str], None]


@pytest.fixture(scope="module")
def quiet(site: Site) -> Sandbox:
    """A sandbox that is only looked at."""
    return site.sandbox()


PAYLOAD = "<img src=x onerror=alert(1)><script>alert(2)</script>"


def test_a_line_is_explained_down_to_an_event(site: Site, open_page: Opens, in_every_mode: Modes) -> None:
    sandbox = site.sandbox()
    sandbox.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    last = sandbox.get("/v1/invoices?newest_first=true")["items"][0]
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page("/invoices"))
    page.get_by_role("link", name=last["number"]).click()
    total = sandbox.get(f"/v1/invoices/{last['id']}")["document"]["total"]
    assert page.locator(".facts .headline data").get_attribute("value") == total
    page.locator("figure.chart").first.scroll_into_view_if_needed()
    page.locator("figure.chart[data-ready]").first.wait_for()
    watched.check()
    address = page.url
    page.get_by_role("link", name=re.compile("Tokens")).first.click()
    expect(page.locator(".arithmetic")).to_contain_text("1000000 × 2 / 1000000")
    page.get_by_role("link", name="first").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("first")
    expect(page.locator("table")).to_contain_text("1,000,000")
    watched.check()
    in_every_mode(address, total)


def test_a_price_change_is_previewed_and_applied(site: Site, open_page: Opens, in_every_mode: Modes) -> None:
    sandbox = site.sandbox()
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page("/catalog/change"))
    plan = page.get_by_label("plans/team.yaml")
    plan.fill(plan.input_value().replace("amount: 2,", "amount: 3,"))
    page.get_by_role("button", name="Show what would change").click()
    expect(page.locator(".diff li")).to_have_count(1)
    row = page.get_by_role("row", name=re.compile("Acme"))
    before, after = row.locator(".money data").evaluate_all(
        "all => all.map(each => each.getAttribute('value'))"
    )
    contract = sandbox.get("/v1/contracts?customer=acme")["items"][0]["id"]
    preview = sandbox.get(f"/v1/invoices/preview?contract={contract}")
    assert Decimal(before) == Decimal(preview["projected"]["total"])
    assert Decimal(after) > Decimal(before)
    watched.check()
    page.get_by_label("Why").fill("Dearer tokens")
    page.get_by_role("button", name="Apply as version 2").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Version 2")
    assert sandbox.get("/v1/catalog")["version"] == 2
    watched.check()
    in_every_mode(sandbox.page("/customers/acme"), preview["so_far"]["total"])


def test_a_contract_is_upgraded(site: Site, open_page: Opens, in_every_mode: Modes) -> None:
    sandbox = site.sandbox()
    contract = sandbox.get("/v1/contracts?customer=acme")["items"][0]["id"]
    body = {"changes": [{"kind": "plan", "plan": "pro"}], "effective": "now", "preview": True}
    wanted = sandbox.post(f"/v1/contracts/{contract}/changes", body)
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page(f"/contracts/{contract}"))
    page.get_by_role("link", name="Change it").click()
    page.get_by_label("Plan", exact=True).select_option("pro")
    page.get_by_label("From", exact=True).select_option("now")
    page.get_by_label("Why").fill("they asked for it")
    page.get_by_role("button", name="Show what it would cost").click()
    difference = page.locator(".facts .headline data").get_attribute("value")
    assert difference == wanted["difference"]
    watched.check()
    page.get_by_role("button", name="Agree to it").click()
    expect(page.get_by_role("status").first).to_contain_text("Agreed: another plan")
    expect(page.locator(".history")).to_contain_text("they asked for it")
    assert sandbox.get(f"/v1/contracts/{contract}")["plan"] == "pro"
    watched.check()
    so_far = sandbox.get(f"/v1/invoices/preview?contract={contract}")["so_far"]["total"]
    in_every_mode(sandbox.page("/customers/acme"), so_far)


def test_credits_are_granted_and_burn(site: Site, open_page: Opens, in_every_mode: Modes) -> None:
    sandbox = site.sandbox()
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page("/customers/acme/credits"))
    page.get_by_label("Amount").fill("50")
    page.get_by_role("button", name="Give", exact=True).click()
    expect(page.get_by_role("status").first).to_contain_text("50 coins given")
    run = {"specversion": "1.0", "id": "r1", "source": "/t", "type": "run", "subject": "acme", "data": {}}
    assert sandbox.post("/v1/events", [run])["accepted"] == 1
    page.reload()
    balance = sandbox.get("/v1/credits/balance?customer=acme&credit=coins")["items"][0]
    assert balance["available"] == "48"
    expect(page.locator(".facts .headline data").first).to_have_attribute("value", "48")
    expect(page.locator(".burn").first).to_contain_text("2 of 50")
    watched.check()
    page.goto(sandbox.page("/credits"))
    page.get_by_role("button", name="Check every ledger").click()
    expect(page.get_by_role("status").first).to_contain_text("debits equal credits")
    watched.check()
    in_every_mode(sandbox.page("/customers/acme/credits"), "48")


def test_a_number_moves_while_events_arrive(site: Site, open_page: Opens, in_every_mode: Modes) -> None:
    sandbox = site.sandbox()
    watched = open_page()
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
    in_every_mode(sandbox.page("/customers/acme"), second)


def test_a_webhook_is_made_and_replayed(site: Site, open_page: Opens) -> None:
    sandbox = site.sandbox()
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page("/alerts"))
    page.get_by_text("Tell somebody", exact=True).click()
    page.get_by_label("URL or mail address").fill("https://hooks.example.com/valorem")
    page.locator("section", has=page.get_by_role("heading", name="Who is told")).get_by_role(
        "button", name="Add"
    ).click()
    expect(page.get_by_role("status").first).to_contain_text("shown this once")
    sandbox.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    page.get_by_role("link", name="https://hooks.example.com/valorem").click()
    address = page.url
    page.get_by_label("How far back").select_option("month")
    page.get_by_role("button", name="Send again").click()
    expect(page.get_by_role("status").first).to_contain_text("sent again, under the same ids")
    expect(page.get_by_role("row", name=re.compile("invoice.finalised")).first).to_contain_text("pending")
    page.get_by_role("button", name="New secret").click()
    expect(page.get_by_role("status").first).to_contain_text("The old one signs beside it")
    watched.check()
    for theme, size, language in OTHER_MODES:
        again = open_page(theme, size, language)
        again.page.goto(address)
        expect(again.page.get_by_role("row", name=re.compile("invoice.finalised")).first).to_be_visible()
        again.check()
        assert serious_faults(again.page) == []


def test_a_clock_is_advanced_and_invoices_close(site: Site, open_page: Opens, in_every_mode: Modes) -> None:
    sandbox = site.sandbox()
    sandbox.post("/v1/invoices/close", {})
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page("/clock"))
    page.get_by_role("button", name=re.compile("a period of Acme ends")).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 Apr 2026")
    expect(page.get_by_role("status").first).to_contain_text("1 invoice drafted")
    page.get_by_role("button", name=re.compile("draft becomes final")).click()
    expect(page.get_by_role("status").first).to_contain_text("1 invoice made final")
    invoices = sandbox.get("/v1/invoices?newest_first=true")["items"]
    assert [bool(each["number"]) for each in invoices] == [True, True]
    watched.check()
    in_every_mode(sandbox.page("/invoices"), invoices[0]["total"])


def test_an_invoice_is_paid_in_part_and_credited(site: Site, open_page: Opens, in_every_mode: Modes) -> None:
    sandbox = site.sandbox()
    sandbox.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    last = sandbox.get("/v1/invoices?newest_first=true")["items"][0]
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page(f"/invoices/{last['number']}"))
    page.get_by_text("Money has arrived").click()
    page.get_by_role("textbox", name="Amount, USD").fill("10")
    page.get_by_label("Reference").fill("bank 7")
    page.get_by_role("button", name="Note the payment").click()
    expect(page.get_by_role("status").first).to_contain_text("10 USD noted as received")
    page.get_by_text("Something on it was wrong").click()
    page.locator("#f-line-1").fill("1.50")
    page.get_by_label("Why").fill("an outage")
    page.get_by_role("button", name="Issue the note").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("CRN-")
    watched.check()
    header = sandbox.get(f"/v1/invoices/{last['number']}")
    owed = plain(Decimal(last["total"]) - Decimal("11.50"))
    assert header["status"] == "partially_paid"
    in_every_mode(sandbox.page(f"/invoices/{last['number']}"), owed)


def test_a_budget_is_set_and_says_what_it_does(site: Site, open_page: Opens, in_every_mode: Modes) -> None:
    sandbox = site.sandbox()
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page("/customers/acme/limits"))
    page.get_by_text("Set a budget").click()
    page.get_by_label("Amount, USD").fill("12.50")
    page.get_by_label("At its amount").select_option("hard")
    page.get_by_role("button", name="Set it").click()
    row = page.get_by_role("row", name=re.compile("Budget"))
    expect(row).to_contain_text("Blocks new use that costs money")
    expect(row.locator("data").nth(1)).to_have_attribute("value", "12.5")
    watched.check()
    in_every_mode(sandbox.page("/customers/acme/limits"), "12.5")


def test_names_are_text_in_a_browser_too(site: Site, open_page: Opens) -> None:
    sandbox = site.sandbox()
    sandbox.post("/v1/customers", {"key": "evil", "name": PAYLOAD, "currency": "USD"})
    sandbox.post("/v1/contracts", {"customer": "evil", "plan": "team", "start": "2026-03-01T00:00:00Z"})
    watched = open_page()
    page = watched.page
    for path in ("/customers/evil", "/customers/evil/limits", "/customers/evil/credits", "/customers", "/"):
        page.goto(sandbox.page(path))
        assert page.locator("img[src=x]").count() == 0, path
    page.goto(sandbox.page("/"))
    expect(page.locator("html")).not_to_have_class("no-script")  # its modules are there
    page.keyboard.press("Control+k")
    page.keyboard.type("evil")
    expect(page.locator("dialog.palette").get_by_role("option").first).to_contain_text(PAYLOAD)
    watched.check()


def test_a_dead_stream_says_so(quiet: Sandbox, open_page: Opens) -> None:
    sandbox = quiet
    watched = open_page()
    watched.expected = ("ERR_", "Failed to load")
    page = watched.page
    page.goto(sandbox.page("/"))
    expect(page.locator("[data-live]")).to_have_attribute("data-state", "live")
    page.route(re.compile(r"/live\?"), lambda route: route.abort())
    page.goto(sandbox.page("/"))
    expect(page.locator("[data-live]")).to_have_attribute("data-state", "lost")
    expect(page.locator("#live-state")).to_contain_text("reconnecting")
    watched.check()


def test_the_palette_goes_anywhere_by_keyboard(quiet: Sandbox, open_page: Opens) -> None:
    sandbox = quiet
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page("/"))
    expect(page.locator("html")).not_to_have_class("no-script")  # its modules are there
    page.keyboard.press("Control+k")
    page.keyboard.type("acm")
    expect(page.locator("dialog.palette").get_by_role("option").first).to_contain_text("Acme")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Acme")
    expect(page.locator("html")).not_to_have_class("no-script")
    page.keyboard.press("g")
    page.keyboard.press("i")
    expect(page.get_by_role("heading", level=1)).to_have_text("Invoices")
    expect(page.locator("html")).not_to_have_class("no-script")
    page.keyboard.press("Control+k")
    page.keyboard.type("change pri")
    expect(page.locator("dialog.palette").get_by_role("option").first).to_contain_text("Change prices")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text("What would this change do?")
    watched.check()


def test_a_chart_is_read_by_the_arrow_keys(quiet: Sandbox, open_page: Opens) -> None:
    sandbox = quiet
    watched = open_page()
    page = watched.page
    page.goto(sandbox.page("/customers/acme"))
    page.locator("figure.chart").first.scroll_into_view_if_needed()
    page.locator("figure.chart[data-ready]").first.wait_for()
    page.locator("figure.chart .drawing").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("figure.chart .reading").first).to_contain_text("1,000,000")
    watched.check()


def test_numbers_and_dates_are_written_as_somebody_chose(quiet: Sandbox, open_page: Opens) -> None:
    sandbox = quiet
    watched = open_page(own=True)
    page = watched.page
    page.goto(sandbox.page("/customers/acme"))
    value = page.locator(".facts .headline data").first.get_attribute("value")
    page.locator("details.user summary").click()
    page.get_by_label("Numbers and dates as in").select_option("de")
    page.get_by_role("button", name="Use").click()
    shown = page.locator(".facts .headline data").first
    expect(shown).to_have_attribute("value", value or "")
    expect(shown).to_have_text(re.compile(r",\d\d$"))
    expect(page.locator(".facts")).to_contain_text("März 2026")
    watched.check()


def test_set_up_once_then_sign_in(site: Site, open_page: Opens) -> None:
    """The last, for it makes the installation new: who signed in before is nobody now."""
    with site.engine.database.system() as connection:
        connection.execute("TRUNCATE person, web_session, one_use_link")
    site.sandbox()
    token = make_link(site.engine, "set_up")
    watched = open_page(signed_in=False, own=True)
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
    for theme, size, language in (("light", "wide", "en-US"), *OTHER_MODES):
        again = open_page(theme, size, language, signed_in=False, own=True)
        _sign_in(again.page, site)
        expect(again.page.get_by_role("heading", level=1)).to_contain_text("healthy")
        again.check()
        assert serious_faults(again.page) == []


def _sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/sign-in")
    page.get_by_label("E-mail address").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/w/**")

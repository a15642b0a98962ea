"""The portal in a real Chromium: framed by the vendor's page, looked at in every mode, in two languages, and acted in."""

import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import MODES, PATIENCE_MS, Opens, Sandbox, Site, Watched, serious_faults

pytestmark = [pytest.mark.browser, pytest.mark.slow]
#: Each mode once, each language in the dark and in the light, wide and on a phone.
EVERY_PAGE = [
    (theme, size, "de" if (theme == "light") == (size == "wide") else "he") for theme, size in MODES
]
#: How much of a page its window does not show.
HIDDEN_PX = "document.documentElement.scrollHeight - document.documentElement.clientHeight"
PATHS = (
    "/",
    "/usage",
    "/usage/events",
    "/credits",
    "/limits",
    "/invoices",
    "/plan",
    "/plan/calculator",
    "/plan/change?plan=large",
    "/plan/change?seat=seat&quantity=5",
    "/plan/billing",
    "/credits/buy?credit=coins&pack=small",
)
EXTRA = {
    "plans/large.yaml": "plan: large\nname: Large\ncurrency: USD\nevery: month\nfees: {base: {amount: 90}}\n"
    "prices:\n  tokens: {model: per_unit, amount: 1, per: 1M}\n",
}


def made(site: Site) -> Sandbox:
    new = site.sandbox()
    catalog = new.get("/v1/catalog")["files"]
    new.post("/v1/catalog/apply", {"files": {**catalog, **EXTRA}, "message": "More", "author": "test"})
    return new


@pytest.fixture
def sandbox(site: Site) -> Sandbox:
    """For one journey alone."""
    return made(site)


@pytest.fixture(scope="module")
def quiet(site: Site) -> Sandbox:
    """Only looked at: with credits, a budget and an invoice."""
    new = made(site)
    furnished(new)
    new.post("/v1/credits/grants", {"customer": "acme", "credit": "coins", "amount": "100"})
    new.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    new.post("/v1/budgets", {"customer": "acme", "amount": "500", "set_by": "customer"})
    return new


def furnished(sandbox: Sandbox, **settings: object) -> None:
    answer = httpx.put(
        f"{sandbox.url}/v1/settings/portal",
        json={
            "name": "Vendor",
            "accent": "#0b6e4f",
            "offers": ["team", "large"],
            "support": "help@example.com",
            **settings,
        },
        headers={"authorization": f"Bearer {sandbox.key}"},
        timeout=60,
    )
    assert answer.is_success, answer.text


def enter(sandbox: Sandbox, watched: Watched, language: str = "en") -> str:
    """Follow a link; where the pages begin."""
    link = sandbox.post("/v1/portal/links", {"customer": "acme", "language": language})["url"]
    watched.page.goto(link)
    return watched.page.url.rstrip("/")


def settle(page: Page) -> None:
    for chart in page.locator("figure.chart").all():
        chart.scroll_into_view_if_needed()
    # No script of ours may be evaluated under the page's policy, so the locator waits.
    expect(page.locator("figure.chart:not([data-ready])")).to_have_count(0)


@pytest.mark.parametrize(("theme", "size", "language"), EVERY_PAGE)
def test_every_page_is_sound_in_two_languages(
    quiet: Sandbox, open_page: Opens, theme: str, size: str, language: str
) -> None:
    number = quiet.get("/v1/invoices?newest_first=true")["items"][0]["number"]
    watched = open_page(theme, size, signed_in=False)
    home = enter(quiet, watched, language)
    faults: list[str] = []
    for path in (*PATHS, f"/invoices/{number}", f"/invoices/{number}/lines/1"):
        watched.page.goto(home + path)
        settle(watched.page)
        assert watched.page.locator("html").get_attribute("lang") == language
        if (theme, size) in MODES[::3]:  # colours differ by theme and targets by size: both ends are enough
            faults += serious_faults(watched.page)
        watched.check()
    assert faults == []


def look_again(open_page: Opens, address: str, value: str) -> None:
    """Where a journey ended, in the modes it was not made in: nothing amiss, and the same exact value shown."""
    for theme, size in MODES[1:]:
        watched = open_page(theme, size, signed_in=False)
        watched.page.goto(address)
        expect(watched.page.locator(f'main data[value="{value}"]').first).to_be_attached()
        watched.check()
        assert serious_faults(watched.page) == []
        watched.page.close()


def test_pages_read_without_scripts(quiet: Sandbox, open_page: Opens) -> None:
    watched = open_page("light", "wide", signed_in=False, scripts=False)
    home = enter(quiet, watched, "he")
    for path in PATHS:
        watched.page.goto(home + path)
        assert watched.page.get_by_role("heading", level=1).count() == 1, path
        for figure in watched.page.locator("figure.chart").all():
            assert figure.locator("svg").count() or figure.locator("details[open] table").count(), path
    watched.page.goto(home + "/usage")
    watched.page.locator("#language").select_option("fr")
    watched.page.locator(".language button").click()
    expect(watched.page.get_by_role("heading", level=1)).to_have_text("Usage")
    assert watched.page.url == home + "/usage"
    watched.check()


def test_a_dead_stream_says_so(quiet: Sandbox, open_page: Opens) -> None:
    watched = open_page(signed_in=False)
    watched.expected = ("ERR_", "Failed to load")
    page = watched.page
    home = enter(quiet, watched)
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    page.route(re.compile("/live"), lambda route: route.abort())
    page.goto(home + "/limits")
    expect(page.locator(".live")).to_have_attribute("data-state", "lost")
    expect(page.locator(".live")).to_contain_text("no longer live, reconnecting")
    watched.check()


def test_a_customer_sets_a_budget_and_is_told(sandbox: Sandbox, open_page: Opens) -> None:
    furnished(sandbox)
    watched = open_page(signed_in=False)
    page = watched.page
    home = enter(sandbox, watched, "de")
    page.goto(home + "/limits")
    expect(page.locator(".live")).to_have_attribute("data-state", "live")
    page.locator("#f-amount").fill("10,00")
    page.get_by_role("button", name="Budget setzen").click()
    expect(page.get_by_role("status").filter(has_text="Ihr Budget ist gesetzt")).to_be_visible()
    (kept,) = sandbox.get("/v1/budgets?customer=acme")["items"]
    assert (kept["amount"], kept["set_by"]) == ("10", "customer")
    spent = page.locator(f"#spent-{kept['id']}")
    assert spent.get_attribute("value") == kept["spent"]
    sandbox.use("more", 4_500_000)  # 9 more, at 2 a million
    expect(spent).to_have_attribute("value", "11")
    assert sandbox.get("/v1/budgets?customer=acme")["items"][0]["spent"] == "11"
    sandbox.post("/v1/clock/advance", {"to": "2026-03-10T13:00:00Z"})
    page.goto(home + "/limits")
    expect(page.locator("section[aria-labelledby=told]")).to_contain_text("100 % Ihres Budgets von 10,00 $")
    watched.check()
    look_again(open_page, home + "/limits", "11")
    page.goto(home + "/")
    page.locator("#language").select_option("en")
    expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    page.goto(home + "/limits")
    expect(page.locator("section[aria-labelledby=told]")).to_contain_text("100% of your budget of $10.00")


def test_the_calculator_answers_to_the_cent(quiet: Sandbox, open_page: Opens) -> None:
    watched = open_page(signed_in=False)
    page = watched.page
    page.goto(enter(quiet, watched) + "/plan")
    page.get_by_role("link", name="What would this cost?").click()
    page.get_by_label("Number of: seat").fill("3")
    page.get_by_label("Tokens").fill("12,500,000")
    page.get_by_role("button", name="Work it out").click()
    expect(page.locator("#estimate")).to_have_attribute("value", "60")  # 20 + 3 × 5 + 12.5 × 2
    expect(page.locator(".facts")).to_contain_text("$102.50")  # 90 + 12.5 on the other plan
    watched.check()
    look_again(open_page, page.url, "60")


def test_a_customer_buys_credits_and_changes_seats(sandbox: Sandbox, open_page: Opens) -> None:
    furnished(sandbox)
    watched = open_page(signed_in=False)
    page = watched.page
    home = enter(sandbox, watched)
    page.goto(home + "/credits")
    page.get_by_role("link", name=re.compile("See what it comes to.*Small pack")).click()
    expect(page.locator(".facts .headline data")).to_have_attribute("value", "9")
    assert serious_faults(page) == []
    page.get_by_role("button", name="Buy with an obligation to pay").click()
    expect(page.get_by_role("status").filter(has_text="Bought")).to_be_visible()
    expect(page.locator("#credit-coins")).to_have_attribute("value", "50")
    page.goto(home + "/plan")
    page.get_by_label("Number of: seat").fill("4")
    page.get_by_role("button", name="See what changing comes to").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("seat: 4")
    page.get_by_role("button", name="Change to seat: 4").click()
    expect(page.get_by_role("status").filter(has_text="Changed")).to_be_visible()
    assert sandbox.get("/v1/contracts?customer=acme")["items"][0]["seats"]["seat"][-1]["quantity"] == "4"
    watched.check()
    page.goto(home + "/plan/billing")
    assert serious_faults(page) == []
    look_again(open_page, home + "/credits", "50")


def test_a_customer_signs_a_definition_and_disputes_a_result(sandbox: Sandbox, open_page: Opens) -> None:
    furnished(sandbox)
    contract = sandbox.get("/v1/contracts?customer=acme")["items"][0]["id"]
    of = {"contract": contract, "definition": "done"}
    proposed = sandbox.post("/v1/outcomes/definitions", {**of, "effective_from": "2026-03-10T12:00:00Z"})
    signed = {"number": proposed["number"], "digest": proposed["digest"], "person": "Olga", "role": "owner"}
    sandbox.post("/v1/outcomes/definitions/sign", {**of, **signed})
    watched = open_page(signed_in=False)
    page = watched.page
    home = enter(sandbox, watched)
    page.get_by_role("link", name="Results").click()
    page.get_by_role("link", name="Done").click()
    page.get_by_label("Your name").fill("Ada")
    page.get_by_label("As what you sign").fill("head of support")
    page.get_by_label("I have read the text").check()
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_role("status").filter(has_text="Signed.")).to_be_visible()
    expect(page.locator(".page-head")).to_contain_text("signed by both")
    (version,) = sandbox.get(f"/v1/outcomes/definitions?contract={contract}&definition=done")["items"]
    mine = next(each for each in version["signatures"] if each["party"] == "customer")
    assert (mine["person"], mine["digest"]) == ("Ada", proposed["digest"])
    sandbox.post("/v1/clock/advance", {"to": "2026-03-10T13:00:00Z"})
    fact = {
        "specversion": "1.0",
        "id": "t1",
        "source": "/t",
        "type": "ticket",
        "subject": "acme",
        "time": "2026-03-10T12:30:00Z",
        "data": {"id": "ticket-7", "state": "done"},
    }
    assert sandbox.post("/v1/events", [fact])["accepted"] == 1
    page.reload()
    page.get_by_text("Dispute results", exact=True).click()
    page.get_by_label("Which results, one a line").fill("ticket-7")
    page.get_by_label("In your words").fill("it came back")
    page.get_by_role("button", name="Open the dispute").click()
    expect(page.get_by_role("status").filter(has_text="Your dispute is open")).to_be_visible()
    expect(page.get_by_role("row", name=re.compile("ticket-7"))).to_contain_text("disputed")
    (dispute,) = sandbox.get(f"/v1/outcomes/disputes?contract={contract}&definition=done")["items"]
    assert dispute["keys"] == ["ticket-7"]
    watched.check()
    assert serious_faults(page) == []
    for theme, size in MODES[1:]:
        again = open_page(theme, size, signed_in=False)
        again.page.goto(f"{home}/outcomes/done?contract={contract}")
        expect(again.page.get_by_role("row", name=re.compile("ticket-7"))).to_contain_text("disputed")
        again.check()
        again.page.close()


@dataclass
class Host:
    """The vendor's own page, on another site."""

    origin: str
    links: list[str]


@pytest.fixture
def host(site: Site) -> Iterator[Host]:
    links: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = (
                links.pop(0)
                if self.path == "/link" and links
                else f'<!doctype html><html lang="en"><title>Vendor</title><script src="{site.url}/portal/embed.js"></script>'
                '<h1>Settings</h1><div id="billing"></div><script>valoremPortal(document.getElementById("billing"),'
                ' async () => (await fetch("/link")).text())</script>'
            )
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Nobody reads it."""

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield Host(f"http://localhost:{port}", links)
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


def wait_until_whole(page: Page) -> None:
    """The frame grows with the page in it, once that is laid out, until nothing of it is hidden."""
    inner = next(each for each in page.frames if each != page.main_frame)
    deadline = time.monotonic() + PATIENCE_MS / 1000
    while inner.evaluate(HIDDEN_PX) > 2:
        assert time.monotonic() < deadline, "a part of the page stays hidden in its frame"
        page.wait_for_timeout(100)


@pytest.mark.parametrize(("theme", "size"), MODES[::3])
def test_the_portal_lives_in_the_vendor_s_page(
    sandbox: Sandbox, open_page: Opens, host: Host, theme: str, size: str
) -> None:
    furnished(sandbox, origins=[host.origin])
    watched = open_page(theme, size, signed_in=False)
    watched.allowed = (host.origin,)
    wanted = {"customer": "acme", "origin": host.origin}
    host.links += [sandbox.post("/v1/portal/links", wanted)["url"] for _ in range(3)]
    page = watched.page
    page.goto(host.origin)
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", level=1)).to_have_text("Overview")
    wait_until_whole(page)  # what is clicked must not move away
    frame.get_by_role("link", name="Limits", exact=True).click()
    expect(frame.get_by_role("heading", level=1)).to_contain_text("Limits")
    wait_until_whole(page)
    frame.locator("#f-amount").fill("300")
    frame.get_by_role("button", name="Set the budget").click()
    expect(frame.locator("main")).to_contain_text("Your budget is set")
    assert sandbox.get("/v1/budgets?customer=acme")["items"][0]["amount"] == "300"
    watched.check()
    sandbox.delete("/v1/portal/sessions?customer=acme")
    host.links[:] = [sandbox.post("/v1/portal/links", wanted)["url"]]
    watched.expected = ("401",)
    frame.get_by_role("link", name="Plan", exact=True).click()
    expect(frame.get_by_role("heading", level=1)).to_have_text("Overview")  # opened again, by a new link
    watched.check()


def test_nobody_else_may_frame_it(sandbox: Sandbox, open_page: Opens, host: Host) -> None:
    furnished(sandbox, origins=["https://app.example.com"])
    watched = open_page("light", "wide", signed_in=False)
    watched.allowed = (host.origin,)
    host.links.append(
        sandbox.post("/v1/portal/links", {"customer": "acme", "origin": "https://app.example.com"})["url"]
    )
    watched.expected = ("frame-ancestors", "Framing")
    with watched.page.expect_console_message(
        lambda said: any(each in said.text for each in watched.expected)
    ):
        watched.page.goto(host.origin)
    expect(watched.page.frame_locator("iframe").get_by_role("heading", name="Overview")).to_have_count(0)
    watched.check()

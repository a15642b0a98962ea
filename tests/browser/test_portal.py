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
modes = pytest.mark.parametrize(("theme", "size"), MODES)
LANGUAGES = ("de", "he")
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
)
EXTRA = {
    "plans/large.yaml": "plan: large\nname: Large\ncurrency: USD\nevery: month\nfees: {base: {amount: 90}}\n"
    "prices:\n  tokens: {model: per_unit, amount: 1, per: 1M}\n",
    "credits/coins.yaml": "credit: coins\nname: coin\nburn: {tokens: {model: per_unit, amount: 1, per: 100k}}\n",
}


@pytest.fixture
def sandbox(site: Site) -> Sandbox:
    made = site.sandbox()
    catalog = made.get("/v1/catalog")["files"]
    made.post("/v1/catalog/apply", {"files": {**catalog, **EXTRA}, "message": "More", "author": "test"})
    return made


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


@modes
def test_every_page_is_sound_in_two_languages(
    sandbox: Sandbox, open_page: Opens, theme: str, size: str
) -> None:
    furnished(sandbox)
    sandbox.post("/v1/credits/grants", {"customer": "acme", "credit": "coins", "amount": "100"})
    sandbox.post("/v1/clock/advance", {"to": "2026-04-01T02:00:00Z"})
    sandbox.post("/v1/budgets", {"customer": "acme", "amount": "500", "set_by": "customer"})
    number = sandbox.get("/v1/invoices?newest_first=true")["items"][0]["number"]
    faults: list[str] = []
    for language in LANGUAGES:
        watched = open_page(theme, size, signed_in=False)
        home = enter(sandbox, watched, language)
        for path in (*PATHS, f"/invoices/{number}", f"/invoices/{number}/lines/1"):
            watched.page.goto(home + path)
            settle(watched.page)
            assert watched.page.locator("html").get_attribute("lang") == language
            if (
                language == LANGUAGES[theme == "dark"]
            ):  # access does not depend on the language: half is enough
                faults += serious_faults(watched.page)
            watched.check()
    assert faults == []


def test_pages_read_without_scripts(sandbox: Sandbox, open_page: Opens) -> None:
    furnished(sandbox)
    watched = open_page("light", "wide", signed_in=False, scripts=False)
    home = enter(sandbox, watched, "he")
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


@modes
def test_a_customer_sets_a_budget_and_is_told(
    sandbox: Sandbox, open_page: Opens, theme: str, size: str
) -> None:
    furnished(sandbox)
    watched = open_page(theme, size, signed_in=False)
    page, home = watched.page, ""
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


@modes
def test_the_calculator_answers_to_the_cent(
    sandbox: Sandbox, open_page: Opens, theme: str, size: str
) -> None:
    furnished(sandbox)
    watched = open_page(theme, size, signed_in=False)
    page = watched.page
    page.goto(enter(sandbox, watched) + "/plan")
    page.get_by_role("link", name="What would this cost?").click()
    page.get_by_label("Number of: seat").fill("3")
    page.get_by_label("Tokens").fill("12,500,000")
    page.get_by_role("button", name="Work it out").click()
    expect(page.locator("#estimate")).to_have_attribute("value", "60")  # 20 + 3 × 5 + 12.5 × 2
    expect(page.locator(".facts")).to_contain_text("$102.50")  # 90 + 12.5 on the other plan
    watched.check()


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


@modes
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
    page.wait_for_timeout(3100)  # a new link is not asked for at once
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
    watched.page.goto(host.origin)
    watched.expected = ("frame-ancestors", "Framing")
    watched.page.wait_for_function("document.querySelector('iframe').src !== ''")
    watched.page.wait_for_timeout(1500)
    assert not any(re.search("Overview", each.content()) for each in watched.page.frames[1:])
    watched.check()

"""Every page in every mode: no serious fault of access, nothing from elsewhere, nothing refused, nothing too wide."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.browser.conftest import Opens, Sandbox, Site

pytestmark = [pytest.mark.browser, pytest.mark.slow]
OPEN = ("/sign-in", "/reference")


@pytest.fixture(scope="module")
def sandbox(site: Site) -> Sandbox:
    made = site.sandbox()
    made.post("/v1/clock/advance", {"to": "2026-05-01T02:00:00Z"})
    return made


def paths(sandbox: Sandbox) -> list[str]:
    contract = sandbox.get("/v1/contracts?customer=acme")["items"][0]["id"]
    number = sandbox.get("/v1/invoices?newest_first=true")["items"][0]["number"]
    return [
        *("/", "/events", "/event?source=/t&id=first&subject=acme&time=2026-03-09T00:00:00Z", "/meters"),
        *("/catalog", "/catalog/versions/1", "/catalog/change", "/customers", "/customers/acme"),
        *("/new-customer", "/customers/acme/contracts/new", f"/contracts/{contract}", "/invoices"),
        *(
            f"/invoices/{number}",
            f"/invoices/{number}/lines/1",
            "/clock",
            "/settings/keys",
            "/settings/people",
        ),
        *(
            "/alerts",
            "/credits",
            "/customers/acme/credits",
            "/settings/workspaces",
            "/settings/audit",
            "/search?q=zz",
        ),
    ]


def faults_of(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [
        f"{page.url}: {each['id']}: {each['nodes'][0]['html'][:160]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


@pytest.mark.parametrize(("theme", "size"), [("light", "wide"), ("dark", "phone")])
def test_every_page_is_sound(site: Site, sandbox: Sandbox, open_page: Opens, theme: str, size: str) -> None:
    watched = open_page(theme, size)
    faults: list[str] = []
    for address in (*(site.url + path for path in OPEN), *(sandbox.page(path) for path in paths(sandbox))):
        watched.page.goto(address)
        for chart in watched.page.locator("figure.chart").all():
            chart.scroll_into_view_if_needed()
        if watched.page.locator("figure.chart").count():
            watched.page.wait_for_function(
                "document.querySelectorAll('figure.chart').length"
                " === document.querySelectorAll('figure.chart[data-ready]').length"
            )
        faults += faults_of(watched.page)
        watched.check()
    assert faults == []


def test_pages_read_without_scripts(site: Site, sandbox: Sandbox, open_page: Opens) -> None:
    watched = open_page("light", "wide", scripts=False)
    for path in paths(sandbox):
        watched.page.goto(sandbox.page(path))
        assert watched.page.get_by_role("heading", level=1).count() == 1, path
        main = watched.page.get_by_role("main").inner_text()
        assert len(main) > 40, path
        for figure in watched.page.locator("figure.chart").all():
            assert figure.locator("svg").count() or figure.locator("details[open] table").count(), path
    watched.check()

"""Every page in every mode: no serious fault of access, nothing from elsewhere, nothing refused, nothing too wide."""

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Opens, Sandbox, Site, serious_faults

pytestmark = [pytest.mark.browser, pytest.mark.slow]
#: The reference is one long page, so it is looked at in one mode.
OPEN = {"light": ("/sign-in", "/reference"), "dark": ("/sign-in",)}


@pytest.fixture(scope="module")
def sandbox(site: Site) -> Sandbox:
    made = site.sandbox()
    made.post("/v1/credits/grants", {"customer": "acme", "credit": "coins", "amount": "50", "id": "g"})
    contract = made.get("/v1/contracts?customer=acme")["items"][0]["id"]
    made.post(
        f"/v1/contracts/{contract}/changes",
        {"changes": [{"kind": "plan", "plan": "pro"}], "effective": "now"},
    )
    made.post("/v1/budgets", {"customer": "acme", "amount": "20"})
    made.post("/v1/webhooks", {"url": "https://hooks.example.com/x"})
    body = {"contract": contract, "definition": "done", "effective_from": "2026-03-10T12:00:00Z"}
    made.post("/v1/outcomes/definitions", body)
    made.post("/v1/clock/advance", {"to": "2026-05-01T02:00:00Z"})
    number = made.get("/v1/invoices?newest_first=true")["items"][0]["number"]
    made.post(f"/v1/invoices/{number}/pay", {"amount": "1"})
    made.post(f"/v1/invoices/{number}/credit_notes", {"reason": "an outage", "lines": {"1": "1"}})
    return made


def paths(sandbox: Sandbox) -> list[str]:
    contract = sandbox.get("/v1/contracts?customer=acme")["items"][0]["id"]
    number = sandbox.get("/v1/invoices?newest_first=true")["items"][0]["number"]
    endpoint = sandbox.get("/v1/webhooks")["items"][0]["id"]
    return [
        *("/", "/events", "/event?source=/t&id=first&subject=acme&time=2026-03-09T00:00:00Z", "/meters"),
        *(
            "/payments",
            "/credit-notes",
            "/credit-notes/CRN-000001",
            "/dunning",
            "/revenue",
            "/revenue?plan=team",
        ),
        *("/outcomes", f"/outcomes/{contract}/done", f"/contracts/{contract}/change", "/settings/billing"),
        *("/customers/acme/limits", f"/alerts/endpoints/{endpoint}", f"/invoices/{number}"),
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


@pytest.mark.parametrize(("theme", "size"), [("light", "wide"), ("dark", "phone")])
def test_every_page_is_sound(site: Site, sandbox: Sandbox, open_page: Opens, theme: str, size: str) -> None:
    watched = open_page(theme, size)
    faults: list[str] = []
    for address in (
        *(site.url + path for path in OPEN[theme]),
        *(sandbox.page(path) for path in paths(sandbox)),
    ):
        watched.page.goto(address)
        for chart in watched.page.locator("figure.chart").all():
            chart.scroll_into_view_if_needed()
        expect(watched.page.locator("figure.chart:not([data-ready])")).to_have_count(0)
        faults += serious_faults(watched.page)
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


def test_a_page_is_read_on_paper_and_in_forced_colours(sandbox: Sandbox, open_page: Opens) -> None:
    page = open_page().page
    page.goto(sandbox.page("/customers/acme"))
    page.emulate_media(media="print", color_scheme="dark")
    expect(page.locator(".rail")).to_be_hidden()
    expect(page.locator("main")).to_be_visible()
    expect(page.locator("body")).to_have_css("background-color", "rgb(255, 255, 255)")
    page.emulate_media(media="screen", color_scheme="dark", forced_colors="active")
    expect(page.locator(".rail")).to_be_visible()
    assert serious_faults(page) == []
    ink = page.locator("h1").evaluate("each => getComputedStyle(each).color")
    ground = page.locator("body").evaluate("each => getComputedStyle(each).backgroundColor")
    assert ink != ground

"""Make the screenshots of ``docs/screenshots`` again, of a server with the demonstration's data.

    valorem demo --keep                       # shows a link for setting up; keep it running
    python -m tests.browser.screenshots LINK  # the link; later, with a person that exists: URL --email … --password …

Every page once on a wide, light screen, some again in the dark and on a phone. Nothing is changed on the server but that
the link is used.
"""

import argparse
import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tests.browser.conftest import CHROMIUM, FLAGS, SIZES

_FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
_EMAIL, _PASSWORD = "olga@example.com", "a long password 1"
_PAGES = {
    "home": "/",
    "events": "/events",
    "alerts": "/alerts",
    "catalog": "/catalog",
    "catalog-version": "/catalog/versions/2",
    "meters": "/meters",
    "customers": "/customers",
    "customer": "/customers/northwind",
    "limits": "/customers/tidepool/limits",
    "invoices": "/invoices",
    "payments": "/payments",
    "credit-notes": "/credit-notes",
    "reminders": "/dunning",
    "credits": "/credits",
    "credit-account": "/customers/northwind/credits",
    "outcomes": "/outcomes",
    "revenue": "/revenue",
    "clock": "/clock",
    "keys": "/settings/keys",
    "people": "/settings/people",
    "billing-settings": "/settings/billing",
    "audit-log": "/settings/audit",
}
_LOOKS = 60
#: (name, theme, size) of what is shown in another mode as well.
_AGAIN = (
    ("home", "dark", "phone"),
    ("customer", "dark", "wide"),
    ("customer", "light", "phone"),
    ("revenue", "dark", "wide"),
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__)
    parser.add_argument("at", help="the link for setting up, or the server's address")
    parser.add_argument("--email", default=_EMAIL)
    parser.add_argument("--password", default=_PASSWORD)
    parser.add_argument("--workspace", default="demo")
    chosen = parser.parse_args()
    parts = urlsplit(chosen.at)
    home = f"{parts.scheme}://{parts.netloc}/w/{chosen.workspace}"
    _FOLDER.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        entry = browser.new_context()
        _enter(entry.new_page(), chosen.at, chosen.email, chosen.password)
        state = entry.storage_state()
        context = browser.new_context(storage_state=state, viewport=_size("wide"))
        page = context.new_page()
        page.goto(home + "/")
        whole = page.locator("[data-partial]")
        for _ in range(_LOOKS):  # the running contracts are added up when somebody first looks
            if not whole.count():
                break
            page.wait_for_timeout(2000)
            page.reload()
        for name, path in {**_PAGES, **_found(page, home)}.items():
            _shoot(page, home + path, name)
        _price_change(page, home)
        _contract_change(page, home)
        for name, theme, size in _AGAIN:
            again = _context(browser, state, theme, size)
            _shoot(again.new_page(), home + _PAGES[name], f"{name}-{size}-{theme}")
            again.close()
        browser.close()


def _size(size: str) -> ViewportSize:
    width, height = SIZES[size]
    return ViewportSize(width=width, height=height)


def _context(browser: Browser, state: object, theme: str, size: str) -> BrowserContext:
    return browser.new_context(
        storage_state=state,  # type: ignore[arg-type]
        viewport=_size(size),
        color_scheme="dark" if theme == "dark" else "light",
    )


def _enter(page: Page, at: str, email: str, password: str) -> None:
    """Set the console up by its link, or sign in."""
    setting_up = "token=" in at
    page.goto(at if setting_up else f"{at.rstrip('/')}/sign-in")
    if setting_up:
        page.get_by_label("Your name").fill("Olga Owner")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Begin" if setting_up else "Sign in").click()
    page.wait_for_url("**/w/**")


def _found(page: Page, home: str) -> dict[str, str]:
    """The pages whose addresses hold ids: found by following links."""
    found = {}
    page.goto(f"{home}/customers/northwind")
    link = page.locator("a[href*='/contracts/ctr_']").first.get_attribute("href") or ""
    found["contract"] = "/contracts/" + link.rpartition("/")[2]
    page.goto(f"{home}/customers?q=juniper+legal")
    page.locator("tbody a.row").first.click()
    link = page.locator("a[href*='/invoices/INV-']").first.get_attribute("href") or ""
    found["invoice"] = "/invoices/" + link.rpartition("/")[2]
    page.goto(home + found["invoice"])
    link = page.locator("tbody a.row", has_text=re.compile("Tokens")).first.get_attribute("href") or ""
    found["invoice-line"] = found["invoice"] + "/lines/" + link.rpartition("/")[2]
    page.goto(f"{home}/outcomes")
    link = page.locator("tbody a.row").first.get_attribute("href") or ""
    found["outcome"] = "/outcomes/" + link.partition("/outcomes/")[2]
    page.goto(f"{home}/alerts")
    link = page.locator("a[href*='/alerts/endpoints/']").first.get_attribute("href") or ""
    found["endpoint"] = "/alerts/endpoints/" + link.rpartition("/")[2]
    return found


def _price_change(page: Page, home: str) -> None:
    page.goto(f"{home}/catalog/change")
    page.locator("summary", has_text="plans/studio.yaml").click()
    plan = page.get_by_label("plans/studio.yaml")
    if not plan.is_visible():
        page.locator("summary", has_text="plans/studio.yaml").click()
    plan.fill(plan.input_value().replace("unit: 12,", "unit: 14,"))
    page.get_by_role("button", name="Show what would change").click()
    _keep(page, "price-change")


def _contract_change(page: Page, home: str) -> None:
    page.goto(f"{home}/customers/northwind")
    page.locator("a[href*='/contracts/ctr_']").first.click()
    page.get_by_role("link", name="Change it").click()
    page.get_by_label("Plan", exact=True).select_option("team")
    page.get_by_role("button", name="Show what it would cost").click()
    _keep(page, "contract-change")


def _shoot(page: Page, address: str, name: str) -> None:
    page.goto(address)
    _keep(page, name)


def _keep(page: Page, name: str) -> None:
    page.wait_for_timeout(600)
    for chart in page.locator("figure.chart").all():
        chart.scroll_into_view_if_needed()
        page.wait_for_timeout(300)
    if page.locator("figure.chart").count():
        page.locator("figure.chart[data-ready]").first.wait_for()
    page.evaluate("window.scrollTo(0, 0)")
    page.wait_for_timeout(1500)
    page.screenshot(path=str(_FOLDER / f"{name}.png"))


if __name__ == "__main__":
    main()

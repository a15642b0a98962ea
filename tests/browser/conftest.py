"""A real server, a real Chromium, and somebody who is watched: nothing may be fetched from elsewhere, nothing refused."""

import re
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.api.conftest import CATALOG, bearer
from tests.web.console import OWNER, PASSWORD, cheap_passwords
from valorem.app import assemble
from valorem.engine.audit import Deed
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.engine.keys import issue_key
from valorem.engine.people import has_people
from valorem.engine.sessions import make_link, set_up
from valorem.engine.workspaces import create_workspace
from valorem.store.postgres.database import Database
from valorem.store.warehouse.duckdb import DuckdbWarehouse

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))),
    None,
)
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
SIZES = {"wide": (1280, 900), "phone": (390, 844)}
MODES = [(theme, size) for theme in ("light", "dark") for size in SIZES]
#: A journey is made on a wide, light screen in English; where it ends is looked at again in these.
OTHER_MODES = (("dark", "phone", "de-DE"), ("light", "phone", "en-US"), ("dark", "wide", "de-DE"))
START = datetime(2026, 3, 10, 12, tzinfo=UTC)
PATIENCE_MS = 60_000  # a busy machine is slow, not wrong
FILES = {
    **CATALOG,
    "meters/runs.yaml": "meter: runs\nname: Runs\nevent: run\naggregate: count\nunit: run\ncost: {amount: 0.05}\n",
    "features/agents.yaml": "feature: agents\nname: Agents\nkind: metered\nmeter: runs\n",
    "credits/coins.yaml": "credit: coins\nname: coin\npacks: {small: {name: Small pack, amount: 50, price: {USD: 9}}}\n"
    "burn:\n  runs: {model: per_unit, amount: 2}\n",
    "outcomes/done.yaml": "outcome: done\nname: Done\nunit: ticket\nsource: {system: desk, freshness: 2 hours}\n"
    "evidence:\n  - {event: ticket, kind: success, when: {data.state: done}}\nkey: data.id\nwindow: 1 day\n"
    "currency: USD\nprice: {model: per_unit, amount: 1}\n",
    "plans/pro.yaml": "plan: pro\nname: Pro\ncurrency: USD\nevery: month\n"
    "fees: {base: {amount: 90}, seat: {amount: 9, per: seat}}\noutcomes: [done]\n"
    "prices:\n  tokens: {model: per_unit, amount: 1, per: 1M, included: 1M}\n"
    "limits:\n  agents: {max: 10, window: day}\nalerts: {limits: [80%]}\n",
}


@dataclass
class Site:
    """A server with people and sandboxes."""

    url: str
    engine: Engine
    made: int = 0

    def sandbox(self) -> "Sandbox":
        """A fresh sandbox with a catalog, a customer on it, and some usage."""
        self.made += 1
        name = f"sandbox-{self.made}"
        workspace = create_workspace(self.engine, name=name, kind="sandbox", clock_at=START)
        key = issue_key(self.engine, workspace.id, name="test", scopes=["admin"]).key
        sandbox = Sandbox(self.url, name, key)
        sandbox.post("/v1/catalog/apply", {"files": FILES, "message": "First", "author": "test"})
        sandbox.post("/v1/customers", {"key": "acme", "name": "Acme", "currency": "USD"})
        sandbox.post(
            "/v1/contracts",
            {"customer": "acme", "plan": "team", "start": "2026-03-01T00:00:00Z", "seats": {"seat": "2"}},
        )
        sandbox.use("first", 1_000_000)
        return sandbox


@dataclass
class Sandbox:
    """One workspace and a key of it."""

    url: str
    name: str
    key: str

    def post(self, path: str, body: Any) -> Any:
        answer = httpx.post(self.url + path, json=body, headers=bearer(self.key), timeout=60)
        assert answer.is_success, answer.text
        return answer.json()

    def get(self, path: str) -> Any:
        answer = httpx.get(self.url + path, headers=bearer(self.key), timeout=60)
        assert answer.is_success, answer.text
        return answer.json()

    def delete(self, path: str) -> None:
        answer = httpx.delete(self.url + path, headers=bearer(self.key), timeout=60)
        assert answer.is_success, answer.text

    def use(self, name: str, tokens: int) -> None:
        """One event of Acme's."""
        event = {
            "specversion": "1.0",
            "id": name,
            "source": "/t",
            "type": "llm.call",
            "subject": "acme",
            "time": "2026-03-09T00:00:00Z",
            "data": {"model": "small", "tokens": tokens},
        }
        answer = self.post("/v1/events", [event])
        assert answer["accepted"] == 1, answer

    def page(self, path: str) -> str:
        return f"{self.url}/w/{self.name}{path}"


expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session", autouse=True)
def passwords_cost_little() -> Iterator[None]:
    with cheap_passwords():
        yield


@pytest.fixture(
    scope="package"
)  # while it is driven an event loop runs in this thread, where other tests want their own
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(module_database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if CHROMIUM is None:
        pytest.skip("there is no Chromium here: apt-get install chromium")
    folder: Path = tmp_path_factory.mktemp("site")
    database = Database(module_database_url)
    engine = Engine(database, lambda: datetime.now(UTC), warehouse=DuckdbWarehouse(folder))
    ingestor = Ingestor(engine)
    app = assemble(engine, ingestor)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", timeout_graceful_shutdown=2))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            deadline = time.monotonic() + 30
            while not server.started and time.monotonic() < deadline:
                time.sleep(0.05)
            yield Site(f"http://127.0.0.1:{listener.getsockname()[1]}", engine)
        finally:
            app.state.draining.set()
            server.should_exit = True
            thread.join(30)
            ingestor.drain()
            database.close()


@dataclass
class Watched:
    """A page, and everything that must not have happened on it."""

    page: Page
    url: str
    faults: list[str] = field(default_factory=list)
    expected: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()

    def note_said(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.faults.append(f"console: {said.text}")

    def note_error(self, error: Error) -> None:
        self.faults.append(f"error: {error}")

    def note_dialog(self, dialog: Dialog) -> None:
        self.faults.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def note_asked(self, asked: Request) -> None:
        if not asked.url.startswith((self.url, "data:", *self.allowed)):
            self.faults.append(f"elsewhere: {asked.url}")

    def check(self) -> None:
        unexpected = [fault for fault in self.faults if not any(text in fault for text in self.expected)]
        assert unexpected == []
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        too_wide = looked_at(self.page, lambda: self.page.evaluate(width))
        assert too_wide <= 0, f"{self.page.url} scrolls sideways by {too_wide} px"


Opens = Callable[..., Watched]


@pytest.fixture(scope="module")
def signed_in(chromium: Browser, site: Site) -> Any:
    """What a browser keeps of an owner who signed in; the signing in itself has a journey of its own."""
    ensure_owner(site.engine)
    context = chromium.new_context()
    page = context.new_page()
    page.goto(f"{site.url}/sign-in")
    page.get_by_label("E-mail address").fill(OWNER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/w/**")
    state = context.storage_state()
    context.close()
    return state


Mode = tuple[bool, bool]


@pytest.fixture(scope="module")
def browsers(chromium: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[[Mode], BrowserContext]]:
    """One browser window for each kind of visitor: what it has loaded once, such as the charts' library, it keeps."""
    kept: dict[Mode, BrowserContext] = {}

    def window(mode: Mode) -> BrowserContext:
        if mode not in kept:
            signed_in, scripts = mode
            state = request.getfixturevalue("signed_in") if signed_in else None
            kept[mode] = new_context(chromium, storage_state=state, java_script_enabled=scripts)
        return kept[mode]

    yield window
    for context in kept.values():
        context.close()


def new_context(chromium: Browser, **given: Any) -> BrowserContext:
    context = chromium.new_context(**given)
    context.set_default_timeout(PATIENCE_MS)
    return context


@pytest.fixture
def open_page(chromium: Browser, browsers: Callable[[Mode], BrowserContext], site: Site) -> Iterator[Opens]:
    """Opens a watched page in a mode; signed in, unless told otherwise.

    With ``own`` it is in a window of its own, for what changes cookies or the window itself.
    """
    close: list[BrowserContext | Page] = []

    def open_(
        theme: str = "light",
        size: str = "wide",
        language: str = "en-US",
        *,
        signed_in: bool = True,
        scripts: bool = True,
        own: bool = False,
        **given: Any,
    ) -> Watched:
        if own or given:
            state = browsers((True, True)).storage_state() if signed_in else None
            context = new_context(chromium, storage_state=state, java_script_enabled=scripts, **given)
            close.append(context)
        else:
            context = browsers((signed_in, scripts))
        page = context.new_page()
        close.append(page)
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme="dark" if theme == "dark" else "light")
        page.set_extra_http_headers({"Accept-Language": language})
        watched = Watched(page, site.url)
        page.on("console", watched.note_said)
        page.on("pageerror", watched.note_error)
        page.on("request", watched.note_asked)
        page.on("dialog", watched.note_dialog)
        return watched

    yield open_
    for each in reversed(close):
        each.close()


@pytest.fixture
def in_every_mode(open_page: Opens) -> Callable[[str, str], None]:
    """Looks at where a journey ended in the modes it was not made in: nothing amiss, and the same exact value shown."""

    def look(address: str, value: str) -> None:
        for theme, size, language in OTHER_MODES:
            watched = open_page(theme, size, language)
            watched.page.goto(address)
            expect(watched.page.get_by_role("heading", level=1)).to_have_count(1)
            shown = watched.page.locator(f'main data[value="{value}"]')
            expect(shown.first).to_be_attached()
            if language.startswith("de"):
                assert re.search(r"\.\d\d$", shown.first.inner_text().strip()) is None
            watched.check()
            assert serious_faults(watched.page) == []
            watched.page.close()

    return look


def looked_at(page: Page, look: Callable[[], Any]) -> Any:
    """What somebody finds on a page; one that is made again meanwhile, as its numbers are whole now, is looked at again."""
    try:
        return look()
    except Error as error:
        if "context was destroyed" not in str(error):
            raise
    page.wait_for_load_state()
    return look()


def serious_faults(page: Page) -> list[str]:
    """What axe finds that would keep somebody out."""
    found = looked_at(page, lambda: Axe().run(page)).response["violations"]
    return [
        f"{page.url}: {each['id']}: {each['nodes'][0]['html'][:160]}"
        for each in found
        if each["impact"] in {"serious", "critical"}
    ]


def ensure_owner(engine: Engine) -> None:
    if not has_people(engine):
        token = make_link(engine, "set_up")
        deed = Deed("", "installation.set_up", "")
        set_up(engine, token, deed, email=OWNER, name="Olga", password=PASSWORD)

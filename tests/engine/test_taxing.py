"""An outside tax engine over real HTTP: asked once, kept, and while it fails invoices wait with a reason."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.engine.billing import Shop, Shops, shops
from tests.engine.test_contract_changes import everything_proves
from valorem.core.billing.parties import BillingSettings
from valorem.core.errors import OverloadedError
from valorem.engine.closing import close_due
from valorem.engine.engine import Engine
from valorem.engine.invoices import get_invoice
from valorem.engine.one_off import WrittenInvoice, WrittenLine, ask_taxes, write_invoice
from valorem.engine.settings import set_billing_settings
from valorem.integrations.tax_engine import HttpTaxEngine

D = Decimal


@dataclass
class TaxHouse:
    """A tax engine that answers as it is told.

    Attributes:
        mode: ``right``, or how it fails.
        asked: Every question, in order.
    """

    mode: str = "right"
    asked: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""

    def answer(self, question: dict[str, Any]) -> tuple[int, bytes]:
        self.asked.append(question)
        taxes = [{"tax": "sales", "name": "Sales tax", "share": "0.0725"}]
        lines = [{"key": line["key"], "taxes": taxes} for line in question["lines"]]
        match self.mode:
            case "error":
                return 503, b"{}"
            case "words":
                return 200, b"<html>busy</html>"
            case "short":
                return 200, json.dumps({"lines": lines[1:]}).encode()
            case "twice":
                return 200, json.dumps({"lines": [{**each, "taxes": taxes * 2} for each in lines]}).encode()
            case "absurd":
                broken = [{"key": each["key"], "taxes": [{**taxes[0], "share": "7.25"}]} for each in lines]
                return 200, json.dumps({"lines": broken}).encode()
        return 200, json.dumps({"lines": lines}).encode()


@contextmanager
def tax_house() -> Iterator[TaxHouse]:
    house = TaxHouse()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, answer = house.answer(json.loads(body))
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    house.url = f"http://127.0.0.1:{server.server_port}/rates"
    try:
        yield house
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass
class Clock:
    at: datetime = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.at += timedelta(minutes=20)
        return self.at


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


@pytest.fixture
def house() -> Iterator[TaxHouse]:
    with tax_house() as opened:
        yield opened


def taxed(market: Shops, url: str) -> Shop:
    shop = market.open()
    engine: Engine = replace(market.engine, taxes=HttpTaxEngine(url, "secret", timeout_s=2), real_now=Clock())
    shop = replace(shop, engine=engine)
    address = {"lines": ["1 Main St"], "city": "Albany", "region": "NY", "country": "US"}
    with engine.transaction(shop.workspace) as tx:
        set_billing_settings(
            tx,
            BillingSettings.model_validate(
                {"seller": {"name": "Shop", "address": address}, "taxes": "outside"}
            ),
        )
    return shop


def test_the_engine_is_asked_once_and_the_invoice_proves_itself_without_it(
    market: Shops, house: TaxHouse
) -> None:
    shop = taxed(market, house.url)
    shop.sell("ada", "team")
    close_due(shop.engine, shop.workspace)
    close_due(shop.engine, shop.workspace)
    (header,) = shop.headers()
    assert (header.status, header.total) == ("finalised", D("107.25"))
    assert len(house.asked) == 1
    assert house.asked[0]["buyer"] == {"country": "US", "region": "NY", "tax_id": None, "exempt_reason": None}
    house.mode = "error"
    everything_proves(shop)
    assert len(house.asked) == 1


@pytest.mark.parametrize("failure", ["error", "words", "short", "twice", "absurd"])
def test_an_invoice_waits_with_a_reason_while_the_engine_fails(
    market: Shops, house: TaxHouse, failure: str
) -> None:
    shop = taxed(market, house.url)
    house.mode = failure
    shop.sell("bob", "team")
    assert close_due(shop.engine, shop.workspace).waiting == 1
    (header,) = shop.headers()
    assert header.status == "draft"
    with shop.engine.transaction(shop.workspace) as tx:
        seen = get_invoice(tx, header.id)
    assert (seen.waits or "").startswith("the tax engine cannot tell")
    house.mode = "right"
    assert close_due(shop.engine, shop.workspace).finalised == 1
    assert shop.headers()[0].total == D("107.25")
    everything_proves(shop)


def test_an_engine_that_is_away_holds_one_off_invoices_back_too(market: Shops, house: TaxHouse) -> None:
    shop = taxed(market, "http://127.0.0.1:9/rates")
    shop.sell("cyd", "usage")
    new = WrittenInvoice("cyd", [WrittenLine("set-up", D(200))])
    with pytest.raises(OverloadedError, match="cannot tell"):
        ask_taxes(shop.engine, shop.workspace, new)
    assert shop.headers() == []
    engine = replace(shop.engine, taxes=HttpTaxEngine(house.url))
    ask_taxes(engine, shop.workspace, new)
    with engine.transaction(shop.workspace) as tx:
        assert write_invoice(tx, new).total == D("214.5")

"""Calling a receiver: the checked address is the one connected to, and nothing a receiver does hurts."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.integrations.receiving import Receiver, receiver
from valorem.integrations.calling import Caller


@pytest.fixture
def there():
    with receiver() as one:
        yield one


def post(there: Receiver, caller: Caller | None = None, url: str | None = None):
    return asyncio.run((caller or Caller(loopback=True)).post(url or there.url, b"{}", {"X-A": "b"}))


def test_it_posts(there):
    outcome = post(there)
    assert (outcome.status, outcome.error) == (204, None)
    assert there.received[0].headers["x-a"] == "b"


def test_d5_this_machine_is_refused_unless_that_is_allowed(there):
    outcome = post(there, Caller())
    assert outcome.status is None
    assert "cannot be called" in (outcome.error or "")
    assert not there.received


@pytest.mark.parametrize(
    "addresses", [["127.0.0.1"], ["93.184.216.34", "10.0.0.1"], ["::ffff:127.0.0.1"], []]
)
def test_d5_a_name_that_leads_inside_is_refused_at_connect(there: Receiver, addresses: list[str]) -> None:
    async def resolve(_host: str, _port: int) -> list[str]:
        return addresses

    outcome = post(there, Caller(resolver=resolve), "https://rebound.example.com/")
    assert outcome.status is None
    assert outcome.error is not None
    assert not there.received


def test_d5_the_name_is_resolved_once_and_that_address_is_connected_to(there):
    port = int(there.url.split(":")[2].split("/")[0])
    asked = []

    async def resolve(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    outcome = post(there, Caller(loopback=True, resolver=resolve), f"http://localhost:{port}/hooks")
    assert outcome.status == 204
    assert asked == ["localhost"]
    assert there.received[0].headers["host"] == f"localhost:{port}"


def test_d3_a_redirect_is_a_failure_and_not_followed(there):
    there.answer = lambda _: (302, {"Location": "http://169.254.169.254/"}, b"")
    outcome = post(there)
    assert (outcome.status, outcome.error) == (302, "answered 302")
    assert len(there.received) == 1


def test_d3_retry_after_is_understood_and_nonsense_is_not(there):
    soon = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    there.answer = lambda _: (503, {"Retry-After": soon}, b"")
    assert 80 <= (post(there).retry_after_s or 0) <= 90
    there.answer = lambda _: (503, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, b"")
    assert post(there).retry_after_s == 0
    there.answer = lambda _: (503, {"Retry-After": "120"}, b"")
    assert post(there).retry_after_s == 120
    there.answer = lambda _: (503, {"Retry-After": "soon"}, b"")
    assert post(there).retry_after_s is None


def test_d3_an_endless_answer_is_cut(there):
    there.answer = lambda _: (200, {}, b"x" * 5_000_000)
    outcome = post(there)
    assert outcome.status == 200
    assert len(outcome.answer or "") == 2000


def test_d3_a_receiver_that_says_nothing_is_given_up_on(there):
    def hang(_: object) -> tuple[int, dict[str, str], bytes]:
        time.sleep(1)
        return 200, {}, b""

    there.answer = hang
    outcome = post(there, Caller(loopback=True, timeout_s=0.2))
    assert "no answer within" in (outcome.error or "")


def test_nobody_there_is_an_error_in_words(there):
    outcome = post(there, url="http://127.0.0.1:1/")
    assert outcome.status is None
    assert "ConnectError" in (outcome.error or "")

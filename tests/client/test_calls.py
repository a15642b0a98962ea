"""How both clients send: retries with the same keys, errors with their fields, values exact."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import httpx
import pytest

from valorem.client import ApiError, AsyncClient, Client, ConnectionFailedError
from valorem.client.call import quoted
from valorem.client.retry import Backoff

CUSTOMER = {
    "key": "acme",
    "name": "Acme",
    "currency": "USD",
    "zone": "UTC",
    "subjects": ["acme"],
    "metadata": {},
    "created_at": "2026-03-05T00:00:00Z",
    "added later": 1,
}


class Script:
    """A server that answers from a list and remembers what it was asked."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return httpx.Response(answer.status_code, headers=answer.headers, content=answer.content)


Run = Callable[..., Any]


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Calls a method of a client whose server is a script, without waiting in between."""
    monkeypatch.setattr(Backoff, "spread_s", lambda *_: 0.0)

    def call(script: Script, method: str, *args: Any, **kwargs: Any) -> Any:
        if request.param == "sync":
            client = Client("http://x", "vl_test_k", retries=3)
            client._http = httpx.Client(
                base_url="http://x",
                headers=client._connection.headers(),
                transport=httpx.MockTransport(script),
            )
            with client:
                return getattr(client, method)(*args, **kwargs)

        async def go() -> Any:
            client = AsyncClient("http://x", "vl_test_k", retries=3)
            client._http = httpx.AsyncClient(
                base_url="http://x",
                headers=client._connection.headers(),
                transport=httpx.MockTransport(script),
            )
            async with client:
                return await getattr(client, method)(*args, **kwargs)

        return asyncio.run(go())

    return call


def test_what_was_not_accepted_is_sent_again_with_the_same_key(run: Run) -> None:
    busy = httpx.Response(503, headers={"Retry-After": "1"})
    script = Script(
        busy, httpx.ConnectError("refused"), httpx.ReadError("cut"), httpx.Response(201, json=CUSTOMER)
    )
    customer = run(script, "create_customer", "acme", "Acme", "USD")
    assert customer.key == "acme"
    assert customer.created_at == datetime(2026, 3, 5, tzinfo=UTC)
    keys = {request.headers["idempotency-key"] for request in script.asked}
    assert len(script.asked) == 4
    assert len(keys) == 1
    assert len({request.content for request in script.asked}) == 1
    assert script.asked[0].headers["authorization"] == "Bearer vl_test_k"


def test_two_calls_have_two_keys(run: Run) -> None:
    script = Script(httpx.Response(201, json=CUSTOMER), httpx.Response(201, json=CUSTOMER))
    run(script, "create_customer", "acme", "Acme", "USD")
    run(script, "create_customer", "acme", "Acme", "USD")
    assert len({request.headers["idempotency-key"] for request in script.asked}) == 2


def test_our_own_earlier_try_that_is_still_at_work_is_waited_for(run: Run) -> None:
    at_work = httpx.Response(409, json={"detail": "at work", "field": "Idempotency-Key"})
    script = Script(httpx.ReadTimeout("slow"), at_work, httpx.Response(201, json=CUSTOMER))
    assert run(script, "create_customer", "acme", "Acme", "USD").key == "acme"


def test_a_refusal_is_an_error_with_its_fields(run: Run) -> None:
    problem = {
        "type": "https://valorem.dev/problems/conflict",
        "title": "Conflict",
        "status": 409,
        "detail": "taken",
        "field": "key",
        "hint": "choose another",
        "request_id": "r1",
    }
    script = Script(httpx.Response(409, json=problem))
    with pytest.raises(ApiError) as caught:
        run(script, "create_customer", "acme", "Acme", "USD")
    error = caught.value
    assert (error.status, error.code, error.field, error.hint) == (409, "conflict", "key", "choose another")
    assert error.request_id == "r1"
    assert str(error) == "key: taken (choose another)"
    assert len(script.asked) == 1


def test_an_answer_that_is_no_problem_is_still_an_error(run: Run) -> None:
    script = Script(httpx.Response(418, text="<html>", headers={"x-request-id": "r2"}))
    with pytest.raises(ApiError, match="418") as caught:
        run(script, "get_customer", "acme")
    assert caught.value.request_id == "r2"


def test_a_server_that_stays_away_is_given_up(run: Run) -> None:
    script = Script(*[httpx.ConnectError("refused")] * 4)
    with pytest.raises(ConnectionFailedError, match="http://x"):
        run(script, "get_customer", "acme")
    assert len(script.asked) == 4


def test_numbers_and_instants_go_out_exactly(run: Run) -> None:
    script = Script(
        httpx.Response(200, json={"accepted": 1, "duplicate": 0, "conflict": 0, "rejected": 0, "items": []})
    )
    berlin = timezone(timedelta(hours=1))
    event = {
        "id": "1",
        "source": "s",
        "type": "t",
        "subject": "a",
        "time": datetime(2026, 3, 5, 1, tzinfo=berlin),
        "data": {"n": Decimal("1E+3"), "many": 10**17, "exact": Decimal("0.1")},
    }
    run(script, "send_events", [event])
    sent = json.loads(script.asked[0].content)
    assert sent["time"] == "2026-03-05T00:00:00Z"
    assert sent["specversion"] == "1.0"
    assert sent["data"] == {"n": "1000", "many": 10**17, "exact": "0.1"}
    with pytest.raises(ValueError, match="no time zone"):
        run(script, "send_events", [{**event, "time": datetime(2026, 3, 5)}])  # noqa: DTZ001


def test_a_key_that_looks_like_a_path_stays_one_part() -> None:
    assert quoted("a/b?c#d e") == "a%2Fb%3Fc%23d%20e"
    assert quoted("..") == "%2E%2E"
    assert quoted("a.b") == "a.b"


def test_pauses_grow_and_honour_what_the_server_asks() -> None:
    backoff = Backoff(retries=3, first_s=1, most_s=4)
    assert all(0.5 <= (backoff.pause_s(0) or 0) <= 1 for _ in range(50))
    assert all(2 <= (backoff.pause_s(2) or 0) <= 4 for _ in range(50))
    assert backoff.pause_s(3) is None
    assert 7 <= (backoff.pause_s(0, {"retry-after": "7"}) or 0) <= 7.1
    assert (backoff.pause_s(0, {"retry-after": "99999"}) or 0) <= 60.1
    assert (backoff.pause_s(0, {"retry-after": "Wed, 21 Oct"}) or 0) <= 1

"""Bad input, each with its clear refusal that names the field; none stored, none a server error, memory bounded."""

import asyncio
import contextlib
import gzip
import json
import select
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.api.conftest import World, event, furnished, shared_furnished, shared_world, world  # noqa: F401 - fixtures
from tests.cli.serving import Running, server
from valorem.api.edge import Edge
from valorem.api.metrics import Metrics
from valorem.api.patience import HEAD_S
from valorem.core.limits import Limits

SINGLE = "application/cloudevents+json"


def refused(site: World, body: bytes, field: str | None, status: int = 400) -> None:
    """The event alone gets the status, and in a batch it gets its own item while its neighbours are taken."""
    alone = site.send(body, SINGLE)
    assert alone.status_code == status, alone.text
    assert alone.headers["content-type"] == "application/problem+json"
    assert alone.json()["detail"]
    if field is not None:
        assert alone.json()["field"] == field
    if b"\n" in body or not body.strip():
        return
    batch = site.send(event("before") + b"\n" + body + b"\n" + event("after")).json()
    assert [item["status"] == "rejected" for item in batch["items"]] == [False, True, False]
    if field is not None:
        assert batch["items"][1]["field"] == field


@pytest.mark.parametrize(
    ("number", "field"),
    [
        ("NaN", None),
        ("Infinity", None),
        ("-Infinity", None),
        ("1e400", "data.tokens"),
        ("1e-400", "data.tokens"),
        ("1" + "0" * 30, "data.tokens"),
        ("9" * 5000, "data.tokens"),
        ("0.0000000000001", "data.tokens"),
        ("true", "data.tokens"),
        ("null", "data.tokens"),
        ("[1]", "data.tokens"),
        ('"1_000"', "data.tokens"),
        ('"١٢٣"', "data.tokens"),
        ('" 12 "', "data.tokens"),
        ('"sNaN"', "data.tokens"),
        ('"0x10"', "data.tokens"),
        ('"1e5"', "data.tokens"),
        ('""', "data.tokens"),
        ("01", None),
        ("+1", None),
    ],
)
def test_a9_a10_a11_numbers_that_are_none(shared_furnished: World, number: str, field: str | None) -> None:  # noqa: F811
    refused(shared_furnished, event("n", tokens=number), field)


def test_a9_numbers_that_are_exact(furnished: World) -> None:  # noqa: F811
    numbers = ["-0", "-5", "0.1", "0.2", '"0.3"', "123456789012345678", "1.5e3"]
    body = b"\n".join(event(f"x{place}", tokens=number) for place, number in enumerate(numbers))
    assert furnished.send(body).json()["accepted"] == len(numbers)
    total = furnished.get("/v1/usage?customer=acme&meter=tokens").json()["total"]
    assert total == "123456789014347173.6"  # with the two million there before


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", None),
        (b"   ", None),
        (b"[]nonsense", None),
        (b"\xef\xbb\xbf" + event("bom"), None),
        (event("cut")[:-5], None),
        (event("junk") + b"}", None),
        (event("two") + event("three"), None),
        (event("twice").replace(b'"id"', b'"id":"other","id"'), "id"),
        (event("twice").replace(b'"tokens"', b'"tokens":1,"tokens"'), "data.tokens"),
        (b'{"a":' * 1000 + b"1" + b"}" * 1000, None),
        (b"[" * 100_000, None),
        (event("utf").replace(b"small", b"sm\xffll"), None),
        (b'"text"', None),
        (b"null", None),
    ],
)
def test_a12_json_that_is_none(shared_furnished: World, body: bytes, field: str | None) -> None:  # noqa: F811
    refused(shared_furnished, body, field)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"id": "a\0b"}, "id"),
        ({"id": "\ud800"}, None),
        ({"id": "x" * 65536}, "id"),
        ({"id": "é" * 128}, "id"),
        ({"id": ""}, "id"),
        ({"id": 5}, "id"),
        ({"source": None}, "source"),
        ({"type": ""}, "type"),
        ({"subject": "s" * 256}, "subject"),
        ({"specversion": "0.3"}, "specversion"),
        ({"data": [1]}, "data"),
        ({"data": "text"}, "data"),
        ({"data_base64": "AA=="}, "data_base64"),
        ({"time": "2026-03-05"}, "time"),
        ({"time": "2026-03-05T00:00:00"}, "time"),
        ({"time": 1773100800}, "time"),
        ({"time": 1773100800000}, "time"),
        ({"time": "2026-03-05T00:00:60Z"}, "time"),
        ({"time": "2026-03-05T24:00:00Z"}, "time"),
        ({"time": "2100-02-29T00:00:00Z"}, "time"),
        ({"time": "2026-02-30T00:00:00Z"}, "time"),
        ({"time": "10000-01-01T00:00:00Z"}, "time"),
        ({"time": "1970-01-01T00:00:00Z"}, "time"),
        ({"time": "2026-03-11T12:00:00Z"}, "time"),
        ({"time": "2026-03-10T12:06:00Z"}, "time"),
    ],
)
def test_a13_a16_a17_attributes_that_are_not_right(
    shared_furnished: World,  # noqa: F811
    changed: dict[str, Any],
    field: str | None,
) -> None:
    refused(shared_furnished, json.dumps(json.loads(event("a")) | changed).encode(), field)


def test_a13_text_is_compared_byte_by_byte(shared_furnished: World) -> None:  # noqa: F811
    names = ["\u202eabc", "😀", "é", "e\u0301"]  # right to left, emoji, composed and not
    body = b"\n".join(json.dumps(json.loads(event("a")) | {"id": name}).encode() for name in names)
    assert shared_furnished.send(body).json()["accepted"] == len(names)
    for name in names:
        assert (
            shared_furnished.get("/v1/events/find", params={"source": "/t", "id": name}).json()["event"]["id"]
            == name
        )


def test_a15_many_property_names_are_no_reason_to_break(shared_furnished: World) -> None:  # noqa: F811
    data = {"tokens": 1, "model": "m", **{f"p{number}": number for number in range(3000)}}
    assert (
        shared_furnished.send(
            json.dumps(json.loads(event("p")) | {"data": data}).encode(), SINGLE
        ).status_code
        == 200
    )
    data |= {f"q{number}": number for number in range(10_000)}
    answer = shared_furnished.send(json.dumps(json.loads(event("q")) | {"data": data}).encode(), SINGLE)
    assert answer.status_code == 400
    assert "bytes" in answer.json()["detail"]


def test_a14_a_body_that_pauses_is_given_up() -> None:
    async def never_called(*_: object) -> None:
        raise AssertionError("the application must not see half a body")

    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not sent and not receive.given:  # type: ignore[attr-defined]
            receive.given = True  # type: ignore[attr-defined]
            return {"type": "http.request", "body": b"{", "more_body": True}
        await asyncio.Event().wait()
        raise AssertionError

    receive.given = False  # type: ignore[attr-defined]

    async def send(message: Any) -> None:
        sent.append(message)

    edge = Edge(never_called, limits=Limits(), metrics=Metrics(), idle_s=0.02, whole_s=1)
    scope = {"type": "http", "method": "POST", "path": "/v1/customers", "headers": [], "query_string": b""}
    asyncio.run(edge(scope, receive, send))
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory):
    with server(tmp_path_factory.mktemp("bad") / "data", "--no-worker") as running:
        yield running


def converse(running: Running, head: bytes, piece: Callable[[int], bytes], pieces: int) -> bytes:
    """Send until the server answers or closes; what it said."""
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=HEAD_S * 3) as connection:
        connection.sendall(head)
        for number in range(pieces):
            readable, _, _ = select.select([connection], [], [], 0)
            if readable:
                break
            try:
                connection.sendall(piece(number))
            except (ConnectionError, TimeoutError):
                break
        said = b""
        with contextlib.suppress(ConnectionError):
            while received := connection.recv(65536):
                said += received
                if b"\r\n\r\n" in said and b"}" in said:
                    break
        return said


def head(running: Running, *lines: str) -> bytes:
    given = ("POST /v1/events HTTP/1.1", "Host: x", f"Authorization: Bearer {running.key}", *lines)
    return ("\r\n".join(given) + "\r\n\r\n").encode()


def chunk(body: bytes) -> bytes:
    return f"{len(body):x}\r\n".encode() + body + b"\r\n"


def test_a14_a_gigabyte_without_a_length_is_stopped_early(site: Running) -> None:
    process = psutil.Process(site.process.pid)
    before = process.memory_info().rss
    mebibyte = chunk(b" " * 1024**2)
    begin = head(site, "Content-Type: application/x-ndjson", "Transfer-Encoding: chunked")
    assert b" 413 " in converse(site, begin, lambda _: mebibyte, 1024).split(b"\r\n")[0]
    assert process.memory_info().rss - before < 200 * 1024**2


def test_a14_a_gigabyte_that_is_announced_is_not_read(site: Running) -> None:
    begin = head(site, "Content-Type: application/x-ndjson", f"Content-Length: {1024**3}")
    assert b" 413 " in converse(site, begin, lambda _: b" " * 65536, 16_384).split(b"\r\n")[0]


def test_a14_a_bomb_costs_no_memory(site: Running) -> None:
    process = psutil.Process(site.process.pid)
    before = process.memory_info().rss
    bomb = gzip.compress(b" " * 100 * 1024**2)
    begin = head(site, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}")
    assert b" 413 " in converse(site, begin, lambda _: bomb, 1).split(b"\r\n")[0]
    assert process.memory_info().rss - before < 100 * 1024**2


@pytest.mark.slow
def test_a14_a_head_that_dribbles_is_closed(site: Running) -> None:
    assert converse(site, b"POST /v1/events HTTP/1.1\r\nHost: x\r\nX-Slow: ", lambda _: b"", 0) == b""


def test_the_server_is_well_after_all_of_it(site: Running, tmp_path: Path) -> None:
    assert site.process.poll() is None
    assert site.command("clock", "show").returncode == 0
    assert "Traceback" not in site.folder.with_suffix(".log").read_text()

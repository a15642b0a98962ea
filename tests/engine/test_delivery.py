"""From the outbox to a real receiver: at least once, signed, one id for ever; a dead one delays nobody."""

import asyncio
import dataclasses
import json
import logging
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from time import monotonic, sleep
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from tests.engine.limiting import JANUARY, NOON, Doorkeeper, doorkeepers
from tests.integrations.receiving import Received, Receiver, receiver
from tests.standins.mail_server import mail_server
from valorem.core.delivery.schedule import SCHEDULE_S
from valorem.engine.delivery import LEASE, Leased, Outcome, Sender, settle, take
from valorem.engine.delivery_loop import Deliverer
from valorem.engine.engine import Engine
from valorem.engine.webhooks import (
    create_endpoint,
    get_endpoint,
    list_attempts,
    list_deliveries,
    replay,
    reseal,
    rotate_secret,
    send_test,
    update_endpoint,
)
from valorem.integrations.calling import Caller
from valorem.integrations.email import EmailSender, parse_smtp_url
from valorem.integrations.slack import SlackSender
from valorem.integrations.webhooks import WebhookSender
from valorem.store.postgres.deliveries import Attempt
from valorem.store.postgres.webhooks import Endpoint
from valorem.store.vault import Vault


@pytest.fixture
def door(database_url: str) -> Iterator[Doorkeeper]:
    with doorkeepers(database_url) as opened:
        opened.shop.sell("ada", "free", start=JANUARY)
        yield opened


@pytest.fixture
def there() -> Iterator[Receiver]:
    with receiver() as one:
        yield one


@contextmanager
def delivering(engine: Engine) -> Iterator[Deliverer]:
    caller = Caller(loopback=True, timeout_s=3)
    now = Engine(engine.database, lambda: datetime.now(UTC))  # receivers compare with their own clocks
    deliverer = Deliverer(now, {"webhook": WebhookSender(caller), "slack": SlackSender(caller)})
    deliverer.start()
    try:
        yield deliverer
    finally:
        assert deliverer.stop()


def listen(door: Doorkeeper, there: Receiver, **more: object) -> Endpoint:
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        return create_endpoint(tx, kind=more.pop("kind", "webhook"), address=there.url, loopback=True, **more)  # type: ignore[arg-type]


def cross(door: Doorkeeper, count: int = 8) -> None:
    for _ in range(count):
        door.shop.use("ada", 1, NOON)


def test_d4_a_crossing_arrives_signed(door, there):
    endpoint = listen(door, there, topics=["alert.*"])
    with delivering(door.shop.engine):
        cross(door)
        came = there.wait_for(1)[0]
    verified = Webhook(endpoint.secret or "").verify(came.body, came.headers)
    assert verified["type"] == "alert.crossed"
    assert verified["data"]["threshold"] == "80%"
    assert verified["data"]["sequence"] == 1
    for header in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        with pytest.raises(WebhookVerificationError):
            Webhook(endpoint.secret or "").verify(
                came.body, {**came.headers, header: "v1,AAAA" if "sig" in header else "1"}
            )
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secret or "").verify(came.body + b" ", came.headers)


def test_only_what_an_endpoint_wants_goes_there(door, there):
    listen(door, there, topics=["paywall.hit"])
    listen(door, there, customer="ada", topics=["alert.crossed"])
    door.shop.sell("bob", "free", start=JANUARY)
    with delivering(door.shop.engine):
        cross(door)
        for _ in range(8):
            door.shop.use("bob", 1, NOON)
        there.wait_for(1)
        sleep(0.5)
    assert [json.loads(one.body)["data"]["customer"] for one in there.received] == ["ada"]


def test_d4_a_rotation_signs_with_both_secrets(door, there):
    old = listen(door, there)
    engine = door.shop.engine
    with engine.transaction(door.shop.workspace) as tx:
        new = rotate_secret(tx, old.id, real_now=engine.real_now())
    leased = _take_one(door, there)
    assert leased.outgoing.secrets == (new.secret, old.secret)
    sent = _send(door, leased, there)
    for secret in (old.secret or "", new.secret or ""):
        Webhook(secret).verify(sent.body, _fresh(sent.headers, secret, sent))


def _fresh(headers: dict[str, str], secret: str, sent: Received) -> dict[str, str]:
    """The receiver's clock is the test engine's: signatures of June are verified as of now by signing anew."""
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    expected = Webhook(secret).sign(headers["webhook-id"], at, sent.body.decode())
    assert expected in headers["webhook-signature"].split(" ")
    now = datetime.now(UTC)
    return {
        **headers,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(headers["webhook-id"], now, sent.body.decode()),
    }


def test_d3_a_failure_is_tried_again_with_the_same_id_and_the_log_shows_it(door, there):
    engine = door.shop.engine
    endpoint = listen(door, there)
    leased = _take_one(door, there)
    for number in range(len(SCHEDULE_S)):
        assert take(engine, door.shop.workspace, {}) == []
        settle(engine, leased, Outcome(500, "answered 500", "sorry"), 0.5)
        if number + 1 < len(SCHEDULE_S):
            _make_due(door)
            (leased,) = take(engine, door.shop.workspace, {})
            assert leased.due[0].attempts == number + 2
    with engine.transaction(door.shop.workspace) as tx:
        (row,) = list_deliveries(tx, endpoint.id)
        attempts = list_attempts(tx, endpoint.id, row.message)
    assert (row.state, row.attempts, row.last_status) == ("failed", len(SCHEDULE_S), 500)
    assert [one.number for one in attempts] == list(range(1, len(SCHEDULE_S) + 1))
    with engine.transaction(door.shop.workspace) as tx:
        assert replay(tx, endpoint.id, NOON, NOON + timedelta(days=1), real_now=engine.real_now()) == 1
    (again,) = take(engine, door.shop.workspace, {})
    assert again.outgoing.notices[0].id == leased.outgoing.notices[0].id


def test_d2_what_nobody_noted_is_sent_again_with_the_same_id_once_its_lease_ends(door, there, monkeypatch):
    engine = door.shop.engine
    listen(door, there)
    first = _take_one(door, there)
    assert take(engine, door.shop.workspace, {}) == []  # leased: nobody else's
    later = Engine(engine.database, lambda: engine.real_now() + LEASE + timedelta(seconds=1))
    (second,) = take(later, door.shop.workspace, {})
    assert second.outgoing.notices[0].id == first.outgoing.notices[0].id


def test_d3_410_disables_at_once_and_says_so(door, there):
    there.answer = lambda _: (410, {}, b"")
    endpoint = listen(door, there)
    with delivering(door.shop.engine):
        cross(door)
        there.wait_for(1)
        _wait_until(lambda: _state(door, endpoint) == "disabled")
    assert [row["payload"]["endpoint"] for row in door.notices("endpoint.disabled")] == [endpoint.id]
    there.answer = lambda _: (204, {}, b"")
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        update_endpoint(tx, endpoint.id, state="active", real_now=datetime.now(UTC))
    with delivering(door.shop.engine):
        there.wait_for(2)


def test_d6_one_dead_endpoint_does_not_delay_another(door, there):
    def hang(_: object) -> tuple[int, dict[str, str], bytes]:
        sleep(2)
        return 500, {}, b""

    with receiver() as dead:
        dead.answer = hang
        for _ in range(3):
            listen(door, dead)
        listen(door, there)
        with delivering(door.shop.engine):
            began = monotonic()
            cross(door, 10)
            there.wait_for(2)
            assert monotonic() - began < 60
            assert len(dead.received) <= 3 * 2


def test_d7_secrets_stay_out_of_logs_and_the_delivery_history(door, there, caplog):
    caplog.set_level(logging.DEBUG)
    endpoint = listen(door, there)
    canary = "vl_live_canarycanarycanary"
    there.answer = lambda came: (
        500,
        {},
        f"{canary} {came.headers['webhook-signature']} {endpoint.secret}".encode(),
    )
    with delivering(door.shop.engine):
        with door.shop.engine.transaction(door.shop.workspace) as tx:
            send_test(tx, endpoint.id)
        there.wait_for(1)
        _wait_until(lambda: _attempts(door, endpoint) != [])
    (attempt,) = _attempts(door, endpoint)[:1]
    signature = there.received[0].headers["webhook-signature"]
    for secret in (canary, endpoint.secret or "", signature):
        assert secret not in (attempt.answer or "")
        assert secret not in caplog.text
    assert "[redacted]" in (attempt.answer or "")


def test_slack_gets_text_and_digests_go_together(door, there):
    listen(door, there, kind="slack", digest="hourly", topics=["alert.*"])
    cross(door, 10)
    assert take(door.shop.engine, door.shop.workspace, {}) == []
    later = Engine(door.shop.engine.database, lambda: door.shop.engine.real_now() + timedelta(hours=1))
    (leased,) = take(later, door.shop.workspace, {})
    assert len(leased.due) == 2
    _send(door, leased, there, SlackSender(Caller(loopback=True)))
    text = json.loads(there.received[0].body)["text"]
    assert "80%" in text
    assert "100%" in text


def test_d1_a_crossing_and_its_message_stand_together_or_not_at_all(door):
    """A crossing without its message, or a message without its crossing, would be a lie to one side."""
    cross(door, 10)
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        crossings = tx.connection.execute(
            "SELECT customer, alert, threshold FROM alert_crossing ORDER BY 1, 2, 3"
        ).fetchall()
        told = tx.connection.execute(
            "SELECT payload->>'customer' AS customer, payload->>'alert' AS alert, payload->>'threshold' AS threshold"
            " FROM outbox WHERE topic = 'alert.crossed' ORDER BY 1, 2, 3"
        ).fetchall()
    assert crossings == told
    assert len(told) == 2


def test_mail_reaches_a_mail_server_at_once_as_a_digest_and_a_refusal_is_tried_again(door):
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        create_endpoint(tx, kind="email", address="ops@example.com", topics=["alert.*"])
        create_endpoint(tx, kind="email", address="boss@example.com", topics=["alert.*"], digest="hourly")
        gone = create_endpoint(tx, kind="email", address="gone@example.com", topics=["alert.*"])
    cross(door, 10)
    later = Engine(door.shop.engine.database, lambda: door.shop.engine.real_now() + timedelta(hours=1))
    with mail_server() as server:
        server.refuses.add("gone@")
        sender = EmailSender(parse_smtp_url(f"smtp://127.0.0.1:{server.port}"), "billing@example.com")
        for engine in (door.shop.engine, later):
            for leased in take(engine, door.shop.workspace, {}):
                settle(engine, leased, _run(sender.send(leased.outgoing, engine.real_now())), 0.5)
    to_ops, to_boss = (
        [mail for mail in server.mails if mail["To"] == f"{who}@example.com"] for who in ("ops", "boss")
    )
    told = [notice["payload"]["text"] for notice in door.notices("alert.crossed")]
    assert len(told) == len(to_ops) == 2
    assert all(any(text in mail["Subject"] for mail in to_ops) for text in told)
    (digest,) = to_boss
    body = digest.get_content()
    assert "80% reached" in body
    assert "100% reached" in body
    assert digest["From"] == "billing@example.com"
    assert {one.status for one in _attempts(door, gone)} == {None}
    assert all("SMTPRecipientsRefused" in (one.error or "") for one in _attempts(door, gone))


def _run(sending: Coroutine[Any, Any, Outcome]) -> Outcome:
    return asyncio.run(sending)


def _take_one(door: Doorkeeper, there: Receiver) -> Leased:
    cross(door)
    (leased,) = take(door.shop.engine, door.shop.workspace, {})
    return leased


def _send(door: Doorkeeper, leased: Leased, there: Receiver, sender: Sender | None = None) -> Received:
    sender = sender or WebhookSender(Caller(loopback=True))
    outcome = _run(sender.send(leased.outgoing, door.shop.engine.real_now()))
    assert outcome.error is None, outcome
    return there.received[-1]


def _make_due(door: Doorkeeper) -> None:
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        tx.connection.execute("UPDATE delivery SET next_at = created_at")
        tx.connection.execute("UPDATE endpoint SET open_until = NULL, failing_since = NULL")


def _state(door: Doorkeeper, endpoint: Endpoint) -> str:
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        return get_endpoint(tx, endpoint.id).state


def _attempts(door: Doorkeeper, endpoint: Endpoint) -> list[Attempt]:
    with door.shop.engine.transaction(door.shop.workspace) as tx:
        rows = list_deliveries(tx, endpoint.id)
        return [one for row in rows for one in list_attempts(tx, endpoint.id, row.message)]


def _wait_until(true: Callable[[], bool]) -> None:
    deadline = monotonic() + 15
    while not true():
        assert monotonic() < deadline
        sleep(0.05)


def test_d3_the_whole_schedule_of_75_hours_on_a_clock(door, there):
    """A receiver that always fails is called ten times, never earlier than the schedule, the breaker or it itself says."""
    endpoint = listen(door, there)
    clock = [datetime(2026, 6, 1, tzinfo=UTC)]
    engine = Engine(door.shop.engine.database, lambda: clock[0])
    cross(door)
    began, called = clock[0], []
    while True:
        with engine.transaction(door.shop.workspace) as tx:
            (row,) = list_deliveries(tx, endpoint.id) or (None,)
            health = get_endpoint(tx, endpoint.id).health
        if row is not None:
            if row.state == "failed":
                break
            earliest = max(row.next_at, health.open_until or row.next_at)
            clock[0] = earliest - timedelta(microseconds=1)
            assert take(engine, door.shop.workspace, {}) == []
            clock[0] = earliest
        (leased,) = take(engine, door.shop.workspace, {})
        called.append(clock[0] - began)
        settle(engine, leased, Outcome(503, "answered 503", retry_after_s=7), 0.5)
    assert len(called) == len(SCHEDULE_S)
    assert timedelta(seconds=sum(SCHEDULE_S)) <= called[-1] <= timedelta(seconds=sum(SCHEDULE_S)) * 1.1
    assert called[1] == timedelta(seconds=7)  # it asked for more than the five seconds of the schedule


def test_d6_an_endpoint_that_took_nothing_for_days_is_disabled_with_a_notice(door, there):
    endpoint = listen(door, there)
    leased = _take_one(door, there)
    later = Engine(door.shop.engine.database, lambda: door.shop.engine.real_now() + timedelta(days=5))
    settle(door.shop.engine, leased, Outcome(500, "answered 500"), 0.5)
    assert _state(door, endpoint) == "active"
    settle(later, leased, Outcome(500, "answered 500"), 0.5)
    assert _state(door, endpoint) == "disabled"
    (told,) = door.notices("endpoint.disabled")
    assert "nothing for days" in told["payload"]["reason"]


def test_secrets_are_sealed_in_the_database_and_a_new_key_takes_over(door, there):
    def stored() -> str:
        with door.shop.engine.transaction(door.shop.workspace) as tx:
            row = tx.connection.execute("SELECT secret, old_secret FROM endpoint").fetchone()
        assert row is not None
        return f"{row['secret']} {row['old_secret']}"

    plain = listen(door, there)  # made by an installation that had no key yet
    assert (plain.secret or "-") in stored()
    old, new = Vault([b"o" * 32]), Vault([b"n" * 32, b"o" * 32])
    for vault in (old, new):
        engine = dataclasses.replace(door.shop.engine, vault=vault)
        with engine.transaction(door.shop.workspace) as tx:
            assert reseal(tx) == 1
            assert reseal(tx) == 0
        assert (plain.secret or "-") not in stored()
    only_new = dataclasses.replace(door.shop.engine, vault=Vault([b"n" * 32]))
    with only_new.transaction(door.shop.workspace) as tx:
        rotated = rotate_secret(tx, plain.id, real_now=only_new.real_now())
    assert (rotated.secret or "-") not in stored()
    cross(door)
    (leased,) = take(only_new, door.shop.workspace, {})
    assert leased.outgoing.secrets == (rotated.secret, plain.secret)


def test_a_lost_key_is_an_error_in_the_delivery_log_and_not_a_wrong_signature(door, there):
    sealing = dataclasses.replace(door.shop.engine, vault=Vault([b"k" * 32]))
    with sealing.transaction(door.shop.workspace) as tx:
        create_endpoint(tx, kind="webhook", address=there.url, loopback=True)
    cross(door)
    (leased,) = take(door.shop.engine, door.shop.workspace, {})
    assert leased.outgoing.secrets == ()
    assert "not here" in (leased.problem or "")

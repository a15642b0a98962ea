"""Dispatchers are killed in the middle of sending: everything committed arrives at least once, under one id for ever."""

import json
import random
import signal
import time
from datetime import UTC, datetime
from functools import partial
from multiprocessing.process import BaseProcess

import pytest

from tests.engine.limiting import JANUARY, NOON, doorkeepers
from tests.forking import preloaded
from tests.integrations.receiving import Received, Receiver, receiver
from valorem.engine import delivery
from valorem.engine.delivery_loop import Deliverer
from valorem.engine.engine import Engine
from valorem.engine.webhooks import create_endpoint
from valorem.integrations.calling import Caller
from valorem.integrations.webhooks import WebhookSender
from valorem.store.postgres.database import Database

KILLS = 5
MESSAGES = 60


def _deliver(url: str) -> None:
    """Deliver until killed; a lease ends as soon as it is looked at again, as if its minute were over."""
    delivery.LEASE = type(delivery.LEASE)(milliseconds=300)
    deliverer = Deliverer(
        Engine(Database(url, size=4), lambda: datetime.now(UTC)),
        {"webhook": WebhookSender(Caller(loopback=True, timeout_s=5))},
    )
    deliverer.start()
    time.sleep(60)


@pytest.mark.slow
def test_d2_everything_committed_arrives_at_least_once_under_its_own_id(database_url: str) -> None:
    context = preloaded()
    chance = random.Random(7)

    def slowly(_: Received) -> tuple[int, dict[str, str], bytes]:
        time.sleep(chance.uniform(0.0, 0.08))
        return 204, {}, b""

    with doorkeepers(database_url) as door, receiver() as there:
        there.answer = slowly
        with door.shop.engine.transaction(door.shop.workspace) as tx:
            create_endpoint(tx, kind="webhook", address=there.url, topics=["alert.crossed"], loopback=True)
        for number in range(MESSAGES // 2):
            door.shop.sell(f"c{number}", "free", start=JANUARY)
            for _ in range(10):
                door.shop.use(f"c{number}", 1, NOON)
        committed = _committed(door)
        assert len(committed) == MESSAGES
        for life in range(KILLS + 1):
            dispatcher = context.Process(target=_deliver, args=(database_url,))
            dispatcher.start()
            _wait(partial(_came, there, min(MESSAGES, 8 * (life + 1))), dispatcher)
            if life == KILLS:
                _wait(lambda: committed <= {_id(one) for one in there.received}, dispatcher)
            dispatcher.kill()
            dispatcher.join()
            assert dispatcher.exitcode == -signal.SIGKILL
        bodies: dict[str, set[bytes]] = {}
        for one in there.received:
            bodies.setdefault(_id(one), set()).add(one.body)
        assert set(bodies) == committed
        assert all(len(each) == 1 for each in bodies.values())  # the same message in every attempt
        sequences: dict[str, list[int]] = {}
        for (body,) in bodies.values():
            data = json.loads(body)["data"]
            sequences.setdefault(data["object"], []).append(data["sequence"])
        assert all(
            len(set(each)) == len(each) for each in sequences.values()
        )  # old news can be told from new


def _committed(door: object) -> set[str]:
    shop = door.shop  # type: ignore[attr-defined]
    with shop.engine.transaction(shop.workspace) as tx:
        rows = tx.connection.execute("SELECT id FROM outbox WHERE topic = 'alert.crossed'").fetchall()
    return {f"msg_{row['id'].hex}" for row in rows}


def _came(there: Receiver, count: int) -> bool:
    return len(there.received) >= count


def _id(one: Received) -> str:
    return one.headers["webhook-id"]


def _wait(true: object, dispatcher: BaseProcess) -> None:
    deadline = time.monotonic() + 40
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        assert dispatcher.is_alive()
        time.sleep(0.02)

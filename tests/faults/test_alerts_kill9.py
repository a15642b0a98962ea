"""Writers are killed in the middle, retried and raced: each crossing is on record once, with its message, or not at all."""

import random
import signal
import time
from datetime import timedelta
from multiprocessing.synchronize import Event

import psycopg
import pytest

from tests.engine.billing import call
from tests.engine.limiting import JANUARY, NOON, doorkeepers
from tests.forking import preloaded
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.store.postgres.database import Database

KILLS = 6
CUSTOMERS = 4
CALLS = 300


def _sent(customer: int) -> list[bytes]:
    chance = random.Random(customer)
    return [
        call(
            f"c{customer}",
            2,
            NOON - timedelta(minutes=15 * chance.randrange(30)),
            name=f"{customer}-{number}",
        )
        for number in range(CALLS)
    ]


def _live(url: str, workspace: int, seed: int, begun: Event | None = None) -> None:
    """Send everything, in an order of its own, until killed; says when the first of it is there."""
    database = Database(url, size=4)
    ingestor = Ingestor(Engine(database, lambda: NOON), writers=2)
    chance = random.Random(seed)
    everything = [raw for customer in range(CUSTOMERS) for raw in _sent(customer)]
    chance.shuffle(everything)
    for start in range(0, len(everything), 7):
        ingestor.ingest(workspace, everything[start : start + 7])
        if begun is not None:
            begun.set()
    ingestor.drain()
    database.close()


@pytest.mark.slow
def test_d1_every_crossing_is_told_once_through_kills_and_rivals(database_url: str) -> None:
    context = preloaded()
    with doorkeepers(database_url) as door:
        for customer in range(CUSTOMERS):
            door.shop.sell(f"c{customer}", "business", start=JANUARY)
        killed = 0
        for life in range(KILLS):
            begun = [context.Event() for _ in range(2)]
            rivals = [
                context.Process(target=_live, args=(database_url, door.shop.workspace, life * 2 + one, told))
                for one, told in enumerate(begun)
            ]
            for rival in rivals:
                rival.start()
            assert all(each.wait(60) for each in begun)
            time.sleep(life / KILLS)  # the first are killed at once, the last near their end
            for rival in rivals:
                rival.kill()
                rival.join()
                killed += rival.exitcode == -signal.SIGKILL
            _check_pairs(database_url, door.shop.workspace)
        _live(database_url, door.shop.workspace, 99)  # in peace, to the end
        _check_pairs(database_url, door.shop.workspace)
        # 600 tokens each: 100 included, 100 + 500 × 2 = 1100 and at most 1000 to pay
        told = [
            (row["payload"]["customer"], row["payload"]["alert"], row["payload"]["threshold"])
            for row in door.notices("alert.crossed")
        ]
        wanted = [
            ("included:tokens", "70%"),
            ("included:tokens", "90%"),
            ("spend", "400"),
            ("spend", "80%"),
            ("spend", "100%"),
        ]
        assert sorted(told) == sorted(
            (f"c{customer}", *each) for customer in range(CUSTOMERS) for each in wanted
        )
        assert killed


def _check_pairs(url: str, workspace: int) -> None:
    """As anybody would see it right now: crossings and their messages, one for one."""
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        crossed = connection.execute(
            "SELECT customer, alert, threshold, count(*) FROM alert_crossing WHERE workspace = %s GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            (workspace,),
        ).fetchall()
        told = connection.execute(
            "SELECT customer, payload->>'alert', payload->>'threshold', count(*) FROM outbox"
            " WHERE workspace = %s AND topic = 'alert.crossed' GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
            (workspace,),
        ).fetchall()
    assert crossed == told
    assert all(count == 1 for *_, count in crossed)

"""The process that is killed: it ingests from several threads and tells what was acknowledged, after it was."""

import random
import threading
from multiprocessing.connection import Connection

from tests.engine.ingesting import NOW, amend, event, void
from valorem.engine.engine import Engine
from valorem.engine.ingest import Ingestor
from valorem.store.postgres.database import Database

THREADS = 3


def raws(life: int, thread: int) -> list[bytes]:
    """What one thread of one life sends, the same for every caller; later lives send it again."""
    chance = random.Random(f"{life}.{thread}")
    sent = []
    for number in range(600):
        name = f"{life}.{thread}.{number}"
        sent.append(event(name, chance.randrange(100), subject=f"s{chance.randrange(5)}"))
        if number % 20 == 10:
            target = f"{life}.{thread}.{number - 10 + chance.randrange(20)}"
            sent.append(
                void(f"v{name}", target)
                if chance.randrange(2)
                else amend(f"a{name}", target, at=NOW, n=chance.randrange(100), model="large")
            )
    return sent


def live(url: str, workspace: int, life: int, acks: Connection) -> None:
    """Ingest until killed. The first message says that it begins, each later one what was acknowledged."""
    ingestor = Ingestor(Engine(Database(url, size=4), lambda: NOW), writers=2)
    lock = threading.Lock()

    def send(thread: int) -> None:
        chance = random.Random(f"{life}-{thread}")
        while True:
            for earlier in (life - 1, life):
                mine = raws(earlier, thread) if earlier >= 0 else []
                start = 0
                while start < len(mine):
                    end = start + chance.choice((1, 7, 40))
                    results = ingestor.ingest(workspace, mine[start:end])
                    assert all(one.status in {"accepted", "duplicate"} for one in results)
                    with lock:
                        acks.send_bytes(f"{earlier} {thread} {start} {end}".encode())
                    start = end

    acks.send_bytes(b"")
    threads = [threading.Thread(target=send, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

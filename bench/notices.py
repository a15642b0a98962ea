"""From the acknowledgement of the event that crosses a threshold to a signed webhook at a real local receiver.

One customer for each round; each round's event crosses the first threshold of that customer's limit.
"""

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, perf_counter, sleep

from bench.frame import Fresh, Measurement, Size, percentile
from valorem.cli.demo.server import running_server
from valorem.cli.listening import listening, verified

ROUNDS = 150
CATALOG = {
    "meters/calls.yaml": "meter: calls\nevent: call\naggregate: count\n",
    "features/calls.yaml": "feature: calls\nkind: metered\nmeter: calls\n",
    "plans/free.yaml": (
        "plan: free\nname: Free\ncurrency: USD\n"
        "limits: {calls: {max: 5, window: month}}\nalerts: {limits: [80%]}\n"
    ),
}


def run(fresh: Fresh, _size: Size) -> Iterator[Measurement]:
    del fresh  # the server brings its own
    with (
        tempfile.TemporaryDirectory(prefix="valorem-bench-") as folder,
        running_server(Path(folder)) as (_, client),
        listening() as receiver,
    ):
        client.apply_catalog(CATALOG, message="bench", author="bench")
        endpoint = client.create_endpoint(receiver.url, topics=["alert.crossed"])
        start = datetime.now(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        acked, arrived = [], []
        for number in range(ROUNDS):
            customer = f"c{number}"
            client.create_customer(customer, customer, "USD")
            client.create_contract(customer, "free", start=start)
            calls = [
                {
                    "id": f"{customer}-{one}",
                    "source": "bench",
                    "type": "call",
                    "subject": customer,
                    "data": {},
                }
                for one in range(4)
            ]
            client.send_events(calls[:3])
            sent = perf_counter()
            client.send_events(calls[3:])
            acknowledged = perf_counter()
            deadline = monotonic() + 10
            while not (came := receiver.waiting()):
                assert monotonic() < deadline, "the webhook did not arrive"
                sleep(0.0005)
            arrived.append(perf_counter() - acknowledged)
            acked.append(acknowledged - sent)
            told = [verified(one, endpoint.secret or "") for one in came]
            assert [one and one["data"]["customer"] for one in told] == [customer]
        yield Measurement(
            "crossing event",
            {
                "rounds": ROUNDS,
                "ack p50 ms": percentile(acked, 0.5) * 1000,
                "ack p99 ms": percentile(acked, 0.99) * 1000,
                "ack → webhook p50 ms": percentile(arrived, 0.5) * 1000,
                "ack → webhook p99 ms": percentile(arrived, 0.99) * 1000,
            },
        )

"""What happens in the demonstration: two months of an AI company, with everything that goes wrong on the way."""

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from importlib import resources
from itertools import islice
from typing import Any

from valorem.cli.demo.traffic import START, Buyer, Call, buyers, calls
from valorem.client import Client
from valorem.client.values import Contract

FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC)
MARCH = datetime(2026, 3, 1, tzinfo=UTC)
_BATCH = 1000
_JANUARY_CALLS = 30_000
_FEBRUARY_CALLS = 20_000
_LATE_CALLS = 300
_GRACE = timedelta(hours=1)


@dataclass
class Sent:
    """What was sent and what the server said of it.

    Attributes:
        calls: Every distinct call by id, as it counts in the end.
        voided: Ids taken back.
        statuses: How many events got each answer.
    """

    calls: dict[str, Call] = field(default_factory=dict)
    voided: set[str] = field(default_factory=set)
    statuses: dict[str, int] = field(default_factory=dict)

    def counted(self) -> dict[str, list[Call]]:
        """The calls that count, by customer."""
        found: dict[str, list[Call]] = {}
        for call in self.calls.values():
            if call.id not in self.voided:
                found.setdefault(call.customer, []).append(call)
        return found


class Story:
    """Plays the two months against a server, through the client alone.

    Args:
        client: With an admin key of a fresh sandbox whose clock stands at the story's start.
    """

    def __init__(self, client: Client) -> None:
        self.client = client
        self.buyers = buyers()
        self.contracts: dict[str, Contract] = {}
        self.sent = Sent()

    def apply_catalog(self) -> int:
        """Apply the demonstration's catalog; returns its version."""
        root = resources.files("valorem.cli.demo") / "catalog"
        files = {
            f"{folder.name}/{file.name}": file.read_text(encoding="utf-8")
            for folder in root.iterdir()
            for file in folder.iterdir()
        }
        return self.client.apply_catalog(files, message="Launch pricing", author="demo").version

    def sign_up(self) -> Iterator[Buyer]:
        """Create the customers and put each on its plan."""
        for buyer in self.buyers:
            self.client.create_customer(buyer.key, buyer.name, "USD")
            seats = {"seat": buyer.seats} if buyer.plan == "team" else {}
            self.contracts[buyer.key] = self.client.create_contract(
                buyer.key, buyer.plan, start=START, seats=seats
            )
            yield buyer

    def first_half_of_january(self) -> Iterator[int]:
        """Go to 16 January and send what was called until then, with repeats among it."""
        middle = START + timedelta(days=15)
        self.client.advance_clock(to=middle)
        yield from self._send(calls("jan-a", _JANUARY_CALLS // 2, START, middle), repeat_share=0.02)

    def second_half_of_january(self) -> Iterator[int]:
        """Go to the month's end and send the rest."""
        end = FEBRUARY - timedelta(minutes=15)
        self.client.advance_clock(to=end)
        yield from self._send(
            calls("jan-b", _JANUARY_CALLS // 2, START + timedelta(days=15), end), repeat_share=0.02
        )

    def close_january(self) -> int:
        """Go past the period's end and its grace; returns how many invoices were finalised."""
        return self.client.advance_clock(to=FEBRUARY + _GRACE).closed.finalised

    def february(self) -> Iterator[int]:
        """Go to the end of February; send its calls, late ones of January among them, and take one back."""
        self.client.advance_clock(to=MARCH - timedelta(minutes=15))
        late = list(calls("late", _LATE_CALLS, START + timedelta(days=28), FEBRUARY))
        on_time = calls("feb", _FEBRUARY_CALLS, FEBRUARY, MARCH - timedelta(minutes=15))
        yield from self._send(_shuffled([*on_time, *late]), repeat_share=0.02)
        yield self._take_back()

    def close_february(self) -> int:
        """Go past the second period's end and its grace; returns how many invoices were finalised."""
        return self.client.advance_clock(to=MARCH + _GRACE).closed.finalised

    def _send(self, stream: Iterable[Call], *, repeat_share: float) -> Iterator[int]:
        chance = random.Random("repeats")  # noqa: S311 - made-up traffic, the same on every machine
        remaining = iter(stream)
        while batch := list(islice(remaining, _BATCH)):
            self.sent.calls.update((call.id, call) for call in batch)
            repeated = [call for call in batch if chance.random() < repeat_share]
            yield self._post([call.event() for call in (*batch, *repeated)])

    def _take_back(self) -> int:
        """A gateway counted one call that never reached its user: void it, though January has been invoiced."""
        call = max(self.sent.calls.values(), key=_january_size)
        self.sent.voided.add(call.id)
        void = {
            "id": f"void-{call.id}",
            "source": "demo/gateway",
            "type": "valorem.void",
            "subject": call.customer,
            "time": (MARCH - timedelta(hours=1)).isoformat(),
            "data": {"source": "demo/gateway", "id": call.id},
        }
        return self._post([void])

    def _post(self, events: Sequence[dict[str, Any]]) -> int:
        results = self.client.send_events(events)
        for item in results.items:
            self.sent.statuses[item.status] = self.sent.statuses.get(item.status, 0) + 1
        return len(events)


def _january_size(call: Call) -> Decimal:
    counts = call.time < FEBRUARY and call.status == "ok" and int(call.customer[-3:]) % 2 == 0
    return Decimal(call.input_tokens if counts else 0)


def _shuffled(stream: list[Call]) -> list[Call]:
    random.Random("order").shuffle(stream)  # noqa: S311 - made-up traffic, the same on every machine
    return stream

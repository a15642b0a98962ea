"""Traffic for the demonstration: the same events for the same seed, made as they are needed."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2026, 1, 1, tzinfo=UTC)
CUSTOMERS = 200
_SEATS = (3, 5, 8, 12, 20)
_MODELS = ("gpt-5.4", "gpt-5.4-mini", "gpt-5.4-mini", "gpt-5.4-mini")


@dataclass(frozen=True, slots=True)
class Buyer:
    """One customer of the demonstration."""

    key: str
    name: str
    plan: str
    seats: int


@dataclass(frozen=True, slots=True)
class Call:
    """One LLM call."""

    id: str
    customer: str
    time: datetime
    model: str
    input_tokens: int
    output_tokens: int
    status: str

    def event(self) -> dict[str, Any]:
        """As a CloudEvent."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": "demo/gateway",
            "type": "llm.call",
            "subject": self.customer,
            "time": self.time.isoformat().replace("+00:00", "Z"),
            "data": {
                "model": self.model,
                "input_tokens": self.input_tokens,
                "output_tokens": self.output_tokens,
                "status": self.status,
            },
        }


def buyers() -> list[Buyer]:
    """200 customers: half pay for each token, half have seats with tokens included."""
    names = (
        "Acme",
        "Borealis",
        "Cobalt",
        "Delphi",
        "Ember",
        "Fathom",
        "Gantry",
        "Harbor",
        "Indigo",
        "Juniper",
    )
    kinds = ("Labs", "Health", "Freight", "Legal", "Games", "Retail", "Energy", "Press", "Robotics", "Travel")
    return [
        Buyer(
            key=f"cust_{number:03d}",
            name=f"{names[number % 10]} {kinds[number // 10 % 10]}" + (" EU" if number >= 100 else ""),
            plan="api" if number % 2 == 0 else "team",
            seats=_SEATS[number % len(_SEATS)],
        )
        for number in range(CUSTOMERS)
    ]


def calls(seed: str, count: int, start: datetime, end: datetime) -> Iterator[Call]:
    """``count`` calls spread over ``[start, end)`` in order of time; a few customers make most of them."""
    chance = random.Random(seed)  # noqa: S311 - made-up traffic, the same on every machine
    step = (end - start) / count
    for number in range(count):
        long = chance.random() < 0.01
        yield Call(
            id=f"{seed}-{number:06d}",
            customer=f"cust_{int(CUSTOMERS * chance.random() ** 2):03d}",
            time=start + number * step + timedelta(microseconds=chance.randrange(1000)),
            model=chance.choice(_MODELS),
            input_tokens=chance.randrange(272_001, 400_000) if long else int(chance.lognormvariate(7.2, 1.1)),
            output_tokens=int(chance.lognormvariate(5.6, 0.9)) + 1,
            status="ok" if chance.random() < 0.98 else "failed",
        )

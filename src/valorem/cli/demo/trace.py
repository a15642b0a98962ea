"""The demonstration on a recorded trace of LLM calls: exact token totals, priced and invoiced."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

from valorem.cli.demo.story import Story
from valorem.cli.demo.tables import show_invoices, show_usage
from valorem.cli.output import say, table
from valorem.client import Client
from valorem.core.errors import InvalidInputError
from valorem.core.time import parse_instant, quarter_hour_of

_CUSTOMERS = 20
_BATCH = 1000
_COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")


@dataclass
class _Totals:
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0


def trace_start(file: Path) -> datetime:
    """The first day of the month the trace was recorded in: where the sandbox's clock starts."""
    return quarter_hour_of(next(_rows(file))[1]).replace(day=1, hour=0, minute=0)


def play_trace(client: Client, file: Path) -> bool:
    """Send every call of a trace twice, invoice them, and compare the token totals; returns whether they agree."""
    start = trace_start(file)
    last = max(row[1] for row in _rows(file))
    client.advance_clock(to=quarter_hour_of(last) + timedelta(minutes=15))
    story = Story(client)
    story.apply_catalog()
    for number in range(_CUSTOMERS):
        client.create_customer(f"trace_{number:02d}", f"Trace customer {number:02d}", "USD")
        client.create_contract(f"trace_{number:02d}", "api", start=start)
    totals = _Totals()
    answers: dict[str, int] = {}
    for attempt in (1, 2):
        for batch in _batches(file):
            if attempt == 1:
                totals.calls += len(batch)
                totals.input_tokens += sum(event["data"]["input_tokens"] for event in batch)
                totals.output_tokens += sum(event["data"]["output_tokens"] for event in batch)
            for item in client.send_events(batch).items:
                answers[item.status] = answers.get(item.status, 0) + 1
    say(
        "sent everything twice: "
        + ", ".join(f"{count:,} {status}" for status, count in sorted(answers.items()))
    )
    counted = {"input": Decimal(0), "output": Decimal(0)}
    for number in range(_CUSTOMERS):
        usage = client.usage(f"trace_{number:02d}", "tokens", dimensions=("kind",), start=start)
        for row in usage.rows:
            counted[row.dimensions["kind"] or ""] += row.quantity
    show_usage(client.usage("trace_00", "tokens", dimensions=("model", "kind"), start=start))
    client.advance_clock(periods=1)
    client.advance_clock(to=client.get_clock().now + timedelta(hours=1))
    show_invoices("The trace", client.list_invoices(status="issued", limit=200).items)
    same = counted == {"input": totals.input_tokens, "output": totals.output_tokens}
    table(
        ("tokens", "in the file", "counted"),
        (
            ("context", f"{totals.input_tokens:,}", f"{counted['input']:,}"),
            ("generated", f"{totals.output_tokens:,}", f"{counted['output']:,}"),
        ),
        right=("in the file", "counted"),
        title=f"{totals.calls:,} calls: the totals are {'exactly the same' if same else 'DIFFERENT'}",
    )
    return same


def _batches(file: Path) -> Iterator[list[dict[str, Any]]]:
    rows = _rows(file)
    while batch := [_event(*row) for row in islice(rows, _BATCH)]:
        yield batch


def _rows(file: Path) -> Iterator[tuple[int, datetime, int, int]]:
    with file.open(newline="", encoding="utf-8") as source:
        reader = csv.DictReader(source)
        if not set(_COLUMNS) <= set(reader.fieldnames or ()):
            raise InvalidInputError(f"{file.name} has no columns {', '.join(_COLUMNS)}", field="trace")
        for number, row in enumerate(reader):
            at = parse_instant(
                row["TIMESTAMP"].replace(" ", "T") + "Z", f"{file.name}:{number + 2}"
            ).astimezone(UTC)
            yield number, at, int(row["ContextTokens"]), int(row["GeneratedTokens"])


def _event(number: int, at: datetime, context: int, generated: int) -> dict[str, Any]:
    # The trace names no customer: a hash of the row number stands in.
    customer = blake2b(str(number).encode(), digest_size=2).digest()[0] % _CUSTOMERS
    return {
        "id": f"row-{number}",
        "source": "trace",
        "type": "llm.call",
        "subject": f"trace_{customer:02d}",
        "time": at,
        "data": {
            "model": "gpt-5.4-mini",
            "input_tokens": context,
            "output_tokens": generated,
            "status": "ok",
        },
    }

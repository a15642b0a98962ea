"""The demonstration on a help-desk log: tickets that stay resolved, signed by both sides, billed month by month."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

from valorem.cli.importing.mapping import parse_map
from valorem.cli.importing.reading import open_table
from valorem.cli.importing.shaping import Shaper
from valorem.cli.output import money, say, table
from valorem.client import Client
from valorem.client.outcome_values import OutcomeDashboard
from valorem.core.catalog.tree import parse_catalog
from valorem.core.errors import InvalidInputError
from valorem.core.outcomes.durations import parse_duration
from valorem.core.time import parse_instant

_FOLDER = files("valorem.cli.demo") / "help_desk"
_CUSTOMER = "help-desk"
_RULES = ("resolution", "resolution_reopened")
_WINDOW = "window: 5 days"
_BATCH = 1000
_GRACE = timedelta(hours=2)


def log_start(file: Path) -> datetime:
    """The first day of the month before the log begins: where the sandbox's clock starts."""
    first = min(parse_instant(event["time"]) for event in _events(file))
    return first.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def play_incidents(client: Client, url: str, file: Path, window: str) -> bool:
    """Bill a help-desk log by both rules; returns whether every invoice proves itself and the sums agree.

    Args:
        client: Of the sandbox, with an admin's key.
        url: Of the server.
        file: The log.
        window: How long a ticket must stay resolved.
    """
    waits = _window(window)
    start = client.get_clock().now
    client.apply_catalog(_catalog(window), message="help desk", author="demo")
    client.create_customer(_CUSTOMER, "Help desk", "USD")
    contract = client.create_contract(_CUSTOMER, "help_desk", start=start).id
    theirs = client.create_key("customer", ["read", "outcomes:sign"]).key
    assert theirs is not None  # it was made this moment
    with Client(url, theirs, timeout_s=120) as customer:
        for rule in _RULES:
            made = client.propose_outcome(
                contract, rule, effective_from=start, live_from=start, retroactive=True
            )
            client.sign_outcome(contract, rule, made.number, made.digest, "Vera Vendor", "CEO")
            customer.sign_outcome_as_customer(
                contract, rule, made.number, made.digest, "Cora Customer", "CFO"
            )
            say(f"{rule}: {made.digest[:16]}… signed by both sides, window {window}")
    months = _by_month(file)
    sent = 0
    border = start
    for events in months:
        border = _next_month(border)
        client.advance_clock(to=border)
        for first in range(0, len(events), _BATCH):
            answers = client.send_events(events[first : first + _BATCH]).items
            sent += sum(each.status == "accepted" for each in answers)
    last = border + waits
    while border < last:
        border = _next_month(border)
        client.advance_clock(to=border)
    client.advance_clock(to=border + _GRACE)
    say(f"sent {sent:,} events of {sum(map(len, months)):,} rows; now {border:%Y-%m-%d}")
    return _shown(client, contract)


def _shown(client: Client, contract: str) -> bool:
    boards = [client.outcome_dashboard(contract, rule, limit=1) for rule in _RULES]
    billed: defaultdict[str, Decimal] = defaultdict(Decimal)
    same = True
    for header in client.list_invoices(contract=contract, limit=200).items:
        if header.number is None:
            continue  # a draft
        same = same and client.verify_invoice(header.id).same
        for line in client.get_invoice(header.id).document.lines:
            billed[line.key] += line.amount
    for board in boards:
        _show(board)
    table(
        ("rule", "confirmed", "taken back", "stand", "invoiced"),
        [
            (
                board.definition,
                board.confirmed,
                board.reversed,
                board.confirmed - board.reversed,
                money(billed[board.definition], board.currency),
            )
            for board in boards
        ],
        right=("confirmed", "taken back", "stand", "invoiced"),
        title=f"every invoice computed again gives {'the same bytes' if same else 'OTHER BYTES'}",
    )
    agree = all(billed[each.definition] == sum(one.amount for one in each.periods) for each in boards)
    return same and agree


def _show(board: OutcomeDashboard) -> None:
    table(
        ("month", "confirmed", "taken back", "amount", "of it credit"),
        [
            (
                each.label,
                each.confirmed,
                each.reversed,
                money(each.amount, board.currency),
                money(each.credit, board.currency),
            )
            for each in board.periods
        ],
        right=("confirmed", "taken back", "amount", "of it credit"),
        title=f"{board.name} ({board.definition})",
    )


def _catalog(window: str) -> dict[str, str]:
    found = {}
    for folder in ("outcomes", "plans"):
        for entry in (_FOLDER / folder).iterdir():
            text = entry.read_text(encoding="utf-8")
            found[f"{folder}/{entry.name}"] = text.replace(_WINDOW, f"window: {window}")
    parse_catalog(found)
    return found


def _window(text: str) -> timedelta:
    try:
        return parse_duration(text)
    except ValueError as error:
        raise InvalidInputError(str(error), field="--window", hint="write it as 5 days or 24 hours") from None


def _events(file: Path) -> Iterator[dict[str, Any]]:
    mapping = parse_map("log.yaml", (_FOLDER / "log.yaml").read_text(encoding="utf-8"))
    rows = open_table(file)
    shaper = Shaper(mapping, "incidents")
    for row in rows.rows():
        shaped = shaper.shape(row)
        if not isinstance(shaped, dict):
            raise InvalidInputError(f"row {row.number} cannot be read: {shaped}", field="--incidents")
        yield shaped


def _by_month(file: Path) -> list[list[dict[str, Any]]]:
    """The events in order of time, month by month, quiet months included."""
    events = sorted(_events(file), key=lambda event: (event["time"], event["id"]))
    border = log_start(file)
    months: list[list[dict[str, Any]]] = []
    for event in events:
        while parse_instant(event["time"]) >= border:
            months.append([])
            border = _next_month(border)
        months[-1].append(event)
    return months


def _next_month(border: datetime) -> datetime:
    return (border + timedelta(days=31)).replace(day=1)

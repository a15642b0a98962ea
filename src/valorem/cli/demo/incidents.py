"""The demonstration on a help-desk log: tickets that stay resolved, signed by both sides, billed by calendar months or weeks of any zone."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from valorem.cli.importing.mapping import parse_map
from valorem.cli.importing.reading import open_table
from valorem.cli.importing.shaping import Shaper
from valorem.cli.output import money, say, show_json, table
from valorem.client import Client
from valorem.client.outcome_values import OutcomeDashboard
from valorem.core.catalog.tree import parse_catalog
from valorem.core.errors import InvalidInputError
from valorem.core.outcomes.durations import parse_duration
from valorem.core.periods import Cadence, boundary, calendar_anchor
from valorem.core.time import parse_instant

_FOLDER = files("valorem.cli.demo") / "help_desk"
_CUSTOMER = "help-desk"
_RULES = ("resolution", "resolution_reopened")
_WINDOW, _EVERY = "window: 5 days", "every: month"
_BATCH = 1000
_GRACE = timedelta(hours=2)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The periods a log is billed by.

    Attributes:
        every: ``month`` or ``week``.
        zone: The time zone whose midnights are their borders.
    """

    every: Literal["month", "week"] = "month"
    zone: str = "UTC"

    @property
    def cadence(self) -> Cadence:
        """Their length."""
        return Cadence(1, self.every)

    def start_of(self, instant: datetime) -> datetime:
        """The start of the calendar period an instant falls in."""
        return calendar_anchor(instant, self.cadence, self.zone)

    def next_border(self, border: datetime) -> datetime:
        """The border after one."""
        return boundary(border, self.cadence, self.zone, 1)


def log_start(file: Path, calendar: Calendar) -> datetime:
    """The start of the period in which the log begins: where the sandbox's clock starts."""
    return calendar.start_of(min(parse_instant(event["time"]) for event in _events(file)))


def play_incidents(
    client: Client, url: str, file: Path, window: str, calendar: Calendar, *, as_json: bool = False
) -> bool:
    """Bill a help-desk log by both rules; returns whether every invoice proves itself and the sums agree.

    Args:
        client: Of the sandbox, with an admin's key.
        url: Of the server.
        file: The log.
        window: How long a ticket must stay resolved.
        calendar: By which periods it is billed.
        as_json: Whether the totals are answered as JSON.
    """
    waits = _window(window)
    start = client.get_clock().now
    client.apply_catalog(_catalog(window, calendar), message="help desk", author="demo")
    client.create_customer(_CUSTOMER, "Help desk", "USD")
    contract = client.create_contract(
        _CUSTOMER, "help_desk", start=start, anchor="calendar", zone=calendar.zone
    ).id
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
            _tell(f"{rule}: {made.digest[:16]}… signed by both sides, window {window}", as_json=as_json)
    batches = _by_period(file, calendar)
    sent = 0
    border = start
    for events in batches:
        border = calendar.next_border(border)
        client.advance_clock(to=border)
        for first in range(0, len(events), _BATCH):
            answers = client.send_events(events[first : first + _BATCH]).items
            sent += sum(each.status == "accepted" for each in answers)
    last = border + waits
    while border < last:
        border = calendar.next_border(border)
        client.advance_clock(to=border)
    client.advance_clock(to=border + _GRACE)
    rows = sum(map(len, batches))
    _tell(f"sent {sent:,} events of {rows:,} rows; now {border:%Y-%m-%d}", as_json=as_json)
    return _shown(client, contract, calendar, as_json=as_json)


def _tell(text: str, *, as_json: bool) -> None:
    if not as_json:
        say(text)


def _shown(client: Client, contract: str, calendar: Calendar, *, as_json: bool) -> bool:
    boards = [client.outcome_dashboard(contract, rule, limit=1) for rule in _RULES]
    billed: defaultdict[str, Decimal] = defaultdict(Decimal)
    same = True
    for header in client.list_invoices(contract=contract, limit=200).items:
        if header.number is None:
            continue  # a draft
        same = same and client.verify_invoice(header.id).same
        for line in client.get_invoice(header.id).document.lines:
            billed[line.key] += line.amount
    agree = all(billed[each.definition] == sum(one.amount for one in each.periods) for each in boards)
    if as_json:
        rules = {each.definition: _totals(each, billed[each.definition]) for each in boards}
        show_json({"by": calendar.every, "zone": calendar.zone, "same_bytes": same, "rules": rules})
        return same and agree
    for board in boards:
        _show(board, calendar)
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
    return same and agree


def _totals(board: OutcomeDashboard, invoiced: Decimal) -> dict[str, Any]:
    """Counts and money of one rule, period by period and in all; periods without any are left out."""
    counts = ("assumed", "confirmed", "cancelled", "reversed")
    periods = {
        each.label: {
            **{name: getattr(each, name) for name in counts},
            "net": each.confirmed - each.reversed,
            "amount": each.amount,
        }
        for each in board.periods
        if any(getattr(each, name) for name in counts)
    }
    return {
        "periods": periods,
        "confirmed": board.confirmed,
        "cancelled": board.cancelled,
        "reversed": board.reversed,
        "net": board.confirmed - board.reversed,
        "invoiced": invoiced,
    }


def _show(board: OutcomeDashboard, calendar: Calendar) -> None:
    table(
        (calendar.every, "assumed", "confirmed", "cancelled", "taken back", "net", "amount", "of it credit"),
        [
            (
                each.label,
                each.assumed,
                each.confirmed,
                each.cancelled,
                each.reversed,
                each.confirmed - each.reversed,
                money(each.amount, board.currency),
                money(each.credit, board.currency),
            )
            for each in board.periods
        ],
        right=("assumed", "confirmed", "cancelled", "taken back", "net", "amount", "of it credit"),
        title=f"{board.name} ({board.definition}), periods of {calendar.zone}",
    )


def _catalog(window: str, calendar: Calendar) -> dict[str, str]:
    found = {}
    for folder in ("outcomes", "plans"):
        for entry in (_FOLDER / folder).iterdir():
            text = entry.read_text(encoding="utf-8")
            text = text.replace(_WINDOW, f"window: {window}").replace(_EVERY, f"every: {calendar.every}")
            found[f"{folder}/{entry.name}"] = text
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


def _by_period(file: Path, calendar: Calendar) -> list[list[dict[str, Any]]]:
    """The events in order of time, period by period, quiet ones included."""
    events = sorted(_events(file), key=lambda event: (event["time"], event["id"]))
    border = calendar.start_of(parse_instant(events[0]["time"]))
    periods: list[list[dict[str, Any]]] = []
    for event in events:
        while parse_instant(event["time"]) >= border:
            periods.append([])
            border = calendar.next_border(border)
        periods[-1].append(event)
    return periods

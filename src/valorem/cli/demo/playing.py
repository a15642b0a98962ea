"""Plays a demonstration on a server of its own and says what it shows, to the end."""

import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from valorem.cli.demo.enterprise import play_enterprise
from valorem.cli.demo.free_plan import play_free_plan
from valorem.cli.demo.incidents import Calendar, log_start, play_incidents
from valorem.cli.demo.proof import prove
from valorem.cli.demo.server import running_server
from valorem.cli.demo.story import FEBRUARY, MARCH, Story
from valorem.cli.demo.studio import furnish
from valorem.cli.demo.tables import show_explanation, show_invoices, show_projection, show_proof, show_usage
from valorem.cli.demo.trace import play_trace, trace_start
from valorem.cli.demo.traffic import CUSTOMERS, START
from valorem.cli.output import err, say
from valorem.cli.session import set_up_link_in
from valorem.client import Client
from valorem.client.values import InvoiceHeader
from valorem.core.calendar import zone_info

_RECOMPUTED = 24


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be shown.

    Attributes:
        trace: A CSV of calls of a language model.
        freemium: A free plan, its limit, the prompt and the upgrade.
        enterprise: An order over three years.
        incidents: A help-desk log, billed by the resolved ticket.
        window: How long a ticket must stay resolved.
        by: The periods it is billed by.
        zone: The time zone whose midnights are their borders.
        as_json: Answer its totals for programs.
        keep: Go on serving at the end.
    """

    trace: Path | None
    freemium: bool
    enterprise: bool
    incidents: Path | None
    window: str
    by: Literal["month", "week"]
    zone: str
    as_json: bool
    keep: bool


def play(wish: Wish) -> bool:
    """Play it in a temporary folder; whether all that was reckoned twice agrees."""
    began = time.monotonic()
    calendar = Calendar(wish.by, zone_info(wish.zone).key)
    folder = Path(tempfile.mkdtemp(prefix="valorem-demo-"))
    _note(f"starting a server in {folder} …", "dim", as_json=wish.as_json)
    with running_server(folder) as (url, admin):
        sandbox = admin.create_workspace("demo", clock_at=_starts_at(wish.trace, wish.incidents, calendar))
        with Client(url, sandbox.admin_key.key, timeout_s=120) as client:
            if wish.incidents is not None:
                holds = play_incidents(
                    client, url, wish.incidents, wish.window, calendar, as_json=wish.as_json
                )
            elif wish.enterprise:
                holds = play_enterprise(client, folder)
            elif wish.freemium:
                holds = play_free_plan(client)
            else:
                holds = _play(client, url) if wish.trace is None else play_trace(client, wish.trace)
        _note(f"\ndone in {time.monotonic() - began:.0f} s", "dim", as_json=wish.as_json)
        if wish.keep or (sys.stdout.isatty() and not wish.as_json):
            link = set_up_link_in(folder / "data")
            say(f"Look around, as the first owner: {link or url}   (Ctrl-C ends it)", "bold")
            _wait()
    key = f"  the key of the demo's workspace, for the API and the command line: {sandbox.admin_key.key}"
    _note("Open it again, and sign in by the link it shows:", "bold", as_json=wish.as_json)
    _note(f"  VALOREM_DATA={folder / 'data'} valorem up", as_json=wish.as_json)
    _note(key, as_json=wish.as_json)
    return holds


def _note(text: str, style: str = "", *, as_json: bool) -> None:
    """A line for people; beside the answer where that is for a program."""
    if as_json:
        err.print(text, style=style, soft_wrap=True)
    else:
        say(text, style)


def _starts_at(trace: Path | None, incidents: Path | None, calendar: Calendar) -> datetime:
    if incidents is not None:
        return log_start(incidents, calendar)
    return START if trace is None else trace_start(trace)


def _play(client: Client, url: str) -> bool:
    story = Story(client)
    version = story.apply_catalog()
    say(
        f"catalog version {version} applied: plans api (per model and token kind) and team (seats, included tokens)"
    )
    _watch("customers", story.sign_up(), CUSTOMERS, each=1)
    _watch("first half of January", story.first_half_of_january(), 15_300)
    busiest = story.buyers[0]
    show_usage(client.usage(busiest.key, "tokens", start=START, by="period", dimensions=("model", "kind")))
    show_projection(
        [(buyer, client.preview_invoice(story.contracts[buyer.key].id)) for buyer in story.buyers[:6]]
    )
    _watch("second half of January", story.second_half_of_january(), 15_300)
    say(f"January closed: {story.close_january()} invoices finalised")
    _watch("February, with late calls and a correction", story.february(), 20_700)
    say(f"February closed: {story.close_february()} invoices finalised")
    answers = ", ".join(f"{count:,} {status}" for status, count in sorted(story.sent.statuses.items()))
    say(f"sent {sum(story.sent.statuses.values()):,} events: {answers}\n")
    invoices = _finalised(client)
    show_invoices("January", [each for each in invoices if each.issued_at == FEBRUARY])
    show_invoices("February", [each for each in invoices if each.issued_at == MARCH])
    _explain_largest(client, [each for each in invoices if each.issued_at == MARCH])
    proof = prove(story, invoices, recompute=_RECOMPUTED)
    show_proof(proof)
    say("March begins: a plan with agents, credits, limits and tickets paid once they stay resolved …", "dim")
    key = client.create_key("customer", ["read", "outcomes:sign"]).key
    assert key is not None  # it was made this moment
    with Client(url, key, timeout_s=120) as theirs:
        furnish(story, theirs)
    return proof.holds


def _explain_largest(client: Client, invoices: list[InvoiceHeader]) -> None:
    largest = max(invoices, key=lambda header: header.total or 0)
    lines = client.get_invoice(largest.id).document.lines
    number = max(range(len(lines)), key=lambda place: lines[place].amount if lines[place].selectors else -1)
    assert largest.number is not None  # it is finalised
    show_explanation(largest.number, client.explain_line(largest.id, number + 1, limit=20))


def _finalised(client: Client) -> list[InvoiceHeader]:
    found: list[InvoiceHeader] = []
    after: str | None = None
    while True:
        page = client.list_invoices(status="issued", after=after, limit=200)
        found += page.items
        if (after := page.next) is None:
            return found


def _watch(what: str, steps: Iterable[Any], total: int, *, each: int | None = None) -> None:
    columns = (
        TextColumn("{task.description:<44}"),
        BarColumn(),
        TextColumn("{task.completed:,.0f}"),
        TimeElapsedColumn(),
    )
    began = time.monotonic()
    done = 0
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task(what, total=total)
        for step in steps:
            done += step if each is None else each
            progress.update(task, completed=done)
    elapsed_s = time.monotonic() - began
    say(f"{what}: {done:,} in {elapsed_s:.1f} s ({done / max(elapsed_s, 0.001):,.0f} a second)")


def _wait() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        return

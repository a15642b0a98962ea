"""The help-desk log, billed by its two rules through the one fold, against a plain re-telling of the rules."""

import csv
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from valorem.cli.importing.mapping import parse_map
from valorem.cli.importing.reading import open_table
from valorem.cli.importing.shaping import Shaper
from valorem.core.catalog.tree import parse_catalog
from valorem.core.metering.event import Event
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.outcomes.evidence import CompiledOutcome
from valorem.core.outcomes.fold import fold
from valorem.core.outcomes.frame import Frame
from valorem.core.outcomes.states import Outcome
from valorem.core.outcomes.totals import totals
from valorem.core.periods import Cadence, Unit

ROOT = Path(__file__).parents[3]
LOG = ROOT / "../shared/data/incident_event_log_2016.csv"
EXAMPLE = ROOT / "examples"

pytestmark = pytest.mark.skipif(not LOG.is_file(), reason="no ../shared/data beside this checkout")


@pytest.fixture(scope="module")
def recorded():
    mapping = parse_map("map", (EXAMPLE / "imports/help_desk_log.yaml").read_text(encoding="utf-8"))
    shaper = Shaper(mapping, "digest")
    found = []
    for row in open_table(LOG).rows():
        shaped = shaper.shape(row)
        assert isinstance(shaped, dict), shaped
        at = datetime.fromisoformat(shaped["time"])
        found.append(
            (Event(shaped["id"], shaped["source"], shaped["type"], shaped["subject"], at, shaped["data"]), at)
        )
    return found


@pytest.fixture(scope="module")
def definitions():
    folder = EXAMPLE / "catalogs/help_desk"
    files = {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in folder.rglob("*.yaml")
    }
    found = parse_catalog(files).outcomes
    return {"R1": found["resolution"], "R2": found["resolution_reopened"]}


def told_plainly(rule: str, window: timedelta) -> Iterator[tuple[str, datetime]]:
    """(what, when) of every change, by the words of the rule and nothing else."""
    tickets = defaultdict(list)
    with LOG.open(encoding="utf-8", newline="") as file:
        for number, row in enumerate(csv.DictReader(file)):
            at = datetime.strptime(row["sys_updated_at"], "%d-%m-%Y %H:%M").replace(tzinfo=UTC)
            tickets[row["number"]].append((at, int(row["sys_mod_count"]), number, row))
    for rows in tickets.values():
        rows.sort(key=lambda each: each[:3])
        since = confirmed = None
        reopened = int(rows[0][3]["reopen_count"])
        for at, _, _, row in rows:
            if since is not None and confirmed is None and at >= since + window:
                confirmed = since + window
                yield "confirmed", confirmed
            rose, reopened = int(row["reopen_count"]) > reopened, int(row["reopen_count"])
            resolved = row["incident_state"] in ("Resolved", "Closed")
            if resolved and since is None:
                since = at
                yield "assumed", at
            if since is not None and (rose if rule == "R2" else not resolved):
                yield ("cancelled" if confirmed is None else "reversed"), at
                since = confirmed = None
        if since is not None and confirmed is None:
            yield "confirmed", since + window


def label(at: datetime, zone: str, every: Unit) -> str:
    wall = at.astimezone(ZoneInfo(zone))
    if every == "month":
        return f"{wall:%Y-%m}"
    return (wall.date() - timedelta(days=wall.weekday())).isoformat()


@pytest.mark.parametrize("rule", ["R1", "R2"])
@pytest.mark.parametrize("window", ["5 days", "24 hours", "90 minutes", "0 days", "60 days"])
def test_totals_are_those_of_the_rule(recorded, definitions, rule, window):
    definition = definitions[rule].model_validate(
        {**definitions[rule].model_dump(mode="json", by_alias=True), "window": window}
    )
    compiled = CompiledOutcome(definition)
    outcomes = fold(compiled, compiled.read_all(recorded)).values()
    assert len(outcomes) == 890
    for zone, every in CALENDARS:  # the states of an elapsed window know no zone
        check_totals(rule, definition, outcomes, zone, every)


CALENDARS: list[tuple[str, Unit]] = [
    ("UTC", "month"),
    ("Asia/Kolkata", "week"),
    ("America/New_York", "month"),
    ("Pacific/Auckland", "week"),
]


def check_totals(
    rule: str, definition: OutcomeDefinition, outcomes: Collection[Outcome], zone: str, every: Unit
) -> None:
    frame = Frame(zone, Cadence(1, every))
    wanted = Counter((label(at, zone, every), what) for what, at in told_plainly(rule, definition.window))
    found = totals(definition, outcomes, frame)
    got = Counter(
        {
            (each.label, what): getattr(each, what)
            for each in found
            for what in ("assumed", "confirmed", "cancelled", "reversed")
        }
    )
    assert +got == wanted
    assert all(each.amount == Decimal("0.99") * each.net for each in found)
    assert sum(each.net for each in found) == 890  # every ticket ends closed


def test_the_log_may_arrive_backwards(recorded, definitions):
    compiled = CompiledOutcome(definitions["R2"])
    forwards = fold(compiled, compiled.read_all(recorded))
    assert fold(compiled, compiled.read_all(recorded[::-1] + recorded[:99])) == forwards

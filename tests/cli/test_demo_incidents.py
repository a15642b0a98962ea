"""The help-desk demonstration: its files are the examples, its periods are the calendar's of a zone."""

from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import pytest

from valorem.cli.demo.incidents import Calendar, log_start
from valorem.core.errors import InvalidInputError
from valorem.core.time import write_instant

EXAMPLES = Path(__file__).parents[2] / "examples"
DEMO = Path(str(files("valorem.cli.demo"))) / "help_desk"


def test_the_demonstration_plays_the_examples() -> None:
    example = EXAMPLES / "catalogs/help_desk"
    names = {path.relative_to(example) for path in example.rglob("*.yaml")}
    assert names == {path.relative_to(DEMO) for path in DEMO.rglob("*.yaml")} - {Path("log.yaml")}
    for name in names:
        assert (DEMO / name).read_bytes() == (example / name).read_bytes(), name
    assert (DEMO / "log.yaml").read_bytes() == (EXAMPLES / "imports/help_desk_log.yaml").read_bytes()


@pytest.mark.parametrize(
    ("calendar", "start", "following"),
    [
        (Calendar(), "2016-02-01T00:00:00Z", "2016-03-01T00:00:00Z"),
        (Calendar("week"), "2016-02-29T00:00:00Z", "2016-03-07T00:00:00Z"),
        (Calendar("week", "Asia/Kolkata"), "2016-02-28T18:30:00Z", "2016-03-06T18:30:00Z"),
        (Calendar("month", "America/New_York"), "2016-02-01T05:00:00Z", "2016-03-01T05:00:00Z"),
    ],
)
def test_a_log_is_billed_by_the_calendar_of_its_zone(
    tmp_path: Path, calendar: Calendar, start: str, following: str
) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "number,incident_state,sys_mod_count,reopen_count,sys_updated_at\n"
        "INC1,New,0,0,29-02-2016 01:16\nINC1,Closed,1,0,3-03-2016 01:16\n",
        encoding="utf-8",
    )
    begins = log_start(log, calendar)
    assert (write_instant(begins), write_instant(calendar.next_border(begins))) == (start, following)


def test_an_unknown_zone_is_told() -> None:
    with pytest.raises(InvalidInputError, match="unknown time zone"):
        Calendar("month", "Mars/Olympus").start_of(datetime(2026, 1, 5, tzinfo=UTC))

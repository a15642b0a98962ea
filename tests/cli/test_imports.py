"""Imports: what a row becomes, what is refused and why, and that going on or starting again counts nothing twice."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from valorem.cli.importing.mapping import parse_map
from valorem.cli.importing.progress import progress_path
from valorem.cli.importing.reading import open_table
from valorem.cli.importing.running import import_table, rehearse
from valorem.core.errors import ConflictError, InvalidInputError

DATA = Path(__file__).parents[2] / "../shared/data"


def real(name: str) -> Path:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"the public trace {name} is not beside this checkout")
    return path


@dataclass
class Answer:
    status: str
    field: str | None = None
    reason: str | None = None


@dataclass
class Recorder:
    """A server in little: first id wins; it can die before or after taking a batch."""

    events: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    die_after: int | None = None
    batches: int = 0

    def send(self, events: Sequence[Mapping[str, Any]]) -> Sequence[Answer]:
        answers = [self._take(dict(event)) for event in events]
        self.batches += 1
        if self.batches == self.die_after:
            raise ConnectionError("the answer was lost")
        return answers

    def _take(self, event: dict[str, Any]) -> Answer:
        known = self.events.setdefault((event["source"], event["id"]), event)
        if known is event:
            return Answer("accepted")
        return Answer("duplicate" if known == event else "conflict")


def run(path: Path, text: str, sink: Recorder) -> dict[str, int]:
    return import_table(open_table(path), parse_map("map.yaml", text), sink).progress.counts


SIMPLE = """
type: call
source: test
subject: {column: who}
time: {column: at, time_zone: UTC}
data: {tokens: {column: tokens, kind: number}}
"""


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_row_becomes_an_event(tmp_path: Path) -> None:
    sink = Recorder()
    run(write(tmp_path / "a.csv", "who,at,tokens\nada,2026-03-05 14:30:00.1234567,12.50\n"), SIMPLE, sink)
    (event,) = sink.events.values()
    assert event["time"] == "2026-03-05T14:30:00.123456Z"
    assert event["data"] == {"tokens": "12.5"}
    assert (event["type"], event["source"], event["subject"]) == ("call", "test", "ada")


def test_numbers_are_taken_as_written(tmp_path: Path) -> None:
    sink = Recorder()
    run(
        write(tmp_path / "a.csv", "who,at,tokens\na,2026-03-05 14:30,999999999999999999.123456789012\n"),
        SIMPLE,
        sink,
    )
    (event,) = sink.events.values()
    assert event["data"] == {"tokens": "999999999999999999.123456789012"}


@pytest.mark.parametrize(
    ("row", "where", "reason"),
    [
        ("ada,2026-03-05 14:30,", "data.tokens", "empty"),
        ("ada,2026-03-05 14:30,1_000", "data.tokens", "expected a decimal number"),
        ("ada,2026-03-05 14:30,NaN", "data.tokens", "expected a decimal number"),
        ("ada,2026-03-05 14:30,٣", "data.tokens", "expected a decimal number"),
        (",2026-03-05 14:30,1", "subject", "empty"),
        ("ada,yesterday,1", "time", "not an instant"),
        ("ada,2026-02-30 10:00,1", "time", "does not exist"),
        ("ada,1772721000,1", "time", "not an instant"),
        ("ada,2026-03-05 14:30", "", "2 cells where the header names 3"),
        ("ada,2026-03-05 14:30,1,2", "", "4 cells where the header names 3"),
    ],
)
def test_a_refused_row_says_where_and_why_and_spoils_no_other(
    tmp_path: Path, row: str, where: str, reason: str
) -> None:
    sink, path = Recorder(), tmp_path / "a.csv"
    write(path, f"who,at,tokens\ngood,2026-03-05 14:30,1\n{row}\nfine,2026-03-05 14:31,2\n")
    counts = run(path, SIMPLE, sink)
    assert (counts["accepted"], counts["refused"]) == (2, 1)
    with (tmp_path / "a.csv.refused.csv").open(newline="") as file:
        (refused,) = csv.DictReader(file)
    assert (refused["row"], refused["field"]) == ("2", where)
    assert reason in refused["reason"]


def test_bytes_that_are_no_utf8_refuse_their_row_only(tmp_path: Path) -> None:
    sink, path = Recorder(), tmp_path / "a.csv"
    path.write_bytes(b"who,at,tokens\n\xff\xfe,2026-03-05 14:30,1\nfine,2026-03-05 14:31,2\n")
    counts = run(path, SIMPLE, sink)
    assert (counts["accepted"], counts["refused"]) == (1, 1)
    assert b"\xff\xfe" in (tmp_path / "a.csv.refused.csv").read_bytes()


@pytest.mark.parametrize("die_after", [1, 2, 3])
def test_a_run_that_dies_goes_on_where_it_was_and_counts_nothing_twice(
    tmp_path: Path, die_after: int
) -> None:
    rows = [f"c{n % 7},2026-03-05 14:30,{'x' if n % 100 == 0 else n}" for n in range(1, 2501)]
    path = write(tmp_path / "a.csv", "who,at,tokens\n" + "\n".join(rows) + "\n")
    sink = Recorder(die_after=die_after)
    with pytest.raises(ConnectionError):
        run(path, SIMPLE, sink)
    counts = run(path, SIMPLE, sink)
    assert len(sink.events) == 2475
    assert counts["accepted"] + counts["duplicate"] == 2475
    assert counts["conflict"] == 0
    assert counts["refused"] == 25
    with (tmp_path / "a.csv.refused.csv").open(newline="") as file:
        assert [int(row["row"]) for row in csv.DictReader(file)] == list(range(100, 2501, 100))


def test_importing_again_from_the_first_row_meets_only_duplicates(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "who,at,tokens\na,2026-03-05 14:30,1\na,2026-03-05 14:30,1\n")
    sink = Recorder()
    assert run(path, SIMPLE, sink)["accepted"] == 2  # equal rows are two events: their row numbers differ
    progress_path(open_table(path)).unlink()
    counts = run(path, SIMPLE, sink)
    assert (counts["accepted"], counts["duplicate"]) == (0, 2)


def test_a_file_that_changed_under_a_stopped_import_is_not_continued(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "who,at,tokens\na,2026-03-05 14:30,1\n")
    run(path, SIMPLE, Recorder())
    write(path, "who,at,tokens\na,2026-03-05 14:30,1\nb,2026-03-05 14:30,1\n")
    with pytest.raises(ConflictError, match="is not the file whose import stopped at row 1"):
        run(path, SIMPLE, Recorder())


def test_wall_times_that_clocks_skipped_or_repeated(tmp_path: Path) -> None:
    berlin = SIMPLE.replace("time_zone: UTC", "time_zone: Europe/Berlin, repeated: {}")
    text = "who,at,tokens\na,2026-03-29 02:30,1\na,2026-10-25 02:30,1\na,2026-07-01 12:00,1\n"
    times = {}
    for repeated in ("first", "second", "refuse"):
        sink, folder = Recorder(), tmp_path / repeated
        folder.mkdir()
        counts = run(write(folder / "a.csv", text), berlin.replace("{}", repeated), sink)
        times[repeated] = [event["time"] for event in sink.events.values()]
        assert counts["refused"] == (2 if repeated == "refuse" else 1)
    assert times["first"] == ["2026-10-25T00:30:00Z", "2026-07-01T10:00:00Z"]
    assert times["second"] == ["2026-10-25T01:30:00Z", "2026-07-01T10:00:00Z"]
    assert times["refuse"] == ["2026-07-01T10:00:00Z"]


def test_ndjson_numbers_never_pass_through_a_float(tmp_path: Path) -> None:
    lines = [
        '{"who": "a", "at": "2026-03-05T14:30:00+02:00", "tokens": 0.123456789012, "o": {"x": 1}}',
        '{"who": "a", "at": "2026-03-05T14:30:00Z", "tokens": 999999999999999999}',
        '{"who": "a", "at": "2026-03-05T14:30:00Z", "tokens": NaN}',
        '{"who": "a", "at": "2026-03-05T14:30:00Z", "tokens": 1e400}',
        '{"who": "a", "at": "2026-03-05T14:30:00Z", "tokens": tru',
        "[1]",
        '{"who": "a", "at": "2026-03-05T14:30:00Z"}',
    ]
    sink = Recorder()
    counts = run(write(tmp_path / "a.ndjson", "\n".join(lines)), SIMPLE, sink)
    assert [event["data"]["tokens"] for event in sink.events.values()] == [
        "0.123456789012",
        "999999999999999999",
    ]
    assert counts["refused"] == 5
    refused = [json.loads(line) for line in (tmp_path / "a.ndjson.refused.ndjson").read_text().splitlines()]
    assert [row["row"] for row in refused] == [3, 4, 5, 6, 7]


def test_parquet_decimals_are_exact_and_floats_need_a_rule(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    exact = [Decimal("12345678901234567.123456789012"), Decimal("-0.000000000001")]
    pq.write_table(
        pa.table(
            {
                "who": ["a", "b"],
                "at": pa.array([datetime(2026, 3, 5, tzinfo=UTC)] * 2, pa.timestamp("ns", "UTC")),
                "tokens": pa.array(exact, pa.decimal128(30, 12)),
                "ratio": [0.1, 1e-5],
            }
        ),
        path,
    )
    sink = Recorder()
    run(path, SIMPLE, sink)
    assert [Decimal(event["data"]["tokens"]) for event in sink.events.values()] == exact
    floats = SIMPLE.replace("column: tokens, kind: number", "column: ratio, kind: number")
    progress_path(open_table(path)).unlink()
    assert run(path, floats, Recorder())["refused"] == 2
    progress_path(open_table(path)).unlink()
    sink = Recorder()
    run(path, floats.replace("kind: number", "kind: number, floats: shortest"), sink)
    assert [event["data"]["tokens"] for event in sink.events.values()] == ["0.1", "0.00001"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SIMPLE.replace("type: call", "tipe: call"), "map.yaml:2:1 tipe: the map has no such field"),
        (SIMPLE.replace("type: call", ""), "type: is missing"),
        (SIMPLE.replace("UTC", "Mars/Olympus"), "map.yaml:5:7 time: .*unknown time zone"),
        (SIMPLE.replace("number", "float"), "map.yaml:6:39 data.tokens.kind: .*'text', 'number'"),
        (SIMPLE + "skip_when: {column: who}\n", "map.yaml:7:12 skip_when.*exactly one of"),
        (SIMPLE + "type: again\n", "written twice"),
        ("a: [1", "map.yaml:1"),
    ],
)
def test_a_mistake_in_the_map_is_named_with_its_line(text: str, message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        parse_map("map.yaml", text)


def test_a_map_that_does_not_fit_the_file_names_the_columns(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "when,tokens\n")
    with pytest.raises(InvalidInputError, match=r"has no column at, who .*it has when, tokens"):
        run(path, SIMPLE, Recorder())


AZURE = """
type: llm.call
source: azure-2023
subject: {spread_rows_over: 200, name: team}
time: {column: TIMESTAMP, format: "%Y-%m-%d %H:%M:%S.%f", time_zone: UTC}
data:
  input_tokens: {column: ContextTokens, kind: integer}
  output_tokens: {column: GeneratedTokens, kind: integer}
"""


def test_the_llm_trace_arrives_whole_and_once(tmp_path: Path) -> None:
    path = tmp_path / "trace.csv"
    path.write_bytes(real("azure_llm_conversation_2023.csv").read_bytes())
    sink = Recorder()
    counts = run(path, AZURE, sink)
    assert (counts["accepted"], counts["refused"]) == (19_366, 0)
    progress_path(open_table(path)).unlink()
    assert run(path, AZURE, sink)["duplicate"] == 19_366
    assert sum(event["data"]["input_tokens"] for event in sink.events.values()) == 22_361_870
    assert sum(event["data"]["output_tokens"] for event in sink.events.values()) == 4_088_665
    assert len({event["subject"] for event in sink.events.values()}) == 200


IMAGES = """
type: image.request
source: gentd26
subject: {column: groupId}
time: {column: gmt_create, time_zone: Asia/Shanghai}
skip_when: {column: predict_status, not_equals: SUCCEED}
data:
  images: {column: num_images_per_prompt, kind: integer}
  seconds: {column: exec_time_seconds, kind: number}
  model: {column: checkpoint_model_version_id, required: false}
"""


def test_the_image_trace_imports_what_succeeded(tmp_path: Path) -> None:
    path = tmp_path / "images.csv"
    path.write_bytes(real("genai_image_requests_2024.csv").read_bytes())
    counts = run(path, IMAGES, sink := Recorder())
    assert (counts["accepted"], counts["skipped"], counts["refused"]) == (26_392, 431, 0)
    assert len(sink.events) == 26_392


def test_the_image_trace_refuses_its_empty_cells_with_reasons(tmp_path: Path) -> None:
    path = tmp_path / "images.csv"
    path.write_bytes(real("genai_image_requests_2024.csv").read_bytes())
    counts = run(path, "\n".join(line for line in IMAGES.splitlines() if "skip_when" not in line), Recorder())
    assert (counts["accepted"], counts["skipped"], counts["refused"]) == (26_798, 0, 25)
    with (tmp_path / "images.csv.refused.csv").open(newline="") as file:
        refused = list(csv.DictReader(file))
    assert {(row["field"], row["reason"]) for row in refused} == {
        ("data.images", "the cell num_images_per_prompt is empty")
    }
    assert {row["predict_status"] for row in refused} == {"PENDING"}


TICKETS = """
type: ticket.changed
source: helpdesk
subject: {column: caller_id}
time: {column: sys_updated_at, format: "%d-%m-%Y %H:%M", time_zone: UTC}
id: [number, sys_mod_count]
empty: ["", "?"]
data:
  state: incident_state
  code: {column: closed_code, required: false}
  reopened: {column: reopen_count, kind: integer}
  active: {column: active, kind: boolean}
"""


def test_the_ticket_trace_is_read_with_its_own_date_format(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_bytes(real("incident_event_log_2016.csv").read_bytes())
    progress, events, refused = rehearse(open_table(path), parse_map("m", TICKETS))
    assert progress.rows == 5_998
    assert events[0]["time"] == "2016-02-29T01:23:00Z"
    assert events[0]["data"] == {"state": "New", "code": "code 5", "reopened": 0, "active": True}
    assert {each.field for each in refused} <= {"subject"}
    assert not progress_path(open_table(path)).exists()

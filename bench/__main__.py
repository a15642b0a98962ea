"""``python -m bench [NAME…]``: run benchmarks, print a table each, append JSON lines to ``bench/results``.

A benchmark is a module of this package with ``run(fresh, size) -> Iterator[Measurement]``, where ``fresh`` makes databases.
All of them together stay under a quarter of an hour; ``--full`` takes the sizes of the documentation instead.
"""

import argparse
import importlib
import json
import platform
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from bench.frame import FULL, Measurement, Size, databases

#: What matters most first: where time runs out, the last ones are left out.
NAMES = (
    "http",
    "close",
    "ingest",
    "checks",
    "notices",
    "credits",
    "kept_outcomes",
    "outcomes",
    "warehouse",
    "pages",
)
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"which: {', '.join(NAMES)}; all without any"
    )
    parser.add_argument(
        "--url", help="a PostgreSQL server on which databases may be made; else an embedded one"
    )
    parser.add_argument(
        "--full", action="store_true", help="10,000 contracts, a million events behind the pages; takes long"
    )
    parser.add_argument("--contracts", type=int, metavar="N", help="how many contracts `close` closes")
    parser.add_argument(
        "--minutes",
        type=float,
        default=10.0,
        help="begin no other benchmark after so long (%(default)g; nothing is left out of those named or with --full)",
    )
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(NAMES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    RESULTS.mkdir(exist_ok=True)
    size = FULL if chosen.full else Size()
    if chosen.contracts is not None:
        size = replace(size, contracts=chosen.contracts)
    began, bounded = monotonic(), not (chosen.names or chosen.full)
    with databases(chosen.url) as fresh:
        for name in chosen.names or NAMES:
            if bounded and monotonic() - began > chosen.minutes * 60:
                print(f"left out after {chosen.minutes:g} minutes: python -m bench {name}", file=sys.stderr)
                continue
            measurements = []
            for measurement in importlib.import_module(f"bench.{name}").run(fresh, size):
                measurements.append(measurement)
                print(f"  {measurement.name} …", file=sys.stderr)
            _keep(name, measurements)
            _show(name, measurements)


def _keep(name: str, measurements: list[Measurement]) -> None:
    at = datetime.now(UTC).isoformat(timespec="seconds")
    with (RESULTS / f"{name}.jsonl").open("a") as lines:
        for one in measurements:
            where = {"bench": name, "at": at, "python": platform.python_version(), "case": one.name}
            lines.write(json.dumps({**where, **one.values}) + "\n")


def _show(name: str, measurements: list[Measurement]) -> None:
    columns = list(dict.fromkeys(column for one in measurements for column in one.values))
    rows = [[name, *columns]] + [
        [one.name, *(_text(one.values.get(column)) for column in columns)] for one in measurements
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    print()
    for row in rows:
        first, *others = [text.rjust(width) for text, width in zip(row, widths, strict=True)]
        print("  ".join([row[0].ljust(len(first)), *others]))


def _text(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,.2f}" if value < 100 else f"{value:,.0f}"


main()

"""``python -m tests.conformance FILE…``: run case files and count what passes, by kind."""

import argparse
import sys
from pathlib import Path

from tests.conformance.runner import load_adapters, read_cases, report, run


def main() -> int:
    """Run the given files; the exit status is 1 when any case failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="JSON with a list under `cases`")
    parser.add_argument(
        "--kind", default="", metavar="REGEX", help="only kinds that this matches from the start"
    )
    parser.add_argument("-v", "--verbose", action="store_true", help="list passed and unsupported cases too")
    options = parser.parse_args()
    load_adapters()
    results = run(read_cases(options.files), options.kind)
    sys.stdout.write("".join(f"{line}\n" for line in report(results, verbose=options.verbose)))
    return 1 if any(result.outcome == "failed" for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())

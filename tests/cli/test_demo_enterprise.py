"""The demonstration of an enterprise order: everything it claims holds, and its documents are written."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from valorem.cli.demo.enterprise_arithmetic import ACCESS, INSTALMENTS, MONTHS, expected_invoices


def test_the_arithmetic_of_the_order_is_whole() -> None:
    assert sum(INSTALMENTS.values()) == sum(ACCESS.values()) == 500_000
    found = expected_invoices()
    assert len(found) == len(MONTHS) + 1
    by_year = {
        year: sum(each.drawn for each, month in zip(found[1:], MONTHS, strict=True) if month[0] == year)
        for year in ACCESS
    }
    assert all(by_year[year] <= amount for year, amount in ACCESS.items())
    assert by_year[2026] == ACCESS[2026]  # and what goes beyond is billed


@pytest.mark.slow
def test_three_years_are_reconciled_to_the_cent_and_printed() -> None:
    command = [sys.executable, "-m", "valorem", "demo", "--enterprise"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " NO " not in done.stdout
    written = [Path(each) for each in re.findall(r"written (\S+\.pdf)", done.stdout)]
    assert len(written) == 4
    assert all(each.read_bytes().startswith(b"%PDF-") for each in written)
    shutil.rmtree(written[0].parent)

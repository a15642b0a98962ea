"""Contracts changed from the command line, against a real server."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.serving import Running, server
from tests.cli.test_commands import CATALOG


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("site") / "data", "--no-worker") as running:
        yield running


def test_a_contract_is_changed_previewed_and_told(site: Running, tmp_path: Path) -> None:
    for name, text in CATALOG.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert site.command("catalog", "apply", str(tmp_path), "-m", "open").returncode == 0
    assert site.command("customer", "create", "acme", "--name", "Acme", "--currency", "USD").returncode == 0
    made = site.command("contract", "create", "acme", "team", "--seats", "seat=2", "--json")
    assert made.returncode == 0, made.stderr
    contract = json.loads(made.stdout)["id"]

    told = site.command(
        "contract", "change", "seats", contract, "seat", "5", "--at", "period-end", "--preview"
    )
    assert told.returncode == 0, told.stderr
    assert "difference 15.00 USD; nothing was written" in told.stdout
    assert json.loads(site.command("contract", "history", contract, "--json").stdout)["edits"] == []

    for change in (
        ("seats", contract, "seat", "5", "--at", "period-end", "--reason", "they grew"),
        ("discount", contract, "launch", "--percent", "10%", "--lasts", "3"),
        ("override", contract, "deal", "--fee", "base", "--amount", "18"),
        ("charge", contract, "setup", "250", "--on", "2030-01-01", "--name", "Set-up"),
        ("remove", contract, "charge", "setup"),
        ("pause", contract),
        ("cancel", contract),
    ):
        done = site.command("contract", "change", *change)
        assert done.returncode == 0, (change, done.stderr, done.stdout)
        if change[0] == "pause":
            assert (
                site.command("contract", "change", "resume", contract, "--at", "period-end").returncode == 0
            )
    history = site.command("contract", "history", contract)
    assert "they grew" in history.stdout
    assert "discount launch" in history.stdout
    assert "nothing there" in site.command("contract", "parked").stdout
    refused = site.command("contract", "change", "resume", contract, "--at", "2020-01-01")
    assert refused.returncode != 0
    assert "error" in refused.stderr
    moved = site.command("catalog", "migrate", "again", "--plan", "team", "--preview")
    assert moved.returncode == 0
    assert "would move" in moved.stdout

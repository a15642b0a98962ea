"""What happens to an invoice once it is final, from the command line: against a real server, right input and wrong."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.serving import Running, server
from tests.cli.test_commands import CATALOG
from valorem.app import ThisMachine
from valorem.cli.main import run


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("site") / "data", "--no-worker") as running:
        yield running


@pytest.fixture
def command(
    site: Running, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str]]:
    """Runs a command in this process; gives its exit code and what it said."""
    monkeypatch.setenv("VALOREM_DATA", str(site.folder))
    monkeypatch.setenv("COLUMNS", "160")

    def told(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run(ThisMachine(), list(arguments))
        said = capsys.readouterr()
        return code, said.out + said.err

    return told


def test_an_invoice_is_credited_paid_given_back_voided_and_written_off(
    command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def done(*arguments: str) -> str:
        code, said = command(*arguments)
        assert code == 0, (arguments, said)
        return said

    def refused(*arguments: str, why: str, way_out: str = "→") -> None:
        code, said = command(*arguments)
        assert code != 0, (arguments, said)
        assert why in said, said
        assert way_out in said, said
        assert "Traceback" not in said
        assert "validation" not in said

    monkeypatch.setenv(
        "VALOREM_API_KEY", done("workspace", "create", "till", "--clock", "2026-03-01", "--print-key").strip()
    )
    for name, text in CATALOG.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done("catalog", "apply", str(tmp_path), "-m", "open")
    done("customer", "create", "acme", "--name", "Acme", "--currency", "USD")
    done("contract", "create", "acme", "team", "--seats", "seat=2")
    done("clock", "advance", "--to", "2026-03-02")

    def listed() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(done("invoice", "list", "--json"))["items"]
        return found

    (invoice,) = (each["number"] for each in listed())
    pay, credit = ("invoice", "pay", invoice), ("invoice", "credit", invoice, "--reason", "sorry")
    refused(*pay, "--amount", "abc", why="expected a decimal number, found 'abc'")
    for amount in ("-5", "0", "0.001"):
        refused(*pay, "--amount", amount, why="cannot be paid", way_out="whole minor units")
    refused("invoice", "pay", "INV-999999", why="there is no invoice")
    refused(*credit, "--line", "1", why="has no =", way_out="1=50")
    refused(*credit, "--line", "9=5", why="has no line '9'", way_out="its lines are 1, 2")
    refused(*credit, "--line", "1=5000", why="20 is left of the line")
    refused(*credit, "--line", "1=5", "--refund", "3", why="where 0 may go back")
    refused("invoice", "credit", invoice, "--reason", "", why="reason: may not be empty", way_out="")
    assert "preview · on INV-000001 · 5.00 USD" in done(*credit, "--line", "1=5", "--preview")
    assert "lessens what is owed by 5.00 USD" in done(*credit, "--line", "1=5")

    done(*pay, "--amount", "10", "--reference", "r1")
    refused(*pay, "--amount", "10", "--reference", "r1", why="is noted on this invoice already")
    refused(*pay, "--from-balance", why="nothing is owed to the customer", way_out="")
    refused(
        "invoice", "void", invoice, "--reason", "x", why="10 was paid on it", way_out="return its payments"
    )
    assert "15.00 USD" in done(*pay)
    refused(*pay, why="cannot pay an invoice that is paid")
    assert done("invoice", "payments", "--invoice", invoice).count("succeeded") == 2
    assert "goes back 3.00 USD · to the balance 2.00 USD" in done(*credit, "--line", "1=5", "--refund", "3")
    assert "2.00 USD is owed to acme" in done("invoice", "balance", "acme")
    refused(
        "invoice", "resolve", "pay_x", "--reason", "x", "--accept", why="nothing with the id", way_out="pay_"
    )
    refused("invoice", "charge", invoice, why="'stripe' is not set up", way_out="VALOREM_STRIPE_API_KEY")

    write = ("invoice", "write", "acme", "--line")
    refused(*write, "Hours", why="has no =", way_out="Hours=2x150")
    refused(*write, "Hours=x", why="'x' is no amount", way_out="Hours=2x150")
    refused(*write, "=1", why="may not be empty", way_out="")
    assert "total 312.35 USD · owed 310.35 USD" in done(*write, "Hours=2x150", "--line", "Travel=12.345")
    by_hand = "INV-000002"
    assert "written by hand" in done("invoice", "show", by_hand)
    assert "void · total 312.35 USD · owed 0.00 USD" in done("invoice", "void", by_hand, "--reason", "typo")
    refused("invoice", "void", by_hand, "--reason", "typo", why="cannot void", way_out="stays void")
    refused("invoice", "reissue", by_hand, why="cannot be issued again", way_out="write a new one")
    assert "2.00 USD is owed to acme" in done("invoice", "balance", "acme")  # what paid the void one is back

    done("clock", "advance", "--to", "2026-04-02")
    monthly = next(each["number"] for each in listed() if each["status"] in ("finalised", "partially_paid"))
    told = done("invoice", "void", monthly, "--reason", "wrong terms")
    assert "a new draft takes its place" in told
    done("invoice", "close")
    again = listed()[-1]["number"]
    assert again != monthly
    gone = ("invoice", "write-off", again, "--reason", "bankrupt")
    assert "uncollectible" in done(*gone)
    refused(*gone, why="cannot write off an invoice that is uncollectible")
    done("invoice", "pay", again, "--amount", "6")
    forgiven = done("invoice", "write", "acme", "--line", "Set-up=100", "--json")
    assert json.loads(forgiven)["number"] == "INV-000005"
    refused("invoice", "pdf", again, why="nobody has said who sells", way_out="/v1/settings/billing")

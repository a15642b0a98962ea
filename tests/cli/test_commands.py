"""The command line against a real server: what people see, what programs read, what goes wrong in words."""

import json
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.serving import Running, server

CATALOG = {
    "meters/tokens.yaml": "meter: tokens\nname: Tokens\nevent: llm.call\naggregate: sum\nvalue: data.tokens\n"
    "unit: token\ndimensions: {model: data.model}\n",
    "plans/team.yaml": "plan: team\nname: Team\ncurrency: USD\nevery: month\n"
    "fees: {base: {amount: 20}, seat: {amount: 5, per: seat}}\n"
    "prices:\n  tokens: {model: per_unit, amount: 2, per: 1M}\n",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with server(tmp_path_factory.mktemp("site") / "data", "--no-worker") as running:
        yield running


@pytest.fixture(scope="module")
def sandbox(site: Running, tmp_path_factory: pytest.TempPathFactory) -> Running:
    """The same server, seen with a sandbox's key."""
    made = site.command("workspace", "create", "try", "--clock", "2026-03-01", "--print-key")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("vl_test_")
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "admin.key").write_text(made.stdout)
    (folder / "server.json").write_text((site.folder / "server.json").read_text())
    return Running(site.process, folder, site.url, made.stdout.strip())


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("catalog")
    for name, text in CATALOG.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return folder


def events(*lines: tuple[str, object]) -> str:
    return "".join(
        json.dumps(
            {
                "specversion": "1.0",
                "id": name,
                "source": "t",
                "type": "llm.call",
                "subject": "acme",
                "time": "2026-03-01T00:00:00Z",
                "data": {"model": "small", "tokens": tokens},
            }
        )
        + "\n"
        for name, tokens in lines
    )


def test_the_first_key_is_for_its_owner_alone(site: Running) -> None:
    for name in ("admin.key", "server.json"):
        assert stat.S_IMODE((site.folder / name).stat().st_mode) == 0o600
    log = site.folder.with_suffix(".log").read_text()
    assert log.count(site.key) == 1


@pytest.mark.slow
def test_the_whole_way_in_commands(sandbox: Running, catalog: Path, tmp_path: Path) -> None:
    def done(*arguments: str, given: str = "") -> str:
        found = sandbox.command(*arguments, given=given)
        assert found.returncode == 0, f"{arguments}: {found.stdout}{found.stderr}"
        assert "Traceback" not in found.stderr
        return found.stdout

    assert "+ plan team added" in done("catalog", "plan", str(catalog))
    assert "version 1 is in force" in done("catalog", "apply", str(catalog), "-m", "First", "--author", "Ada")
    assert "First" in done("catalog", "log")
    assert "no change in meaning" in done("catalog", "plan", str(catalog))
    done("catalog", "show", "--to", str(tmp_path / "copy"))
    assert {path.name for path in (tmp_path / "copy").rglob("*.yaml")} == {"tokens.yaml", "team.yaml"}
    done(
        "customer",
        "create",
        "acme",
        "--name",
        "Acme [bold]Inc[/]",
        "--currency",
        "USD",
        "--metadata",
        "crm=17",
    )
    assert "Acme [bold]Inc[/]" in done("customer", "list")  # a name is never markup
    done("customer", "alias", "acme", "org_1")
    contract = json.loads(done("contract", "create", "acme", "team", "--seats", "seat=2", "--json"))["id"]
    done("contract", "seats", contract, "seat", "3", "--since", "2026-03-10")
    assert "3 from 2026-03-10" in done("contract", "show", contract)
    sent = done("events", "send", "-", given=events(("e1", 1_500_000), ("e2", 500_000), ("e1", 1_500_000)))
    assert "2 accepted · 1 duplicate" in sent
    listed = tmp_path / "list.json"
    listed.write_text("[\n" + events(("e3", 1)).strip() + ",\n" + events(("e4", 2)).strip() + "\n]")
    assert json.loads(done("events", "send", str(listed), "--json"))["accepted"] == 2
    assert "e1" in done("events", "find", "t", "e1")
    usage = done("usage", "acme", "tokens", "--dimension", "model")
    assert "2,000,003" in usage
    assert "small" in usage
    assert "so far" in done("invoice", "preview", "--customer", "acme")
    done("clock", "advance", "--periods", "1")
    assert "2026-04-01" in done("clock", "show")
    assert "draft" in done("invoice", "list")
    done("clock", "advance", "--to", "2026-04-02")
    done("invoice", "close")
    found = json.loads(done("invoice", "list", "--status", "finalised", "--json"))["items"]
    number = found[-1]["number"]
    assert number in done("invoice", "show", number)
    explained = done("invoice", "explain", number, "--meter", "tokens")
    assert "2000003 × 2 / 1000000" in explained
    assert "e1" in explained
    assert "yes" in done("invoice", "verify", number)
    made = json.loads(done("keys", "create", "reader", "--scope", "read", "--json"))
    done("keys", "revoke", made["id"])
    assert "try" in done("workspace", "list")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["customer", "show", "nobody"], 1, "there is no customer"),
        (["catalog", "apply", "/nowhere", "-m", "x"], 1, "is no folder"),
        (["catalog", "apply", "."], 1, "say why"),
        (["clock", "advance", "--to", "yesterday"], 1, "is not an instant"),
        (["events", "send"], 1, "say what to send"),
        (["events", "send", "/nowhere.ndjson"], 1, "cannot be read"),
        (["invoice", "explain"], 1, "say which invoice"),
        (["usage", "acme"], 2, "Missing argument"),
        (["customers"], 2, "No such command"),
        (["keys", "create", "k", "--scope", "everything"], 1, "scopes"),
    ],
)
def test_what_goes_wrong_is_said_in_words(
    sandbox: Running, arguments: list[str], code: int, words: str
) -> None:
    found = sandbox.command(*arguments)
    assert found.returncode == code, found.stdout + found.stderr
    assert words in found.stderr
    assert "Traceback" not in found.stderr + found.stdout


def test_a_rejected_event_is_told_and_the_command_fails(sandbox: Running) -> None:
    found = sandbox.command(
        "events", "send", "-", given=events(("bad", "many"), ("fine", 1)).replace("llm.call", "x")
    )
    assert "2 accepted" in found.stdout  # no meter reads that type
    found = sandbox.command("events", "send", "-", given='{"specversion": "1.0"}\n')
    assert found.returncode == 1
    assert "1 rejected" in found.stdout
    assert "type is missing" in found.stdout


def test_a_catalog_s_problems_come_with_file_and_line(sandbox: Running, tmp_path: Path) -> None:
    (tmp_path / "plans").mkdir()
    (tmp_path / "plans" / "a.yaml").write_text("plan: a\nname: A\ncurrency: USD\nprices: {tokenz: gone}\n")
    found = sandbox.command("catalog", "plan", str(tmp_path))
    assert found.returncode == 1
    assert "plans/a.yaml:4:" in found.stderr
    assert "→" in found.stderr


def test_no_server_and_no_key_each_say_what_to_do(sandbox: Running, tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        away = sandbox.command("--url", f"http://127.0.0.1:{unused.getsockname()[1]}", "clock", "show")
    assert away.returncode == 3
    assert "valorem up" in away.stderr
    nowhere = Running(sandbox.process, tmp_path, "", "").command("clock", "show")
    assert nowhere.returncode == 1
    assert "VALOREM_API_KEY" in nowhere.stderr


def test_the_doctor_finds_a_running_server_well(site: Running) -> None:
    found = json.loads(site.command("doctor", "--json").stdout)
    assert {each["verdict"] for each in found} <= {"ok", "warn"}
    assert {"PostgreSQL", "fsync", "disk", "clock", "migrations", "recount", "warehouse", "closing"} <= {
        each["name"] for each in found
    }


def test_a_second_server_on_the_same_folder_says_so(site: Running) -> None:
    found = site.command("up", "--port", "0")
    assert found.returncode == 1
    assert f"in use by process {site.process.pid}" in found.stderr
    assert site.process.poll() is None


def test_a_port_that_is_taken_is_named(site: Running, tmp_path: Path) -> None:
    found = Running(site.process, tmp_path / "other", "", "").command(
        "up", "--port", site.url.rpartition(":")[2]
    )
    assert found.returncode == 1
    assert "cannot listen" in found.stderr
    lock = (tmp_path / "other" / "valorem.lock").read_text()
    assert lock == ""  # what it had started was stopped and the folder given back


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


def test_sources_say_what_is_missing_and_the_way_out(site: Running) -> None:
    none = site.command("sources", "list")
    assert (none.returncode, "a file below sources/" in none.stdout + none.stderr) == (0, True)
    empty = site.command("sources", "secret", "signing", given="\n")
    assert empty.returncode == 1
    assert "an empty text is no secret" in empty.stderr
    kept = site.command("sources", "secret", "signing", given="s3cret\n")
    assert kept.returncode == 0, kept.stderr
    named = json.loads(site.command("sources", "secrets", "--json").stdout)
    assert [each["name"] for each in named["items"]] == ["signing"]
    nobody = site.command("sources", "poll", "nobody")
    assert (nobody.returncode, "→" in nobody.stderr) == (1, True)

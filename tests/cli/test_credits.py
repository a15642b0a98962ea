"""Every command about credits against a real server: what people see where it is right, and what they read where it is wrong."""

import json
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from tests.cli.serving import Running, server
from tests.engine.crediting import CREDITS
from valorem.app import ThisMachine
from valorem.cli.main import run

GRANT = ("credits", "grant", "acme", "ai")


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A sandbox on the first of March, whose customer has 300 credits and has used 70."""
    with server(tmp_path_factory.mktemp("site") / "data", "--no-worker") as site:
        made = site.command("workspace", "create", "try", "--clock", "2026-03-01", "--print-key")
        folder = tmp_path_factory.mktemp("sandbox")
        (folder / "admin.key").write_text(made.stdout)
        (folder / "server.json").write_text((site.folder / "server.json").read_text())
        found = Running(site.process, folder, site.url, made.stdout.strip())
        _furnish(found, tmp_path_factory.mktemp("catalog"))
        yield found


def _furnish(sandbox: Running, folder: Path) -> None:
    for name, text in CREDITS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    data = {"kind": "image", "user": "ann", "status": "ok"}
    event = {
        "specversion": "1.0",
        "source": "t",
        "type": "action",
        "time": "2026-03-01T00:00:00Z",
        "data": data,
    }
    lines = [json.dumps({**event, "id": str(number), "subject": "acme"}) for number in range(7)]
    (folder / "used.ndjson").write_text("\n".join(lines))
    done(sandbox, "catalog", "apply", str(folder), "-m", "open")
    done(sandbox, "customer", "create", "acme", "--name", "Acme", "--currency", "USD")
    done(sandbox, "contract", "create", "acme", "team", "--seats", "seat=3")
    done(sandbox, "events", "send", str(folder / "used.ndjson"))


def command(sandbox: Running, *arguments: str) -> tuple[int, str, str]:
    """Run a command in this process: its exit code, and what it writes."""
    out, err = StringIO(), StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("VALOREM_DATA", str(sandbox.folder))
        patch.setattr(sys, "argv", ["valorem", *arguments])
        code = run(ThisMachine())
    return code, out.getvalue(), err.getvalue()


def done(sandbox: Running, *arguments: str) -> str:
    code, out, err = command(sandbox, *arguments)
    assert code == 0, f"{arguments}: {out}{err}"
    return out


def test_the_commands_say_what_there_is(sandbox: Running) -> None:
    assert "230 AI credits available, 0 held, 0 over" in done(sandbox, "balance", "acme")
    assert "gift · 50 given · 280 available" in done(
        sandbox, *GRANT, "50", "--id", "gift", "--lasts", "12 months"
    )
    assert "0 AI credits available" in done(sandbox, "balance", "acme", "--at", "2026-02-01")
    assert "gift ends 2027-01-01" in done(sandbox, "credits", "expiry", "acme", "ai", "gift", "2027-01-01")
    assert "gift" in done(sandbox, "credits", "grants", "acme", "ai")
    assert "bob has a seat from 2026-03-01\n" in done(sandbox, "credits", "member", "acme", "bob")
    assert "bob" in done(sandbox, "credits", "members", "acme")
    told = done(sandbox, "credits", "statement", "acme", "ai", "--by", "user")
    assert "70 AI credits used: ann" in told
    assert "000001" not in told
    assert "70" in done(sandbox, "credits", "burn", "acme", "ai", "--by", "kind")
    assert done(sandbox, "credits", "forecast", "acme", "ai").startswith("10 a day: ")
    assert "nothing is written" in done(
        sandbox, "credits", "buy", "acme", "ai", "--pack", "small", "--preview"
    )
    assert "invoice INV-" in done(sandbox, "credits", "buy", "acme", "ai", "--pack", "small", "--id", "p1")
    assert "p1" in done(sandbox, "credits", "purchases", "acme")
    assert "at 100 or less buy up to 1000" in done(
        sandbox, "credits", "top-up", "set", "acme", "ai", "100", "--to", "1000"
    )
    assert "auto" in done(sandbox, "credits", "top-up", "list", "acme", "ai")
    assert "auto is removed" in done(sandbox, "credits", "top-up", "remove", "acme", "ai")
    assert "gift ended" in done(sandbox, "credits", "void", "acme", "ai", "gift")
    assert "none" in done(sandbox, "ledger", "verify")
    first = json.loads(done(sandbox, "ledger", "export", "acme", "ai").splitlines()[0])
    assert (first["number"], first["kind"]) == (1, "granted")
    assert "USD" in done(sandbox, "ledger", "revenue", "2026-03-01", "2026-03-02")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*GRANT, "x"), "amount: expected a decimal number, found 'x'"),
        ((*GRANT, "--", "-5"), "an amount of credits is above zero"),
        ((*GRANT, "5", "--expires", "2020-01-01"), "2020-01-01T00:00:00Z is not after the start"),
        ((*GRANT, "5", "--expires", "2027-01-01", "--lasts", "1 day"), "give one of both"),
        (("credits", "grant", "acme", "aii", "5"), "→ it has ai"),
        (("balance", "nobody"), "there is no customer 'nobody'"),
        (("balance", "acme", "--at", "2030-01-01"), "→ ask for a forecast"),
        (("credits", "burn", "acme", "ai", "--by", "x"), "sum up by meter, product, member, kind, user"),
        (("credits", "void", "acme", "ai", "x"), "→ list them: valorem credits grants acme ai"),
        (("credits", "top-up", "remove", "acme", "ai"), "→ list them: valorem credits top-up list acme ai"),
        (("credits", "top-up", "set", "acme", "ai", "9"), "→ give one of both"),
        (("credits", "buy", "acme", "ai", "--pack", "big"), "→ it sells small"),
        (("ledger", "revenue", "2026-03-02", "2026-03-01"), "2026-03-01 is before 2026-03-02"),
        (("ledger", "export", "acme", "nix"), "there is no credit type 'nix'"),
    ],
    ids=lambda given: " ".join(given) if isinstance(given, tuple) else "",
)
def test_what_is_wrong_is_said_with_the_way_out(
    sandbox: Running, arguments: tuple[str, ...], said: str
) -> None:
    code, _, err = command(sandbox, *arguments)
    assert (code, said in err) == (1, True), err

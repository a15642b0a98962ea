"""Sources: with every fault of the other side switched on or off, what is known and billed in the end is the same."""

import hashlib
import hmac
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.engine.billing import JANUARY, shops
from tests.engine.dealing import CATALOG as OUTCOMES
from tests.engine.dealing import deal
from tests.engine.sourcing import (
    Died,
    DirectReader,
    Office,
    Offices,
    desk_source,
    live,
    offices,
    settle,
    shop_source,
)
from tests.standins.source_server import SourceServer
from tests.standins.world import CUSTOMERS, Faults, World
from valorem.core.errors import NotFoundError, UnauthorizedError
from valorem.core.money import round_money
from valorem.core.sources.frames import SourceUnreachableError
from valorem.core.sources.signatures import Received
from valorem.engine.closing import close_due
from valorem.engine.connectors.holding import list_waiting, release
from valorem.engine.connectors.polling import poll_source
from valorem.engine.connectors.pushing import push_due
from valorem.engine.connectors.receiving import Receipt, receive
from valorem.engine.connectors.secrets import open_secrets, reseal_secrets, set_secret
from valorem.engine.connectors.taking import find_source, retry_parked
from valorem.engine.settling import standings
from valorem.integrations.sources import SubprocessReader
from valorem.integrations.sources.reading import Bounds
from valorem.store.postgres import sources
from valorem.store.vault import Vault

#: The stand-in breaks connections off in the middle; what is left of a socket is the collector's.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PAGES = {
    "offset": "{kind: offset, param: offset, size: 5}",
    "page": "{kind: page, param: page}",
    "link": "{kind: link_header}",
    "next": "{kind: next_url, at: next}",
    "token": "{kind: token, param: after, at: paging.after, more: has_more}",
}
SWITCHES = [one.name for one in fields(Faults)]


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Offices]:
    with offices(module_database_url) as found:
        yield found


def faults_of(name: str) -> Faults:
    if name == "all":
        return Faults.everything()
    some: dict[str, Any] = {} if name == "none" else {name: -420 if name == "clock_s" else True}
    return replace(Faults(), **some)


@pytest.mark.parametrize("name", ["none", *(one for one in SWITCHES if one != "webhooks"), "all"])
def test_what_is_known_and_billed_is_the_truth_under_every_fault(opened: Offices, name: str) -> None:
    world = World(seed=7, faults=faults_of(name))
    with SourceServer(world).running() as server:
        shop, desk = (make(server.url, local=world.faults.local) for make in (shop_source, desk_source))
        office = opened.open(
            {"sources/shop.yaml": shop, "sources/desk.yaml": desk},
            clock=[world.now],
            reader=DirectReader(answer_s=0.7 if world.faults.stalled else 60),
        )
        office.sell(*CUSTOMERS)
        live(office, server, world, "shop", "desk")
        if world.faults.renamed:  # what could not be read is kept until the mapping follows
            assert office.parked("shop")
            for source in (shop, desk):
                office.apply_sources(source.replace("data.customer", "coalesce(data.client, data.customer)"))
            office.retry("shop", "desk")
            settle(office, world, "shop", "desk")
        assert server.stalled == 2 * world.faults.stalled
        billed = office.billed(server, world, "shop", "desk")
    assert office.parked("shop") == office.parked("desk") == []
    assert office.orders() == world.truth()
    assert office.states() == world.true_states()
    assert billed == {
        customer: (round_money(paid * Decimal("0.02"), "USD"), solved * Decimal("0.99"))
        for customer, (paid, solved) in world.true_money().items()
    }


@pytest.mark.parametrize("pages", [each for each in PAGES if each != "offset"])
def test_pages_of_every_kind(opened: Offices, pages: str) -> None:
    world = World(seed=11, faults=Faults(shifting=True, ties=True, restated=True, deletions=True))
    with SourceServer(world).running() as server:
        office = opened.open({"sources/shop.yaml": shop_source(server.url, PAGES[pages])}, clock=[world.now])
        live(office, server, world, "shop")
    assert office.orders() == world.truth()


def test_kills_between_page_and_commit_lose_and_double_nothing(opened: Offices) -> None:
    world = World(seed=5, faults=Faults(ties=True, restated=True, deletions=True))
    world.now = world.end
    with SourceServer(world).running() as server:
        office = opened.open(
            {"sources/shop.yaml": shop_source(server.url), "sources/desk.yaml": desk_source(server.url)},
            clock=[world.now],
        )
        for source in ("desk", "shop"):
            for page in range(8):  # dies before, or just after, each page's commit
                office.taker.dies_at = (page // 2, page % 2 == 1)
                with suppress(Died):
                    poll_source(office.taker, office.workspace, source)
            office.taker.dies_at = None
            office.poll(source)
    assert office.orders() == world.truth()
    assert office.states() == world.true_states()


def signed(body: bytes, now: datetime) -> dict[str, str]:
    time = str(int(now.timestamp()))
    digest = hmac.new(b"s3cret", f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return {"stripe-signature": f"t={time},v1={digest}"}


def send(office: Office, change: dict[str, Any]) -> Receipt:
    body = json.dumps(change).encode()
    message = Received("POST", "http://x/", signed(body, office.clock[0]), body)
    return receive(office.taker, office.workspace, "shop", message)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_messages_twice_late_lost_and_in_any_order(opened: Offices, seed: int) -> None:
    """A message is a hint: whatever becomes of messages, reading the source makes it right."""
    random = Random(seed)
    world = World(seed=13, faults=Faults(webhooks=True, restated=True, deletions=True, ties=True))
    told = (None, "tombstone")  # of a row that just goes nobody is told
    changes = [one for one in world.changes if one.kind == "order" and one.gone in told]
    with SourceServer(world).running() as server:
        office = opened.open({"sources/shop.yaml": shop_source(server.url)}, clock=[world.now])
        random.shuffle(changes)
        half = len(changes) // 2
        world.now = office.clock[0] = world.end
        for change in [*changes[:half], *changes[: half // 2]]:  # some twice, the others late or never
            sent = {**world.written(change), "amount": str(change.fields["amount"])}
            receipt = send(office, sent)
            assert receipt.repeated or receipt.taken.parked == 0
        settle(office, world, "shop")
        for change in changes[half:-2]:
            send(office, {**world.written(change), "amount": str(change.fields["amount"])})
        settle(office, world, "shop")  # a late message may tell of what has gone since
    assert office.orders() == world.truth()


def test_a_message_that_is_not_signed_is_refused_and_one_that_cannot_be_read_is_kept(opened: Offices) -> None:
    office = opened.open({"sources/shop.yaml": shop_source("http://127.0.0.1:9/")})
    body = b'{"id": "o1"}'
    forged = Received("POST", "http://x/", {**signed(body + b" ", office.clock[0])}, body)
    with pytest.raises(UnauthorizedError):
        receive(office.taker, office.workspace, "shop", forged)
    with pytest.raises(NotFoundError):
        receive(office.taker, office.workspace, "nobody", forged)
    assert send(office, {"id": "o1", "customer": "acme", "amount": "3"}).taken.parked == 1
    [parked] = office.parked("shop")
    assert (parked.field, parked.attempts) == ("data.at", 1)
    # The other side calls the time otherwise now: the mapping follows, and what was kept counts.
    renamed = shop_source("http://127.0.0.1:9/").replace(
        "time: data.at", "time: \"coalesce(data.at, '2026-03-05T00:00:00Z')\""
    )
    office.apply_sources(renamed)
    with office.engine.transaction(office.workspace) as tx:
        definition = find_source(tx, "shop")
    assert retry_parked(office.taker, office.workspace, definition).events == 1
    assert office.parked("shop") == []
    assert office.orders() == {"o1": ("acme", Decimal(3))}


def test_files_are_taken_whole_once_and_restated_by_their_correction(opened: Offices, tmp_path: Path) -> None:
    office = opened.open(
        {
            "sources/returns.yaml": f"source: returns\npoll: {{kind: filesystem, url: 'file://{tmp_path}', files: '*.csv'}}\n"
            "map:\n- {event: order.paid, meaning: fact, key: data.id, time: data.at, subject: data.customer,"
            " data: {order: data.id, amount: data.amount}}\n"
        },
        reader=DirectReader(tmp_path),
    )

    def write(name: str, rows: list[str], *, digest: str | None = None, count: int | None = None) -> None:
        text = "id,at,customer,amount\n" + "".join(f"{row}\n" for row in rows)
        (tmp_path / name).write_text(text)
        said = {
            "sha256": digest or hashlib.sha256(text.encode()).hexdigest(),
            "rows": len(rows) if count is None else count,
        }
        (tmp_path / f"{name}.manifest.json").write_text(json.dumps(said))

    rows = [f"r{n},2026-03-0{n}T00:00:00Z,acme,{n}.1234567890123456" for n in range(1, 5)]
    write("a.csv", rows, count=5)  # says one row more than it has
    (tmp_path / "b.csv").write_text("id,at,customer,amount\n")  # its manifest is still to come
    report = poll_source(office.taker, office.workspace, "returns")
    assert set(dict(report.refused)) == {"a.csv", "b.csv"}
    assert office.orders() == {}
    write("a.csv", rows, digest="0" * 64)
    assert "SHA-256" in dict(poll_source(office.taker, office.workspace, "returns").refused)["a.csv"]
    write("a.csv", [row[:-4] for row in rows])
    assert poll_source(office.taker, office.workspace, "returns").files == ("a.csv",)
    first = office.orders()
    assert first["r2"] == ("acme", Decimal("2.123456789012"))
    assert poll_source(office.taker, office.workspace, "returns").files == ()
    write("a.csv", [rows[0].replace("1.1234567890123456", "9.5"), *(row[:-4] for row in rows[1:3])])
    assert poll_source(office.taker, office.workspace, "returns").files == ("a.csv",)
    assert office.orders() == {"r1": ("acme", Decimal("9.5")), "r2": first["r2"], "r3": first["r3"]}


def test_a_folder_of_this_machine_is_read_only_where_that_is_allowed(opened: Offices) -> None:
    office = opened.open(
        {
            "sources/x.yaml": "source: x\npoll: {kind: filesystem, url: 'file:///etc', files: '*'}\n"
            "map:\n- {event: e, key: data.id, time: data.at, subject: data.s, data: {a: data.a}}\n"
        }
    )
    with pytest.raises(SourceUnreachableError, match="not below the folder"):
        poll_source(office.taker, office.workspace, "x")
    assert "not below the folder" in (office.state("x").error or "")


def test_a_table_with_decimals_late_rows_and_deletions(opened: Offices, tmp_path: Path) -> None:
    file = tmp_path / "ledger.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "CREATE TABLE spend (id INTEGER PRIMARY KEY, s TEXT, at TEXT, changed TEXT, amount NUMERIC(30, 2))"
        )
        database.executemany(
            "INSERT INTO spend VALUES (?, 'acme', '2026-03-01T00:00:00Z', ?, ?)",
            [(n, f"2026-03-05T10:0{n}:00Z", f"{n}.25") for n in range(6)],
        )
    office = opened.open(
        {
            "sources/ledger.yaml": "source: ledger\npoll: {kind: sql_database, secret: ledger, table: spend, rows: 2,"
            " all_every: 1 hour, since: {at: changed, overlap: 10 minutes}}\n"
            "map:\n- {event: order.paid, meaning: fact, key: data.id, version: data.changed, time: data.at,"
            " subject: data.s, data: {order: data.id, amount: data.amount}}\n"
        }
    )
    with office.engine.transaction(office.workspace) as tx:
        set_secret(tx, "ledger", f"sqlite:///{file}")
    poll_source(office.taker, office.workspace, "ledger")
    assert office.orders() == {str(n): ("acme", Decimal(f"{n}.25")) for n in range(6)}
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "INSERT INTO spend VALUES (9, 'acme', '2026-03-01T00:00:00Z', '2026-03-05T09:59:00Z', '7')"
        )  # late
        database.execute("UPDATE spend SET amount = '80.5', changed = '2026-03-05T11:00:00Z' WHERE id = 1")
        database.execute("DELETE FROM spend WHERE id = 2")
    poll_source(office.taker, office.workspace, "ledger")
    assert office.orders()["1"] == ("acme", Decimal("80.5"))
    assert set(office.orders()) == {"0", "1", "2", "3", "4", "5", "9"}
    office.clock[0] += timedelta(hours=2)
    poll_source(office.taker, office.workspace, "ledger")
    assert set(office.orders()) == {"0", "1", "3", "4", "5", "9"}


def test_a_table_of_postgres_with_its_own_types(opened: Offices, module_database_url: str) -> None:
    url = module_database_url.replace("postgresql+psycopg://", "postgresql://")
    with psycopg.connect(url) as database:
        database.execute("CREATE SCHEMA elsewhere")
        database.execute(
            "CREATE TABLE elsewhere.spend (id uuid PRIMARY KEY, s text, at timestamptz, changed timestamptz, amount numeric)"
        )
        for n in range(5):
            database.execute(
                "INSERT INTO elsewhere.spend VALUES (%s, 'acme', '2026-03-01T01:00:00+01:00', %s, %s)",
                (
                    UUID(int=n),
                    f"2026-03-05T10:0{n}:00.123456Z",
                    Decimal("123456789012345678.123456789012") + n,
                ),
            )
    office = opened.open(
        {
            "sources/ledger.yaml": "source: ledger\npoll: {kind: sql_database, secret: ledger, table: spend,"
            " schema: elsewhere, rows: 2, all_every: 1 hour, since: {at: changed, overlap: 10 minutes}}\n"
            "map:\n- {event: order.paid, meaning: fact, key: data.id, version: data.changed, time: data.at,"
            " subject: data.s, data: {order: data.id, amount: data.amount}}\n"
        }
    )
    with office.engine.transaction(office.workspace) as tx:
        set_secret(tx, "ledger", url)
    poll_source(office.taker, office.workspace, "ledger")
    amount = Decimal("123456789012345678.123456789012")
    assert office.orders() == {str(UUID(int=n)): ("acme", amount + n) for n in range(5)}
    with psycopg.connect(url) as database:
        database.execute(
            "UPDATE elsewhere.spend SET amount = 7.5, changed = '2026-03-05T11:00:00Z' WHERE id = %s",
            (UUID(int=1),),
        )
        database.execute("DELETE FROM elsewhere.spend WHERE id = %s", (UUID(int=2),))
    poll_source(office.taker, office.workspace, "ledger")
    assert office.orders()[str(UUID(int=1))] == ("acme", Decimal("7.5"))
    office.clock[0] += timedelta(hours=2)
    poll_source(office.taker, office.workspace, "ledger")
    assert set(office.orders()) == {str(UUID(int=n)) for n in (0, 1, 3, 4)}


def test_a_source_that_changed_its_form_is_told_and_nothing_is_lost(opened: Offices) -> None:
    world = World(seed=3)
    world.now = world.end
    with SourceServer(world).running() as server:
        office = opened.open(
            {"sources/shop.yaml": shop_source(server.url).replace("data.customer", "data.client")}
        )
        office.clock[0] = world.now
        poll_source(office.taker, office.workspace, "shop")
        state = office.state("shop")
        assert "none of the records could be read (data.client" in (state.error or "")
        assert len(office.parked("shop")) == len(world.truth())
        office.apply_sources(shop_source(server.url))
        with office.engine.transaction(office.workspace) as tx:
            definition = find_source(tx, "shop")
        retry_parked(office.taker, office.workspace, definition)
    assert office.orders() == world.truth()
    assert office.parked("shop") == []


def test_a_process_of_its_own_reads_pages_and_says_what_went_wrong(opened: Offices) -> None:
    world = World(seed=2, faults=Faults(huge=True, restated=True))
    world.now = world.end
    reader = SubprocessReader(Bounds(loopback=True, attempts=4, pause_s=0))
    with SourceServer(world).running() as server:
        office = opened.open({"sources/shop.yaml": shop_source(server.url)}, clock=[world.now], reader=reader)
        office.poll("shop")
        assert office.orders() == world.truth()
        office.apply_sources(shop_source(server.url).replace("path: orders", "path: nothing"))
        with pytest.raises(SourceUnreachableError, match="answers 404") as refused:
            poll_source(office.taker, office.workspace, "shop")
    assert refused.value.lasting
    assert office.state("shop").failures == 1


def test_a_gap_holds_the_invoice_until_the_source_is_read_or_somebody_lets_it_go(
    module_database_url: str,
) -> None:
    desk = """
source: desk
poll: {kind: rest_api, url: 'http://127.0.0.1:9/', path: feed, every: 1 hour}
map:
- {event: solved, key: data.key, time: data.at, subject: data.customer, data: {key: data.key}}
"""
    with shops(module_database_url) as opened:
        shop = opened.open({**OUTCOMES, "sources/desk.yaml": desk})
        contracts = [shop.sell(each, "bare", start=JANUARY) for each in ("acme", "bolt")]
        for contract in contracts:
            deal(shop, contract, "vendor", "customer")
        for name in ("acme", "bolt"):
            event = {"specversion": "1.0", "id": name, "source": "connector:desk", "type": "solved", "subject": name,
                     "time": "2026-01-01T00:02:00Z", "data": {"key": "k"}}  # fmt: skip
            [result] = shop.ingestor.ingest(shop.workspace, [json.dumps(event).encode()])
            assert result.status == "accepted", result
        shop.go(datetime(2026, 2, 3, tzinfo=UTC))
        drafts = shop.headers(status="draft")
        assert len(drafts) == 2
        with shop.engine.transaction(shop.workspace) as tx:
            waiting = list_waiting(tx)
            assert [each.reasons for each in waiting] == [("desk has not been read yet",)] * 2
            assert standings(tx, drafts)[0].waits_for == ("desk has not been read yet",)
            release(tx, drafts[0].id, by="ada", reason="known otherwise")
        close_due(shop.engine, shop.workspace)
        assert [each.status for each in shop.headers() if each.id == drafts[0].id] == ["finalised"]
        assert len(shop.headers(status="draft")) == 1
        with shop.engine.transaction(shop.workspace) as tx:
            sources.note_tried(tx.connection, shop.workspace, "desk", tx.now, tx.now)
            sources.note_read(tx.connection, shop.workspace, "desk", tx.now, tx.now, full=False)
        close_due(shop.engine, shop.workspace)
        assert shop.headers(status="draft") == []
        assert shop.billed() == Decimal("1.98")


def test_what_was_counted_is_told_to_its_source_once_and_again_after_a_failure(
    module_database_url: str,
) -> None:
    with SourceServer(World(seed=1)).running() as server, shops(module_database_url) as opened:
        desk = f"""
source: desk
poll: {{kind: rest_api, url: '{server.url}', path: feed, auth: {{kind: bearer, secret: token}}}}
map:
- {{event: solved, key: data.key, time: data.at, subject: data.customer, data: {{key: data.key}}}}
push:
- {{outcome: resolution, states: [confirmed], path: 'tickets/{{key}}/tags', body: {{tags: ['valorem_{{state}}']}}}}
"""
        shop = opened.open({**OUTCOMES, "sources/desk.yaml": desk})
        engine = replace(shop.engine, reader=DirectReader())
        deal(shop, shop.sell("acme", "bare", start=JANUARY), "vendor", "customer")
        for name in ("a/1", "b"):
            event = {"specversion": "1.0", "id": name, "source": "connector:desk", "type": "solved", "subject": "acme",
                     "time": "2026-01-01T00:02:00Z", "data": {"key": name}}  # fmt: skip
            shop.ingestor.ingest(shop.workspace, [json.dumps(event).encode()])
        with engine.transaction(shop.workspace) as tx:
            set_secret(tx, "token", "s3cret")
        shop.go(datetime(2026, 1, 20, tzinfo=UTC))
        server.push_fails = 1
        assert push_due(engine, shop.workspace) == 1
        shop.go(datetime(2026, 1, 21, tzinfo=UTC))
        assert push_due(engine, shop.workspace) == 1
        assert push_due(engine, shop.workspace) == 0
        assert sorted(server.pushed) == [
            ("PUT", "/tickets/a%2F1/tags", {"tags": ["valorem_confirmed"]}),
            ("PUT", "/tickets/b/tags", {"tags": ["valorem_confirmed"]}),
        ]


def test_secrets_are_sealed_anew_with_the_newest_key(opened: Offices) -> None:
    office = opened.open({"sources/shop.yaml": shop_source("http://127.0.0.1:9/")})
    older, newer = b"k" * 32, b"n" * 32
    both = replace(office.engine, vault=Vault([newer, older]))
    with both.transaction(office.workspace) as tx:
        assert (reseal_secrets(tx), reseal_secrets(tx)) == (2, 0)
    with replace(both, vault=Vault([newer])).transaction(office.workspace) as tx:
        assert open_secrets(tx, find_source(tx, "shop")) == {"shop": "s3cret", "signing": "s3cret"}
    with replace(both, vault=Vault([b"x" * 32])).transaction(office.workspace) as tx:
        assert reseal_secrets(tx) == 0  # nothing is lost of what does not open here

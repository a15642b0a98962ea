"""What the tests of sources share: an engine that reads the stand-in server, and what it came to know."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

from tests.standins.source_server import SourceServer
from tests.standins.world import World
from valorem.core.ids import identity
from valorem.core.metering.corrections import collect_corrections, effective
from valorem.core.metering.event import AMEND, CORRECTIONS, VOID
from valorem.core.outcomes.signing import PARTIES
from valorem.core.sources.frames import (
    ReadPage,
    ReadRequest,
    SourceReader,
    SourceUnreachableError,
    WriteRequest,
)
from valorem.engine.catalog import apply_catalog, current_catalog, show_version
from valorem.engine.closing import close_due
from valorem.engine.connectors.polling import poll_source
from valorem.engine.connectors.secrets import set_secret
from valorem.engine.connectors.taking import Taken, Taker, find_source, retry_parked
from valorem.engine.contracts import NewContract, create_contract
from valorem.engine.customers import create_customer
from valorem.engine.engine import Engine
from valorem.engine.history import read_recorded
from valorem.engine.invoices import get_invoice, verify_invoice
from valorem.engine.outcome_deals import Proposal, Signer, propose, sign_definition
from valorem.engine.recount import recount
from valorem.engine.workspaces import create_workspace
from valorem.integrations.sources.reading import Bounds, read_pages
from valorem.integrations.sources.writing import write_back
from valorem.store.postgres import invoices, recorded, sources
from valorem.store.postgres.database import Database
from valorem.store.vault import Vault

_names = count(1)
MARCH, APRIL = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)
RESOLUTION = """
outcome: resolution
source: {system: desk}
evidence:
  - {event: desk.ticket, kind: success, when: {data.status: solved}}
  - {event: desk.ticket, kind: refute, when: {data.status: open}}
  - {event: desk.ticket, kind: touch, when: {data.status: merged}}
key: data.ticket
alias_of: data.into
window: 2 hours
currency: USD
price: {model: per_unit, amount: 0.99}
"""
PLAN = "plan: desk\nname: Desk\ncurrency: USD\nevery: month\nprices: {paid: {model: per_unit, amount: 0.02}}\noutcomes: [resolution]\n"
METER = "meter: paid\nname: Paid\nevent: order.paid\naggregate: sum\nvalue: data.amount\n"


def shop_source(
    url: str, pages: str = "{kind: offset, param: offset, size: 5}", *, local: bool = False, more: str = ""
) -> str:
    form = "{at: data.at, format: local, zone: '+01:00'}" if local else "data.at"
    since = "format: local, zone: '+01:00'" if local else "format: rfc3339"
    return f"""
source: shop
poll:
  kind: rest_api
  url: {url}
  path: orders
  records: orders
  auth: {{kind: client_credentials, name: us, url: {url}oauth/token, secret: shop}}
  pages: {pages}
  since: {{at: data.updated_at, param: updated_since, {since}, overlap: 10 minutes}}
  all_every: 1 hour
webhook: {{scheme: stripe, secret: signing}}
map:
  - event: order.paid
    meaning: fact
    key: data.id
    version: data.version
    time: {form}
    subject: data.customer
    data: {{order: data.id, amount: data.amount}}
    gone: {{when: {{data.status: deleted}}}}
{more}"""


def desk_source(url: str, *, local: bool = False, auth: str = "") -> str:
    form = "{at: data.at, format: local, zone: '+01:00'}" if local else "data.at"
    return f"""
source: desk
poll:
  kind: rest_api
  url: {url}
  path: feed
  records: changes
  auth: {auth or f"{{kind: client_credentials, name: us, url: {url}oauth/token, secret: shop}}"}
  pages: {{kind: token, param: cursor, at: after_cursor, end: end_of_stream, resume: true}}
webhook: {{scheme: zendesk, secret: signing}}
map:
  - event: desk.ticket
    key: data.ticket
    time: {form}
    subject: data.customer
    data: {{ticket: data.ticket, status: data.status, into: data.into}}
"""


class DirectReader:
    """Reads in this very process; what a process of its own does is tested by itself."""

    def __init__(self, local: Path | None = None, answer_s: float = 60) -> None:
        self.bounds = Bounds(loopback=True, local=local, attempts=6, pause_s=0, answer_s=answer_s)

    def read(self, request: ReadRequest, now: datetime) -> Iterator[ReadPage]:
        return read_pages(request, self.bounds, now)

    def write(self, request: WriteRequest) -> None:
        write_back(request, self.bounds)


class Died(Exception):  # noqa: N818 - what it stands for is no error of the program
    """The process was killed."""


class MortalTaker(Taker):
    """Dies at a page, before its transaction or as soon as it is committed."""

    dies_at: tuple[int, bool] | None = None

    def take(self, *arguments: Any, **named: Any) -> Taken:
        if self.dies_at is None:
            return super().take(*arguments, **named)
        left, after = self.dies_at
        self.dies_at = (left - 1, after)
        if left > 0:
            return super().take(*arguments, **named)
        if after:
            super().take(*arguments, **named)
        raise Died


@dataclass
class Office:
    """A live workspace that reads other systems."""

    engine: Engine
    taker: MortalTaker
    workspace: int
    clock: list[datetime]

    def apply(self, files: dict[str, str]) -> None:
        with self.engine.transaction(self.workspace) as tx:
            apply_catalog(tx, files, message="change", author="test")

    def apply_sources(self, text: str) -> None:
        """Change one source, and leave the rest of the catalog as it is."""
        key = text.split("source: ")[1].split(maxsplit=1)[0]
        with self.engine.transaction(self.workspace) as tx:
            version, _ = current_catalog(tx)
            files = dict(show_version(tx, version).files)
        self.apply({**files, f"sources/{key}.yaml": text})

    def poll(self, source: str, *, everything: bool = False) -> None:
        """Read to the end, however often the other side breaks off."""
        for _ in range(60):
            try:
                poll_source(self.taker, self.workspace, source, everything=everything)
            except SourceUnreachableError as error:
                if error.lasting:
                    raise
            else:
                return
        raise AssertionError("it never came to the end")

    def sell(self, *customers: str) -> None:
        """Sell each customer what the sources tell of: a share of what was paid, and tickets that stay solved."""
        for customer in customers:
            with self.engine.transaction(self.workspace) as tx:
                create_customer(tx, key=customer, name=customer.title(), currency="USD")
                contract = create_contract(tx, NewContract(customer=customer, plan="desk", start=MARCH)).id
                terms = Proposal(contract, "resolution", None, MARCH, MARCH, retroactive=True)
                version = propose(tx, terms, by="test")
                for party in PARTIES:
                    signer = Signer(party, f"{party} person", "owner", "api_key", "test")
                    sign_definition(
                        tx, contract, "resolution", number=1, digest=version.digest, signer=signer
                    )

    def billed(self, server: SourceServer, world: World, *names: str) -> dict[str, tuple[Decimal, Decimal]]:
        """What March's invoices come to by customer, usage and outcomes, once all was read after its end."""
        self.clock[0] = APRIL + timedelta(hours=30)
        for name in names:
            self.poll(name)
        close_due(self.engine, self.workspace)
        found = {}
        with self.engine.transaction(self.workspace, snapshot=True) as tx:
            for header in invoices.load_page(tx.connection, self.workspace, status="finalised", limit=100):
                assert verify_invoice(tx, header.id).same
                lines = get_invoice(tx, header.id).invoice.lines
                usage, outcomes = (
                    sum((line.amount for line in lines if (line.kind == "outcome") == chosen), Decimal(0))
                    for chosen in (False, True)
                )
                found[header.customer] = (usage, outcomes)
        return found

    def retry(self, *names: str) -> None:
        """Read again what could not be read."""
        for name in names:
            with self.engine.transaction(self.workspace) as tx:
                definition = find_source(tx, name)
            retry_parked(self.taker, self.workspace, definition)

    def counted(self) -> dict[str, list[tuple[str, str, Decimal, datetime]]]:
        """The events that count, by type: key, subject, amount, time."""
        with self.engine.transaction(self.workspace) as tx:
            lines = [read_recorded(line) for line in recorded.scan(tx.connection, self.workspace)]
            assert recount(tx) == []
        holding = collect_corrections(self.workspace, [each for each in lines if each.type in (VOID, AMEND)])
        found: dict[str, list[tuple[str, str, Decimal, datetime]]] = {}
        for event in lines:
            if event.type in CORRECTIONS:
                continue
            left = effective(event, holding.get(identity(self.workspace, event.source, event.id)))
            if left is not None and left.time is not None:
                key = left.data.get("order", f"{left.data.get('ticket')}:{left.data.get('status')}")
                amount = Decimal(str(left.data.get("amount", 0)))
                found.setdefault(left.type, []).append((str(key), left.subject, amount, left.time))
        return found

    def orders(self) -> dict[str, tuple[str, Decimal]]:
        rows = self.counted().get("order.paid", [])
        assert len({row[0] for row in rows}) == len(rows), "an order counts twice"
        return {key: (subject, amount) for key, subject, amount, _ in rows}

    def states(self) -> set[tuple[str, str, str, datetime]]:
        rows = self.counted().get("desk.ticket", [])
        assert len(set(rows)) == len(rows), "a state counts twice"
        return {(*key.split(":")[:1], subject, key.split(":")[1], at) for key, subject, _, at in rows}  # type: ignore[misc]

    def parked(self, source: str) -> list[sources.Parked]:
        with self.engine.transaction(self.workspace) as tx:
            return sources.load_parked(tx.connection, self.workspace, source, limit=1000)

    def state(self, source: str) -> sources.SourceState:
        with self.engine.transaction(self.workspace) as tx:
            return sources.load_state(tx.connection, self.workspace, source)


@dataclass
class Offices:
    """Opens workspaces in one database."""

    engine: Engine
    clock: list[datetime]
    takers: list[Taker] = field(default_factory=list)

    def open(
        self,
        files: dict[str, str],
        *,
        clock: list[datetime] | None = None,
        reader: SourceReader | None = None,
    ) -> Office:
        own = clock if clock is not None else self.clock
        engine = replace(self.engine, real_now=lambda: own[0], reader=reader or self.engine.reader)
        workspace = create_workspace(engine, name=f"office-{next(_names)}", kind="live").id
        office = Office(engine, MortalTaker(engine), workspace, own)
        self.takers.append(office.taker)
        with engine.transaction(workspace) as tx:
            for name in ("shop", "signing"):
                set_secret(tx, name, "s3cret")
        office.apply(
            {
                **files,
                "meters/paid.yaml": METER,
                "plans/desk.yaml": PLAN,
                "outcomes/resolution.yaml": RESOLUTION,
            }
        )
        return office


@contextmanager
def offices(url: str) -> Iterator[Offices]:
    database = Database(url)
    clock = [datetime(2026, 3, 6, tzinfo=UTC)]
    engine = Engine(database, lambda: clock[0], vault=Vault([b"k" * 32]), reader=DirectReader())
    found = Offices(engine, clock)
    try:
        yield found
    finally:
        for taker in found.takers:
            taker.close()
        database.close()


def live(office: Office, server: SourceServer, world: World, *names: str, steps: int = 3) -> None:
    """Let the world go on, read now and then, and read to the end when nothing happens any more."""
    for _ in range(steps):
        for _ in range(9):
            world.next_change()
        office.clock[0] = max(office.clock[0], world.now)
        for name in names:
            office.poll(name)
    settle(office, world, *names)


def settle(office: Office, world: World, *names: str) -> None:
    world.now = world.end
    office.clock[0] = max(office.clock[0], world.end + timedelta(minutes=30))
    for _ in range(3):  # what is missing must be missing twice
        office.clock[0] += timedelta(hours=2)
        for name in names:
            office.poll(name)

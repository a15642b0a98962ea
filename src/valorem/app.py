"""The composition root: the one place that knows every room, and the program's entry point."""
# ruff: noqa: PLC0415 - a command that only asks a server must not wait for the imports that make one

import gc
import json
import logging
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from valorem.config import Settings
from valorem.core.errors import ValoremError

if TYPE_CHECKING:
    from fastapi import FastAPI

    from valorem.api.metrics import Metrics
    from valorem.core.billing.taxes import TaxProvider
    from valorem.core.payments.provider import PaymentProvider
    from valorem.core.sources.frames import SourceReader
    from valorem.engine.delivery import Sender
    from valorem.engine.delivery_loop import Deliverer
    from valorem.engine.doctor import Finding
    from valorem.engine.engine import Engine
    from valorem.engine.ingest import Ingestor
    from valorem.engine.worker import Worker
    from valorem.store.warehouse.rows import Warehouse
    from valorem.web.openid import Provider

log = logging.getLogger("valorem")

#: A stop takes at most their sum and the database's own shutdown: requests, ingest, worker.
REQUESTS_S, INGEST_S, WORKER_S = 4, 2.0, 1.5


class ThisMachine:
    """What the command line can do without a server to talk to."""

    def serve(self, settings: Settings, *, worker: bool, admin_key: bool, say: Callable[[str], None]) -> None:
        """Run the server until SIGTERM or SIGINT, then stop without losing anything acknowledged."""
        serve(settings, with_worker=worker, new_admin_key=admin_key, say=say)

    def migrate(self, settings: Settings, revision: str) -> tuple[str | None, str | None]:
        """Bring the schema to a revision."""
        from valorem.store.postgres.migrate import current_and_head, downgrade, upgrade

        with database_of(settings) as url:
            before, head = current_and_head(url)
            if before is None or revision in {"head", head}:
                upgrade(url, revision)
            else:
                downgrade(url, revision)
            return before, current_and_head(url)[0]

    def examine(self, settings: Settings) -> "Sequence[Finding]":
        """Let the doctor look, at the running server's database or at one started for that."""
        from valorem.engine.doctor import examine
        from valorem.store.vault import open_vault

        with database_of(settings, running=True) as url:
            vault = open_vault(settings.data, settings.secret_keys, make=False)
            return examine(url, settings.data, real_now, settings.clickhouse_url, vault)


def real_now() -> datetime:
    """The system's clock: the only place that reads it."""
    return datetime.now(UTC)


@contextmanager
def database_of(settings: Settings, *, running: bool = False) -> Iterator[str]:
    """The database's URL: the one that is set, else the embedded one, started here.

    Args:
        settings: Where.
        running: Use the embedded one that another process has started, where there is one.
    """
    from valorem.store.embedded import EmbeddedPostgres
    from valorem.store.folder_lock import DataFolderInUseError
    from valorem.store.postgres.reaching import check_usable

    if settings.database_url is not None:
        if not running:  # the doctor says for itself what it finds
            check_usable(settings.database_url)
        yield settings.database_url
        return
    server = EmbeddedPostgres(settings.data)
    try:
        server.start()
    except DataFolderInUseError:
        if running and (url := _read_server(settings.data).get("database")):
            yield url
            return
        raise
    try:
        yield server.url
    finally:
        server.stop()


def assemble(
    engine: "Engine",
    ingestor: "Ingestor",
    *,
    worker: "Worker | None" = None,
    poller: "Worker | None" = None,
    metrics: "Metrics | None" = None,
    deliverer: "Deliverer | None" = None,
    loopback: bool = False,
    provider: "Provider | None" = None,
) -> "FastAPI":
    """The whole program as an ASGI application: the API, the pages, and the worker while it runs."""
    from anyio import to_thread

    from valorem.api.application import create_app
    from valorem.web.pages import pages

    @asynccontextmanager
    async def lifespan(app: "FastAPI") -> AsyncIterator[None]:
        if worker is not None:
            worker.start()
        if poller is not None:
            poller.start()
        if deliverer is not None:
            deliverer.start()
        yield
        app.state.draining.set()
        await to_thread.run_sync(ingestor.drain, INGEST_S)
        if worker is not None and not await to_thread.run_sync(worker.stop, WORKER_S):
            log.warning("the worker was still at work; its transaction is rolled back")
        if deliverer is not None:
            await to_thread.run_sync(deliverer.stop, WORKER_S)
        app.state.consumer.close()
        app.state.checker.close()
        app.state.taker.close()
        if poller is not None and not await to_thread.run_sync(poller.stop, WORKER_S):
            log.warning("a source was still being read; its next reading goes on from the last page kept")

    app = create_app(engine, ingestor, metrics=metrics, lifespan=lifespan, loopback=loopback)
    app.router.routes.extend(
        pages(engine, app.openapi, app.state.draining.is_set, app.state.heard, provider=provider)
    )
    return app


def senders_of(settings: Settings) -> "dict[str, Sender]":
    """What notices are sent by: webhooks and Slack always, mail where a server is set."""
    from valorem.integrations.calling import Caller
    from valorem.integrations.email import EmailSender, parse_smtp_url
    from valorem.integrations.slack import SlackSender
    from valorem.integrations.webhooks import WebhookSender

    caller = Caller(loopback=settings.webhooks_to_this_machine)
    senders: dict[str, Sender] = {"webhook": WebhookSender(caller), "slack": SlackSender(caller)}
    if settings.smtp_url is not None:
        sender = settings.mail_from or "valorem@localhost"
        senders["email"] = EmailSender(parse_smtp_url(settings.smtp_url), sender)
    return senders


def serve(
    settings: Settings,
    *,
    with_worker: bool = True,
    new_admin_key: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Start the database, migrate, serve; stop everything in turn when told to.

    Args:
        settings: What to do.
        with_worker: Also do what falls due.
        new_admin_key: Issue another admin key of the live workspace.
        say: Tells people what they need to know.
    """
    _log_to_stderr(settings.log_level)
    with ExitStack() as stack:
        stack.callback(signal.signal, signal.SIGTERM, signal.signal(signal.SIGTERM, _leave))
        url = stack.enter_context(database_of(settings))
        from valorem.api.metrics import Metrics
        from valorem.engine.delivery_loop import Deliverer
        from valorem.engine.engine import Engine
        from valorem.engine.ingest import Ingestor
        from valorem.engine.jobs import JOBS, SOURCE_JOBS
        from valorem.engine.worker import Worker
        from valorem.store.postgres.database import Database
        from valorem.store.postgres.migrate import upgrade
        from valorem.store.vault import open_vault

        upgrade(url)
        database = Database(url, size=settings.connections)
        stack.callback(database.close)
        engine = Engine(
            database,
            real_now,
            warehouse=warehouse_of(settings),
            payments=payment_providers(settings),
            vault=open_vault(settings.data, settings.secret_keys),
            taxes=tax_engine(settings),
            reader=reader_of(settings),
        )
        _seal_secrets(engine)
        _ensure_live(engine, settings, new_admin_key=new_admin_key, say=say)
        ingestor = Ingestor(engine, writers=settings.ingest_writers)
        stack.callback(ingestor.drain, INGEST_S)
        metrics = Metrics()
        worker = (
            Worker(engine, JOBS, note=metrics.note_job, busy=lambda: ingestor.busy) if with_worker else None
        )
        with _listening(settings) as listener:
            address = _address(listener, settings)
            _write_private(
                settings.data / "server.json",
                json.dumps({"url": address, "pid": os.getpid(), "database": url}) + "\n",
            )
            _spare_the_collector()
            stack.callback(
                gc.unfreeze
            )  # or libraries complain at the end of what they think nobody gave back
            _share_the_interpreter()
            say(f"Valorem is at {address} · pages at {address}/ · reference at {address}/reference")
            _offer_set_up(engine, settings, address, say=say)
            app = assemble(
                engine,
                ingestor,
                worker=worker,
                poller=Worker(engine, SOURCE_JOBS, note=metrics.note_job) if with_worker else None,
                metrics=metrics,
                deliverer=Deliverer(engine, senders_of(settings)) if with_worker else None,
                loopback=settings.webhooks_to_this_machine,
                provider=_provider_of(settings),
            )
            _run(app, listener, settings)
        # From here on nothing but the database is left to stop; let nobody hurry that.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)


def warehouse_of(settings: Settings) -> "Warehouse":
    """Where history is kept: ClickHouse where one is set, else Parquet files in the data folder."""
    if settings.clickhouse_url is not None:
        from valorem.store.warehouse.clickhouse import ClickhouseWarehouse
        from valorem.store.warehouse.connecting import connect

        return ClickhouseWarehouse(connect(settings.clickhouse_url))
    from valorem.store.warehouse.duckdb import DuckdbWarehouse

    return DuckdbWarehouse(settings.data / "warehouse")


def reader_of(settings: Settings) -> "SourceReader | None":
    """What reads other systems, where the extra for it is installed."""
    from importlib.util import find_spec

    if find_spec("dlt") is None:
        return None
    from valorem.integrations.sources import SubprocessReader
    from valorem.integrations.sources.reading import Bounds

    return SubprocessReader(Bounds(loopback=settings.webhooks_to_this_machine, local=settings.source_files))


def payment_providers(settings: Settings) -> "dict[str, PaymentProvider]":
    """Whoever takes money, by name: those whose keys are set."""
    if settings.stripe_api_key is None:
        return {}
    from valorem.integrations.stripe import StripePayments

    secrets = [each.strip() for each in (settings.stripe_webhook_secrets or "").split(",") if each.strip()]
    return {"stripe": StripePayments(settings.stripe_api_key, secrets, api_base=settings.stripe_api_base)}


def tax_engine(settings: Settings) -> "TaxProvider | None":
    """The outside tax engine, where one is set."""
    if settings.tax_url is None:
        return None
    from valorem.integrations.tax_engine import HttpTaxEngine

    return HttpTaxEngine(settings.tax_url, settings.tax_key)


def main() -> None:
    """The command ``valorem``."""
    try:
        from valorem.cli.main import run
    except ImportError as error:
        if error.name not in {"typer", "rich", "click", "pydantic", "yaml"}:
            raise
        sys.exit("error: this is the light client alone\n→ pip install 'valorem[server]'")
    sys.exit(run(ThisMachine()))


def _run(app: "FastAPI", listener: socket.socket, settings: Settings) -> None:
    import uvicorn

    from valorem.api.patience import PatientProtocol

    config = uvicorn.Config(
        app,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        http=PatientProtocol,
        ws="none",
        log_config=None,
        log_level=settings.log_level,
        access_log=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=REQUESTS_S,
        limit_concurrency=1000,
        backlog=2048,
    )

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.draining.set()  # streams end by themselves, or requests would be waited for to the last second
            await super().shutdown(sockets)

    Server(config).run(sockets=[listener])


def _spare_the_collector() -> None:
    """Look for cycles no more among what is here for good, and less often among the rest.

    Ingest makes many objects, hardly any of them in a cycle: with Python's thresholds the collector took 4.5 of 33.5 µs an
    event (see docs/performance.md).
    """
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _share_the_interpreter() -> None:
    """Let a thread that computes give way after half a millisecond, not after Python's five.

    A check takes the interpreter a handful of times on its way; behind an ingest that computes, each may cost an interval.
    """
    sys.setswitchinterval(0.0005)


def _ensure_live(
    engine: "Engine", settings: Settings, *, new_admin_key: bool, say: Callable[[str], None]
) -> None:
    """Make the live workspace and its first key; keep the key where only the owner of the folder reads it."""
    from valorem.cli.session import KEY_FILE
    from valorem.engine.keys import issue_key, list_keys
    from valorem.engine.workspaces import create_workspace, list_workspaces

    live = next((each for each in list_workspaces(engine) if each.name == "live"), None)
    if live is None:
        live = create_workspace(engine, name="live", kind="live")
    if list_keys(engine, live.id) and not new_admin_key:
        return
    issued = issue_key(engine, live.id, name="first admin key", scopes=["admin"])
    path = settings.data / KEY_FILE
    _write_private(path, issued.key + "\n")
    say(f"admin key of the live workspace, shown this once and kept in {path}:\n{issued.key}")


def _seal_secrets(engine: "Engine") -> None:
    """Let the newest key seal every signing secret, so that an older one can be taken away after a start."""
    from valorem.engine.connectors.secrets import reseal_secrets
    from valorem.engine.webhooks import reseal
    from valorem.engine.workspaces import list_workspaces

    for workspace in list_workspaces(engine):
        with engine.transaction(workspace.id) as tx:
            endpoints, sources = reseal(tx), reseal_secrets(tx)
            if endpoints or sources:
                log.info(
                    "sealed anew in workspace %s: secrets of %d endpoints, %d of sources",
                    workspace.name,
                    endpoints,
                    sources,
                )


def _provider_of(settings: Settings) -> "Provider | None":
    """By whom people may sign in besides passwords, where that is set."""
    from valorem.web.openid import Provider

    if settings.openid_issuer is None or settings.openid_client_id is None:
        return None
    return Provider(settings.openid_issuer, settings.openid_client_id, settings.openid_client_secret or "")


def _offer_set_up(engine: "Engine", settings: Settings, address: str, *, say: Callable[[str], None]) -> None:
    """Until somebody has been set up, show a link that makes the first owner; it works once."""
    from valorem.cli.session import SET_UP_FILE
    from valorem.engine.people import has_people
    from valorem.engine.sessions import make_link

    path = settings.data / SET_UP_FILE
    if has_people(engine):
        path.unlink(missing_ok=True)
        return
    link = f"{address}/set-up?token={make_link(engine, 'set_up')}"
    _write_private(path, link + "\n")
    say(f"set up the console, once, within a day: {link}")


def _write_private(path: Path, text: str) -> None:
    """Write a file that its owner alone reads, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = path.with_name(path.name + ".new")
    waiting.unlink(missing_ok=True)
    file = os.open(waiting, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    waiting.replace(path)


def _read_server(folder: Path) -> dict[str, str]:
    try:
        found = json.loads((folder / "server.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # no server has written it
    return found if isinstance(found, dict) else {}


@contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as error:
            raise _PortError(
                f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
                field="VALOREM_PORT",
                hint="stop what listens there, or choose another: valorem up --port 8081",
            ) from None
        yield listener
    finally:
        listener.close()


def _address(listener: socket.socket, settings: Settings) -> str:
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
    return (
        f"http://[{host}]:{listener.getsockname()[1]}"
        if ":" in host
        else f"http://{host}:{listener.getsockname()[1]}"
    )


class _PortError(ValoremError):
    code = "port_in_use"


def _leave(_signal: int, _frame: FrameType | None) -> None:
    # Before the server runs and after it has drained, this unwinds what was started so far; in between the server
    # handles the signal itself and raises it again when it is done.
    raise SystemExit(0)


def _log_to_stderr(level: str) -> None:
    logging.basicConfig(
        level=level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        stream=sys.stderr,
        force=True,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)


if __name__ == "__main__":
    main()

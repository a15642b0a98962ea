"""What every running contract comes to, kept up in the background while somebody looks.

A preview costs some milliseconds, so a page over hundreds of contracts cannot ask for each. A thread asks instead, with
the same verb, again for each contract whose customer's events came in, whose terms changed, or whose quarter hour passed;
pages show what it knows, and say of when it is and how much is still missing.
"""

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from threading import Lock, Thread

from valorem.core.billing.invoice import Line
from valorem.core.errors import ValoremError
from valorem.core.periods import Interval
from valorem.core.time import quarter_hour_of
from valorem.engine.contracts import list_contracts
from valorem.engine.engine import Engine, Transaction
from valorem.engine.invoices import preview_invoice
from valorem.engine.margins import ContractMargin, contract_margin
from valorem.engine.overview import Arrival, arrivals, customer_names
from valorem.store.postgres.batches import subject_hash
from valorem.store.postgres.contracts import ContractRow
from valorem.store.postgres.customers import load_subjects

log = logging.getLogger(__name__)
_EVERY_S = 1.0
_CONTRACTS_EVERY_S = 3.0
#: Contracts asked for in one transaction.
_BATCH = 10
#: Work on one workspace at a time, so that another is not kept waiting.
_SLICE_S = 0.7
#: The thread forgets a workspace at which nobody looked for this long.
_LOOKED_AT_S = 90.0
#: After so many failures in a row it forgets it as well, until somebody looks again.
_MOST_FAILURES = 5
#: Arrivals of this long make the rate of events.
_RATE_WINDOW_S = 10.0
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Standing:
    """What one contract's running period comes to.

    Attributes:
        contract: The contract.
        customer: Its customer's key.
        plan: Its plan's key.
        currency: Of the amounts.
        period: The running period.
        at: The instant looked at.
        so_far: The next invoice if nothing more were used.
        projected: The next invoice if use goes on like this.
        low: The lower end of the projection's range.
        high: The higher end.
        share_elapsed: How much of the period is over.
        usage: The lines that charge usage, so far.
        unpriced: Kinds of usage that no price is for.
        margin: What the running period was charged and cost so far.
    """

    contract: str
    customer: str
    plan: str
    currency: str
    period: Interval
    at: datetime
    so_far: Decimal
    projected: Decimal
    low: Decimal | None
    high: Decimal | None
    share_elapsed: Decimal
    usage: tuple[Line, ...]
    unpriced: int
    margin: ContractMargin


@dataclass(frozen=True, slots=True)
class Sum:
    """What all running contracts in one currency come to."""

    currency: str
    so_far: Decimal
    projected: Decimal
    low: Decimal
    high: Decimal
    contracts: int


@dataclass(frozen=True, slots=True)
class Standings:
    """A workspace's running contracts as they are known.

    Attributes:
        at: The workspace's time of the last look.
        running: By contract.
        missing: Contracts that were not looked at yet.
        contracts: How many there are.
        events: How many events are recorded.
        rate: Events a second, over the last seconds.
        seq: The sequence of the last batch seen.
        names: Customers' names by key.
        ready: Whether the first look is complete.
    """

    at: datetime | None = None
    running: Mapping[str, Standing] = field(default_factory=dict)
    missing: int = 0
    contracts: int = 0
    events: int = 0
    rate: Decimal = Decimal(0)
    seq: int = 0
    names: Mapping[str, str] = field(default_factory=dict)
    ready: bool = False

    def sums(self) -> tuple[Sum, ...]:
        """The sums by currency; amounts of different currencies are never added."""
        found: dict[str, list[Standing]] = {}
        for each in self.running.values():
            found.setdefault(each.currency, []).append(each)
        return tuple(_sum(currency, found[currency]) for currency in sorted(found))

    def of_customer(self, customer: str) -> tuple[Standing, ...]:
        """The running contracts of one customer."""
        return tuple(each for each in self.running.values() if each.customer == customer)


def _sum(currency: str, standings: Sequence[Standing]) -> Sum:
    return Sum(
        currency,
        sum((each.so_far for each in standings), Decimal(0)),
        sum((each.projected for each in standings), Decimal(0)),
        sum((each.projected if each.low is None else each.low for each in standings), Decimal(0)),
        sum((each.projected if each.high is None else each.high for each in standings), Decimal(0)),
        len(standings),
    )


@dataclass
class _Watched:
    """What the thread keeps of one workspace."""

    looked_at: float
    seen: Standings = field(default_factory=Standings)
    rows: dict[str, ContractRow] = field(default_factory=dict)
    hashes: dict[int, set[str]] = field(
        default_factory=dict
    )  # of a subject, to the contracts of its customers
    dirty: dict[str, None] = field(default_factory=dict)  # in the order in which to look
    quarter: datetime | None = None
    contracts_read: float = 0.0
    recent: deque[tuple[float, int]] = field(default_factory=deque)
    failures: int = 0


class Watch:
    """Keeps standings of the workspaces that somebody looks at.

    Args:
        engine: What the verbs work with.
        stopped: Tells the thread to end.
    """

    def __init__(self, engine: Engine, stopped: Callable[[], bool]) -> None:
        self._engine = engine
        self._stopped = stopped
        self._lock = Lock()
        self._watched: dict[int, _Watched] = {}
        self._thread: Thread | None = None

    def look(self, workspace: int, *, patience_s: float = 0.05) -> Standings:
        """What is known of a workspace.

        Args:
            workspace: Its id.
            patience_s: How long to wait for the very first look.
        """
        with self._lock:
            watched = self._watched.setdefault(workspace, _Watched(time.monotonic()))
            watched.looked_at = time.monotonic()
            if self._thread is None or not self._thread.is_alive():
                self._thread = Thread(target=self._run, name="standings", daemon=True)
                self._thread.start()
        deadline = time.monotonic() + patience_s
        while not watched.seen.ready and time.monotonic() < deadline:
            time.sleep(0.01)
        return watched.seen

    def _run(self) -> None:
        while not self._stopped():
            began = time.monotonic()
            with self._lock:
                self._watched = {
                    workspace: watched
                    for workspace, watched in self._watched.items()
                    if began - watched.looked_at < _LOOKED_AT_S and watched.failures < _MOST_FAILURES
                }
                todo = list(self._watched.items())
                if not todo:
                    self._thread = None
                    return
            busy = False
            for workspace, watched in todo:
                try:
                    self._update(workspace, watched)
                    watched.failures = 0
                except Exception as error:  # noqa: BLE001 - whatever it is, the next round may succeed
                    watched.failures += 1
                    log.warning("standings of workspace %s: %s", workspace, error)
                busy = busy or bool(watched.dirty)
            time.sleep(0.02 if busy else max(0.05, _EVERY_S - (time.monotonic() - began)))

    def _update(self, workspace: int, watched: _Watched) -> None:
        began = time.monotonic()
        with self._engine.transaction(workspace, read_only=True) as tx:
            at = tx.now
            self._read_contracts(tx, watched)
            seq, events, rate = self._read_arrivals(tx, watched)
            if (quarter := quarter_hour_of(at)) != watched.quarter:
                watched.quarter = quarter
                watched.dirty.update(dict.fromkeys(watched.rows))
        running = dict(watched.seen.running)
        for gone in running.keys() - watched.rows.keys():
            del running[gone]
        while watched.dirty and time.monotonic() - began < _SLICE_S and not self._stopped():
            chosen = list(watched.dirty)[:_BATCH]
            with self._engine.transaction(workspace, snapshot=True, read_only=True) as tx:
                for contract in chosen:
                    watched.dirty.pop(contract, None)
                    found = _standing(tx, watched.rows[contract]) if contract in watched.rows else None
                    if found is None:
                        running.pop(contract, None)
                    else:
                        running[contract] = found
        watched.seen = Standings(
            at=at,
            running=running,
            missing=len(watched.dirty),
            contracts=len(watched.rows),
            events=events,
            rate=rate,
            seq=seq,
            names=watched.seen.names if watched.contracts_read < began else self._names(workspace),
            ready=True,
        )

    def _names(self, workspace: int) -> Mapping[str, str]:
        with self._engine.transaction(workspace, read_only=True) as tx:
            return customer_names(tx)

    def _read_contracts(self, tx: Transaction, watched: _Watched) -> None:
        now = time.monotonic()
        if watched.contracts_read and now - watched.contracts_read < _CONTRACTS_EVERY_S:
            return
        rows: dict[str, ContractRow] = {}
        after: str | None = None
        while page := list_contracts(tx, after=after, limit=_PAGE):
            rows.update((row.contract.id, row) for row in page)
            after = page[-1].contract.id
        changed = [key for key, row in rows.items() if watched.rows.get(key) != row]
        watched.dirty.update(dict.fromkeys(changed))
        watched.rows = rows
        by_customer: dict[str, set[str]] = {}
        for key, row in rows.items():
            by_customer.setdefault(row.contract.customer, set()).add(key)
        hashes: dict[int, set[str]] = {}
        subjects = load_subjects(tx.connection, tx.workspace.id, list(by_customer))
        for customer, owned in subjects.items():
            for subject in owned:
                hashes.setdefault(subject_hash(subject), set()).update(by_customer[customer])
        watched.hashes = hashes
        watched.contracts_read = time.monotonic()

    def _read_arrivals(self, tx: Transaction, watched: _Watched) -> tuple[int, int, Decimal]:
        seq, events = watched.seen.seq, watched.seen.events
        now, first = time.monotonic(), not watched.seen.ready
        while page := arrivals(tx, seq):
            seq = page[-1].seq
            count = sum(batch.events for batch in page)
            events += count
            if not first:
                watched.recent.append((now, count))
                watched.dirty.update(dict.fromkeys(_touched(page, watched.hashes)))
        while watched.recent and now - watched.recent[0][0] > _RATE_WINDOW_S:
            watched.recent.popleft()
        recent = sum(count for _, count in watched.recent)
        return seq, events, (Decimal(recent) / int(_RATE_WINDOW_S)).quantize(Decimal("0.1"))


def _touched(page: Iterable[Arrival], hashes: Mapping[int, set[str]]) -> list[str]:
    return [contract for batch in page for subject in batch.subjects for contract in hashes.get(subject, ())]


def _standing(tx: Transaction, row: ContractRow) -> Standing | None:
    contract = row.contract
    if contract.start > tx.now or (contract.end is not None and contract.end <= tx.now):
        return None
    try:
        found = preview_invoice(tx, contract.id)
    except ValoremError:
        return None  # its own page says why: its meters are being recounted, say
    so_far = found.so_far
    return Standing(
        contract=contract.id,
        customer=contract.customer,
        plan=so_far.plan,
        currency=so_far.currency,
        period=found.period,
        at=found.at,
        so_far=so_far.total,
        projected=found.projected.total,
        low=found.low,
        high=found.high,
        share_elapsed=Decimal(found.elapsed_quarter_hours) / found.total_quarter_hours,
        usage=tuple(line for line in so_far.lines if line.kind == "usage"),
        unpriced=len(so_far.unpriced),
        margin=contract_margin(tx, contract, Interval(found.period.start, quarter_hour_of(found.at))),
    )

"""The check: one round trip to the counters, and everything else from what is known of the customer."""

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import psycopg

from valorem.core.entitlements.check import Asked, Verdict, verdict
from valorem.core.entitlements.grants import Grant
from valorem.core.entitlements.prompts import Offer, offer_of
from valorem.core.errors import OverloadedError
from valorem.core.numbers import ONE
from valorem.engine.budgeting import hard_stop
from valorem.engine.engine import Engine, Transaction
from valorem.engine.entitlements import Knowledge, Known, counted, held_of, question
from valorem.engine.paywalls import Paywalls
from valorem.store.postgres import checks

_log = logging.getLogger(__name__)
_MOST_IDLE = 16
_DENIED_BY_USE = (
    "limit_reached",
    "throttled",
    "not_granted",
    "value_exceeded",
    "budget_reached",
    "gate_closed",
)


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The answer to one question.

    Attributes:
        verdict: The answer itself.
        quantity: What was asked for.
        unit: Of the feature's meter.
        offer: What to show where it is denied, or once the limit is reached.
        outage: What to answer while nothing can be looked up.
    """

    verdict: Verdict
    quantity: Decimal
    unit: str | None
    offer: Offer | None
    outage: str


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The answers to the questions of one request.

    Attributes:
        customer: Whose; None where the subject is nobody's.
        as_of: The instant that was looked at: every event acknowledged before is in.
        stale: Whether nothing could be looked up and the answers follow each feature's outage rule.
        results: In the order of the questions.
    """

    customer: str | None
    as_of: datetime
    stale: bool
    results: tuple[CheckResult, ...]


class Checker:
    """Answers checks over connections of its own, so that a check never waits behind other work of the pool.

    Args:
        engine: The database and the clock.
        knowledge: Shared with whoever else checks in this process.

    Attributes:
        threads: To run checks in beside an event loop; as many as there are connections kept.
    """

    def __init__(self, engine: Engine, knowledge: Knowledge | None = None) -> None:
        self._engine = engine
        self.knowledge = knowledge or Knowledge()
        self.paywalls = Paywalls(engine)
        self.threads = ThreadPoolExecutor(_MOST_IDLE, thread_name_prefix="check")
        self._idle: list[checks.CheckConnection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Let what runs end, and close every connection."""
        self.threads.shutdown(cancel_futures=True)
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def check(self, workspace: int, subject: str, asked: Sequence[Asked]) -> CheckReport:
        """Answer questions about one customer, all as of one instant.

        The answer holds every event acknowledged before. It is never more permissive than the counters.

        Args:
            workspace: The workspace's id.
            subject: The customer's key, or another subject of it.
            asked: The questions.

        Raises:
            NotFoundError: If the catalog has no such feature, or there is no catalog.
            OverloadedError: If the database is away and nothing is known of the customer.
        """
        try:
            with self._connection(workspace) as connection:
                report, known = self._look(connection, workspace, subject, asked)
        except (psycopg.OperationalError, OverloadedError) as error:
            return self._without_a_look(workspace, subject, asked, error)
        if known.customer is not None and any(not each.verdict.allowed for each in report.results):
            self.paywalls.note(workspace, known, report.results, report.as_of)
        return report

    def _look(
        self, connection: checks.CheckConnection, workspace: int, subject: str, asked: Sequence[Asked]
    ) -> tuple[CheckReport, Known]:
        known = self.knowledge.get(workspace, subject)
        at = connection.clock_at or self._engine.real_now()
        while True:
            if known is None or not known.holds_at(at):
                known, at = self._learn(workspace, subject)
            questions = [question(connection.raw, workspace, known, each.feature, at) for each in asked]
            stretches = [stretch for each in questions for stretch in each.stretches]
            seen, looked = connection.look(
                workspace,
                subject,
                known.customer,
                known.subjects,
                stretches,
                detail=known.detail,
                at=at,
                before=known.looked(stretches),
            )
            now = seen.clock_at or self._engine.real_now()
            if seen.stamp != known.stamp or (seen.clock_at is not None and seen.clock_at != at):
                known, at = None, now
                continue
            break
        known.keep(stretches, looked)
        rows = iter(looked.found)
        results = []
        for each, one in zip(questions, asked, strict=True):
            mine = [next(rows) for _ in each.stretches]
            under, gate = counted(known, each, mine)
            held = held_of(known, each.grant, seen.held, at) if seen.held else ()
            said = verdict(each.grant, one, under, gate_use=gate, held=held)
            results.append(result_of(known, each.grant, one, said))
        if known.has_hard_budgets:
            results = self._by_budgets(workspace, known, results)
        return CheckReport(known.customer, at, stale=False, results=tuple(results)), known

    def _learn(self, workspace: int, subject: str) -> tuple[Known, datetime]:
        with self._engine.transaction(workspace, read_only=True) as tx:
            return self.knowledge.current(tx, subject), tx.now

    def _by_budgets(self, workspace: int, known: Known, results: list[CheckResult]) -> list[CheckResult]:
        with self._engine.transaction(workspace, snapshot=True, read_only=True) as tx:
            return [stopped_by_budget(tx, known, each) for each in results]

    def _without_a_look(
        self, workspace: int, subject: str, asked: Sequence[Asked], error: Exception
    ) -> CheckReport:
        known = self.knowledge.get(workspace, subject)
        if known is None:
            raise OverloadedError("the database is away, and nothing is known of this customer") from error
        _log.warning("a check is answered by the outage rules: %s", error)
        results = []
        for one in asked:
            grant = known.grant(one.feature)
            allowed = grant.value is not False and grant.opens_at is None and grant.outage == "open"
            said = Verdict(grant.feature, allowed, "outage", grant.kind, grant.value, grant.origin)
            results.append(result_of(known, grant, one, said))
        return CheckReport(known.customer, self._engine.real_now(), stale=True, results=tuple(results))

    @contextmanager
    def _connection(self, workspace: int) -> Iterator[checks.CheckConnection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None or connection.closed:
            connection = checks.CheckConnection(self._engine.database.url)
        try:
            connection.enter(workspace)
            yield connection
        except psycopg.Error:
            connection.close()  # whatever state it is in, nobody else gets it
            raise
        finally:
            with self._lock:
                keep = not connection.closed and len(self._idle) < _MOST_IDLE
                if keep:
                    self._idle.append(connection)
            if not keep:
                connection.close()


def result_of(known: Known, grant: Grant, asked: Asked, said: Verdict) -> CheckResult:
    """A verdict with what a caller needs beside it: the unit, and what to show."""
    meter = known.revisions.get(grant.meter or "")
    state = said.state
    offer = None
    if known.plan is not None and (not said.allowed or (state is not None and not state.remaining)):
        denied_by_use = said.reason in _DENIED_BY_USE or state is not None
        offer = offer_of(known.plan, known.catalog, grant.feature, state.limit if state else None)
        offer = offer if denied_by_use else None
    return CheckResult(
        verdict=said,
        quantity=ONE if asked.quantity is None else asked.quantity,
        unit=meter[1].unit if meter is not None else None,
        offer=offer,
        outage=grant.outage,
    )


def stopped_by_budget(tx: Transaction, known: Known, result: CheckResult) -> CheckResult:
    """The same result, denied where a hard budget of the customer is used up."""
    said = result.verdict
    if not said.allowed or known.customer is None or known.contract is None:
        return result
    meter = known.grants[said.feature].meter
    if meter is None or not hard_stop(tx, known.customer, meter):
        return result
    return replace(result, verdict=replace(said, allowed=False, reason="budget_reached"))

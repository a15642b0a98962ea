"""Consuming checks: the check and the recording of the use it allows, in one transaction.

Whoever finds the writer free takes along everybody who waits, so a thousand at once cost a few transactions. One
customer's consuming checks go one after the other, whichever process they are in; within a transaction each sees what
those before it were allowed.
"""

import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from valorem.core.entitlements.check import Asked, Counted, Verdict, verdict
from valorem.core.entitlements.holds import QuotaHold, settle
from valorem.core.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    UnprocessableError,
    ValoremError,
)
from valorem.core.metering.tally import EMPTY, add
from valorem.core.numbers import ONE, ZERO
from valorem.engine import recording
from valorem.engine.checking import CheckResult, result_of, stopped_by_budget
from valorem.engine.engine import Engine, Transaction
from valorem.engine.entitlements import Knowledge, Known, counted, held_of, question
from valorem.engine.ingest import Batch, Writer
from valorem.engine.paywalls import Paywalls
from valorem.engine.recording import Candidate, RecordedBeforeError
from valorem.engine.results import ItemResult
from valorem.store.postgres import ingest, limits, locks, quota_holds, workspaces

_MOST_TOGETHER = 256
ADDITIVE = frozenset({"count", "sum", "unique"})


@dataclass(frozen=True, slots=True)
class Consumption:
    """A use to be allowed and recorded, or neither.

    Attributes:
        feature: The feature that is used.
        event: The CloudEvent that is the use; it happens now, and its source and id make a repeat harmless.
        hold: The id of the quota hold that was placed for it: it may have what that reserves, and ends it.
    """

    feature: str
    event: Mapping[str, Any]
    hold: str | None = None

    @property
    def raw(self) -> bytes:
        """The event as it is recorded.

        Raises:
            InvalidInputError: If it brings a time of its own.
        """
        if "time" in self.event:
            raise InvalidInputError(
                "a use that is checked happens now", field="consume.time", hint="leave the time out"
            )
        return json.dumps({"specversion": "1.0", **self.event}, default=str).encode()


@dataclass(frozen=True, slots=True)
class Consumed:
    """What became of a use.

    Attributes:
        status: ``recorded``; ``duplicate``: it had been before, and is allowed as it was then; ``denied``: not recorded.
        result: The answer to the check, as it stands after the use.
        customer: Whose use it is.
        as_of: When.
        known: What was known of the customer.
    """

    status: Literal["recorded", "duplicate", "denied"]
    result: CheckResult
    customer: str | None
    as_of: datetime
    known: Known = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Waiting:
    consumption: Consumption
    raw: bytes
    future: "Future[Consumed]"


class Consumer:
    """Takes consuming checks from any number of threads.

    Args:
        engine: The database and the clock.
        knowledge: What is known of customers, shared with the checker.
        paywalls: Where what is denied is noted; shared with the checker too.
    """

    def __init__(self, engine: Engine, knowledge: Knowledge, paywalls: Paywalls | None = None) -> None:
        self._paywalls = paywalls or Paywalls(engine)
        self._writer = _ConsumingWriter(engine, knowledge)
        self._waiting: dict[int, list[_Waiting]] = {}
        self._changing = threading.Lock()
        self._writing = threading.Lock()

    def close(self) -> None:
        """Close the connection."""
        with self._writing:
            self._writer.close()

    def consume(self, workspace: int, consumption: Consumption) -> Consumed:
        """Check, and record the use if it is allowed.

        Raises:
            InvalidInputError: If the event is none, or is nothing the feature's meter counts.
            NotFoundError: If there is no such feature.
            ConflictError: If another event has this source and id.
            OverloadedError: If the database stays away. Sending the same again is safe.
        """
        mine = _Waiting(consumption, consumption.raw, Future())
        with self._changing:
            self._waiting.setdefault(workspace, []).append(mine)
        while not mine.future.done():
            with self._writing:
                if mine.future.done():
                    break
                self._write(workspace)
        consumed = mine.future.result()
        if consumed.status == "denied":
            self._paywalls.note(workspace, consumed.known, [consumed.result], consumed.as_of)
        return consumed

    def _write(self, workspace: int) -> None:
        with self._changing:
            waiting = self._waiting.pop(workspace, [])
            taken, left = waiting[:_MOST_TOGETHER], waiting[_MOST_TOGETHER:]
            if left:
                self._waiting[workspace] = left
        try:
            outcomes = self._writer.consume(workspace, taken)
        except Exception as error:  # noqa: BLE001 - it is handed to everybody who waits for it
            outcomes = [error] * len(taken)
        for one, outcome in zip(taken, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                one.future.set_exception(outcome)
            else:
                one.future.set_result(outcome)


_Outcome = Consumed | Exception


class _ConsumingWriter(Writer):
    """A writer whose batches are checked before they are recorded."""

    def __init__(self, engine: Engine, knowledge: Knowledge) -> None:
        super().__init__(engine)
        self._knowledge = knowledge
        self._asked: Sequence[_Waiting] = ()
        self._outcomes: list[_Outcome] = []

    def consume(self, workspace: int, asked: Sequence[_Waiting]) -> list[_Outcome]:
        """One transaction for all of them."""
        self._asked, self._outcomes = asked, []
        self.write(workspace, [one.raw for one in asked])
        return self._outcomes

    def _attempt(self, batch: Batch) -> None:
        workspace, connection = batch.workspace, self._connection()
        now = self._now(connection, workspace)
        prepared = self._admitted(
            connection, workspace, self._prepare(connection, workspace, batch.raws, now)
        )
        with ingest.transaction(connection, workspace):
            tx = Transaction(connection, workspaces.load(connection, workspace), now, self._engine.limits)
            asked = [one.consumption for one in self._asked]
            deciding = _Deciding(tx, self._knowledge, batch.id, asked, prepared)
            self._outcomes = deciding.decide()
            batch.results = []
            if deciding.allowed:
                batch.results = recording.record(
                    connection,
                    workspace,
                    now,
                    self._meters[workspace],
                    batch.id,
                    deciding.allowed,
                    self._engine.limits,
                )


class _Deciding:
    """Decides for the uses of one transaction, one after the other."""

    def __init__(
        self,
        tx: Transaction,
        knowledge: Knowledge,
        batch: int,
        asked: Sequence[Consumption],
        prepared: Sequence[Candidate | ItemResult],
    ) -> None:
        self._tx = tx
        self._knowledge = knowledge
        self._batch = batch
        self._asked = asked
        self._prepared = prepared
        self._counted: dict[tuple[str, str], list[Counted]] = {}
        self._holds: dict[str, list[QuotaHold]] = {}
        self.allowed: list[Candidate] = []

    def decide(self) -> list[_Outcome]:
        """What becomes of each; the candidates that are allowed are in ``allowed`` afterwards."""
        candidates = [one for one in self._prepared if isinstance(one, Candidate)]
        known = {one.event.subject: self._known(one.event.subject) for one in candidates}
        for customer in sorted({each.customer or subject for subject, each in known.items()}):
            locks.wait_for(self._tx.connection, locks.Lock.CONSUME, self._tx.workspace.id, customer)
        before = ingest.find(self._tx.connection, sorted({one.key for one in candidates}))
        if any(one.batch == self._batch for one in before.values()):
            raise RecordedBeforeError
        fingerprints = {key: one.fingerprint for key, one in before.items() if one.fingerprint is not None}
        outcomes: list[_Outcome] = []
        for consumption, one in zip(self._asked, self._prepared, strict=True):
            try:
                if not isinstance(one, Candidate):
                    raise InvalidInputError(
                        one.reason or "the event was rejected", field=f"consume.{one.field}", hint=one.hint
                    )
                outcomes.append(self._decide(known[one.event.subject], consumption, one, fingerprints))
            except ValoremError as error:
                outcomes.append(error)
        return outcomes

    def _known(self, subject: str) -> Known:
        return self._knowledge.current(self._tx, subject)

    def _decide(
        self, known: Known, consumption: Consumption, one: Candidate, fingerprints: dict[bytes, int]
    ) -> Consumed:
        asked = self._readings(known, consumption, one)
        if (earlier := fingerprints.get(one.key)) is not None:
            if earlier != one.fingerprint:
                raise ConflictError(
                    "another event with this source and id was recorded before",
                    field="consume.id",
                    hint="give a new use a new id",
                )
            return self._said("duplicate", known, self._verdict(known, replace(asked[0], quantity=ZERO)))
        own = None if consumption.hold is None else self._own(known, consumption)
        reserved = own is not None and sum((each.quantity or ZERO for each in asked), ZERO) <= own.quantity
        for each in asked:
            said = self._verdict(known, each, own=own)
            if not said.allowed and not reserved:
                return self._said("denied", known, said)
        fingerprints[one.key] = one.fingerprint
        if own is not None:
            self._end(known, own)
        self.allowed.append(one)
        self._add(known, one)
        return self._said(
            "recorded", known, self._verdict(known, replace(asked[0], quantity=ZERO), force=True)
        )

    def _readings(self, known: Known, consumption: Consumption, one: Candidate) -> list[Asked]:
        """The questions that a use asks: one for each combination of dimension values it counts for."""
        grant = known.grant(consumption.feature)
        if grant.meter is None:
            raise UnprocessableError(
                f"{consumption.feature} is not metered, so there is nothing to consume",
                field="feature",
                hint="check it without consume",
            )
        revision, meter = known.revisions[grant.meter]
        if meter.aggregate not in ADDITIVE:
            raise UnprocessableError(
                f"a {meter.aggregate} cannot be consumed piece by piece",
                field="feature",
                hint="check, then send the event",
            )
        found: dict[tuple[str | None, ...], Asked] = {}
        for read, reading in one.readings:
            if read != revision:
                continue
            more = reading.value if meter.aggregate == "sum" and not isinstance(reading.value, str) else ONE
            dimensions = {
                name: text
                for name, text in zip(meter.dimension_names, reading.dimensions, strict=True)
                if text is not None
            }
            known_so_far = found.get(reading.dimensions)
            quantity = more + (known_so_far.quantity or ZERO if known_so_far is not None else ZERO)
            found[reading.dimensions] = Asked(consumption.feature, quantity, dimensions)
        if not found:
            raise InvalidInputError(
                f"the event is nothing that {consumption.feature} counts",
                field="consume",
                hint=f"it counts events of type {', '.join(meter.event)} that pass the filter of meter {meter.key}",
            )
        if (
            len(found) > 1
        ):  # limits look at each by itself and at all together: the first question asks for all
            total = sum((each.quantity or ZERO for each in found.values()), ZERO)
            first = next(iter(found.values()))
            if not any(owned.limit.dimensions for owned in grant.limits):
                return [replace(first, quantity=total)]
        return list(found.values())

    def _standing(self, known: Known) -> list[QuotaHold]:
        """The customer's holds, as they stand in this transaction."""
        if known.customer is None:
            return []
        if known.customer not in self._holds:
            self._holds[known.customer] = quota_holds.standing(
                self._tx.connection, self._tx.workspace.id, known.customer, self._tx.now
            )
        return self._holds[known.customer]

    def _own(self, known: Known, consumption: Consumption) -> QuotaHold | None:
        """The hold that was placed for a use; None where its time is over, so that the use is checked like any other."""
        assert consumption.hold is not None
        own = next((one for one in self._standing(known) if one.id == consumption.hold), None)
        found = own or (
            None
            if known.customer is None
            else quota_holds.find(
                self._tx.connection, self._tx.workspace.id, known.customer, consumption.hold
            )
        )
        if found is None:
            raise NotFoundError(f"there is no hold {consumption.hold[:60]!r}", field="hold.id")
        if found.feature != consumption.feature:
            raise ConflictError(f"this hold is of {found.feature}", field="hold.id")
        if own is None and found.seen_at(self._tx.now).state != "expired":
            raise ConflictError(
                f"this hold was {found.state} before",
                field="hold.id",
                hint="consume without it, or place another",
            )
        return own

    def _end(self, known: Known, own: QuotaHold) -> None:
        assert known.customer is not None
        self._holds[known.customer].remove(own)
        settled = settle(own, self._tx.now)
        quota_holds.resolve(self._tx.connection, self._tx.workspace.id, known.customer, settled)

    def _verdict(
        self, known: Known, asked: Asked, *, force: bool = False, own: QuotaHold | None = None
    ) -> Verdict:
        place = (known.customer or known.subjects[0], asked.feature)
        looked = question(self._tx.connection, self._tx.workspace.id, known, asked.feature, self._tx.now)
        if place not in self._counted or looked.grant.opens_with is not None:
            found = limits.use(
                self._tx.connection,
                self._tx.workspace.id,
                known.subjects,
                looked.stretches,
                detail=known.detail,
            )
            under, gate = counted(known, looked, found)
            self._counted.setdefault(place, under)
        else:
            gate = None
        others = [one for one in self._standing(known) if one is not own]
        held = held_of(known, looked.grant, others, self._tx.now) if others else ()
        said = verdict(looked.grant, asked, self._counted[place], gate_use=gate, held=held)
        if known.has_hard_budgets and not force:
            said = stopped_by_budget(self._tx, known, result_of(known, looked.grant, asked, said)).verdict
        return said

    def _add(self, known: Known, one: Candidate) -> None:
        """Let the next one see what this one was allowed, under every feature its readings count for."""
        mine = known.customer or known.subjects[0]
        for (customer, key), under in self._counted.items():
            grant = known.grants.get(key)
            if customer != mine or grant is None or grant.meter is None:
                continue
            revision, meter = known.revisions[grant.meter]
            for read, reading in one.readings:
                if read != revision:
                    continue
                dimensions = dict(zip(meter.dimension_names, reading.dimensions, strict=True))
                tally = add(meter.aggregation, EMPTY, reading.value, one.time, one.key)
                for number, each in enumerate(under):
                    slow = (*each.slow_use, (dimensions, tally)) if each.slow_span is not None else ()
                    under[number] = replace(each, use=(*each.use, (dimensions, tally)), slow_use=slow)

    def _said(
        self, status: Literal["recorded", "duplicate", "denied"], known: Known, said: Verdict
    ) -> Consumed:
        result = result_of(known, known.grant(said.feature), Asked(said.feature), said)
        return Consumed(status, result, known.customer, self._tx.now, known)

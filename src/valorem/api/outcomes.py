"""``/v1/outcomes``: one dashboard for both sides, each outcome opening to its evidence, bills, and the bundle."""

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import Field

from valorem.api.outcome_access import At, Contract, Definition, Reader
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant, written
from valorem.core.outcomes.bundle import bundle_digest
from valorem.core.outcomes.states import Transition
from valorem.engine import outcome_reports as reports
from valorem.engine.outcome_reports import Board, Opened

router = APIRouter(prefix="/v1/outcomes", tags=["outcomes"], route_class=StrictRoute)


class PeriodMoney(Answer):
    """One period: what was assumed, confirmed, cancelled within its window and taken back in it, and its money."""

    start: Instant
    end: Instant
    label: str
    assumed: int
    confirmed: int
    cancelled: int
    reversed: int
    amount: ExactOut
    credit: ExactOut


class OutcomeAnswer(Answer):
    """One outcome; ``matures_at`` is when it is confirmed if nothing is heard."""

    key: str
    state: str
    since: Instant | None
    rule: str
    matures_at: Instant | None
    version: int | None
    value: ExactOut | None
    disputed: bool
    billable: bool


class DashboardAnswer(Answer):
    """What both sides see. Nothing was written, and no job has to run for a state to be true.

    Attributes:
        assumed: Outcomes whose window is running; the next is confirmed at ``next_matures_at`` if nothing is heard.
        if_silent: What the running period comes to if nothing more happens.
        agreement: Of the last comparison of both lists: keys on both / keys on either.
        unreadable: Ids of events that lack what the definition needs, with the reason.
        outcomes: A page of them, in order of key.
    """

    contract: str
    definition: str
    name: str
    currency: str
    at: Instant
    status: list[str]
    assumed: int
    confirmed: int
    reversed: int
    cancelled: int
    next_matures_at: Instant | None
    rejected: dict[str, int]
    periods: list[PeriodMoney]
    if_silent: ExactOut
    newest_evidence: Instant | None
    fresh: bool
    open_disputes: list[str]
    agreement: ExactOut | None
    unreadable: dict[str, str]
    outcomes: list[OutcomeAnswer]
    next: str | None


class TransitionAnswer(Answer):
    """One change of state: when, known when, by which rule and which evidence."""

    state: str
    at: Instant
    known_at: Instant
    rule: str
    evidence: list[str]


class EvidenceAnswer(Answer):
    """One event behind an outcome, as it counts."""

    source: str
    id: str
    type: str
    time: Instant
    received_at: Instant
    data: dict[str, Any]


class OpenedAnswer(Answer):
    """One outcome, opened to its evidence."""

    key: str
    state: str
    at: Instant
    matures_at: Instant | None
    version: int | None
    history: list[TransitionAnswer]
    events: list[EvidenceAnswer]


class BillAnswer(Answer):
    """What one version bills in one period."""

    version: int
    start: Instant
    end: Instant
    quantity: ExactOut
    usage: ExactOut
    credit: ExactOut
    total: ExactOut


class BillsAnswer(Answer):
    """What each period comes to by an instant, the running one as it stands."""

    currency: str
    items: list[BillAnswer]
    total: ExactOut


class BundleAnswer(Answer):
    """A ZIP with everything that shows why outcomes count; the same bytes each time for the same instant."""

    sha256: str
    content: Annotated[str, Field(description="base64")]


@router.get("")
def dashboard(
    caller: Reader,
    contract: Contract,
    definition: Definition,
    at: At = None,
    after: After = None,
    limit: Limit = 50,
) -> DashboardAnswer:
    """What both sides see of one definition at an instant, each outcome opening to its evidence."""
    with caller.reading() as tx:
        board = reports.show_board(tx, contract, definition, at=at)
    return _board(contract, board, read_cursor(after), limit)


@router.get("/evidence")
def open_outcome(
    caller: Reader,
    contract: Contract,
    definition: Definition,
    key: Annotated[str, Query(max_length=1000, description="the outcome's key")],
    at: At = None,
) -> OpenedAnswer:
    """One outcome with its states, and the very events they rest on."""
    with caller.reading() as tx:
        return _opened(reports.open_outcome(tx, contract, definition, key, at=at))


@router.get("/bills")
def outcome_bills(caller: Reader, contract: Contract, definition: Definition, at: At = None) -> BillsAnswer:
    """What each period comes to by an instant, the running one as it stands."""
    with caller.reading() as tx:
        scene, charged = reports.bills_until(tx, contract, definition, at=at)
    items = [
        BillAnswer(
            version=each.version.number,
            start=period.interval.start,
            end=period.interval.end,
            quantity=bill.quantity,
            usage=bill.usage,
            credit=bill.credit,
            total=bill.total,
        )
        for each in charged
        for bill, period in zip(each.bills, scene.periods, strict=True)
    ]
    return BillsAnswer(currency=scene.contract.currency, items=items, total=reports.total_of_bills(charged))


@router.get("/bundle")
def outcome_bundle(
    caller: Reader,
    contract: Contract,
    definition: Definition,
    key: Annotated[list[str] | None, Query(max_length=1000, description="only these outcomes")] = None,
    at: At = None,
) -> BundleAnswer:
    """The evidence of outcomes as one file: the same bytes each time for the same instant."""
    with caller.reading() as tx:
        content = reports.build_bundle(tx, contract, definition, keys=key or (), at=at)
    return BundleAnswer(sha256=bundle_digest(content), content=base64.b64encode(content).decode())


def _board(contract: str, board: Board, after: str | None, limit: int) -> DashboardAnswer:
    found = board.dashboard
    rows = [each for each in found.outcomes if after is None or each.key > after]
    standing = found.standing
    return DashboardAnswer(
        contract=contract,
        definition=found.outcome,
        name=found.name,
        currency=found.currency,
        at=found.now,
        status=[each.status for each in found.versions],
        assumed=standing.assumed.n,
        confirmed=standing.confirmed.n,
        reversed=standing.reversed.n,
        cancelled=standing.cancelled.n,
        next_matures_at=standing.next_matures_at,
        rejected=dict(found.rejected),
        periods=[
            PeriodMoney(
                start=each.period.start,
                end=each.period.end,
                label=each.label,
                assumed=each.assumed,
                confirmed=each.confirmed,
                cancelled=each.cancelled,
                reversed=each.reversed,
                amount=each.amount,
                credit=each.credit,
            )
            for each in found.periods
        ],
        if_silent=found.if_silent,
        newest_evidence=found.newest_evidence,
        fresh=found.fresh,
        open_disputes=[each.id for each in found.disputes],
        agreement=None if found.agreement is None else found.agreement.agreement,
        unreadable=dict(board.unreadable),
        outcomes=[OutcomeAnswer.model_validate(each) for each in rows[:limit]],
        next=cursor_of(rows[limit - 1].key) if len(rows) > limit else None,
    )


def _opened(found: Opened) -> OpenedAnswer:
    outcome, version = found.governed.outcome, found.governed.version
    return OpenedAnswer(
        key=outcome.key,
        state=outcome.state(found.at),
        at=found.at,
        matures_at=outcome.matures_at(found.at),
        version=None if version is None else version.number,
        history=[_transition(each) for each in outcome.history(found.at)],
        events=[
            EvidenceAnswer(
                source=event.source,
                id=event.id,
                type=event.type,
                time=event.time or arrived,
                received_at=arrived,
                data=written(event.data),
            )
            for event, arrived in found.events
        ],
    )


def _transition(found: Transition) -> TransitionAnswer:
    return TransitionAnswer(
        state=found.state,
        at=found.at,
        known_at=found.known_at,
        rule=found.rule,
        evidence=list(found.evidence),
    )

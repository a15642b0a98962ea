"""What is known of a customer for checks: its contract, what was granted, and which counters to read.

Worked out once and kept while nothing about the customer is written; the counters themselves are never kept.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from threading import Lock

from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.effective import trial_end
from valorem.core.entitlements.check import Counted, Use
from valorem.core.entitlements.grants import Grant, edges, grants_at
from valorem.core.entitlements.holds import Held, QuotaHold
from valorem.core.entitlements.windows import Span, Window, span_at
from valorem.core.errors import NotFoundError
from valorem.core.metering.event import EPOCH
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import EMPTY, merge, value
from valorem.core.periods import Interval
from valorem.engine.budgeting import read_budgets
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.conceded import read_concessions
from valorem.engine.engine import Transaction
from valorem.engine.meters import revision_ids
from valorem.store.postgres import contracts, customers, limits
from valorem.store.postgres.checks import Looked
from valorem.store.postgres.database import Connection
from valorem.store.postgres.limits import Detail, Found, Stretch

_MOST_CONTRACTS = 200
_MOST_KEPT = 20_000
_MOST_LOOKS = 16


@dataclass(frozen=True)
class Known:
    """What is known of the customer of a subject.

    Attributes:
        stamp: Of everything written about it.
        customer: Its key; None where the subject is nobody's.
        subjects: Its subjects.
        zone: Its calendar.
        contract: The contract that runs; None where none does.
        plan: The contract's plan.
        catalog: The version it is pinned to, else the newest.
        grants: By feature.
        revisions: Meter key to its revision's id and definition.
        since: When it started.
        has_hard_budgets: Whether a budget of the customer may stop it.
        valid_from: What is said here holds from this instant on,
        valid_until: and before this one.
        detail: How much of the counters its checks read.
        spans: Windows that were worked out.
    """

    stamp: str
    customer: str | None
    subjects: tuple[str, ...]
    zone: str
    contract: Contract | None
    plan: Plan | None
    catalog: Catalog
    grants: Mapping[str, Grant]
    revisions: Mapping[str, tuple[int, Meter]]
    since: datetime
    has_hard_budgets: bool
    valid_from: datetime
    valid_until: datetime | None
    detail: Detail
    spans: dict[Window, Span] = field(default_factory=dict)
    _looks: dict[tuple[Stretch, ...], tuple[Looked, bool]] = field(default_factory=dict)

    def looked(self, stretches: Sequence[Stretch]) -> Looked | None:
        """What these stretches gave the last time, where it is worth asking whether anything was counted since."""
        found = self._looks.get(tuple(stretches))
        return found[0] if found is not None and found[1] else None

    def keep(self, stretches: Sequence[Stretch], looked: Looked) -> None:
        """Keep what was read. While something new is counted at every look, asking first would only cost time."""
        place = tuple(stretches)
        before = self._looks.get(place)
        calm = before is None or before[0].counted == looked.counted
        if place not in self._looks and len(self._looks) >= _MOST_LOOKS:
            self._looks.clear()
        self._looks[place] = (looked, calm)

    def holds_at(self, at: datetime) -> bool:
        """Whether it holds at an instant."""
        return self.valid_from <= at and (self.valid_until is None or at < self.valid_until)

    def grant(self, feature: str) -> Grant:
        """What is granted of a feature.

        Raises:
            NotFoundError: If the catalog knows no such feature.
        """
        if (grant := self.grants.get(feature)) is None:
            raise NotFoundError(
                f"there is no feature {feature[:60]!r}",
                field="feature",
                hint=f"there are {', '.join(self.grants)}" if self.grants else "the catalog has no features",
            )
        return grant

    def span(self, window: Window, at: datetime, used: Sequence[datetime] = ()) -> Span:
        """The window that holds an instant."""
        kept = self.spans.get(window)
        if kept is not None and kept.start <= at < kept.end:
            return kept
        period = None
        if window.kind == "billing_period" and self.contract is not None:
            found = contract_period(self.contract, period_index_at(self.contract, at))
            period = None if found is None else Interval(found.interval.start, found.interval.end)
        span = span_at(window, at, zone=self.zone, since=self.since, period=period, used=used)
        if window.kind in ("calendar", "billing_period"):
            self.spans[window] = span
        return span


class Knowledge:
    """Keeps what is known of customers; what it gives is checked against the stamp by whoever reads the counters."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, str], Known] = OrderedDict()
        self._lock = Lock()

    def get(self, workspace: int, subject: str) -> Known | None:
        """What was known of a subject's customer; it may be out of date."""
        return self._kept.get((workspace, subject))

    def keep(self, workspace: int, subject: str, known: Known) -> None:
        """Keep what was found out."""
        with self._lock:
            self._kept[workspace, subject] = known
            self._kept.move_to_end((workspace, subject))
            while len(self._kept) > _MOST_KEPT:
                self._kept.popitem(last=False)

    def current(self, tx: Transaction, subject: str) -> Known:
        """What is known of a subject's customer, as it stands in this transaction."""
        known = self.get(tx.workspace.id, subject)
        customer = known.customer if known is not None else None
        if (
            known is not None
            and known.holds_at(tx.now)
            and limits.stamp(tx.connection, tx.workspace.id, subject, customer) == known.stamp
        ):
            return known
        known = find_out(tx, subject)
        self.keep(tx.workspace.id, subject, known)
        return known


def find_out(tx: Transaction, subject: str) -> Known:
    """Work out what is known of the customer of a subject.

    Raises:
        NotFoundError: Before the first catalog version.
    """
    key = limits.customer_of(tx.connection, tx.workspace.id, subject)
    # The stamp comes first: what is written after it and before the rest only makes it look older than it is.
    stamp = limits.stamp(tx.connection, tx.workspace.id, subject, key)
    customer = customers.load(tx.connection, tx.workspace.id, key) if key is not None else None
    contract, starts = _running(tx, key)
    version = contract.standing_at(tx.now).catalog_version if contract is not None else None
    catalog = current_catalog(tx)[1] if version is None else catalog_at(tx, version)
    plan = catalog.plan(contract.standing_at(tx.now).plan) if contract is not None else None
    concessions = [] if key is None else read_concessions(tx, key)
    trial_ends = trial_end(contract, plan) if contract is not None and plan is not None else None
    grants = grants_at(contract, catalog, concessions, tx.now, trial_ends)
    revisions = _revisions(tx, catalog, grants.values())
    instants = sorted({*starts, *edges(contract, concessions, grants, trial_ends)})
    place = bisect_right(instants, tx.now)
    return Known(
        stamp=stamp,
        customer=key,
        subjects=(subject,) if customer is None else customer.subjects,
        zone=contract.time_zone if contract is not None else "UTC" if customer is None else customer.zone,
        contract=contract,
        plan=plan,
        catalog=catalog,
        grants=grants,
        revisions=revisions,
        since=EPOCH if contract is None else contract.first_start or contract.start,
        has_hard_budgets=key is not None and any(each.kind == "hard" for each in read_budgets(tx, key)),
        valid_from=instants[place - 1] if place else EPOCH,
        valid_until=instants[place] if place < len(instants) else None,
        detail=_detail(grants.values(), [meter for _, meter in revisions.values()]),
    )


def _running(tx: Transaction, customer: str | None) -> tuple[Contract | None, list[datetime]]:
    """The running contract, and the instants at which any contract of the customer starts or ends."""
    if customer is None:
        return None, []
    rows = contracts.load_page(
        tx.connection, tx.workspace.id, customer=customer, after=None, limit=_MOST_CONTRACTS
    )
    found = [row.contract for row in rows]
    running = [one for one in found if one.start <= tx.now and (one.end is None or tx.now < one.end)]
    instants = [at for one in found for at in (one.start, one.end) if at is not None]
    return max(running, key=lambda one: (one.start, one.id), default=None), instants


def _revisions(tx: Transaction, catalog: Catalog, grants: Iterable[Grant]) -> dict[str, tuple[int, Meter]]:
    keys = {grant.meter for grant in grants if grant.meter is not None}
    keys |= {grant.opens_with.meter for grant in grants if grant.opens_with is not None}
    meters = {key: catalog.meters[key] for key in keys if key in catalog.meters}
    ids = revision_ids(tx, list(meters.values()))
    return {key: (ids[meter.fingerprint()], meter) for key, meter in meters.items()}


@dataclass(frozen=True, slots=True)
class Question:
    """The counters to read for one feature, and what to make of them.

    Attributes:
        grant: What is granted.
        stretches: What to read.
        spans: For each limit its window and, for a throttle, that of the slower rate.
    """

    grant: Grant
    stretches: tuple[Stretch, ...]
    spans: tuple[tuple[Span, Span | None], ...]


def question(connection: Connection, workspace: int, known: Known, feature: str, at: datetime) -> Question:
    """What to read to answer for a feature at an instant."""
    grant = known.grant(feature)
    stretches: list[Stretch] = []
    spans: list[tuple[Span, Span | None]] = []
    if grant.limits:
        assert grant.meter is not None  # the catalog's own check
        revision = known.revisions[grant.meter][0]
        for owned in grant.limits:
            window = owned.limit.window
            used: Sequence[datetime] = ()
            if window.kind == "from_first_use":
                used = limits.used_quarters(connection, workspace, known.subjects, revision, known.since)
            span = known.span(window, at, used)
            stretches.append(Stretch(revision, span.start, span.end))
            slow = None
            if owned.limit.slow_to is not None:
                slow = known.span(owned.limit.slow_to.window, at)
                stretches.append(Stretch(revision, slow.start, slow.end))
            spans.append((span, slow))
    if grant.opens_with is not None:
        end = span_at(Window("never"), at, zone=known.zone, since=EPOCH).end
        stretches.append(Stretch(known.revisions[grant.opens_with.meter][0], EPOCH, end))
    return Question(grant, tuple(stretches), tuple(spans))


def held_of(known: Known, grant: Grant, holds: Iterable[QuotaHold], at: datetime) -> Held:
    """What of the holds that stand is reserved of a feature: of every feature that the same meter counts."""
    found = []
    for hold in holds:
        other = known.grants.get(hold.feature)
        if hold.holds_at(at) and other is not None and other.meter == grant.meter:
            found.append((hold.dimensions, hold.quantity))
    return found


def counted(
    known: Known, asked: Question, found: Sequence[Sequence[Found]]
) -> tuple[list[Counted], Decimal | None]:
    """What was counted under each limit of a question, and what its gate waits for."""
    rows = iter(found)
    each: list[Counted] = []
    if asked.spans:
        assert asked.grant.meter is not None
        meter = known.revisions[asked.grant.meter][1]
        for span, slow in asked.spans:
            mine = next(rows)
            oldest = min((one.oldest for one in mine if one.oldest is not None), default=None)
            slow_use = () if slow is None else _use(meter, next(rows))
            each.append(Counted(span, meter.aggregation, _use(meter, mine), slow, slow_use, oldest))
    gate: Decimal | None = None
    if asked.grant.opens_with is not None:
        meter = known.revisions[asked.grant.opens_with.meter][1]
        total = EMPTY
        for one in next(rows):
            total = merge(total, one.tally)
        gate = value(meter.aggregation, total, EPOCH, EPOCH)
    return each, gate


def _detail(grants: Iterable[Grant], meters: Iterable[Meter]) -> Detail:
    if not all(is_sum(meter) for meter in meters):
        return "all"
    apart = any(owned.limit.dimensions for grant in grants for owned in grant.limits)
    return "sums" if apart else "totals"


def is_sum(meter: Meter) -> bool:
    """Whether the number and the sum of a meter's readings are all that its value takes."""
    aggregation = meter.aggregation
    return (aggregation.valueless or aggregation.total) and not aggregation.moment


def _use(meter: Meter, found: Sequence[Found]) -> Use:
    names = meter.dimension_names
    # Totals tell nothing apart, and nothing looks at their dimensions.
    return [(dict(zip(names, one.dimensions, strict=False)), one.tally) for one in found]

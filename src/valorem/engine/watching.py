"""What a customer's alerts look at: for every rule of its plan, its budgets and its own, the level as it stands now."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import ValidationError

from valorem.core.alerts.pace import most_per_unit
from valorem.core.alerts.rules import AlertRule
from valorem.core.alerts.thresholds import Level, is_reached
from valorem.core.billing.needs import adds_up, usage_needs
from valorem.core.billing.schedule import contract_period, period_index_at
from valorem.core.calendar import zone_info
from valorem.core.contracts.effective import trial_end
from valorem.core.entitlements.check import Asked, limit_state
from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import EPOCH
from valorem.core.metering.meter import Meter
from valorem.core.metering.tally import EMPTY, merge, value
from valorem.core.money import minor_digits
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.periods import Interval, Period
from valorem.core.time import QUARTER_HOUR_S, quarter_hour_of
from valorem.core.units import write_span
from valorem.engine.budgeting import read_budgets, spent_under
from valorem.engine.engine import Transaction
from valorem.engine.entitlements import Known, counted, find_out, is_sum, question
from valorem.engine.measuring import measure_sources
from valorem.engine.meters import revision_ids
from valorem.engine.spending import Spending, spending_of
from valorem.engine.tallies import live_tallies
from valorem.engine.watched import Feed, Watched
from valorem.engine.watching_credits import CreditLevels, ending
from valorem.store.postgres import alerts, limits

_USUAL_DAYS = 7
_DAY = timedelta(days=1)
_QUARTER_HOUR = timedelta(seconds=QUARTER_HOUR_S)
_NO_TIME = timedelta(0)


def watched_of(tx: Transaction, customer: str, *, timed: bool) -> tuple[list[Watched], datetime | None]:
    """Every alert of a customer as it stands, and the next instant at which its terms change by themselves.

    A customer's own rules about a thing take the place of those of its plan and of those for all.
    """
    spending = spending_of(tx, customer)
    credit = CreditLevels(tx, customer, timed=timed)
    looking: _Looking | None = None
    known_until: datetime | None = None
    general = read_rules(tx, "")
    if spending is not None:
        known = find_out(tx, customer)
        looking = _Looking(tx, customer, spending, known, timed=timed)
        known_until = known.valid_until
        general = [*looking.plan_rules(), *general]

    def look(rules: Iterable[AlertRule]) -> list[Watched]:
        of_credits = [each for rule in rules for each in credit.watched(rule)]
        return [
            *of_credits,
            *(each for rule in rules if looking is not None for each in looking.watched(rule)),
        ]

    own = look(read_rules(tx, customer))
    taken = {each.key for each in own}
    found = [*own, *(each for each in look(general) if each.key not in taken)]
    found += looking.budgets() if looking is not None else ()
    return found, known_until


def read_rules(tx: Transaction, customer: str) -> list[AlertRule]:
    """Rules beside those of plans: a customer's own, or for '' those that hold for all."""
    stored = alerts.load(tx.connection, tx.workspace.id, "alert_rule", customer)
    return [AlertRule.model_validate(one.terms) for one in stored]


def read_rule(terms: Mapping[str, object]) -> AlertRule:
    """Check a rule's fields.

    Raises:
        InvalidInputError: Naming the field.
    """
    try:
        return AlertRule.model_validate(dict(terms))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInputError(first["msg"], field=".".join(map(str, first["loc"])) or "rule") from None


class _Looking:
    """Looks at one customer in one transaction."""

    def __init__(
        self, tx: Transaction, customer: str, spending: Spending, known: Known, *, timed: bool
    ) -> None:
        self._tx = tx
        self._customer = customer
        self._spending = spending
        self._known = known
        self._timed = timed
        self._contract = spending.terms.contract
        period = contract_period(self._contract, period_index_at(self._contract, tx.now))
        assert period is not None  # the contract runs now
        self._period: Period = period
        self._stretch = spending.terms.at(tx.now)
        self._spend_feeds: tuple[Feed, ...] | None = None
        self._budgets = read_budgets(tx, customer)
        #: A line is rounded once: by that much what one meter costs may rise without use that is worth it.
        self._minor = ONE.scaleb(-minor_digits(self._contract.currency))

    def plan_rules(self) -> Iterator[AlertRule]:
        """Those of the customer's plan."""
        return self._stretch.plan.alerts.rules()

    def watched(self, rule: AlertRule) -> Iterator[Watched]:
        """What a rule looks at."""
        match rule.kind:
            case "included":
                yield from self._included(rule)
            case "limit":
                yield from self._limits(rule)
            case "usage":
                yield from self._usage(rule)
            case "spend":
                yield from self._spend(rule)
            case "change":
                yield from self._change(rule)
            case _ if not self._timed:
                return
            case "expiry":
                yield from self._expiry(rule)
            case "projected":
                yield from self._projected(rule)
            case _:
                return  # credits are looked at beside the contract

    def budgets(self) -> Iterator[Watched]:
        """The customer's budgets."""
        for kept in self._budgets:
            spent, span = spent_under(self._tx, self._spending, kept.budget)
            yield Watched(
                key=f"budget:{kept.id}",
                kind="budget",
                on=kept.budget.name or kept.budget.meter,
                unit=self._contract.currency,
                thresholds=kept.budget.at,
                level=Level(spent, kept.budget.amount),
                start=span.start,
                end=span.end,
                feeds=self._feeds_of_spend(kept.budget.meter),
                additive=False,
            )

    def _included(self, rule: AlertRule) -> Iterator[Watched]:
        zone = zone_info(self._contract.time_zone)
        # Included quantities are those of the pool; accounts that are counted apart have them anew.
        needs = {
            need.meter_key: need
            for need in usage_needs(self._spending.terms, self._period)
            if need.customer is None
        }
        for priced in self._stretch.priced:
            version = priced.price.at(self._tx.now, zone)
            need = needs.get(priced.key)
            if not version.included or rule.on not in (None, priced.key) or need is None:
                continue
            answers = measure_sources(self._tx, self._spending.sources, [need])[need.key]
            counting = answers if adds_up(need.meter) else answers[-1:]
            used = _sum(one.quantity for answer in counting for one in answer)
            if version.convert is not None:
                used = version.convert.apply(used).invoiced
            own = version.convert is None and _is_additive(priced.meter)
            yield self._in_period(
                rule,
                f"included:{priced.key}",
                priced.key,
                priced.meter,
                Level(used, version.included),
                own=own,
            )

    def _usage(self, rule: AlertRule) -> Iterator[Watched]:
        meter = self._known.catalog.meters.get(rule.on or "")
        if meter is None:
            return
        inside = self._period.interval
        level = Level(self._used(meter, inside))
        yield self._in_period(rule, f"usage:{meter.key}", meter.key, meter, level, own=_is_additive(meter))

    def _in_period(
        self, rule: AlertRule, key: str, on: str, meter: Meter, level: Level, *, own: bool
    ) -> Watched:
        revision = revision_ids(self._tx, [meter])[meter.fingerprint()]
        return Watched(
            key=key,
            kind=rule.kind,
            on=on,
            unit=meter.unit,
            thresholds=rule.at,
            level=level,
            start=self._period.interval.start,
            end=self._period.interval.end,
            feeds=(Feed(revision, ONE if own else None),),
            re_arm=rule.re_arm,
            recovered=rule.recovered,
        )

    def _limits(self, rule: AlertRule) -> Iterator[Watched]:
        for feature, grant in self._known.grants.items():
            if not grant.limits or rule.on not in (None, feature) or grant.meter is None:
                continue
            looked = question(self._tx.connection, self._tx.workspace.id, self._known, feature, self._tx.now)
            revision, meter = self._known.revisions[grant.meter]
            found = limits.use(
                self._tx.connection,
                self._tx.workspace.id,
                self._known.subjects,
                looked.stretches,
                detail="sums" if is_sum(meter) else "all",
            )
            under, _ = counted(self._known, looked, found)
            feed = Feed(revision, ONE if _is_additive(meter) else None)
            for owned, each in zip(grant.limits, under, strict=True):
                limit = owned.limit
                moving = limit.window.kind in ("rolling", "never")
                values = {dimensions.get(limit.each) for dimensions, _ in each.use} if limit.each else {None}
                for one in sorted(text for text in values if text is not None) if limit.each else [None]:
                    asked = Asked(
                        feature, ZERO, {} if one is None or limit.each is None else {limit.each: one}
                    )
                    state = limit_state(owned, each, asked)
                    level = Level(state.used, limit.max)
                    crossed = any(is_reached(threshold, level) for threshold in rule.at)
                    yield Watched(
                        key=f"limit:{feature}:{limit.window}" + (f":{one}" if one is not None else ""),
                        kind="limit",
                        on=feature,
                        unit=meter.unit,
                        thresholds=rule.at,
                        level=level,
                        start=EPOCH if moving else each.span.start,
                        end=None if moving else each.span.end,
                        feeds=(feed,),
                        re_arm="recovery" if limit.window.kind == "rolling" else rule.re_arm,
                        recovered=rule.recovered,
                        # As use leaves a rolling window by time alone, so does the alert end.
                        next_at=state.resets_at if limit.window.kind == "rolling" and crossed else None,
                    )

    def _spend(self, rule: AlertRule) -> Iterator[Watched]:
        spent = self._spending.between(self._period.interval)
        yield self._of_spend(rule, "spend", spent)

    def _of_spend(self, rule: AlertRule, key: str, amount: Decimal) -> Watched:
        return Watched(
            key=key,
            kind=rule.kind,
            on=None,
            unit=self._contract.currency,
            thresholds=rule.at,
            level=Level(amount, self._whole_of_spend()),
            start=self._period.interval.start,
            end=self._period.interval.end,
            feeds=self._feeds_of_spend(None) if key == "spend" else (),
            additive=False,
            re_arm=rule.re_arm,
            recovered=rule.recovered,
        )

    def _whole_of_spend(self) -> Decimal | None:
        """What shares of spend are shares of: the least budget for everything in the billing period, else the plan's maximum."""
        budgets = [
            kept.budget.amount
            for kept in self._budgets
            if kept.budget.window.kind == "billing_period" and not kept.budget.meter and not kept.budget.where
        ]
        maximum = self._stretch.plan.maximum
        return min(budgets, default=None if maximum is None else maximum.amount)

    def _feeds_of_spend(self, meter: str | None) -> tuple[Feed, ...]:
        if self._spend_feeds is None:
            priced = self._spending.terms.priced
            ids = revision_ids(self._tx, [each.meter for each in priced])
            most: dict[int, Decimal | None] = {}
            for each in priced:
                revision, bound = ids[each.meter.fingerprint()], most_per_unit(each.price, each.meter)
                known = most.get(revision, ZERO)
                most[revision] = None if bound is None or known is None else known + bound
            self._spend_feeds = tuple(
                Feed(revision, bound, self._minor) for revision, bound in sorted(most.items())
            )
        if meter is None:
            return self._spend_feeds
        wanted = [each.meter for each in self._spending.terms.priced if each.key == meter]
        mine = set(revision_ids(self._tx, wanted).values())
        return tuple(feed for feed in self._spend_feeds if feed.revision in mine)

    def _projected(self, rule: AlertRule) -> Iterator[Watched]:
        yield self._of_spend(rule, "projected", self._spending.projected(self._period))

    def _expiry(self, rule: AlertRule) -> Iterator[Watched]:
        ends = {
            "contract": self._contract.end,
            "trial": trial_end(self._contract, self._known.plan) if self._known.plan else None,
        }
        for what, end in ends.items():
            if end is None or end <= self._tx.now:
                continue
            for before in rule.before:
                yield ending(
                    rule,
                    "expiry",
                    what,
                    end,
                    before,
                    self._tx.now,
                    f"the {what} ends in {write_span(before)} or less",
                )

    def _change(self, rule: AlertRule) -> Iterator[Watched]:
        """The use of the last day beside the mean of the days before.

        Time moves it where a quarter hour with use comes in, goes over from the last day to the days before, or leaves
        those; any other use is looked at when its quarter hour is over. So nobody looks at a customer that uses nothing.
        """
        meter = self._known.catalog.meters.get(rule.on or "")
        if meter is None:
            return
        end = quarter_hour_of(self._tx.now)
        soon, since = end + _QUARTER_HOUR, end - (_USUAL_DAYS + 1) * _DAY
        revision = revision_ids(self._tx, [meter])[meter.fingerprint()]
        level = Level(ZERO)
        next_at: datetime | None = soon
        if self._timed:
            usual, last = self._used_between(meter, [since, end - _DAY, end])
            level = Level(last, _per_day(usual, _USUAL_DAYS))
            used = limits.used_quarters(
                self._tx.connection, self._tx.workspace.id, self._known.subjects, revision, since
            )
            next_at = min(
                (
                    at
                    for quarter in used
                    for moved in (_NO_TIME, _DAY, (_USUAL_DAYS + 1) * _DAY)
                    if (at := quarter + _QUARTER_HOUR + moved) > self._tx.now
                ),
                default=None,
            )
        yield Watched(
            key=f"change:{meter.key}",
            kind="change",
            on=meter.key,
            unit=meter.unit,
            thresholds=rule.at if self._timed else (),
            level=level,
            start=end.replace(hour=0, minute=0),
            end=end.replace(hour=0, minute=0) + _DAY,
            feeds=(Feed(revision, None, wakes=next_at is None or next_at > soon),),
            re_arm=rule.re_arm,
            recovered=rule.recovered,
            next_at=next_at,
        )

    def _used(self, meter: Meter, interval: Interval) -> Decimal:
        return self._used_between(meter, [interval.start, interval.end])[0]

    def _used_between(self, meter: Meter, borders: Sequence[datetime]) -> list[Decimal]:
        """The use from each instant to the next, all read at once."""
        read = live_tallies(self._tx, self._known.subjects, [meter])
        totals = [EMPTY] * (len(borders) - 1)
        for place, _, tally in read(meter, borders):
            totals[place] = merge(totals[place], tally)
        if meter.aggregation.needs_events or meter.aggregation.moment:
            return [Decimal(total.n) for total in totals]
        return [
            value(meter.aggregation, total, start, end)
            for total, start, end in zip(totals, borders, borders[1:], strict=False)
        ]


@exact
def _per_day(used: Decimal, days: int) -> Decimal:
    """The mean of some days, to twelve digits."""
    return (used / days).quantize(ONE.scaleb(-12))


def _is_additive(meter: Meter) -> bool:
    return meter.aggregate in ("count", "sum", "unique") and meter.convert is None


@exact
def _sum(quantities: Iterable[Decimal]) -> Decimal:
    return sum(quantities, ZERO)

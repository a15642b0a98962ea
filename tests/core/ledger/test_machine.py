# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""A machine that grants, uses, holds, settles, releases, voids, moves ends, corrects and resets in any order.

Whatever it does: the balance is the sum of the entries and of the lots, every entry balances, replays from any checkpoint
and of any order of the facts agree, no credit is both used and expired, and nothing booked is ever changed.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.core.ledger.build import HOUR, START
from valorem.core.errors import ConflictError, UnprocessableError
from valorem.core.ledger.account import Account, Checkpoint, Facts
from valorem.core.ledger.burns import Burn, Reset
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.chain import Link, link, verify
from valorem.core.ledger.entries import catch_up, entries_of, lot_balances, trial_balance
from valorem.core.ledger.grants import Grant, change_expiry, void
from valorem.core.ledger.holds import Hold, expire, hold, release, settle
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.replay import replay, spendable
from valorem.core.ledger.rollover import Rollover
from valorem.core.ledger.scope import Scope, Workload
from valorem.core.periods import Cadence

QUARTER = timedelta(minutes=15)
AMOUNTS = st.integers(1, 400).map(lambda cents: Decimal(cents).scaleb(-1))
MEMBERS = st.sampled_from([None, "ann", "bob"])
METERS = st.sampled_from(["chat", "image"])
QUARTERS = st.integers(1, 40)
ROLLOVERS = st.sampled_from(
    [
        None,
        None,
        Rollover(),
        Rollover(cap_amount=Decimal(5), lasts=(1, "day")),
        Rollover(cap_share=Decimal("0.5")),
    ]
)
POLICIES = st.sampled_from(
    [
        CreditPolicies(),
        CreditPolicies(uncovered="carried", overage="block"),
        CreditPolicies.model_validate({"order": "expiry first", "corrections": "keep"}),
    ]
)
CAP = Cap("share", Decimal(30), Cadence(1, "day"), START, per="member", of="pool")


class Credits(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now: datetime = START
        self.facts = Facts(caps=(CAP,))
        self.chain: tuple[Link, ...] = ()
        self.checkpoint: Checkpoint | None = None
        self.refused: dict[str, Hold] = {}
        self.number = 0

    @initialize(policies=POLICIES)
    def begin(self, policies: CreditPolicies) -> None:
        self.policies = policies

    def name(self, what: str) -> str:
        self.number += 1
        return f"{what}{self.number:03}"

    def account(self, until: datetime | None = None) -> Account:
        return replay(self.facts, until or self.now, self.policies)

    def changed(self, effective: datetime) -> None:
        if self.checkpoint is not None and not self.checkpoint.holds_after(effective):
            self.checkpoint = None

    # Rules

    @rule(quarters=QUARTERS)
    def time_passes(self, quarters: int) -> None:
        self.now += QUARTER * quarters

    @rule()
    def stop_here(self) -> None:
        self.checkpoint = self.account().checkpoint

    @rule(
        amount=AMOUNTS,
        later=st.integers(-8, 8),
        lasts=st.none() | QUARTERS,
        priority=st.integers(1, 3),
        paid=st.booleans(),
        holder=MEMBERS,
        meters=st.sampled_from([(), (), ("chat",)]),
        rollover=ROLLOVERS,
        resets=st.booleans(),
    )
    def give(
        self, amount: Decimal, later: int, lasts: int | None, priority: int, paid: bool, holder: str | None,  # noqa: FBT001
        meters: tuple[str, ...], rollover: Rollover | None, resets: bool,  # noqa: FBT001
    ) -> None:  # fmt: skip
        start = max(self.now + QUARTER * later, START)
        given = Grant(
            self.name("grant"),
            amount,
            start,
            expires=None if lasts is None else start + QUARTER * lasts,
            priority=priority,
            cost=amount * 3 if paid else Decimal(0),
            currency="USD" if paid else None,
            holder=holder,
            scope=Scope(meters=meters),
            rollover=rollover,
            reset=Rollover(cap_amount=Decimal(10)) if resets else None,
        )
        self.facts = replace(self.facts, grants=(*self.facts.grants, given))
        self.changed(start)

    @rule(amount=AMOUNTS, late=st.integers(0, 12), member=MEMBERS, meter=METERS)
    def use(self, amount: Decimal, late: int, member: str | None, meter: str) -> None:
        when = max(self.now - QUARTER * late, START)
        used = Burn(when, self.name("use"), amount, Workload(meter=meter, member=member))
        self.facts = replace(self.facts, burns=(*self.facts.burns, used))
        self.changed(when)

    @precondition(lambda self: self.facts.burns)
    @rule(data=st.data(), late=st.integers(0, 4))
    def correct(self, data: st.DataObject, late: int) -> None:
        target = data.draw(st.sampled_from(self.facts.burns))
        when = max(self.now - QUARTER * late, target.at)
        less = Burn(when, target.key, -abs(target.amount) / 2, target.work)
        if any((each.at, each.key) == (when, less.key) for each in self.facts.burns):
            return
        self.facts = replace(self.facts, burns=(*self.facts.burns, less))
        self.changed(when)

    @precondition(lambda self: self.facts.burns)
    @rule(data=st.data())
    def a_late_event_changes_a_bucket(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(self.facts.burns))
        more = replace(target, amount=target.amount + 1)
        burns = tuple(more if each == target else each for each in self.facts.burns)
        self.facts = replace(self.facts, burns=burns)
        self.changed(target.at)

    @rule(amount=AMOUNTS, lasts=QUARTERS, member=MEMBERS, meter=METERS)
    def reserve(self, amount: Decimal, lasts: int, member: str | None, meter: str) -> None:
        name, work = self.name("hold"), Workload(meter=meter, member=member)
        free = spendable(self.facts, self.now, work, self.policies)
        asked = hold(
            name,
            amount,
            available=free,
            now=self.now,
            lasts=QUARTER * lasts,
            work=work,
            policies=self.policies,
        )
        if asked.state == "refused":
            assert amount > free
            assert asked.shortfall == amount - free
            self.refused[name] = asked
            again = hold(
                name,
                amount,
                available=Decimal(10**6),
                now=self.now + HOUR,
                lasts=HOUR,
                work=work,
                known=asked,
            )
            assert again == asked  # more credits do not change what was answered
            return
        self.facts = replace(self.facts, holds=(*self.facts.holds, asked))
        self.changed(self.now)

    @precondition(lambda self: self.facts.holds)
    @rule(data=st.data(), share=st.sampled_from(["0", "0.4", "1", "1.5"]), let_go=st.booleans())
    def resolve(self, data: st.DataObject, share: str, let_go: bool) -> None:  # noqa: FBT001
        known = data.draw(st.sampled_from(self.facts.holds))
        used = known.amount * Decimal(share)
        was_open = expire(known, now=self.now).open
        try:
            done = (
                release(known, now=self.now)
                if let_go
                else settle(known, used, now=self.now, policies=self.policies)
            )
        except (ConflictError, UnprocessableError):
            assert not was_open
            return
        assert was_open or done == known
        self.facts = replace(
            self.facts, holds=tuple(done if each is known else each for each in self.facts.holds)
        )
        self.changed(done.resolved_at or self.now)

    @precondition(lambda self: self.facts.grants)
    @rule(data=st.data())
    def take_back(self, data: st.DataObject) -> None:
        target = data.draw(st.sampled_from(self.facts.grants))
        used = {lot.key: lot.consumed for lot in self.account().lots if lot.key.grant == target.id}
        try:
            voided = void(target, self.now)
        except UnprocessableError:
            assert target.end is not None
            assert target.end <= self.now
            return
        self.put(target, voided)
        for lot in self.account().lots:
            if lot.key.grant == target.id and not lot.key.carried:
                assert lot.consumed == used.get(lot.key, Decimal(0))  # only the rest goes
                assert not lot.remaining

    @precondition(lambda self: self.facts.grants)
    @rule(data=st.data(), lasts=QUARTERS)
    def move_the_end(self, data: st.DataObject, lasts: int) -> None:
        target = data.draw(st.sampled_from(self.facts.grants))
        try:
            moved = change_expiry(target, self.now + QUARTER * lasts, self.now)
        except UnprocessableError:
            return
        self.put(target, moved)

    def put(self, old: Grant, new: Grant) -> None:
        self.facts = replace(
            self.facts, grants=tuple(new if each is old else each for each in self.facts.grants)
        )
        # A new end changes the order in which the grant is used, so nothing later than its start is settled.
        self.changed(old.start)

    @rule(keep=st.booleans())
    def roll(self, keep: bool) -> None:  # noqa: FBT001
        if all(reset.at != self.now for reset in self.facts.resets):
            self.facts = replace(self.facts, resets=(*self.facts.resets, Reset(self.now, keep)))
            self.changed(self.now)

    # What always holds

    @invariant()
    def lots_and_entries_and_balance_agree(self) -> None:
        account = self.account()
        for lot in account.lots:
            parts = (lot.remaining, lot.held, lot.consumed, lot.expired, lot.voided, lot.rolled)
            assert all(part >= 0 for part in parts)
            assert sum(parts) == lot.amount
            assert not (lot.ended and lot.remaining)
            assert 0 <= lot.released <= lot.cost
            if lot.ended and not lot.held:
                assert lot.released == lot.cost
        entries = entries_of(account.happenings, "credits")
        left = lot_balances(entries, "credits")
        assert {key: amount for key, amount in left.items() if amount} == {
            lot.key: lot.remaining + lot.held for lot in account.lots if lot.remaining + lot.held
        }
        sums = trial_balance(entries)
        for unit in ("credits", "USD"):
            assert sum(amount for (each, _), amount in sums.items() if each == unit) == 0
        assert sums.get(("credits", "available"), 0) + sums.get(("credits", "held"), 0) == account.balance
        assert sums.get(("credits", "held"), 0) == account.held
        assert -sums.get(("credits", "overage"), Decimal(0)) == account.overage
        owed = sum(lot.cost - lot.released for lot in account.lots if not lot.key.carried or lot.cost)
        assert -sums.get(("USD", "deferred revenue"), Decimal(0)) == owed

    @invariant()
    def usage_is_paid_or_uncovered_once(self) -> None:
        account = self.account()
        asked = sum(each.amount for each in self.facts.burns if each.at < self.now) + sum(
            each.settled for each in self.facts.holds if each.state == "settled"
        )
        paid = account.sum_of("drawn") - account.sum_of("restored")
        assert paid + account.overage + account.sum_of("forgiven") == asked

    @invariant()
    def the_order_of_facts_does_not_matter(self) -> None:
        turned = Facts(
            self.facts.grants[::-1],
            self.facts.burns[::-1],
            self.facts.holds[::-1],
            self.facts.resets[::-1],
            self.facts.caps,
        )
        assert replay(turned, self.now, self.policies) == self.account()

    @invariant()
    def a_checkpoint_changes_no_answer(self) -> None:
        if self.checkpoint is None:
            return
        resumed = replay(self.facts, self.now, self.policies, checkpoint=self.checkpoint)
        whole = self.account()
        assert resumed.lots == whole.lots
        assert (resumed.overage, resumed.used_in_period) == (whole.overage, whole.used_in_period)
        assert resumed.drawn_in_period == whole.drawn_in_period
        assert resumed.checkpoint.capped == whole.checkpoint.capped

    @invariant()
    def the_journal_follows_and_is_never_rewritten(self) -> None:
        booked = [each.entry for each in self.chain]
        standing = entries_of(self.account().happenings, "credits")
        added = catch_up(booked, standing)
        self.chain += link(added, self.chain[-1] if self.chain else None)
        assert verify(self.chain) is None
        assert not catch_up([each.entry for each in self.chain], standing)
        balances = trial_balance(each.entry for each in self.chain)
        assert {key: amount for key, amount in balances.items() if amount} == {
            key: amount for key, amount in trial_balance(standing).items() if amount
        }

    @invariant()
    def holds_and_caps_keep_their_promise(self) -> None:
        account = self.account()
        open_holds = sum(each.amount for each in self.facts.holds if expire(each, now=self.now).open)
        assert account.held <= open_holds
        for (_, member, _), used in (account.checkpoint.capped or {}).items():
            assert used <= CAP.amount, member


Credits.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestCredits = Credits.TestCase

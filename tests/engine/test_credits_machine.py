# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""A machine over grant, use, hold, settle, release, expire, void, late, correct and roll, in any order.

After each step the balance row is the sum of the entries is the replay, debits are credits in every unit, no credit is both
used and expired, and nothing is overspent.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.engine.billing import JANUARY, Shops, shops, void
from tests.engine.crediting import CREDITS, CreditShop, credit_shop
from valorem.core.errors import ConflictError, UnprocessableError
from valorem.core.ledger.account import Lot
from valorem.core.ledger.entries import trial_balance
from valorem.core.ledger.rollover import Rollover
from valorem.core.periods import Cadence, boundary, index_at
from valorem.engine.credits.accounts import read_book
from valorem.engine.credits.granting import NewGrant, give_grant
from valorem.store.postgres import ledger
from valorem.store.postgres.credits import Place

AMOUNTS = st.integers(1, 60)
MONTH = Cadence(1, "month")
HALF = Rollover(cap_share=Decimal("0.5"), of="remaining", lasts=(10, "day"))
#: What is left of a month's credits goes on for a month, up to thirty of them.
ROLLING = {
    **CREDITS,
    "plans/team.yaml": CREDITS["plans/team.yaml"].replace(
        "{amount: 100, per: seat}", "{amount: 100, per: seat, rollover: {cap_amount: 30, lasts: 1 month}}"
    ),
}


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


class Account(RuleBasedStateMachine):
    opened: Shops

    def __init__(self) -> None:
        super().__init__()
        self.shop: CreditShop = credit_shop(self.opened, ROLLING)
        self.shop.sell("acme", "team", seats={"seat": Decimal(1)})
        self.now: datetime = JANUARY
        self.number = 0
        self.grants: list[str] = []
        self.holds: dict[str, int] = {}
        self.acts: list[str] = []

    def name(self, what: str) -> str:
        self.number += 1
        return f"{what}{self.number}"

    @rule(
        amount=AMOUNTS,
        days=st.none() | st.integers(1, 40),
        rollover=st.none() | st.just(HALF),
        cost=st.sampled_from([0, 7]),
    )
    def grant(self, amount: int, days: int | None, rollover: Rollover | None, cost: int) -> None:
        new = NewGrant(
            "acme",
            "ai",
            Decimal(amount),
            id=self.name("g"),
            lasts=None if days is None else (days, "day"),
            rollover=rollover,
            cost=Decimal(cost),
        )
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            give_grant(tx, new)
        assert new.id is not None
        self.grants.append(new.id)

    def act(self, times: int, at: datetime) -> None:
        name = self.name("e")
        self.shop.act("acme", "chat", times, max(JANUARY, at), name=name)
        self.acts.append(f"{name}-0")

    @rule(times=st.integers(1, 8))
    def use(self, times: int) -> None:
        self.act(times, self.now)

    @rule(times=st.integers(1, 8), days=st.integers(1, 40))
    def late(self, times: int, days: int) -> None:
        self.act(times, self.now - timedelta(days=days))

    @precondition(lambda self: self.acts)
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        wrong = data.draw(st.sampled_from(self.acts))
        self.acts.remove(wrong)
        self.shop.ingestor.ingest(self.shop.workspace, [void(wrong, self.now)])

    @rule(amount=AMOUNTS)
    def hold(self, amount: int) -> None:
        name = self.name("h")
        before = self.shop.balance("acme").available
        found = self.shop.hold("acme", name, amount, minutes=60)
        assert (found.hold.state == "held") == (amount <= before)
        self.holds[name] = amount

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), share=st.integers(0, 100))
    def settle(self, data: st.DataObject, share: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.holds)))
        try:
            self.shop.settle("acme", name, Decimal(self.holds[name] * share) / 100)
        except (ConflictError, UnprocessableError):
            return  # it was refused, has expired, or is resolved: it stays as it is

    @precondition(lambda self: self.holds)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        try:
            self.shop.release("acme", data.draw(st.sampled_from(sorted(self.holds))))
        except (ConflictError, UnprocessableError):
            return  # the same

    @precondition(lambda self: self.holds)
    @rule()
    def expire(self) -> None:
        """Every hold is over; what it still reserved is free again."""
        self.pass_time(1)
        assert self.shop.balance("acme").held == 0
        self.holds.clear()

    @rule()
    def roll(self) -> None:
        """The month is over: what is left of its credits goes on, up to the cap, and the rest is gone."""
        border = boundary(JANUARY, MONTH, "UTC", index_at(JANUARY, MONTH, "UTC", self.now) + 1)
        held = self.shop.balance("acme").held
        left = sum(
            (lot.remaining for lot in self.included() if lot.end == border and not lot.key.carried),
            Decimal(0),
        )
        self.pass_time((border - self.now) // timedelta(hours=1))
        rolled = [lot.amount for lot in self.included() if lot.key.carried and lot.start == border]
        if not held:
            assert sum(rolled, Decimal(0)) == min(left, Decimal(30))

    def lots(self) -> tuple[Lot, ...]:
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            return read_book(tx, Place(self.shop.workspace, "acme", "ai"), whole=True).account().lots

    def included(self) -> list[Lot]:
        """What the plan gave."""
        return [lot for lot in self.lots() if lot.key.grant.startswith("ctr_")]

    @precondition(lambda self: self.grants)
    @rule(data=st.data())
    def void(self, data: st.DataObject) -> None:
        try:
            self.shop.void("acme", data.draw(st.sampled_from(self.grants)))
        except UnprocessableError:
            return  # it has ended

    @rule(hours=st.integers(1, 400))
    def pass_time(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        self.shop.go(self.now)

    @rule()
    def tend(self) -> None:
        self.shop.tend_all()

    @invariant()
    def everything_agrees(self) -> None:
        assert self.shop.problems() == []
        found = self.shop.balance("acme")
        assert found.available >= 0
        assert found.held >= 0
        assert found.balance == found.available + found.held
        for lot in self.lots():
            became = (lot.consumed, lot.expired, lot.voided, lot.rolled, lot.held, lot.remaining)
            assert min(became) >= 0
            assert sum(became, Decimal(0)) == lot.amount  # nothing is both used and expired

    @invariant()
    def debits_are_credits(self) -> None:
        place = Place(self.shop.workspace, "acme", "ai")
        sums: dict[str, Decimal] = {}
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            entries = [each.entry for each, _ in ledger.links(tx.connection, place)]
        for (unit, _), amount in trial_balance(entries).items():
            sums[unit] = sums.get(unit, Decimal(0)) + amount
        assert set(sums.values()) <= {Decimal(0)}


def test_any_order_of_verbs_keeps_the_books(opened: Shops) -> None:
    Account.opened = opened
    run_state_machine_as_test(
        Account,
        settings=settings(
            max_examples=5, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

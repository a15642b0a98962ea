# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""A machine over the verbs: whatever is done in any order, row, entries and replay agree, and nothing is overspent."""

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
from valorem.engine.credits.granting import NewGrant, give_grant

AMOUNTS = st.integers(1, 60)


@pytest.fixture(scope="module")
def opened(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as found:
        yield found


class Account(RuleBasedStateMachine):
    opened: Shops

    def __init__(self) -> None:
        super().__init__()
        self.shop: CreditShop = credit_shop(self.opened, CREDITS)
        self.shop.sell("acme", "team", seats={"seat": Decimal(1)})
        self.now: datetime = JANUARY
        self.number = 0
        self.grants: list[str] = []
        self.holds: dict[str, int] = {}
        self.acts: list[str] = []

    def name(self, what: str) -> str:
        self.number += 1
        return f"{what}{self.number}"

    @rule(amount=AMOUNTS, days=st.none() | st.integers(1, 40))
    def grant(self, amount: int, days: int | None) -> None:
        name = self.name("g")
        lasts = None if days is None else (days, "day")
        with self.shop.engine.transaction(self.shop.workspace) as tx:
            give_grant(tx, NewGrant("acme", "ai", Decimal(amount), id=name, lasts=lasts))
        self.grants.append(name)

    @rule(times=st.integers(1, 8), late=st.integers(0, 3))
    def use(self, times: int, late: int) -> None:
        at = max(JANUARY, self.now - timedelta(days=late))
        name = self.name("e")
        self.shop.act("acme", "chat", times, at, name=name)
        self.acts.append(f"{name}-0")

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
    def resolve(self, data: st.DataObject, share: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.holds)))
        try:
            if share == 0:
                self.shop.release("acme", name)
            else:
                self.shop.settle("acme", name, Decimal(self.holds[name] * share) / 100)
        except (ConflictError, UnprocessableError):
            return  # it was refused, has expired, or is resolved: it stays as it is

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


def test_any_order_of_verbs_keeps_the_books(opened: Shops) -> None:
    Account.opened = opened
    run_state_machine_as_test(
        Account,
        settings=settings(
            max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )

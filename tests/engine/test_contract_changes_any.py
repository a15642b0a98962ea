"""Any sequence of changes: what is billed is what the periods cost under the terms in force, whoever else closes."""

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.engine.billing import JANUARY, Shop, Shops, shops
from tests.engine.test_contract_changes import APRIL, DAY, HOUR, PLANS, change, everything_proves, request
from valorem.core.billing.charges import period_charges
from valorem.core.billing.schedule import contract_period, final_boundary
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.engine.assembling import usage_of_period
from valorem.engine.basis import basis_of
from valorem.engine.closing import close_due
from valorem.engine.contract_changes import change_contract
from valorem.engine.contracts import get_contract


@pytest.fixture(scope="module")
def market(module_database_url: str) -> Iterator[Shops]:
    with shops(module_database_url) as opened:
        yield opened


_CHANGES = st.sampled_from(
    [
        {"kind": "seats", "key": "seat", "quantity": "0"},
        {"kind": "seats", "key": "seat", "quantity": "7"},
        {"kind": "plan", "plan": "pro", "catalog_version": 1},
        {"kind": "plan", "plan": "team", "catalog_version": 1},
        {"kind": "pause"},
        {"kind": "resume"},
        {"kind": "cancel"},
        {"kind": "renew"},
        {"kind": "override", "override": {"id": "deal", "fee": "base", "amount": "77.77"}},
        {"kind": "override", "override": {"id": "less", "meter": "tokens", "multiplier": "0.9"}},
        {"kind": "remove", "what": "override", "id": "deal"},
        {
            "kind": "charge",
            "charge": {"id": "setup", "name": "Set-up", "amount": "12.34", "at": "2026-03-03T00:00:00Z"},
        },
    ]
)
_STEPS = st.lists(
    st.tuples(
        st.integers(0, 80),  # the day it is made
        st.integers(-20, 20),  # how many days later, or earlier, it takes effect
        _CHANGES,
        st.sampled_from(["next", "at_once"]),
    ),
    min_size=1,
    max_size=7,
)


@settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(steps=_STEPS)
def test_all_that_is_billed_is_what_the_terms_in_force_cost(
    market: Shops, steps: list[tuple[int, int, dict[str, Any], str]]
) -> None:
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team", seats={"seat": Decimal(2)})
    shop.go(JANUARY + DAY)
    shop.use("ada", 60, JANUARY)
    for day, shift, wanted, invoiced in sorted(steps, key=lambda step: step[0]):
        now = JANUARY + (day + 2) * DAY
        shop.go(now)
        shop.use("ada", 3, now)
        try:
            change(shop, contract.id, wanted, effective=now + shift * DAY, invoiced=invoiced)
        except (InvalidInputError, UnprocessableError):
            continue  # it contradicts what it finds, such as a resume without a pause; nothing was written
    shop.go(APRIL + 2 * HOUR)
    shop.go(APRIL + 40 * DAY)
    assert shop.billed() == _cost(shop, contract.id)
    everything_proves(shop)


def _cost(shop: Shop, contract_id: str) -> Decimal:
    """Every billed period's charges under the terms as they stand, and what is ahead of the last border."""
    with shop.engine.transaction(shop.workspace) as tx:
        row = get_contract(tx, contract_id)
        last = final_boundary(row.contract)
        through = row.next_index - 1 if last is None else min(last, row.next_index - 1)
        basis = basis_of(tx, row.contract, through)
        total = Decimal(0)
        for index in range(through):
            period = contract_period(row.contract, index)
            assert period is not None
            usage = usage_of_period(tx, basis, index)
            total += sum(line.amount for line in period_charges(basis.terms, period, usage).lines)
        ahead = contract_period(row.contract, through)
        if ahead is not None:
            usage = usage_of_period(tx, basis, through)
            lines = period_charges(basis.terms, ahead, usage).lines
            total += sum(line.amount for line in lines if line.timing == "in_advance")
        return total


def test_closing_beside_changes_gives_one_invoice_each(market: Shops) -> None:
    shop = market.open(PLANS)
    sold = [shop.sell(f"c{number}", "team") for number in range(6)]
    shop.go(JANUARY + 30 * DAY)
    with shop.engine.transaction(shop.workspace) as tx:
        tx.connection.execute(
            "UPDATE workspace SET clock_at = %s WHERE id = %s",
            (JANUARY + 31 * DAY + 2 * HOUR, shop.workspace),
        )
    failures: list[BaseException] = []

    def closes() -> None:
        try:
            close_due(shop.engine, shop.workspace)
        except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
            failures.append(error)

    def edits() -> None:
        try:
            for each in sold:
                wanted = request(
                    {"kind": "seats", "key": "seat", "quantity": "3"}, effective=JANUARY + 10 * DAY
                )
                with shop.engine.transaction(shop.workspace) as tx:
                    change_contract(tx, each.id, wanted, "ada@shop")
        except BaseException as error:  # noqa: BLE001 - a thread's error must reach the test
            failures.append(error)

    threads = [threading.Thread(target=work) for work in (closes, edits, closes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not failures
    shop.go(APRIL + 2 * HOUR)
    for each in sold:
        assert shop.billed(contract=each.id) == _cost(shop, each.id)
        headers = shop.headers(contract=each.id)
        assert len({(header.index, header.kind) for header in headers}) == len(headers)
    numbers = sorted(header.number or "" for header in shop.headers(status="finalised"))
    assert numbers == [f"INV-{place:06d}" for place in range(1, len(numbers) + 1)]
    everything_proves(shop)


def test_days_are_whole_days_of_the_contract(market: Shops) -> None:
    """Changes that cancel each other out within a day cost nothing and give nothing back."""
    shop = market.open(PLANS)
    contract = shop.sell("ada", "team", seats={"seat": Decimal(2)})
    at: datetime = JANUARY + 10 * DAY
    shop.go(at)
    change(shop, contract.id, {"kind": "seats", "key": "seat", "quantity": "9"}, invoiced="at_once")
    shop.go(at + timedelta(hours=1))
    change(shop, contract.id, {"kind": "seats", "key": "seat", "quantity": "2"}, invoiced="at_once")
    shop.go(APRIL + 2 * HOUR)
    assert shop.billed() == 4 * 160

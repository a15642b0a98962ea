"""A share of what was saved, through real invoices: every baseline, estimates made once, losses carried, late facts."""

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from tests.engine.billing import JANUARY, Shop, Shops, shops
from tests.engine.dealing import all_verify, day, fact, outcome_total, send, signer
from valorem.core.contracts.contract import Contract
from valorem.core.errors import ConflictError, UnprocessableError
from valorem.core.outcomes.keys import held_out
from valorem.engine.credit_notes import list_credit_notes
from valorem.engine.outcome_deals import Proposal, propose, sign_definition
from valorem.engine.outcome_disputes import NewDispute, open_dispute, resolve_dispute
from valorem.engine.outcome_reports import show_board
from valorem.engine.outcome_savings import estimate_period, show_savings

SAVINGS = """
outcome: energy
name: Energy saved
source: {{system: meters}}
evidence:
  - {{event: cost, kind: success}}
  - {{event: corrected, kind: restate}}
  - {{event: withdrawn, kind: retract}}
  - {{event: served, kind: touch}}
key: data.key
value: {{amount: data.cost}}
currency: USD
disputes: {{days: 90, reasons: [wrong_value]}}
savings:
  share: 25%
  {terms}
"""
PLAN = "plan: bare\nname: Bare\ncurrency: USD\nevery: month\noutcomes: [energy]\n"


@pytest.fixture
def opened(database_url: str) -> Iterator[Shops]:
    with shops(database_url) as found:
        yield found


def sell(opened: Shops, terms: str, more: str = "", *, live: bool = True) -> tuple[Shop, Contract]:
    text = SAVINGS.format(terms=terms) + more
    shop = opened.open({"outcomes/energy.yaml": text, "plans/bare.yaml": PLAN})
    contract = shop.sell("acme", "bare")
    proposal = Proposal(
        contract.id,
        "energy",
        effective_from=JANUARY,
        retroactive=True,
        live_from=JANUARY if live else None,
    )
    with shop.engine.transaction(shop.workspace) as tx:
        version = propose(tx, proposal, by="key_test")
        for party in ("vendor", "customer"):
            sign_definition(tx, contract.id, "energy", number=1, digest=version.digest, signer=signer(party))
    return shop, contract


def lines_of(shop: Shop, contract: Contract) -> list[tuple[int, Decimal]]:
    return [
        (line.period_index, line.amount)
        for document in shop.documents(contract=contract.id)
        for line in document.lines
        if line.kind == "outcome"
    ]


def cost(key: str, at: datetime, amount: Any, **data: Any) -> bytes:
    return fact("acme", "cost", key, at, cost=amount, **data)


def test_a_fixed_baseline_with_a_loss_carried_a_gate_and_a_cap(opened: Shops) -> None:
    shop, contract = sell(
        opened, "baseline: {method: fixed, amount: 1000}\n  minimum_rate: 2%\n  cap: 60\n  run_out: 3 days"
    )
    # January 800 in two bills saves 200; February loses 100; March saves 150, of which 100 make up for it; April saves
    # 10, which is under 2 %; May saves 500, more than the cap.
    spent = {1: (500, 300), 2: (1100,), 3: (850,), 4: (990,), 5: (500,)}
    for month, amounts in spent.items():
        send(shop, *(cost(f"{month}-{n}", day(10 + n, month=month), each) for n, each in enumerate(amounts)))
        if month == 2:  # at its end January's time for late facts was not over
            assert lines_of(shop, contract) == []
    shop.go(day(2, month=8))
    assert lines_of(shop, contract) == [
        (0, Decimal("50.00")),
        (1, Decimal(0)),
        (2, Decimal("12.50")),
        (3, Decimal(0)),
        (4, Decimal("60.00")),
    ]
    all_verify(shop, contract)
    with shop.engine.transaction(shop.workspace) as tx:
        shown = show_savings(tx, contract.id, "energy")
        board = show_board(tx, contract.id, "energy").dashboard
    assert [None if each.fee is None else each.fee.savings for each in shown.periods][:6] == [
        Decimal(200),
        Decimal(-100),
        Decimal(150),
        Decimal(10),
        Decimal(500),
        None,  # nothing was reported for June, which is no saving
    ]
    assert [each.amount for each in board.periods][:6] == [each.billed for each in shown.periods][:6]


def test_late_and_corrected_costs_adjust_the_period_they_belong_to(opened: Shops) -> None:
    shop, contract = sell(opened, "baseline: {method: fixed, amount: 1000}")
    send(shop, cost("a", day(10), 600))
    shop.go(day(2, month=2))
    assert lines_of(shop, contract) == [(0, Decimal("100.00"))]
    send(shop, fact("acme", "corrected", "a", day(3, month=2), cost=700))
    send(shop, cost("b", day(20), 100))
    shop.go(day(2, month=3))
    assert outcome_total(shop, contract) == Decimal("50.00")
    send(shop, fact("acme", "withdrawn", "b", day(3, month=3)))
    shop.go(day(2, month=4))
    assert outcome_total(shop, contract) == Decimal("75.00")
    all_verify(shop, contract)


def test_shadow_measures_savings_and_bills_nothing(opened: Shops) -> None:
    shop, contract = sell(opened, "baseline: {method: fixed, amount: 1000}", live=False)
    send(shop, cost("a", day(10), 600))
    shop.go(day(2, month=2))
    assert outcome_total(shop, contract) == 0
    with shop.engine.transaction(shop.workspace) as tx:
        shown = show_savings(tx, contract.id, "energy").periods[0]
    assert (shown.fee.fee if shown.fee else None, shown.billed) == (Decimal("100.00"), 0)


@pytest.mark.parametrize(
    ("terms", "data", "total"),
    [
        # 500 for 100 documents; 120 documents would have cost 600.
        (
            "baseline: {method: unit_cost, amount: 500, volume: 100}\n  facts: {volume: data.volume}",
            {"cost": 528, "volume": 120},
            "18.00",
        ),
        ("baseline: {method: pre_period_mean, observed: [{cost: 100}, {cost: 120}]}", {"cost": 80}, "7.50"),
        # January has 31 days in both years; 22 working days in 2026, 23 in 2025.
        (
            "baseline: {method: same_period_last_year, per: day, observed: [{period: 2025-01, cost: 280}]}",
            {"cost": 260},
            "5.00",
        ),
        (
            "baseline: {method: same_period_last_year, per: working_day, observed: [{period: 2025-01, cost: 230}]}",
            {"cost": 200},
            "5.00",
        ),
        (
            "baseline: {method: fixed, amount: 100, routine: {w: '(data.degrees - 10) * 2'}}\n  facts: {degrees: data.degrees}",
            {"cost": 100, "degrees": 20},
            "5.00",
        ),
    ],
)
def test_every_exact_baseline(opened: Shops, terms: str, data: dict[str, Any], total: str) -> None:
    shop, contract = sell(opened, terms)
    send(shop, fact("acme", "cost", "a", day(10), **data))
    shop.go(day(2, month=2))
    assert outcome_total(shop, contract) == Decimal(total)
    all_verify(shop, contract)


REGRESSION = """baseline:
    method: regression
    observed:
      - {cost: 1010, facts: {degree_days: 100}}
      - {cost: 1990, facts: {degree_days: 200}}
      - {cost: 3010, facts: {degree_days: 300}}
      - {cost: 3990, facts: {degree_days: 400}}
      - {cost: 5000, facts: {degree_days: 500}}
  facts: {degree_days: data.degree_days}
  """


def test_a_regression_is_estimated_once_when_the_invoice_is_final(opened: Shops) -> None:
    shop, contract = sell(opened, REGRESSION + "interval: lower_bound")
    send(shop, cost("a", day(10), 1500, degree_days=150), cost("b", day(20), 500, degree_days=100))
    with shop.engine.transaction(shop.workspace) as tx, pytest.raises(UnprocessableError, match="not over"):
        estimate_period(tx, contract.id, "energy", period_index=0)
    shop.go(day(2, month=2))
    with shop.engine.transaction(shop.workspace) as tx:
        shown = show_savings(tx, contract.id, "energy")
    estimate = shown.estimates[0]
    assert 2450 < estimate.lower < estimate.point < 2510
    assert estimate.library.startswith("statsmodels ")
    (line,) = (each for each in shop.documents(contract=contract.id)[0].lines if each.kind == "outcome")
    assert line.amount == round((estimate.lower - 2000) / 4, 2)
    assert [step.label for step in line.steps] == ["baseline", "saved", "interval", "share"]
    with (
        shop.engine.transaction(shop.workspace) as tx,
        pytest.raises(ConflictError, match="has its estimate"),
    ):
        estimate_period(tx, contract.id, "energy", period_index=0)
    # What comes later changes what was spent, never the estimate.
    send(shop, fact("acme", "corrected", "b", day(5, month=2), cost=600))
    shop.go(day(2, month=3))
    with shop.engine.transaction(shop.workspace) as tx:
        assert show_savings(tx, contract.id, "energy").estimates == {0: estimate}
    assert outcome_total(shop, contract) == round((estimate.lower - 2100) / 4, 2)
    all_verify(shop, contract)


def test_a_holdout_bills_whole_outcomes_beyond_those_that_would_have_come(opened: Shops) -> None:
    shop, contract = sell(
        opened,
        "baseline: {method: holdout}\n  unit_value: 5\n  interval: point",
        "holdout: {unit: data.unit, salt: s1, share: 50%}\n",
    )
    units = [f"u{n}" for n in range(200)]
    out = {unit for unit in units if held_out("s1", unit, 500_000)}
    events = []
    for n, unit in enumerate(units):
        events.append(fact("acme", "served", unit, day(3), unit=unit))
        if n % (4 if unit in out else 2) == 0:
            events.append(cost(unit, day(4), 0, unit=unit))
    send(shop, *events)
    shop.go(day(2, month=2))
    with shop.engine.transaction(shop.workspace) as tx:
        shown = show_savings(tx, contract.id, "energy")
    inputs = {name: int(value) for name, value in shown.estimates[0].inputs.items()}
    assert (inputs["treated"], inputs["held_out"]) == (200 - len(out), len(out))
    treated, held = inputs["treated_successes"], inputs["held_out_successes"]
    expected = treated - Decimal(held * inputs["treated"]) / len(out)
    assert outcome_total(shop, contract) == Decimal("1.25") * int(expected)
    all_verify(shop, contract)


def test_a_difference_in_differences_of_minutes_is_worth_hours(opened: Shops) -> None:
    before = ", ".join(
        f"{{cost: {minutes}, group: {group}}}"
        for group, values in (("treated", (49, 51, 50)), ("control", (47, 48, 49)))
        for minutes in values
    )
    shop, contract = sell(
        opened,
        f"baseline: {{method: difference_in_differences, arm: data.arm, observed: [{before}]}}\n  interval: point",
        "hours: {baseline_minutes: 0, hour_value: 60}\n",
    )
    after = [("treated", 42), ("treated", 40), ("treated", 44), ("control", 46), ("control", 48)]
    send(shop, *(cost(str(n), day(10), minutes, arm=arm) for n, (arm, minutes) in enumerate(after)))
    shop.go(day(2, month=2))
    # 8 minutes fewer against 1: 7 minutes each of three, at one a minute, a quarter of it.
    assert outcome_total(shop, contract) == Decimal("5.25")
    all_verify(shop, contract)


def test_hours_saved_are_an_outcomes_value(opened: Shops) -> None:
    text = SAVINGS.format(terms="").split("value:")[0] + (
        "hours: {baseline_minutes: 12, hour_value: 42, minutes: data.minutes, items: data.items}\n"
        "bills: value\ncurrency: USD\nprice: {model: percentage, rate: 20%}\n"
    )
    text = text.replace("  - {event: corrected, kind: restate}\n", "")
    shop = opened.open({"outcomes/energy.yaml": text, "plans/bare.yaml": PLAN})
    contract = shop.sell("acme", "bare")
    with shop.engine.transaction(shop.workspace) as tx:
        version = propose(
            tx,
            Proposal(contract.id, "energy", effective_from=JANUARY, retroactive=True, live_from=JANUARY),
            by="key_test",
        )
        for party in ("vendor", "customer"):
            sign_definition(tx, contract.id, "energy", number=1, digest=version.digest, signer=signer(party))
    send(shop, fact("acme", "cost", "a", day(10), minutes="3.5", items=1840))
    shop.go(day(2, month=2))
    assert outcome_total(shop, contract) == Decimal("2189.60")


def test_a_disputed_cost_holds_the_fee_of_its_period(opened: Shops) -> None:
    shop, contract = sell(opened, "baseline: {method: fixed, amount: 1000}")
    send(shop, cost("a", day(10), 600))
    shop.go(day(2, month=2))
    (invoice,) = shop.headers(contract=contract.id, status="finalised")
    new = NewDispute(contract.id, "energy", "customer", ["a"], "wrong_value", "", invoice.id)
    with shop.engine.transaction(shop.workspace) as tx:
        stored = open_dispute(tx, new)
        resolve_dispute(tx, contract.id, "energy", stored.dispute.id, {"a": Decimal("0.4")})
        (note,) = list_credit_notes(tx, invoice=invoice.id)
    shop.go(day(2, month=3))
    assert outcome_total(shop, contract) - note.note.net == Decimal("60.00")
    all_verify(shop, contract)

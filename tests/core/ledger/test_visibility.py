# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Forecast, statement, history, and burn by workload."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from tests.core.ledger.build import START, UNTIMED, at, burn, grant
from valorem.core.ledger.account import Facts
from valorem.core.ledger.forecast import forecast
from valorem.core.ledger.history import history
from valorem.core.ledger.replay import replay
from valorem.core.ledger.statement import burn_by, statement
from valorem.core.periods import Interval

DAY_BEFORE = Interval(at(0), at(24))


def test_the_pace_of_late_goes_on() -> None:
    facts = Facts((grant("g", 100),), (burn(1, 10),))
    found = forecast(replay(facts, at(24)), facts.burns, DAY_BEFORE)
    assert (found.per_day, found.days_left, found.runs_out_at, found.lost) == (10, 9, at(24 * 10), 0)


def test_what_ends_before_it_can_be_used_is_lost() -> None:
    facts = Facts((grant("ends", 60, 0, 48), grant("stays", 20)), (burn(1, 10),))
    found = forecast(replay(facts, at(24)), facts.burns, DAY_BEFORE)
    assert (found.lost, found.runs_out_at) == (40, at(96))


def test_without_usage_only_ends_empty_an_account() -> None:
    assert forecast(replay(Facts((grant("g", 5),)), at(24)), (), DAY_BEFORE).runs_out_at is None
    ending = forecast(replay(Facts((grant("g", 5, 0, 36),)), at(24)), (), DAY_BEFORE)
    assert (ending.runs_out_at, ending.days_left, ending.lost) == (at(36), Decimal("0.5"), 5)
    empty = forecast(replay(Facts(), at(24)), (), DAY_BEFORE)
    assert (empty.runs_out_at, empty.days_left) == (at(24), 0)


@UNTIMED
@given(
    st.lists(st.tuples(st.integers(1, 50), st.none() | st.integers(25, 200)), max_size=6), st.integers(1, 4)
)
def test_the_forecast_is_what_a_replay_of_that_pace_gives(
    lots: list[tuple[int, int | None]], an_hour: int
) -> None:
    grants = tuple(grant(f"g{number}", amount, 20, end) for number, (amount, end) in enumerate(lots))
    found = forecast(replay(Facts(grants), at(24)), (burn(1, an_hour * 24),), DAY_BEFORE)
    assert found.runs_out_at is not None
    hours = int((found.runs_out_at - at(24)).total_seconds() // 3600) + 1
    goes_on = tuple(burn(24 + hour, an_hour) for hour in range(hours))
    later = replay(Facts(grants, goes_on), at(24 + hours))
    assert later.available == 0
    ends = sum(end is not None for _, end in lots)
    assert abs(found.lost - later.sum_of("expired")) <= an_hour * ends  # an hour's usage stands at its start
    if hours > 2:
        assert replay(Facts(grants, goes_on), at(24 + hours - 2)).available > 0


def test_a_statement_adds_up_and_reads() -> None:
    facts = Facts(
        (grant("old", 100, 0, 48), grant("new", 50, 30)),
        (
            burn(1, 20, meter="chat"),
            burn(31, 30, "a", meter="chat"),
            burn(32, 5, "b", meter="image"),
            burn(40, -5, "a"),
        ),
    )
    found = statement(replay(facts, at(72)), facts, Interval(at(24), at(72)))
    assert (found.opening, found.closing) == (80, 50)
    assert [(line.kind, line.change, line.balance) for line in found.lines] == [
        ("opening", 0, 80),
        ("granted", 50, 130),
        ("returned", 5, 135),
        ("expired", -50, 85),
        ("used", -30, 55),
        ("used", -5, 50),
        ("closing", 0, 50),
    ]
    assert found.lines[3].text == "50 credits expired unused"
    assert found.used == (("chat", 30), ("image", 5))


@UNTIMED
@given(st.lists(st.tuples(st.integers(0, 90), st.integers(-5, 30)), max_size=12))
def test_statements_follow_each_other(uses: list[tuple[int, int]]) -> None:
    grants = (grant("a", 60, 0, 40), grant("b", 50, 10), grant("c", 20, 70, 80))
    burns = tuple(burn(hours, amount, f"{number}") for number, (hours, amount) in enumerate(uses) if amount)
    facts = Facts(grants, burns)
    first = statement(replay(facts, at(48), closing=True), facts, Interval(START, at(48)))
    changes = sum(line.change for line in first.lines)
    assert first.opening + changes == first.closing == replay(facts, at(48)).balance


def test_burn_by_workload_counts_what_was_not_paid_too() -> None:
    facts = Facts(
        (grant("g", 10),),
        (burn(1, 8, "a", member="ann"), burn(2, 8, "b", member="bob"), burn(3, -2, "a", member="ann")),
    )
    assert burn_by(replay(facts, at(9)), "member") == [("bob", 8), ("ann", 6)]


def test_history_is_the_balance_at_each_edge() -> None:
    facts = Facts((grant("g", 100, 1, 5),), (burn(1, 10), burn(2.5, 20), burn(4, 5)))
    windows = history(facts, [at(hours) for hours in range(7)])
    assert [int(each.balance) for each in windows] == [0, 100, 90, 70, 70, 0]
    assert [int(each.used) for each in windows] == [0, 10, 20, 0, 5, 0]
    assert [each.balance for each in windows] == [replay(facts, each.start).balance for each in windows]

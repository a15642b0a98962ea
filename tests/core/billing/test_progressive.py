"""Progressive invoices: thresholds fire once, and the slices of a period are the price of the whole."""

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.core.billing.ledger import Use, answer, team_catalog, usage_of
from tests.core.billing.make import contract, utc
from valorem.core.billing.charges import period_charges
from valorem.core.billing.draft import draft_invoice
from valorem.core.billing.needs import usage_needs
from valorem.core.billing.progressive import (
    offset_progressive,
    slice_amounts,
    slice_lines,
    units_until,
)
from valorem.core.billing.schedule import contract_period
from valorem.core.billing.terms import terms_of
from valorem.core.billing.thresholds import Thresholds, passed
from valorem.core.pricing.parts import Usage
from valorem.core.pricing.policies import DEFAULT_POLICIES
from valorem.core.pricing.price import Price

D = Decimal


@pytest.mark.parametrize(
    ("fixed", "recurring"), [(("10", "10"), None), (("0",), None), (("-1",), None), ((), None), ((), "0")]
)
def test_thresholds_must_make_sense(fixed, recurring):
    with pytest.raises(ValidationError):
        Thresholds.model_validate({"fixed": fixed, "recurring": recurring})


def test_a_step_counts_from_the_grid_or_from_the_last_invoice():
    grid = Thresholds(recurring=D(100), over="lifetime")
    waiting = Thresholds(recurring=D(100), recurring_from="last_invoice", over="period")
    overshot = {"billed": D(0), "billed_in_period": D(150), "spent_in_period": D(220)}
    assert passed(grid, **overshot) == (D(100),)
    assert passed(waiting, **overshot) == ()
    assert passed(waiting, billed=D(900), billed_in_period=D(150), spent_in_period=D(250)) == (D(100),)


def test_a_period_forgets_what_was_billed_before_it():
    once = Thresholds(fixed=(D(100),), over="period")
    for_ever = Thresholds(fixed=(D(100),), over="lifetime")
    facts = {"billed": D(500), "billed_in_period": D(0), "spent_in_period": D(100)}
    assert (passed(once, **facts), passed(for_ever, **facts)) == ((D(100),), ())


@given(
    fixed=st.lists(st.integers(1, 60), unique=True, max_size=4).map(sorted),
    recurring=st.one_of(st.none(), st.integers(1, 30)),
    spends=st.lists(st.integers(0, 25), max_size=25),
)
@settings(max_examples=100, deadline=None)
def test_every_fixed_threshold_fires_once_and_slices_add_up(fixed, recurring, spends):
    if not fixed and recurring is None:
        return
    thresholds = Thresholds(
        fixed=tuple(map(D, fixed)), recurring=None if recurring is None else D(recurring), over="lifetime"
    )
    spent = billed = D(0)
    fired: list[Decimal] = []
    cumulative: list[Decimal] = []
    for spend in spends:
        spent += spend
        found = passed(thresholds, billed=D(0), billed_in_period=billed, spent_in_period=spent)
        if found:
            fired.extend(each for each in found if each in thresholds.fixed)
            cumulative.append(spent)
            billed = spent
    reached = [D(each) for each in fixed if each <= spent]
    assert [each for each in thresholds.fixed if each in fired] == reached
    if recurring not in fixed:
        assert len(fired) == len(reached)
    slices = slice_amounts([*cumulative, spent])
    assert sum(slices, D(0)) == spent
    assert all(each > 0 for each in slices[:-1])


def test_what_was_billed_too_early_goes_back():
    offset = offset_progressive(D(500), D(2000))
    assert (offset.credit, offset.surplus) == (D(500), D(1500))
    assert offset_progressive(D(500), D(20)).surplus == 0


def cost(fields: dict[str, object]) -> Callable[[Decimal], Decimal]:
    version = Price.model_validate(fields).versions[0]

    def of(quantity: Decimal) -> Decimal:
        parts = version.between(None, Usage(quantity), DEFAULT_POLICIES)
        return sum((part.amount for part in parts), D(0))

    return of


@given(step=st.integers(1, 4000), before=st.integers(0, 3000))
@settings(max_examples=60, deadline=None)
def test_how_many_units_are_left_until_an_amount(step, before):
    price = cost({"model": "graduated", "tiers": [{"up_to": 1000, "unit": D("0.5")}, {"unit": D("0.4")}]})
    units = units_until(price, D(step), D(before))
    assert units is not None
    assert price(before + units) - price(before) >= step > price(before + units - 1) - price(before)


def test_an_amount_that_is_never_reached():
    assert units_until(cost({"model": "per_unit", "amount": 0}), D(1)) is None


uses = st.lists(
    st.builds(
        Use,
        st.just("tokens"),
        st.integers(0, 31 * 96 - 1).map(lambda quarter: utc("2026-03-01") + timedelta(minutes=15 * quarter)),
        st.integers(0, 3_000_000).map(D),
        st.fixed_dictionaries({"model": st.just("small"), "kind": st.sampled_from(["input", "output"])}),
    ),
    max_size=12,
)


@given(used=uses, cuts=st.lists(st.integers(1, 30), unique=True, max_size=3).map(sorted))
@settings(max_examples=40, deadline=None)
def test_the_slices_and_the_last_invoice_are_the_price_of_the_whole(used, cuts):
    terms = terms_of(contract("2026-03-01"), team_catalog())
    period = contract_period(terms.contract, 0)
    assert period is not None
    first = draft_invoice(terms, 0, {}, ())
    billed = list(first.lines)
    for day in cuts:
        now = utc("2026-03-01") + timedelta(days=day)
        needs = usage_needs(terms, period, now)
        so_far = slice_lines(
            terms, period, answer(needs, [use for use in used if use.at < now]), needs, billed
        )
        assert {line.kind for line in so_far} <= {"usage"}
        assert all((line.timing == "adjustment") == (line.amount < 0) for line in so_far)
        billed.extend(so_far)
        usage = [line for line in billed if line.kind == "usage"]
        whole = period_charges(
            terms, period, answer(needs, [use for use in used if use.at < now]), needs
        ).lines
        assert sum((line.amount for line in usage), D(0)) == sum(
            (line.amount for line in whole if line.kind == "usage"), D(0)
        )
    last = draft_invoice(terms, 1, {0: usage_of(terms, 0, used)}, billed)
    in_period = [line for line in (*billed, *last.lines) if line.period_index == 0]
    whole = period_charges(terms, period, usage_of(terms, 0, used)).lines
    assert sum((line.amount for line in in_period), D(0)) == sum((line.amount for line in whole), D(0))

"""Cohorts add up to everything invoiced, month by month."""

from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from valorem.core.insight.cohorts import Billed, cohorts_of

MONTHS = [datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3, 4)]
amounts = st.decimals("0.01", "1000", places=2)
bills = st.lists(st.builds(Billed, st.sampled_from(MONTHS), st.sampled_from("abcde"), amounts), max_size=30)


@given(bills)
@settings(max_examples=40)
def test_cohorts_add_up_to_what_was_invoiced(billed: list[Billed]) -> None:
    found = cohorts_of(billed, MONTHS)
    by_month: defaultdict[datetime, Decimal] = defaultdict(Decimal)
    for cohort in found:
        for place, amount in enumerate(cohort.amounts):
            by_month[MONTHS[MONTHS.index(cohort.month) + place]] += amount
    for month in MONTHS:
        assert by_month[month] == sum(each.amount for each in billed if each.month == month)
    assert sum(cohort.customers for cohort in found) == len({each.customer for each in billed})


def test_a_cohort_begins_with_its_first_invoice_and_counts_silence_as_nothing() -> None:
    jan, feb, mar, _ = MONTHS
    billed = [
        Billed(jan, "a", Decimal(10)),
        Billed(mar, "a", Decimal(5)),
        Billed(feb, "b", Decimal(4)),
        Billed(feb, "b", Decimal(4)),
    ]
    first, second = cohorts_of(billed, MONTHS)
    assert (first.customers, first.amounts) == (1, (Decimal(10), Decimal(0), Decimal(5), Decimal(0)))
    assert first.share(2) == Decimal("0.5")
    assert (second.month, second.amounts) == (feb, (Decimal(8), Decimal(0), Decimal(0)))

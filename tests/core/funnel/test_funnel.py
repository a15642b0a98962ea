"""Journeys folded, and the report's two forms."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from valorem.core.funnel.journeys import Journey, by_cohort, funnel_of
from valorem.core.funnel.report import PlanMargin, WeeklyReport, html, markdown

T0 = datetime(2026, 1, 5, tzinfo=UTC)


def hours(count: int) -> datetime:
    return T0 + timedelta(hours=count)


JOURNEYS = [
    Journey("a", {"signed_up": T0}),
    Journey("b", {"signed_up": T0, "activated": hours(2)}),
    Journey(
        "c", {"signed_up": T0, "activated": hours(4), "at_cap": hours(9), "prompt_shown": hours(9)}, ("jobs",)
    ),
    Journey(
        "d", {"signed_up": T0, "activated": hours(6), "at_cap": hours(8), "upgraded": hours(10)}, ("jobs",)
    ),
    Journey("e", {"signed_up": T0 + timedelta(days=7)}),
]


def test_steps_are_counted_with_their_time_and_who_stopped_there():
    funnel = funnel_of(JOURNEYS)
    found = {one.step: (one.customers, one.share, one.median_from_start, one.stalled) for one in funnel.steps}
    assert found["signed_up"] == (5, Decimal(1), timedelta(0), 2)
    assert found["activated"] == (3, Decimal("0.6"), timedelta(hours=4), 1)
    assert found["at_80"] == (0, Decimal(0), None, 0)
    assert found["prompt_shown"] == (1, Decimal("0.2"), timedelta(hours=9), 1)
    assert found["upgraded"] == (1, Decimal("0.2"), timedelta(hours=10), 0)
    assert funnel.walls == {"jobs": 1}  # d met it too, and went on


def test_cohorts_add_up_to_the_whole():
    cohorts = by_cohort(JOURNEYS)
    assert [one.cohort for one in cohorts] == ["2026-W02", "2026-W03"]
    for place, step in enumerate(funnel_of(JOURNEYS).steps):
        assert sum(one.steps[place].customers for one in cohorts) == step.customers


def test_nobody_is_a_funnel_too():
    assert all(one.customers == 0 for one in funnel_of([]).steps)


def test_the_report_reads_the_same_in_both_forms_and_escapes_what_people_wrote():
    report = WeeklyReport(
        plan="<script>free|plan",
        start=T0,
        end=T0 + timedelta(days=7),
        funnel=funnel_of(JOURNEYS),
        cohorts=tuple(by_cohort(JOURNEYS)),
        margins=(
            PlanMargin("pro", "USD", 2, Decimal("40.00"), Decimal("1.5")),
            PlanMargin("free", "USD", 3, Decimal(0), None),
        ),
        crossed={"limit": 3},
        walls={"a|b": 2},
    )
    page, text = html(report), markdown(report)
    assert "<script>" not in page
    assert "a\\|b" in text
    for form in (page, text):
        assert "first success" in form
        assert "38.50 USD" in form
        assert "0.00 USD" in form
        assert "not known" in form
        assert "2026-01-05 to 2026-01-11" in form

"""``/v1/reports``: how customers of a free plan fare, week by week."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant
from valorem.core.funnel.journeys import Funnel
from valorem.core.funnel.report import html, markdown
from valorem.engine.funnel import weekly_report

router = APIRouter(prefix="/v1/reports", tags=["reports"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]


class StepAnswer(Answer):
    """How many reached a step; ``median_s`` is half of them's time since signing up, in seconds."""

    step: str
    customers: int
    share: ExactOut
    median_s: int | None
    stalled: int


class FunnelAnswer(Answer):
    """A funnel, of all (empty ``cohort``) or of those who signed up in one ISO week; ``walls`` is where people stall."""

    cohort: str
    steps: list[StepAnswer]
    walls: dict[str, int]

    @classmethod
    def of(cls, funnel: Funnel) -> "FunnelAnswer":
        """From the engine's value."""
        steps = [
            StepAnswer(
                step=one.step,
                customers=one.customers,
                share=one.share,
                median_s=None
                if one.median_from_start is None
                else int(one.median_from_start.total_seconds()),
                stalled=one.stalled,
            )
            for one in funnel.steps
        ]
        return cls(cohort=funnel.cohort, steps=steps, walls=funnel.walls)


class MarginAnswer(Answer):
    """What a plan brought and cost in the week; null where no meter has a unit cost."""

    plan: str
    currency: str
    customers: int
    revenue: ExactOut
    cost: ExactOut | None
    margin: ExactOut | None


class WeeklyReportAnswer(Answer):
    """The week, as numbers and ready to read."""

    plan: str
    start: Instant
    end: Instant
    funnel: FunnelAnswer
    cohorts: list[FunnelAnswer]
    margins: list[MarginAnswer]
    crossed: dict[str, int]
    walls: dict[str, int]
    markdown: str
    html: str


@router.get("/weekly")
def get_weekly_report(
    caller: Reader,
    plan: Annotated[str | None, Query(max_length=63)] = None,
    end: Annotated[Instant | None, Query()] = None,
) -> WeeklyReportAnswer:
    """How customers of a free plan fared: funnel by cohort, limits met, where people stall, revenue, cost and margin."""
    with caller.reading() as tx:
        report = weekly_report(tx, plan=plan, end=end)
    return WeeklyReportAnswer(
        plan=report.plan,
        start=report.start,
        end=report.end,
        funnel=FunnelAnswer.of(report.funnel),
        cohorts=[FunnelAnswer.of(one) for one in report.cohorts],
        margins=[MarginAnswer.model_validate(one) for one in report.margins],
        crossed=report.crossed,
        walls=report.walls,
        markdown=markdown(report),
        html=html(report),
    )

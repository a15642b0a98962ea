"""``/v1/reports``: how customers of a free plan fare week by week, and how revenue stays month by month."""

from decimal import Decimal
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant, Page
from valorem.core.funnel.journeys import Funnel
from valorem.core.funnel.report import html, markdown
from valorem.engine.funnel import weekly_report
from valorem.engine.retention import retention

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


class MonthMovedAnswer(Answer):
    """From one month in which anything was invoiced to the next, in one currency.

    Attributes:
        start: Invoiced in the earlier month.
        new: To customers that had nothing then.
        expansion: More to customers that stayed.
        contraction: Less to customers that stayed.
        churned: Then, to customers that have nothing now.
        end: Invoiced in the later month.
        net_retention: What the customers of the earlier month are invoiced now, as a share of that; null from nothing.
        gross_retention: The same without any expansion.
    """

    currency: str
    before: Instant
    after: Instant
    start: ExactOut
    new: ExactOut
    expansion: ExactOut
    contraction: ExactOut
    churned: ExactOut
    end: ExactOut
    net_retention: ExactOut | None
    gross_retention: ExactOut | None


@router.get("/retention")
def get_retention(caller: Reader, months: Annotated[int, Query(ge=1, le=60)] = 12) -> Page[MonthMovedAnswer]:
    """How invoiced revenue moved from month to month, and which share of it stayed, by currency."""
    with caller.reading() as tx:
        found = retention(tx, months=months)
    return Page(
        items=[
            MonthMovedAnswer(
                currency=one.currency,
                before=one.before,
                after=one.after,
                start=one.movement.start,
                new=one.movement.new,
                expansion=one.movement.expansion,
                contraction=one.movement.contraction,
                churned=one.movement.churned,
                end=one.movement.end,
                net_retention=_share(one.movement.nrr()),
                gross_retention=_share(one.movement.grr()),
            )
            for one in found
        ]
    )


def _share(share: Decimal | None) -> Decimal | None:
    return None if share is None else share.quantize(Decimal("0.000001"))


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

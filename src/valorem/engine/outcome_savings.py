"""Shares of savings: what each period saved, and the estimates it takes, made once and kept for good.

Estimates come from scipy and statsmodels, which reckon in floating point. They are made here, rounded to decimals and
stored with all they were made from; invoices read the stored numbers and never compute one.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType

from valorem.core.contracts.contract import Contract
from valorem.core.errors import ConflictError, InvalidInputError, UnprocessableError
from valorem.core.outcomes.estimates import Estimate
from valorem.core.outcomes.governing import Definitions, Recorded
from valorem.core.outcomes.measuring import sample_of, standing_in, sums_of, uplift_of
from valorem.core.outcomes.sharing import NO_ESTIMATES, SharedPeriod, shared_periods
from valorem.core.outcomes.signing import version_at
from valorem.core.outcomes.terms import ESTIMATED
from valorem.core.periods import Interval
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.outcome_reports import Scene, scene_at
from valorem.engine.outcomes import (
    definitions_of,
    estimates_of,
    evidence_of,
    frame_of,
    periods_before,
    sells_outcomes,
)
from valorem.store.postgres import outcome_estimates

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Savings:
    """What each period of a definition saved.

    Attributes:
        scene: The definition with its evidence.
        periods: The contract's, the running one last.
        estimates: Those made so far, by number of the period.
    """

    scene: Scene
    periods: tuple[SharedPeriod, ...]
    estimates: Mapping[int, Estimate]


def show_savings(tx: Transaction, contract_id: str, outcome: str) -> Savings:
    """What each period saved, with the arithmetic; both sides read the same.

    Raises:
        NotFoundError: If there is no such contract or outcome.
        UnprocessableError: If the definition shares no savings.
    """
    scene = scene_at(tx, contract_id, outcome)
    if not any(version.definition.savings is not None for version in scene.definitions.versions):
        raise UnprocessableError(f"{outcome[:60]} shares no savings", field="definition")
    frame = frame_of(scene.contract)
    estimates = estimates_of(tx, contract_id, {outcome: scene.definitions}).get(outcome, {})
    found = shared_periods(
        scene.definitions,
        scene.definitions.fold(scene.evidence.events, frame),
        [period.interval for period in scene.periods],
        frame,
        estimates=estimates or NO_ESTIMATES,
        off=scene.off,
        as_of=tx.now,
    )
    return Savings(scene, found, estimates)


def estimate_period(
    tx: Transaction, contract_id: str, outcome: str, *, period_index: int | None = None
) -> tuple[int, Estimate]:
    """Make the estimate of one period from its recorded evidence and the signed baseline, and keep it for good.

    Args:
        tx: The transaction.
        contract_id: The contract.
        outcome: The definition.
        period_index: Which period; the last one that is over where left out.

    Raises:
        NotFoundError: If there is no such contract or outcome.
        UnprocessableError: If the period is not over, or its evidence does not suffice.
        ConflictError: If it has its estimate already.
    """
    shown = show_savings(tx, contract_id, outcome)
    over = [each.index for each in shown.periods if each.over]
    index = period_index if period_index is not None else (over[-1] if over else -1)
    if index not in over:
        raise UnprocessableError(
            f"period {index} is not over" if index >= 0 else "no period is over yet",
            field="period_index",
            hint="an estimate is made once, when the period and its time for late facts are over",
        )
    if index in shown.estimates:
        raise ConflictError(
            f"period {index} has its estimate",
            field="period_index",
            hint="it is kept for good; a correction is a signed amendment or a dispute",
        )
    scene = shown.scene
    period = shown.periods[index].period
    estimate = _make(scene.contract, scene.definitions, scene.evidence.events, period)
    if estimate is None:
        raise UnprocessableError("the baseline of that period needs no estimate", field="definition")
    outcome_estimates.insert(tx.connection, tx.workspace.id, contract_id, outcome, index, estimate, tx.now)
    return index, estimate


def estimate_due(tx: Transaction, contract: Contract, index: int) -> None:
    """Make what estimates the invoice at a border needs and can have; what cannot be made yet is billed when it is.

    Args:
        tx: The transaction that finalises the invoice.
        contract: The contract.
        index: The border.
    """
    if not sells_outcomes(tx):
        return
    definitions = definitions_of(tx, contract.id)
    known = estimates_of(tx, contract.id, definitions)
    for outcome, each in definitions.items():
        for number, period in enumerate(periods_before(contract, index)):
            if number in known.get(outcome, {}) or not _needs_estimate(each, period.interval, tx):
                continue
            events = evidence_of(tx, get_customer(tx, contract.customer).subjects, each).events
            try:
                estimate = _make(contract, each, events, period.interval)
            except (InvalidInputError, UnprocessableError) as error:
                log.warning("no estimate for period %s of %s: %s", number, contract.id, error.message)
                continue
            if estimate is not None:
                outcome_estimates.insert(
                    tx.connection, tx.workspace.id, contract.id, outcome, number, estimate, tx.now
                )


def _needs_estimate(definitions: Definitions, period: Interval, tx: Transaction) -> bool:
    version = version_at(definitions.versions, period.start)
    savings = None if version is None else version.definition.savings
    if savings is None or savings.baseline.method not in ESTIMATED:
        return False
    return period.end + savings.run_out <= tx.now if savings.run_out is not None else period.end <= tx.now


def _make(
    contract: Contract, definitions: Definitions, events: Recorded, period: Interval
) -> Estimate | None:
    """The estimate of a period by its version's method; None where it needs none."""
    version = version_at(definitions.versions, period.start)
    terms = None if version is None else version.definition.savings
    if version is None or terms is None or terms.baseline.method not in ESTIMATED:
        return None
    lab = _lab()
    frame = frame_of(contract)
    compiled = definitions.compiled[version.number]
    if terms.baseline.method == "holdout":
        uplift = uplift_of(compiled, (each for _, each in compiled.readable(events)), frame, period)
        by_uplift: Estimate = lab.holdout_uplift(
            treated=uplift.treated,
            treated_successes=uplift.treated_successes,
            held_out=uplift.held_out,
            held_out_successes=uplift.held_out_successes,
            level=terms.level,
            sides=terms.sides,
        )
        return by_uplift
    governed = definitions.fold(events, frame)
    results = standing_in((each.outcome for each in governed.values()), period)
    if terms.baseline.method == "difference_in_differences":
        sample = sample_of(terms, results)
        by_groups: Estimate = lab.difference_in_differences(
            treated_before=sample.treated_before,
            treated_after=sample.treated_after,
            control_before=sample.control_before,
            control_after=sample.control_after,
            level=terms.level,
            sides=terms.sides,
        )
        return by_groups
    if not results:
        raise UnprocessableError("nothing is known of that period", field="period_index")
    observed = terms.baseline.observed
    names = compiled.measure_names
    if missing := [name for name in names if any(name not in each.facts for each in observed)]:
        raise UnprocessableError(
            f"the signed baseline has no {missing[0]} for every period", field="savings.baseline.observed"
        )
    by_fit: Estimate = lab.regression_baseline(
        [each.cost for each in observed],
        {name: [each.facts[name] for each in observed] for name in names},
        [sums_of(compiled, results)],
        level=terms.level,
        sides=terms.sides,
    )
    return by_fit


def _lab() -> ModuleType:
    """The statistics, which are an extra of their own."""
    try:
        from valorem.lab import estimating  # noqa: PLC0415 - an extra of its own
    except ImportError:
        raise UnprocessableError(
            "estimates need scipy and statsmodels", hint="install them: pip install 'valorem[lab]'"
        ) from None
    return estimating

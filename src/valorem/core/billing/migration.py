"""Moving contracts to a newer catalog version: the edit, and what it would have changed over the last period."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.charges import period_charges
from valorem.core.billing.needs import PeriodUsage
from valorem.core.billing.schedule import contract_period, final_boundary, period_index_at
from valorem.core.billing.terms import Terms
from valorem.core.billing.timing import When, effective_at
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.edits import Edit, SetPlan
from valorem.core.errors import UnprocessableError
from valorem.core.numbers import ZERO, exact
from valorem.core.periods import Period


def migration_edit(
    contract: Contract,
    version: int,
    when: When | datetime,
    now: datetime,
    *,
    edit_id: str,
    author: str,
    reason: str,
    plan: str | None = None,
) -> Edit:
    """The edit that moves a contract to another catalog version; until it takes effect it can be withdrawn.

    Args:
        contract: The contract as it stands.
        version: The catalog version to move to.
        when: Now, at the period's end, at renewal, or an instant.
        now: The workspace's clock.
        edit_id: The edit's id; the same one for a repeat, so that nothing moves twice.
        author: Who asked for it.
        reason: Why.
        plan: Another plan of that version; the same plan where left out.

    Raises:
        UnprocessableError: If it stands on that version then already.
    """
    effective = effective_at(contract, when, now)
    standing = contract.standing_at(effective)
    target = plan or standing.plan
    if (standing.plan, standing.catalog_version) == (target, version):
        raise UnprocessableError(
            f"contract {contract.id} is on plan {target!r} of version {version} by then", field="version"
        )
    change = SetPlan(plan=target, catalog_version=version)
    return Edit(
        id=edit_id, effective=effective, recorded=now, author=author, reason=reason, changes=(change,)
    )


@dataclass(frozen=True, slots=True)
class MigrationPreview:
    """What one contract's last whole period costs, as it was and as it would have been.

    Attributes:
        contract: The contract's id.
        customer: The customer's key.
        before: Its charges under the terms as they were.
        after: Its charges under the other version.
    """

    contract: str
    customer: str
    before: Decimal
    after: Decimal

    @property
    def difference(self) -> Decimal:
        """How much more the customer pays, or where negative how much less."""
        return self.after - self.before


def last_period(contract: Contract, now: datetime) -> Period | None:
    """The last period that has ended by now; the running one where none has; None before the start."""
    if now <= contract.start:
        return None
    ended = contract.end is not None and now >= contract.end
    reached = final_boundary(contract) if ended else period_index_at(contract, now)
    assert reached is not None  # a contract that has ended has a last border
    for candidate in range(reached - 1, -1, -1):
        if (period := contract_period(contract, candidate)) is not None:
            return period
    return contract_period(contract, reached)


@exact
def preview_migration(
    before: Terms, after: Terms, period: Period, usage_before: PeriodUsage, usage_after: PeriodUsage
) -> MigrationPreview:
    """What a period would have cost under other terms.

    Args:
        before: The terms as they were.
        after: The terms as if the other version had been in force all the time (:func:`as_if`).
        period: Which period to look at: :func:`last_period`.
        usage_before: Answers to the needs of the period under ``before``.
        usage_after: Answers to the needs under ``after``.
    """
    return MigrationPreview(
        before.contract.id,
        before.contract.customer,
        _total(before, period, usage_before),
        _total(after, period, usage_after),
    )


def _total(terms: Terms, period: Period, usage: PeriodUsage) -> Decimal:
    return sum((line.amount for line in period_charges(terms, period, usage).lines), ZERO)


def as_if(contract: Contract, plan: str, version: int) -> Contract:
    """The contract with all it has agreed, as if it had stood on another plan and version from the start."""
    standings = tuple(
        each.model_copy(update={"plan": plan, "catalog_version": version}) for each in contract.agreed
    )
    return replace(contract, plan=plan, catalog_version=version, standings=standings)


def sorted_by_effect(previews: Sequence[MigrationPreview]) -> tuple[MigrationPreview, ...]:
    """Those who would pay most more first, those who would pay less last."""
    return tuple(sorted(previews, key=lambda each: (-each.difference, each.customer, each.contract)))

"""Move chosen contracts to a newer catalog version: see who pays more and who less, do it, and undo it in time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.migration import (
    MigrationPreview,
    as_if,
    last_period,
    migration_edit,
    preview_migration,
    sorted_by_effect,
)
from valorem.core.billing.needs import PeriodUsage, usage_needs
from valorem.core.billing.terms import Terms
from valorem.core.billing.timing import When
from valorem.core.contracts.edits import SetPlan, Withdraw
from valorem.core.contracts.sources import Sources
from valorem.core.errors import InvalidInputError, NotFoundError, UnprocessableError, ValoremError
from valorem.core.numbers import ZERO
from valorem.core.periods import Period
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.contract_changes import ChangeRequest, change_contract, record_edit
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.measuring import measure_sources
from valorem.engine.sources import sources_for
from valorem.engine.terms import counting, terms_for
from valorem.store.postgres import contract_edits, contracts
from valorem.store.postgres.contracts import ContractRow

#: Contracts moved in one request.
MOST_CONTRACTS = 1000


@dataclass(frozen=True, slots=True)
class Migration:
    """Which contracts move where, and when.

    Attributes:
        id: Names it: its edits carry it, and it is undone by it. The same again moves nothing twice.
        version: The catalog version to move to; the newest where left out.
        when: Now, at each contract's period end, at its renewal, or an instant.
        plan: Only contracts on this plan now.
        customers: Only contracts of these customers; of all where empty.
        to_plan: Another plan of that version; the same plan where left out.
        reason: Why, for the history of each.
    """

    id: str
    version: int | None = None
    when: When | datetime = "period_end"
    plan: str | None = None
    customers: tuple[str, ...] = ()
    to_plan: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class NotMoved:
    """A chosen contract that stays where it is, and why."""

    contract: str
    customer: str
    why: str


@dataclass(frozen=True, slots=True)
class MigrationReport:
    """What a migration did or would do.

    Attributes:
        version: The version moved to.
        moved: Ids of the contracts that move, with the instant each does.
        stayed: Those that do not.
        effects: What each one's last whole period costs before and after, those who pay most more first.
    """

    version: int
    moved: tuple[tuple[str, datetime], ...]
    stayed: tuple[NotMoved, ...]
    effects: tuple[MigrationPreview, ...]

    @property
    def difference(self) -> Decimal:
        """How much more, over all of them, a period comes to; negative where it is less."""
        return sum((each.difference for each in self.effects), ZERO)


def preview_migrate(tx: Transaction, migration: Migration, author: str) -> MigrationReport:
    """What a migration would do: it is made, looked at, and undone."""
    with tx.connection.transaction(force_rollback=True):
        return migrate(tx, migration, author)


def migrate(tx: Transaction, migration: Migration, author: str) -> MigrationReport:
    """Give every chosen contract the edit that moves it; those that cannot move are named, and stay.

    Raises:
        NotFoundError: If there is no such catalog version.
        UnprocessableError: If more contracts are chosen than one request moves.
    """
    version = current_catalog(tx)[0] if migration.version is None else migration.version
    catalog_at(tx, version)
    moved: list[tuple[str, datetime]] = []
    stayed: list[NotMoved] = []
    effects: list[MigrationPreview] = []
    for row in _chosen(tx, migration):
        contract = row.contract
        try:
            edit = migration_edit(
                contract,
                version,
                migration.when,
                tx.now,
                edit_id=migration.id,
                author=author,
                reason=migration.reason,
                plan=migration.to_plan,
            )
            effect = _effect(tx, row, version, migration.to_plan)
            with tx.connection.transaction():
                record_edit(tx, contract.id, edit)
        except ValoremError as error:
            stayed.append(NotMoved(contract.id, contract.customer, error.message))
            continue
        moved.append((contract.id, edit.effective))
        if effect is not None:
            effects.append(effect)
    return MigrationReport(version, tuple(moved), tuple(stayed), sorted_by_effect(effects))


def undo_migration(tx: Transaction, migration_id: str, author: str, reason: str = "") -> MigrationReport:
    """Take back the edits of a migration that have not taken effect; the contracts it has moved already stay moved.

    Raises:
        NotFoundError: If no contract has such a migration.
    """
    ids = contract_edits.contracts_with(tx.connection, tx.workspace.id, migration_id)
    if not ids:
        raise NotFoundError(f"there is no migration {migration_id[:60]!r}", field="migration")
    moved: list[tuple[str, datetime]] = []
    stayed: list[NotMoved] = []
    version = 0
    for contract_id, edit in ids:
        version = max(each.catalog_version for each in edit.changes if isinstance(each, SetPlan))
        request = ChangeRequest((Withdraw(edit=migration_id),), "now", reason, id=f"undo:{migration_id}")
        try:
            with tx.connection.transaction():
                changed = change_contract(tx, contract_id, request, author)
        except ValoremError as error:
            found = contracts.load(tx.connection, tx.workspace.id, contract_id)
            assert found is not None  # it has an edit
            stayed.append(NotMoved(contract_id, found.contract.customer, error.message))
            continue
        moved.append((contract_id, changed.edit.recorded))
    return MigrationReport(version, tuple(moved), tuple(stayed), ())


def _chosen(tx: Transaction, migration: Migration) -> Iterator[ContractRow]:
    if not 1 <= len(migration.id) <= 90:
        raise InvalidInputError("a migration needs a name of 1 to 90 letters", field="id")
    found: list[ContractRow] = []
    for key in migration.customers or (None,):
        if key is not None:
            get_customer(tx, key)
        rows: Sequence[ContractRow] = contracts.load_page(
            tx.connection, tx.workspace.id, customer=key, after=None, limit=MOST_CONTRACTS + 1
        )
        found += [row for row in rows if _runs_on(row, migration.plan, tx.now)]
    if len(found) > MOST_CONTRACTS:
        raise UnprocessableError(
            f"more than {MOST_CONTRACTS} contracts are chosen",
            field="plan",
            hint="choose by plan, or name some customers at a time",
        )
    yield from found


def _runs_on(row: ContractRow, plan: str | None, now: datetime) -> bool:
    contract = row.contract
    return (contract.end is None or now < contract.end) and plan in (None, contract.standing_at(now).plan)


def _effect(tx: Transaction, row: ContractRow, version: int, to_plan: str | None) -> MigrationPreview | None:
    """What the last whole period costs, as it was and as if the other version had been in force all the time."""
    contract = row.contract
    period = last_period(contract, tx.now)
    if period is None:
        return None
    plan = to_plan or contract.standing_at(tx.now).plan
    before, after = terms_for(tx, contract), terms_for(tx, as_if(contract, plan, version))
    sources = sources_for(tx, contract)
    before, after = counting(before, sources), counting(after, sources)
    return preview_migration(
        before, after, period, _usage(tx, before, sources, period), _usage(tx, after, sources, period)
    )


def _usage(tx: Transaction, terms: Terms, sources: Sources, period: Period) -> PeriodUsage:
    return measure_sources(tx, sources, usage_needs(terms, period))

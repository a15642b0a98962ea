"""The catalog as code: plan a change, apply it as a new version, look back, roll back."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.diff import Change, affected_plans, diff_catalogs
from valorem.core.catalog.tree import parse_catalog
from valorem.core.contracts.customer import check_text
from valorem.core.errors import ConflictError, NotFoundError
from valorem.engine.engine import Transaction
from valorem.engine.meters import activate
from valorem.store.postgres import catalogs, contracts, locks
from valorem.store.postgres.catalogs import CatalogVersion

_CACHED_VERSIONS = 64
_NEWEST = "newest catalog version"


@dataclass(frozen=True, slots=True)
class AffectedContract:
    """A contract on a plan that a change touches; it stays on the version it is pinned to."""

    contract: str
    customer: str
    plan: str
    catalog_version: int


@dataclass(frozen=True, slots=True)
class CatalogPlan:
    """What applying a tree of files would change. Nothing has been written.

    Attributes:
        base_version: The version compared with; 0 for none.
        digest: SHA-256 (hex) of the proposed files.
        changes: In the order of the catalog; empty where the meaning is the same.
        affected_contracts: Contracts on a changed plan, which keep their pinned version until they are moved.
        affected_total: How many there are in all, where the list is cut.
    """

    base_version: int
    digest: str
    changes: tuple[Change, ...]
    affected_contracts: tuple[AffectedContract, ...]
    affected_total: int


class _Parsed:
    """Parsed versions by digest; what a digest stands for never changes, so nothing here is ever stale."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Catalog] = OrderedDict()
        self._lock = Lock()

    def get(self, digest: str, files: Callable[[], Mapping[str, str]]) -> Catalog:
        with self._lock:
            if (found := self._kept.get(digest)) is not None:
                self._kept.move_to_end(digest)
                return found
        catalog = parse_catalog(files())
        with self._lock:
            self._kept[digest] = catalog
            while len(self._kept) > _CACHED_VERSIONS:
                self._kept.popitem(last=False)
        return catalog


_parsed = _Parsed()


def plan_catalog(tx: Transaction, files: Mapping[str, str], *, most_contracts: int = 100) -> CatalogPlan:
    """Check a tree of files and say what applying it would change, without writing anything.

    Raises:
        CatalogError: With every problem found, each with file, line, field and what would be right.
    """
    new = parse_catalog(files)
    base = catalogs.latest_version(tx.connection, tx.workspace.id)
    old = catalog_at(tx, base) if base else Catalog()
    changes = tuple(diff_catalogs(old, new))
    touched, total = contracts.load_on_plans(
        tx.connection,
        tx.workspace.id,
        sorted({*affected_plans(changes, old), *affected_plans(changes, new)}),
        limit=most_contracts,
    )
    affected = tuple(AffectedContract(c.id, c.customer, c.plan, c.catalog_version) for c in touched)
    return CatalogPlan(base, new.digest(), changes, affected, total)


def apply_catalog(
    tx: Transaction, files: Mapping[str, str], *, message: str, author: str, expect_version: int | None = None
) -> CatalogVersion:
    """Make a tree of files the next version. Its meters count from this instant, and over everything recorded before.

    Applying files that are the same to the letter as the newest version returns that version.

    Args:
        tx: The transaction.
        files: Path to text.
        message: Why.
        author: Who.
        expect_version: The version the author looked at; refuse if another was applied since.

    Raises:
        CatalogError: With every problem found.
        ConflictError: If another version was applied since ``expect_version``.
    """
    check_text(message, "message", 2000)
    check_text(author, "author", 200)
    catalog = parse_catalog(files)
    locks.wait_for(tx.connection, locks.Lock.APPLY, tx.workspace.id)
    newest = catalogs.latest_version(tx.connection, tx.workspace.id)
    if expect_version is not None and expect_version != newest:
        raise ConflictError(
            f"version {newest} has been applied since version {expect_version}",
            field="expect_version",
            hint="plan again on the newest version, then apply",
        )
    if newest and (current := show_version(tx, newest)).digest == catalog.digest():
        return current
    version = CatalogVersion(newest + 1, catalog.digest(), dict(files), message, author, tx.now)
    catalogs.insert(tx.connection, tx.workspace.id, version)
    tx.memo.pop(_NEWEST, None)
    activate(tx, catalog.meter_revisions())
    return version


def rollback_catalog(tx: Transaction, version: int, *, message: str | None, author: str) -> CatalogVersion:
    """Apply an earlier version's files again, as a new version.

    Raises:
        NotFoundError: If there is no such version.
    """
    earlier = show_version(tx, version)
    return apply_catalog(
        tx, earlier.files, message=message or f"Roll back to version {version}", author=author
    )


def list_versions(tx: Transaction, *, before: int | None = None, limit: int = 50) -> list[CatalogVersion]:
    """The versions without their files, newest first."""
    return catalogs.load_log(tx.connection, tx.workspace.id, before=before, limit=limit)


def show_version(tx: Transaction, version: int) -> CatalogVersion:
    """One version with its files.

    Raises:
        NotFoundError: If there is no such version.
    """
    found = catalogs.load(tx.connection, tx.workspace.id, version)
    if found is None:
        newest = catalogs.latest_version(tx.connection, tx.workspace.id)
        if not newest:
            raise NotFoundError(
                "no catalog has been applied yet", field="version", hint="apply one: valorem catalog apply"
            )
        raise NotFoundError(
            f"there is no catalog version {version}", field="version", hint=f"the newest is {newest}"
        )
    return found


def diff_versions(tx: Transaction, before: int, after: int) -> tuple[Change, ...]:
    """What changed in meaning from one version to another.

    Raises:
        NotFoundError: If either does not exist.
    """
    return tuple(diff_catalogs(catalog_at(tx, before), catalog_at(tx, after)))


def current_catalog(tx: Transaction) -> tuple[int, Catalog]:
    """The newest version and its number.

    Raises:
        NotFoundError: Before the first apply.
    """
    newest = tx.once(_NEWEST, lambda: catalogs.latest_version(tx.connection, tx.workspace.id))
    return newest, catalog_at(tx, newest)


def catalog_at(tx: Transaction, version: int) -> Catalog:
    """The parsed catalog of a version; versions are immutable, so it is parsed once.

    Raises:
        NotFoundError: If there is no such version.
    """
    digest = tx.once(
        ("catalog digest", version), lambda: catalogs.load_digest(tx.connection, tx.workspace.id, version)
    )
    if digest is None:
        tx.memo.pop(("catalog digest", version))  # it may be applied later in this transaction
        digest = show_version(tx, version).digest  # raises, and says what there is
    return _parsed.get(digest, lambda: show_version(tx, version).files)

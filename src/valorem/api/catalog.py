"""``/v1/catalog``: what is sold, as a tree of files; planned, applied, looked back at."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field, JsonValue
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name, Page, Text
from valorem.core.catalog.diff import Change
from valorem.core.catalog.schema import catalog_schema as published_schema
from valorem.engine import catalog
from valorem.store.postgres.catalogs import CatalogVersion

router = APIRouter(prefix="/v1/catalog", tags=["catalog"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("catalog:write"))]
_EXAMPLE_FILES: dict[str, JsonValue] = {
    "meters/calls.yaml": "meter: calls\nname: Calls\nevent: api.call\naggregate: count\nunit: call\n",
    "plans/start.yaml": "plan: start\nname: Start\ncurrency: USD\nprices:\n  calls: {model: per_unit, unit: 0.01}\n",
}
Files = Annotated[
    dict[Annotated[str, Field(max_length=255)], Annotated[str, Field(max_length=1_000_000)]],
    Field(max_length=2000, description="path in the tree → the file's text", examples=[_EXAMPLE_FILES]),
]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Proposed(Body):
    """A tree of files to look at."""

    files: Files


class Applied(Body):
    """A tree of files to make the next version."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"files": _EXAMPLE_FILES, "message": "Launch prices", "author": "Ada"}]
        }
    )

    files: Files
    message: Annotated[Text, Field(min_length=1)]
    author: Name
    expect_version: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class RolledBack(Body):
    """An earlier version to apply again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 3, "author": "Ada"}]})

    version: Version
    message: Text | None = None
    author: Name


class VersionHeader(Answer):
    """One applied version, without its files."""

    version: int
    digest: str
    message: str
    author: str
    created_at: Instant


class VersionAnswer(VersionHeader):
    """One applied version."""

    files: dict[str, str]


class ChangeAnswer(Answer):
    """One difference in meaning. ``recount``: recorded events are counted again by the changed meter."""

    kind: Literal["added", "removed", "changed"]
    what: str
    path: str
    before: Any
    after: Any
    sentence: str
    recount: bool


class AffectedContractAnswer(Answer):
    """A contract on a plan that the change touches; it keeps the version it is pinned to."""

    contract: str
    customer: str
    plan: str
    catalog_version: int


class PlanAnswer(Answer):
    """What applying would change. Nothing was written."""

    base_version: int
    digest: str
    changes: list[ChangeAnswer]
    affected_contracts: list[AffectedContractAnswer]
    affected_total: int


class DiffAnswer(Answer):
    """What changed in meaning from one version to another."""

    before: int
    after: int
    changes: list[ChangeAnswer]


@router.get("")
def get_catalog(caller: Reader) -> VersionAnswer:
    """The newest version with its files."""
    with caller.reading() as tx:
        version, _ = catalog.current_catalog(tx)
        return _version(catalog.show_version(tx, version))


@router.post("/plan")
def plan_catalog(body: Proposed, caller: Writer) -> PlanAnswer:
    """What would applying these files change, and which contracts would it touch? Writes nothing."""
    with caller.reading() as tx:
        return PlanAnswer.model_validate(catalog.plan_catalog(tx, body.files))


@router.post("/apply", status_code=201, response_model=VersionAnswer)
def apply_catalog(body: Applied, caller: Writer) -> Response:
    """Make these files the next version; the same files again answer the version there is."""
    return caller.once(
        lambda tx: _version(
            catalog.apply_catalog(
                tx, body.files, message=body.message, author=body.author, expect_version=body.expect_version
            )
        )
    )


@router.post("/rollback", status_code=201, response_model=VersionAnswer)
def rollback_catalog(body: RolledBack, caller: Writer) -> Response:
    """Apply an earlier version's files again, as a new version."""
    return caller.once(
        lambda tx: _version(
            catalog.rollback_catalog(tx, body.version, message=body.message, author=body.author)
        )
    )


@router.get("/versions")
def list_catalog_versions(
    caller: Reader,
    after: Annotated[str | None, Query(pattern=r"^\d{1,9}$", description="a page's `next`")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> Page[VersionHeader]:
    """The versions, newest first."""
    with caller.reading() as tx:
        found = catalog.list_versions(tx, before=int(after) if after else None, limit=limit + 1)
    items = [VersionHeader.model_validate(version) for version in found[:limit]]
    return Page(items=items, next=str(items[-1].version) if len(found) > limit else None)


@router.get("/versions/{version}")
def get_catalog_version(version: Annotated[Version, Path()], caller: Reader) -> VersionAnswer:
    """One version with its files."""
    with caller.reading() as tx:
        return _version(catalog.show_version(tx, version))


@router.get("/schema")
def catalog_schema(_caller: Reader) -> dict[str, Any]:
    """The JSON Schema of the catalog's files, for editors."""
    return published_schema()


@router.get("/diff")
def diff_catalog(
    caller: Reader, before: Annotated[Version, Query()], after: Annotated[Version, Query()]
) -> DiffAnswer:
    """What changed in meaning between two versions."""
    with caller.reading() as tx:
        return DiffAnswer(
            before=before, after=after, changes=_changes(catalog.diff_versions(tx, before, after))
        )


def _version(found: CatalogVersion) -> VersionAnswer:
    return VersionAnswer.model_validate(found)


def _changes(changes: Iterable[Change]) -> list[ChangeAnswer]:
    return [ChangeAnswer.model_validate(change) for change in changes]

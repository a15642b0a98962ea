"""Price change: what would this do? The files on one side; what changes, for whom, and the money on the other."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from valorem.core.catalog.problems import CatalogError
from valorem.core.catalog.tree import parse_catalog
from valorem.core.errors import InvalidInputError, ValoremError
from valorem.engine import catalog as verbs
from valorem.engine.catalog import CatalogPlan
from valorem.engine.engine import Transaction
from valorem.engine.overview import customer_names
from valorem.engine.proposals import Proposed, propose
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit

#: Contracts whose money is worked out for the preview; the largest question is answered by the first of them.
_MOST_PROPOSED = 10
_FOLDERS = ("meters", "features", "prices", "plans")
_FIRST = {
    "meters/requests.yaml": "meter: requests\nname: Requests\nevent: api.request\naggregate: count\nunit: request\n",
    "plans/start.yaml": (
        "plan: start\nname: Start\ncurrency: USD\nevery: month\nfees:\n  base: {amount: 20, name: Platform}\n"
        "prices:\n  requests: {model: per_unit, included: 10k, amount: 2, per: 1k}\n"
    ),
}


@dataclass(frozen=True, slots=True)
class Preview:
    """What applying the files would do.

    Attributes:
        plan: The changes and the affected contracts.
        money: The first affected contracts, as they are and as they would be.
        before: What these come to as they are, by currency.
        after: As they would be.
    """

    plan: CatalogPlan
    money: tuple[Proposed, ...]
    before: Mapping[str, Decimal]
    after: Mapping[str, Decimal]


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/catalog/change", _edit)
    site.action("/catalog/change", "catalog", _submit)


def _edit(visit: Visit) -> Page:
    files, version = _current(visit)
    return _page(visit, files, version)


def _current(visit: Visit) -> tuple[dict[str, str], int]:
    with visit.reading() as tx:
        newest = verbs.list_versions(tx, limit=1)
        if not newest:
            return dict(_FIRST), 0
        return dict(verbs.show_version(tx, newest[0].version).files), newest[0].version


def _page(
    visit: Visit,
    files: Mapping[str, str],
    version: int,
    *,
    preview: Preview | None = None,
    refused: ValoremError | None = None,
) -> Page:
    stored, _ = _current(visit)
    with visit.reading() as tx:
        names = customer_names(tx)
    values: dict[str, Any] = {
        "here": "catalog",
        "files": sorted(files.items(), key=lambda each: (_rank(each[0]), each[0])),
        "changed": {path for path, text in files.items() if stored.get(path) != text},
        "version": version,
        "preview": preview,
        "refused": refused,
        "problems": refused.problems if isinstance(refused, CatalogError) else (),
        "message": visit.form.get("message", ""),
        "names": names,
    }
    return Page("console/change.html", values, 200 if refused is None else refused.status)


def _rank(path: str) -> int:
    folder = path.partition("/")[0]
    return _FOLDERS.index(folder) if folder in _FOLDERS else len(_FOLDERS)


def _submit(visit: Visit) -> Answer:
    form = visit.form
    files = {
        name.removeprefix("file:"): text
        for name, text in form.items()
        if name.startswith("file:") and text.strip()
    }
    new_path = form.get("new_path", "").strip()
    if new_path and form.get("new_text", "").strip():
        files[new_path] = form["new_text"]
    version = int(form["expect_version"]) if form.get("expect_version", "").isdigit() else 0
    try:
        if form.get("do") == "apply":
            return _apply(visit, files, version)
        with visit.reading() as tx:
            preview = _preview(tx, files)
    except ValoremError as error:
        return _page(visit, files, version, refused=error)
    return _page(visit, files, version, preview=preview)


def _apply(visit: Visit, files: Mapping[str, str], version: int) -> Answer:
    message = visit.form.get("message", "").strip()
    if not message:
        raise InvalidInputError("say why", field="message", hint="the message is what the log shows")
    with visit.acting() as tx:
        made = verbs.apply_catalog(
            tx, files, message=message, author=visit.person.email, expect_version=version
        )
        deed = visit.deed(
            "catalog.apply",
            f"version {made.version}",
            before={"version": version},
            after={"version": made.version, "digest": made.digest, "message": message},
        )
        visit.note(tx, deed)
    return Go(f"{visit.home}/catalog/versions/{made.version}", f"Version {made.version} is in force.")


def _preview(tx: Transaction, files: Mapping[str, str]) -> Preview:
    plan = verbs.plan_catalog(tx, files)
    catalog = parse_catalog(files)
    found = [propose(tx, each.contract, catalog) for each in plan.affected_contracts[:_MOST_PROPOSED]]
    money = tuple(each for each in found if each is not None)
    before: dict[str, Decimal] = {}
    after: dict[str, Decimal] = {}
    for each in money:
        if each.proposed is not None:
            before[each.currency] = before.get(each.currency, Decimal(0)) + each.projected
            after[each.currency] = after.get(each.currency, Decimal(0)) + each.proposed
    return Preview(plan, money, before, after)

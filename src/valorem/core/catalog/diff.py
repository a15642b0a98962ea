"""What changed between two catalogs, by meaning: comments, order and layout of the files do not count."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from valorem.core.catalog.canonical import canonical
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.sentences import sentence

ChangeKind = Literal["added", "removed", "changed"]
Path = tuple[str, ...]

#: Fields of a meter that only name it, or that are applied to what was counted.
_NOT_COUNTING = frozenset({"name", "description", "unit", "convert", "cost"})
#: Meter fields said as a whole: a filter or conversion in pieces is not readable.
_WHOLE = frozenset({"filter", "convert", "event"})
#: Fields of a price that are worked out event by event, so that a change of them counts the events anew.
_PER_EVENT = frozenset({"whole_event", "minimum_per_event", "maximum_per_event"})
_DATE = re.compile(r"(?:\d{4}-\d{2}-\d{2}.*)?")


@dataclass(frozen=True, slots=True)
class Change:
    """One difference in meaning.

    Attributes:
        kind: Whether the thing at ``path`` is new, gone or different. A price that changes from a date on is different.
        what: ``plan team``, ``price gpt_tokens``, ``meter tokens``, ``feature sso``.
        path: Dotted path inside it; empty where the whole of it was added or removed.
        before: As plain JSON values (decimals as text); None where it was absent.
        after: The same.
        sentence: The change in plain English.
        recount: Whether events are counted differently, so that recorded ones are counted again.
    """

    kind: ChangeKind
    what: str
    path: str
    before: Any
    after: Any
    sentence: str
    recount: bool = False


def diff_catalogs(old: Catalog, new: Catalog) -> tuple[Change, ...]:
    """Every difference in meaning, in the order of the catalog's folders, and by key within each."""
    before, after = canonical(old), canonical(new)
    changes: list[Change] = []
    for kind, news in after.items():
        olds = before[kind]
        for key in sorted(olds.keys() | news.keys()):
            what = f"{kind} {key}"
            entry = news.get(key) or olds[key]
            found = _differences(olds.get(key), news.get(key), (), "")
            changes += (_change(what, difference, entry) for difference in found)
    return tuple(changes)


def affected_plans(changes: Iterable[Change], catalog: Catalog) -> tuple[str, ...]:
    """The plans of a catalog that changes touch, directly or through a price, meter or feature they use."""
    touched = {change.what for change in changes}
    return tuple(key for key in sorted(catalog.plans) if touched & _uses(catalog, key))


def render(changes: Sequence[Change]) -> str:
    """The changes as plain lines: ``+`` added, ``-`` removed, ``~`` changed."""
    signs = {"added": "+", "removed": "-", "changed": "~"}
    if not changes:
        return "no change in meaning"
    return "\n".join(f"{signs[change.kind]} {change.sentence}" for change in changes)


def _uses(catalog: Catalog, key: str) -> set[str]:
    plan = catalog.plans[key]
    used = {f"plan {key}", *(f"feature {name}" for name in plan.features)}
    for name in plan.features:
        feature = catalog.features.get(name)
        if feature is not None and feature.meter is not None:
            used.add(f"meter {feature.meter}")
    for name, terms in plan.grants.items():
        used |= _uses_credit(catalog, terms.credit or name)
    for meter, price in plan.prices.items():
        used.add(f"meter {meter}")
        if isinstance(price, str):
            used.add(f"price {price}")
    return used


def _uses_credit(catalog: Catalog, key: str) -> set[str]:
    used = {f"credit {key}"}
    credit = catalog.credits.get(key)
    for meter, price in credit.burn.items() if credit is not None else ():
        used.add(f"meter {meter}")
        if isinstance(price, str):
            used.add(f"price {price}")
    return used


@dataclass(frozen=True, slots=True)
class _Difference:
    path: Path
    before: Any
    after: Any
    since: str


def _change(what: str, found: _Difference, entry: Mapping[str, Any]) -> Change:
    kind: ChangeKind = "changed"
    if found.before is None or found.after is None:
        kind = "added" if found.before is None else "removed"
    if what.startswith("meter "):
        counts = bool(found.path) and found.path[0] not in _NOT_COUNTING
    else:
        counts = not _PER_EVENT.isdisjoint(found.path)
    said = sentence(what, found.path, found.before, found.after, entry=entry, since=found.since)
    path = ".".join((*found.path, found.since) if found.since else found.path)
    if counts:
        said += ": recorded events will be recounted"
    return Change(kind, what, path, found.before, found.after, said, counts)


def _differences(before: Any, after: Any, path: Path, since: str) -> Iterator[_Difference]:
    if before == after:
        return
    both = isinstance(before, Mapping) and isinstance(after, Mapping)
    if both and _is_dated(before) and _is_dated(after):
        yield from _dated_differences(before, after, path[:-1] if path[-1:] == ("versions",) else path)
    elif not both or _is_row(path) or (path and path[-1] in _WHOLE):
        yield _Difference(path, before, after, since)
    else:
        for name in dict.fromkeys((*before, *after)):
            yield from _differences(before.get(name), after.get(name), (*path, name), since)


def _dated_differences(
    before: Mapping[str, Any], after: Mapping[str, Any], path: Path
) -> Iterator[_Difference]:
    """Versions of one thing by date; a new date is told as the change from what held until then."""
    for date in sorted(before.keys() | after.keys()):
        earlier = max((other for other in after if other < date), default=None)
        if date in before or earlier is None:
            old, new = before.get(date), after.get(date)
        else:
            old, new = after[earlier], after[date]
        if old == new and date not in before:  # dated, but nothing changes on that day
            old = None
        if old is None or new is None:
            yield _Difference(path, old, new, date)
        else:
            yield from _differences(old, new, path, date)


def _is_dated(value: Mapping[str, Any]) -> bool:
    return bool(value) and all(_DATE.fullmatch(key) for key in value)


def _is_row(path: Path) -> bool:
    """Whether a path is one dated row of rates, which is told as a whole."""
    return len(path) >= 2 and path[-2] == "rates"

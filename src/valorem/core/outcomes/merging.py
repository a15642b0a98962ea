"""Merged records: which keys of the source became one, and by which evidence."""

from collections.abc import Iterator, Mapping

from valorem.core.outcomes.evidence import Evidence, in_order


def merged_groups(by_key: Mapping[str, list[Evidence]]) -> Iterator[dict[str, Evidence | None]]:
    """The groups of keys that merges made one record, each key with the evidence that says so of itself."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            key = parent[key]
        return key

    said: dict[str, Evidence] = {}
    for own in by_key.values():
        for each in in_order(own):
            if each.alias_of is not None and each.alias_of != each.key:
                said.setdefault(each.key, each)
                parent[root(each.key)] = root(each.alias_of)
    groups: dict[str, dict[str, Evidence | None]] = {}
    for key in sorted(parent):
        groups.setdefault(root(key), {})[key] = said.get(key)
    yield from groups.values()


def merge_into(by_key: Mapping[str, list[Evidence]], key: str) -> Evidence | None:
    """The first evidence by which another record became part of this one."""
    into = (each for own in by_key.values() for each in own if each.alias_of == key)
    return min(into, key=lambda each: each.place, default=None)

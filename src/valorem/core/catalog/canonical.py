"""One form for everything that means the same, so that catalogs can be compared by meaning."""

from collections.abc import Mapping, Sequence
from typing import Any

from valorem.core.catalog.catalog import Catalog

#: Fields of a rate row that are not dimensions.
ROW_FIELDS = frozenset({"amount", "per", "from", "until", "name", "description"})


def canonical(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Kind (``meter``, ``feature``, ``price``, ``plan``) to key to plain JSON values.

    Decimals are text without trailing zeros, what is left out and what is written as its default are the same, and
    lists whose items say themselves what they are (rates, tiers, dated versions) become mappings from that:
    ``rates`` by dimensions and then by date, ``tiers`` by upper bound, versions by date. The earliest date is ``""``.
    """
    kinds: tuple[tuple[str, Mapping[str, Any]], ...] = (
        ("meter", catalog.meters),
        ("feature", catalog.features),
        ("price", catalog.prices),
        ("plan", catalog.plans),
    )
    return {
        kind: {
            key: _form(entry.model_dump(mode="json", by_alias=True)) for key, entry in sorted(entries.items())
        }
        for kind, entries in kinds
    }


def row_dimensions(row: Mapping[str, Any]) -> dict[str, Any]:
    """The dimensions of a rate row, in the order written."""
    nested = row.get("dimensions")
    if isinstance(nested, Mapping):
        return dict(nested)
    return {name: value for name, value in row.items() if name not in ROW_FIELDS}


def _form(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _form(part, key) for key, part in value.items() if not _nothing(part)}
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    if not any(isinstance(item, Mapping) for item in value):
        return sorted(value, key=str) if name not in _ORDERED else list(value)
    if name == "rates":
        return _rates(value)
    if name == "tiers":
        return {_bound(tier): _form(_without(tier, "up_to")) for tier in value}
    if all("from" in item for item in value):
        return {item["from"] or "": _form(_without(item, "from")) for item in value}
    return [_form(item) for item in value]


#: Lists of plain values whose order has a meaning; none yet.
_ORDERED: frozenset[str] = frozenset()


def _rates(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for row in rows:
        dimensions = row_dimensions(row)
        identity = " ".join(f"{name}={dimensions[name]}" for name in sorted(dimensions))
        rates.setdefault(identity, {})[row.get("from") or ""] = _form(_without(row, "from"))
    return rates


def _bound(tier: Mapping[str, Any]) -> str:
    return str(tier["up_to"]) if tier.get("up_to") is not None else "beyond"


def _without(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != name}


def _nothing(value: Any) -> bool:
    return value is None or value in ([], {})

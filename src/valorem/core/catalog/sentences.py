"""Changes in plain English, with the direction and percent of money."""

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any

from valorem.core.catalog.canonical import row_dimensions
from valorem.core.numbers import exact, plain

Path = tuple[str, ...]

#: Fields of a plan whose amounts are said with their currency and what they are for.
_UNIT_SAID = frozenset({"fees", "minimum", "maximum"})
Entry = Mapping[str, Any]

_QUANTITIES = frozenset({"per", "up_to", "included", "size", "above", "free", "free_amount"})


def sentence(what: str, path: Path, before: Any, after: Any, *, entry: Entry, since: str = "") -> str:
    """Say one change.

    Args:
        what: ``plan team``, ``price gpt_tokens``, …
        path: Where in the canonical form; empty for the whole entry.
        before: Canonical value, None where absent.
        after: The same.
        entry: The canonical form of the whole entry the change is in, for its currency.
        since: The date from which it holds, where that is not from the start.
    """
    if not path:
        return _whole(what, before, after, since)
    noun = _noun(what.partition(" ")[0], path, after if after is not None else before)
    from_when = f" from {_day(since)}" if since else ""
    unit = _unit(path, before, after, entry)
    if before is None:
        return f"{what}: {noun} added: {_value(path, after)}{unit}{from_when}"
    if after is None:
        return f"{what}: {noun}{from_when} removed (was {_value(path, before)}{unit})"
    return f"{what}: {noun} {_arrow(path, before, after, unit)}{from_when}{_percent(path, before, after)}"


def _whole(what: str, before: Any, after: Any, since: str) -> str:
    if since:
        return f"{what}: version from {_day(since)} {'added' if before is None else 'removed'}"
    return f"{what} added: {_summary(what, after)}" if before is None else f"{what} removed"


def _arrow(path: Path, before: Any, after: Any, unit: str) -> str:
    if _is_rate(before) and _is_rate(after):
        if before.get("per") == after.get("per"):
            return f"{before['amount']} → {after['amount']}{_per(after)}"
        return f"{before['amount']}{_per(before)} → {after['amount']}{_per(after)}"
    old, new = _value(path, before), _value(path, after)
    if max(len(old), len(new)) > 60:
        return f"changed{unit}"
    return f"{old} → {new}{unit}"


def _noun(kind: str, path: Path, value: Any) -> str:
    """How people call the thing at a path."""
    match kind:
        case "plan":
            return _plan_noun(path, value)
        case "price":
            return _price_noun(path, value)
        case "meter":
            return _meter_noun(path)
        case "outcome" if path[0] == "price" and len(path) > 1:
            return f"price: {_price_noun(path[1:], value)}"
    return _words(path)


def _plan_noun(path: Path, value: Any) -> str:
    match path:
        case ("fees", key) | ("fees", key, "amount"):
            return f"fee {key}"
        case ("fees", key, *rest):
            return f"fee {key}: {_words(rest)}"
        case ("prices", meter):
            return f"price of {meter}"
        case ("prices", meter, *rest):
            return f"price of {meter}: {_price_noun(tuple(rest), value)}"
        case ("features", key):
            return f"feature {key}"
        case ("policies", key):
            return f"policy {_words([key])}"
        case ("every",):
            return "billing interval"
        case (("minimum" | "maximum") as bound, *_):
            return bound
    return _words(path)


def _price_noun(path: Path, value: Any) -> str:
    match path:
        case ("rates", identity, *_):
            row = value.get("", value) if isinstance(value, Mapping) else {}
            dimensions = " ".join(f"{name}={part}" for name, part in row_dimensions(row).items())
            return f"rate {dimensions or identity}"
        case (("tiers" | "bands"), bound, *rest):
            return f"tier {_bound(bound)}" + (f": {_words(rest)}" if rest else "")
        case ("multipliers", dimension, key):
            return f"multiplier {dimension}={key}"
    return _words(path)


def _bound(bound: str) -> str:
    return "beyond" if bound == "beyond" else f"up to {_short(bound)}"


def _meter_noun(path: Path) -> str:
    match path:
        case ("dimensions", name):
            return f"dimension {name}"
        case ("each", name):
            return f"each {name}"
        case ("each", name, key):
            return f"each {name}={key}"
    return _words(path)


def _words(path: Any) -> str:
    return " ".join(path).replace("_", " ")


def _unit(path: Path, before: Any, after: Any, entry: Entry) -> str:
    match path:
        case ("fees", key, "amount"):
            per = entry.get("fees", {}).get(key, {}).get("per")
            return f" {entry.get('currency', '')}" + (f" per {per}" if per else "")
        case ("fees", _):
            fee = after if after is not None else before
            return f" {entry.get('currency', '')}" + (f" per {fee['per']}" if fee.get("per") else "")
        case (("minimum" | "maximum"), *_) if "currency" in entry:
            return f" {entry['currency']} per invoice"
    return ""


def _value(path: Path, value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _short(value) if path[-1] in _QUANTITIES else value
    if isinstance(value, Mapping):
        if _is_rate(value):
            return f"{value['amount']}" + ("" if path[0] in _UNIT_SAID else _per(value))
        return _fields(path, value)
    if isinstance(value, list):
        return ", ".join(_value(path, part) for part in value)
    return str(value)


def _fields(path: Path, value: Mapping[str, Any]) -> str:
    if "versions" in value or "model" in value:
        return _price_summary(value)
    if path[-2:-1] == ("rates",):
        return ", ".join(
            _value((*path, date), row) + (f" from {_day(date)}" if date else "")
            for date, row in value.items()
        )
    if path[-1] in ("tiers", "bands"):
        return ", ".join(f"{_bound(bound)} {_value((*path, bound), tier)}" for bound, tier in value.items())
    return ", ".join(
        f"{_words([name])} {_value((*path, name), part)}"
        for name, part in value.items()
        if (name, part) != ("per", "1")
    )


def _price_summary(price: Mapping[str, Any]) -> str:
    """A price in a few words: ``matrix with 3 rates, 2 dated versions``."""
    versions = price.get("versions", {"": price})
    first = next(iter(versions.values()))
    said = str(first.get("model"))
    for field in ("rates", "tiers", "bands"):
        if field in first:
            said += f" with {_count(len(first[field]), field)}"
    if "amount" in first:
        said += f" {first['amount']}{_per(first)}"
    return said + (f", {len(versions)} dated versions" if len(versions) > 1 else "")


def _count(number: int, nouns: str) -> str:
    return f"{number} {nouns if number != 1 else nouns.removesuffix('s')}"


def _summary(what: str, entry: Entry) -> str:
    kind = what.partition(" ")[0]
    name = entry.get("name")
    match kind:
        case "plan":
            said = [name, entry.get("currency"), f"every {str(entry.get('every')).removeprefix('1 ')}"]
            said += [
                _count(len(entry[part]), part) for part in ("fees", "prices", "features") if entry.get(part)
            ]
        case "meter":
            value = entry.get("value") or (
                next(iter(entry.get("each", {})), "") and f"each {next(iter(entry['each']))}"
            )
            said = [name, f"{entry['aggregate']} of {value or ', '.join(entry['event'])}"]
        case "feature":
            said = [name, entry.get("kind")]
        case "tax":
            said = [name, f"rates in {', '.join(sorted({place.split()[0] for place in entry['rates']}))}"]
        case "outcome":
            said = [name, f"from {entry['source']['system']}", f"window {entry['window']}", entry["currency"]]
        case "source":
            ways = [each for each in ("webhook", "poll") if entry.get(each)]
            said = [name, f"by {' and '.join(ways)}", f"events {', '.join(entry['map'])}"]
        case _:
            said = [name, f"for {entry.get('meter')}", _price_summary(entry)]
    return ", ".join(str(part) for part in said if part)


def _is_rate(value: Any) -> bool:
    return isinstance(value, Mapping) and "amount" in value


def _per(row: Mapping[str, Any]) -> str:
    per = row.get("per")
    return f" per {_short(str(per))}" if per not in (None, "1") else ""


def _day(instant: str) -> str:
    return instant.removesuffix("T00:00:00Z")


_MULTIPLES = ((10**12, "T"), (10**9, "B"), (10**6, "M"), (10**3, "k"))


@exact
def _short(number: str) -> str:
    """A quantity as people write it: 2000000 is 2M."""
    if re.fullmatch(r"\d+", number) is None:
        return number
    for multiple, letter in _MULTIPLES:
        if int(number) >= multiple and int(number) % (multiple // 100) == 0:
            return f"{plain(Decimal(number) / multiple)}{letter}"
    return number


@exact
def _percent(path: Path, before: Any, after: Any) -> str:
    """By how much a number went up or down; nothing for what is not a number or was zero."""
    try:
        old, new = _number(before), _number(after)
    except (InvalidOperation, TypeError):
        return ""
    if not old or (path[-1] == "per" and not isinstance(before, Mapping)):
        return ""
    change = ((new - old) / abs(old) * 100).quantize(Decimal("0.1"), rounding=ROUND_HALF_UP)
    if not change:
        return " (the same for one unit)" if new == old else " (less than 0.1 %)"
    return f" ({'+' if change > 0 else '−'}{plain(abs(change))} %)"


def _number(value: Any) -> Decimal:
    """The number in a value: of a rate row, the amount for one unit."""
    if _is_rate(value):
        return Decimal(value["amount"]) / Decimal(value.get("per") or 1)
    if isinstance(value, str):
        return Decimal(value)
    raise TypeError(value)

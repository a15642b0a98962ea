"""Outcome definitions in the catalog: the form in which two of them are compared."""

from collections.abc import Mapping
from typing import Any

from valorem.core.metering.expression import parse_expression, write_expression
from valorem.core.metering.filters import canonical_filter, parse_filter
from valorem.core.outcomes.definition import OutcomeDefinition

#: Fields that are paths or expressions, wherever in a definition they stand.
_EXPRESSIONS = frozenset({"key", "alias_of", "sequence", "actor", "reason", "rises", "pays"})


def definition_fields(definition: OutcomeDefinition) -> dict[str, Any]:
    """What a definition says besides its price, as plain JSON values that are equal where the meaning is.

    Filters are canonical lists, expressions are fully bracketed, lists without an order are sorted, and what is left out
    stands with its default.
    """
    form: dict[str, Any] = definition.model_dump(mode="json", by_alias=True, exclude={"price"})
    form["evidence"] = [
        _with_expressions({**rule, "when": _filter(rule["when"]), "event": sorted(rule["event"])})
        for rule in form["evidence"]
    ]
    form["qualify"] = {name: _filter(source) for name, source in definition.qualify.items()}
    form["dimensions"] = {name: _expression(text) for name, text in form["dimensions"].items()}
    if form["value"] is not None:
        form["value"] = {name: _expression(text) for name, text in form["value"].items()}
    if form["holdout"] is not None:
        form["holdout"]["unit"] = _expression(form["holdout"]["unit"])
    if form["hours"] is not None:
        form["hours"] |= {name: _expression(form["hours"][name]) for name in ("minutes", "items")}
    if form["savings"] is not None:
        savings, base = form["savings"], form["savings"]["baseline"]
        savings["facts"] = {name: _expression(text) for name, text in savings["facts"].items()}
        base["routine"] = {name: _expression(text) for name, text in base["routine"].items()}
        base["arm"] = _expression(base["arm"])
    said: dict[str, Any] = _without_nothing(_with_expressions(form))
    return said


def _with_expressions(form: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _expression(value) if name in _EXPRESSIONS else value for name, value in form.items()}


def _without_nothing(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value
    found = {name: _without_nothing(part) for name, part in value.items()}
    return {name: part for name, part in found.items() if part is not None and part not in ([], {})}


def _expression(text: str | None) -> str | None:
    return None if text is None else write_expression(parse_expression(text))


def _filter(source: Mapping[str, Any] | None) -> list[Any] | None:
    return None if source is None else canonical_filter(parse_filter(source))

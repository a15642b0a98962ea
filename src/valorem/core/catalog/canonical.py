"""One form for everything that means the same, so that catalogs can be compared by meaning."""

from collections.abc import Mapping, Sequence
from typing import Any

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.credits import CreditType
from valorem.core.catalog.outcomes import definition_fields
from valorem.core.catalog.plans import Plan
from valorem.core.catalog.taxes import Tax
from valorem.core.metering.expression import parse_expression, write_expression
from valorem.core.metering.filters import canonical_filter, parse_filter
from valorem.core.metering.meter import Meter
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.pricing.matrix import ANY
from valorem.core.pricing.price import Price
from valorem.core.sources.definition import RecordRule, SourceDefinition

#: Fields of a rate row that are not dimensions.
ROW_FIELDS = frozenset({"amount", "per", "from"})
#: Fields that name a price rather than set it.
_HEAD = ("price", "meter", "name")


def canonical(catalog: Catalog) -> dict[str, dict[str, Any]]:
    """Kind of entry (``meter``, …, ``plan``) to key to plain JSON values.

    Decimals are text without trailing zeros; what is left out and what is written as its default are the same; so are
    expressions that differ in white space, and filters and rows that differ in order. Lists whose items say themselves
    what they are become mappings: ``rates`` by dimensions and then by date, ``tiers`` and ``bands`` by upper bound,
    ``versions`` of a price by date. What holds from the start has the date ``""``.
    """
    return {
        "meter": {key: _meter_form(meter) for key, meter in catalog.meters.items()},
        "feature": {key: _pruned(each.model_dump(mode="json")) for key, each in catalog.features.items()},
        "price": {key: _price_form(price) for key, price in catalog.prices.items()},
        "credit": {key: _credit_form(credit) for key, credit in catalog.credits.items()},
        "outcome": {key: _outcome_form(each) for key, each in catalog.outcomes.items()},
        "tax": {key: _tax_form(tax) for key, tax in catalog.taxes.items()},
        "plan": {key: _plan_form(plan) for key, plan in catalog.plans.items()},
        "source": {key: _source_form(each) for key, each in catalog.sources.items()},
    }


def row_dimensions(row: Mapping[str, Any]) -> dict[str, str]:
    """The dimensions of a rate row, in the order written; several values are joined by ``|``."""
    return {
        name: value if isinstance(value, str) else "|".join(sorted(value))
        for name, value in row.items()
        if name not in ROW_FIELDS and value != ANY
    }


def _meter_form(meter: Meter) -> dict[str, Any]:
    form: dict[str, Any] = _pruned(meter.model_dump(mode="json"))
    form["event"] = sorted(meter.event)
    if meter.predicate is not None:
        form["filter"] = filter_text(canonical_filter(meter.predicate))
    if meter.value is not None:
        form["value"] = _expression(meter.value)
    if meter.dimensions:
        form["dimensions"] = {name: _expression(text) for name, text in meter.dimensions.items()}
    if meter.each:
        form["each"] = {
            name: {member: _expression(text) for member, text in members.items()}
            for name, members in meter.each.items()
        }
    return form


def _plan_form(plan: Plan) -> dict[str, Any]:
    form: dict[str, Any] = _pruned(plan.model_dump(mode="json", exclude={"prices"}))
    form["prices"] = {
        meter: price if isinstance(price, str) else _price_form(price) for meter, price in plan.prices.items()
    }
    return form


def _source_form(source: SourceDefinition) -> dict[str, Any]:
    form: dict[str, Any] = _pruned(source.model_dump(mode="json", by_alias=True, exclude={"map", "push"}))
    form["map"] = {rule.event: _rule_form(rule) for rule in source.map}
    form["push"] = {
        f"{number} {rule.outcome}": _pruned(rule.model_dump(mode="json"))
        for number, rule in enumerate(source.push, 1)
    }
    return _pruned(form)


def _rule_form(rule: RecordRule) -> dict[str, Any]:
    form: dict[str, Any] = _pruned(rule.model_dump(mode="json"))
    if rule.condition is not None:
        form["when"] = filter_text(canonical_filter(rule.condition))
    if rule.gone is not None and rule.gone.when is not None:
        form["gone"]["when"] = filter_text(canonical_filter(parse_filter(rule.gone.when)))
    for name in ("key", "version", "subject", "sequence"):
        if form.get(name):
            form[name] = _expression(form[name])
    form["time"]["at"] = _expression(form["time"]["at"])
    form["data"] = {name: _expression(text) for name, text in form["data"].items()}
    return form


def _tax_form(tax: Tax) -> dict[str, Any]:
    rates: dict[str, dict[str, Any]] = {}
    for row in tax.rates:
        place = " ".join(part for part in (row.country, row.region, row.product) if part)
        form = _pruned(row.model_dump(mode="json", include={"share", "category", "reason"}))
        rates.setdefault(place, {})[row.since.isoformat() if row.since else ""] = form
    return {"tax": tax.tax, "name": tax.name, "rates": rates}


def _credit_form(credit: CreditType) -> dict[str, Any]:
    form: dict[str, Any] = _pruned(credit.model_dump(mode="json", exclude={"burn", "price"}))
    form["burn"] = {
        meter: price if isinstance(price, str) else _price_form(price) for meter, price in credit.burn.items()
    }
    dated = [price.model_dump(mode="json", by_alias=True) for price in credit.prices]
    form["price"] = {"versions": {_date(each): _without(each, "from") for each in dated}} if dated else None
    return _pruned(form)


def _outcome_form(definition: OutcomeDefinition) -> dict[str, Any]:
    form = definition_fields(definition)
    form["evidence"] = {
        f"{number} {rule['kind']}": {**rule, "when": filter_text(rule["when"])}
        if rule["when"]
        else _pruned(rule)
        for number, rule in enumerate(form["evidence"], 1)
    }
    form |= {"qualify": {name: filter_text(each) for name, each in form.get("qualify", {}).items()}}
    if definition.price is not None:
        form["price"] = _price_form(definition.price)
    return _pruned(form)


def _price_form(price: Price) -> dict[str, Any]:
    head = {"price": price.key, "meter": price.meter, "name": price.name}
    versions = {}
    for version in price.versions:
        body = _form(version.model_dump(mode="json", by_alias=True))
        for name in (*_HEAD, "from"):
            body.pop(name, None)
        versions[_date(version.model_dump(mode="json", by_alias=True))] = body
    return {**_pruned(head), "versions": versions}


def _form(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _form(part, key) for key, part in _pruned(value).items()}
    if not isinstance(value, Sequence) or isinstance(value, str):
        return value
    if name == "rates":
        return _rates(value)
    if name in ("tiers", "bands"):
        return {str(each.get("up_to") or "beyond"): _form(_without(each, "up_to")) for each in value}
    return sorted(value)


def _rates(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rates: dict[str, Any] = {}
    for row in rows:
        dimensions = row_dimensions(row)
        identity = " ".join(f"{name}={dimensions[name]}" for name in sorted(dimensions))
        numbers = {name: row[name] for name in ("amount", "per")}
        rates.setdefault(identity, {})[_date(row)] = {**dimensions, **numbers}
    return rates


def _date(item: Mapping[str, Any]) -> str:
    return str(item.get("from") or "")


def _expression(text: str) -> str:
    return write_expression(parse_expression(text))


_SIGNS = {"eq": "=", "ne": "≠", "gt": ">", "gte": "≥", "lt": "<", "lte": "≤", "in": "in", "not_in": "not in"}


def filter_text(form: Sequence[Any]) -> str:
    """A canonical filter as one line: ``data.status = ok and data.tokens > 5``."""
    match form:
        case ["all" | "any" as group, *parts]:
            return f" {'and' if group == 'all' else 'or'} ".join(
                f"({filter_text(part)})" if part[0] in ("all", "any") else filter_text(part) for part in parts
            )
        case ["not", part]:
            return f"not ({filter_text(part)})"
        case ["exists", path, operand]:
            return f"{path} {'exists' if operand == 'true' else 'is absent'}"
        case [operator, path, list() as operand]:
            return f"{path} {_SIGNS[operator]} [{', '.join(operand)}]"
        case [operator, path, operand]:
            return f"{path} {_SIGNS.get(operator, operator)} {operand}"
    raise ValueError(f"not a canonical filter: {form!r}")


def _without(item: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != name}


def _pruned(form: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in form.items() if value is not None and value not in ([], {})}

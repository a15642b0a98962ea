"""What only holds between files: a name that is used exists, and fits what it names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from valorem.core.catalog.access_checks import check_access
from valorem.core.catalog.credit_checks import check_credit, check_grants
from valorem.core.catalog.features import Feature
from valorem.core.catalog.plans import Plan
from valorem.core.catalog.price_checks import check_price
from valorem.core.catalog.problems import Problem, suggestion
from valorem.core.catalog.source import Path, Source
from valorem.core.entry import KEY_PATTERN
from valorem.core.pricing.price import Price

Names = Mapping[str, dict[str, Any]]


@dataclass(frozen=True)
class Written:
    """One file of the tree.

    Attributes:
        folder: Its folder.
        stem: The key its name says.
        key: The key it declares; the stem where it could not be read.
        source: Its values and their places; None where it is not YAML.
        entry: The checked entry; None where it has problems of its own.
    """

    folder: str
    stem: str
    key: str
    source: Source | None
    entry: Any


def cross_check(written: Iterable[Written]) -> Iterator[Problem]:
    """Every reference that leads nowhere, and every value that does not fit what it refers to."""
    files = list(written)
    folders = ("meters", "features", "prices", "credits", "outcomes", "taxes", "plans", "sources")
    names: Names = {folder: {} for folder in folders}
    for one in files:
        names[one.folder][one.key] = one.entry
    for one in (
        files
    ):  # a file that declares another key than its name says is one mistake, not one more at each use
        names[one.folder].setdefault(one.stem, None)
    yield from _declared_twice(files)
    for one in files:
        if one.source is None or not isinstance(one.source.value, dict):
            continue
        match one.folder:
            case "features":
                yield from _references(one.source, ("meter",), "meter", names)
            case "prices":
                yield from _check_named_price(one.source, one.entry, names)
            case "credits":
                yield from check_credit(one.source, one.entry, names)
            case "sources":
                yield from _check_source(one.source, names)
            case "plans":
                yield from _check_plan(one.source, one.entry, names)


def _declared_twice(files: Iterable[Written]) -> Iterator[Problem]:
    first: dict[tuple[str, str], str] = {}
    for one in files:
        if one.source is None:
            continue
        earlier = first.setdefault((one.folder, one.key), one.source.file)
        if earlier != one.source.file:
            noun = one.folder.removesuffix("s")
            yield one.source.problem(
                (noun,), f"{noun} {one.key} is already declared in {earlier}", "give one of them another key"
            )


def _references(source: Source, path: Path, noun: str, names: Names) -> Iterator[Problem]:
    """The problem with a name written at a path, where it is a text that names nothing."""
    found: Any = source.value
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    known = names[f"{noun}s"]
    if isinstance(found, str) and found not in known:
        yield source.problem(path, f"there is no {noun} {found}", suggestion(found, known, f"{noun}s"))


def _keys(source: Source, field: str, noun: str, names: Names) -> Iterator[Problem]:
    """The problems with the keys of a field, where they name nothing."""
    known = names[f"{noun}s"]
    members = source.value.get(field)
    for key in members if isinstance(members, dict) else ():
        if key not in known and re.match(KEY_PATTERN, key):  # else the key itself has been refused
            hint = suggestion(key, known, f"{noun}s")
            yield source.problem((field, key), f"there is no {noun} {key}", hint, at_key=True)


def _check_named_price(source: Source, price: Price | None, names: Names) -> Iterator[Problem]:
    for field in ("price", "meter"):
        if price is not None and field not in source.value:
            said = "the key plans refer to" if field == "price" else "the meter it is the price of"
            yield source.problem((field,), f"{field} is missing", f"add `{field}: …`, {said}")
    yield from _references(source, ("meter",), "meter", names)
    if price is not None and price.meter and (meter := names["meters"].get(price.meter)):
        yield from check_price(source, (), price, meter)


def _check_source(source: Source, names: Names) -> Iterator[Problem]:
    pushes = source.value.get("push")
    for place, rule in enumerate(pushes if isinstance(pushes, list) else ()):
        outcome = rule.get("outcome") if isinstance(rule, dict) else None
        if isinstance(outcome, str) and outcome not in names["outcomes"] and re.match(KEY_PATTERN, outcome):
            hint = suggestion(outcome, names["outcomes"], "outcomes")
            yield source.problem(("push", place, "outcome"), f"there is no outcome {outcome}", hint)


def _check_plan(source: Source, plan: Plan | None, names: Names) -> Iterator[Problem]:
    yield from _keys(source, "features", "feature", names)
    yield from _keys(source, "prices", "meter", names)
    prices = source.value.get("prices")
    for meter in prices if isinstance(prices, dict) else ():
        yield from _references(source, ("prices", meter), "price", names)
    outcomes = source.value.get("outcomes")
    for place, outcome in enumerate(outcomes if isinstance(outcomes, list) else ()):
        if isinstance(outcome, str) and outcome not in names["outcomes"] and re.match(KEY_PATTERN, outcome):
            hint = suggestion(outcome, names["outcomes"], "outcomes")
            yield source.problem(("outcomes", place), f"there is no outcome {outcome}", hint)
    if plan is None:
        return
    yield from check_access(source, plan, names)
    yield from check_grants(source, plan, names)
    for key, value in plan.features.items():
        feature = names["features"].get(key)
        if feature is not None and (wrong := _misfit(feature, value)):
            yield source.problem(("features", key), *wrong)
    for path, key, price in _prices_of(plan):
        if path[0] != "prices":
            yield from _unknown_price(source, path, key, price, names)
        yield from _check_plan_price(source, path, key, price, names)
    if plan.minimum and plan.maximum and plan.maximum.amount < plan.minimum.amount:
        yield source.problem(
            ("maximum", "amount"), "the maximum is less than the minimum", "raise it or lower the minimum"
        )


def _prices_of(plan: Plan) -> Iterator[tuple[Path, str, str | Price]]:
    """Every price a plan holds, with its path: its own, those of its phases and those in further currencies."""
    for key, price in plan.prices.items():
        yield ("prices", key), key, price
    for number, phase in enumerate(plan.phases):
        for key, price in phase.prices.items():
            yield ("phases", number, "prices", key), key, price
    for currency, amounts in plan.currencies.items():
        for key, price in amounts.prices.items():
            yield ("currencies", currency, "prices", key), key, price


def _unknown_price(
    source: Source, path: Path, key: str, price: str | Price, names: Names
) -> Iterator[Problem]:
    if key not in names["meters"]:
        yield source.problem(
            path, f"there is no meter {key}", suggestion(key, names["meters"], "meters"), at_key=True
        )
    if isinstance(price, str) and price not in names["prices"]:
        yield source.problem(path, f"there is no price {price}", suggestion(price, names["prices"], "prices"))


def _check_plan_price(
    source: Source, path: Path, key: str, price: str | Price, names: Names
) -> Iterator[Problem]:
    priced = names["prices"].get(price) if isinstance(price, str) else price
    if priced is not None and priced.meter not in (None, key):
        hint = f"write it under {priced.meter}, or use a price of {key}"
        yield source.problem(path, f"the price is for meter {priced.meter}, not for {key}", hint)
    elif isinstance(price, Price) and (meter := names["meters"].get(key)):
        yield from check_price(source, path, price, meter)


def _misfit(feature: Feature, value: Any) -> tuple[str, str] | None:
    """Why a plan's value does not fit a feature, and what would."""
    if feature.kind == "value":
        if isinstance(value, bool):
            return f"{feature.key} is a value feature", "write its value: a number or a text"
        return None
    if isinstance(value, bool):
        return None
    if feature.kind == "metered":
        return (
            f"{feature.key} is a metered feature",
            f"write true or false here, and its limit under limits: {feature.key}: {{max: …, window: …}}",
        )
    return f"{feature.key} is an on/off feature", "write true or false"

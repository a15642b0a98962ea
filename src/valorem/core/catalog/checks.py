"""What only holds between files: a name that is used exists, and fits what it names."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from valorem.core.catalog.features import Feature
from valorem.core.catalog.plans import Plan
from valorem.core.catalog.problems import Problem, suggestion
from valorem.core.catalog.source import Source


@dataclass(frozen=True)
class Written:
    """One file of the tree.

    Attributes:
        folder: Its folder.
        key: The key it declares; what its name says where it could not be read.
        source: Its values and their places; None where it is not YAML.
        entry: The checked entry; None where it has problems of its own.
    """

    folder: str
    key: str
    source: Source | None
    entry: Any


def cross_check(written: Iterable[Written]) -> Iterator[Problem]:
    """Every reference that leads nowhere, and every value that does not fit what it refers to."""
    files = list(written)
    names: dict[str, dict[str, Any]] = {}
    for one in files:
        names.setdefault(one.folder, {})[one.key] = one.entry
    yield from _declared_twice(files)
    for one in files:
        if one.source is None:
            continue
        if isinstance(one.entry, Feature):
            yield from _check_feature(one.source, one.entry, names)
        elif isinstance(one.entry, Plan):
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


def _unknown(
    source: Source, path: tuple[str | int, ...], noun: str, found: str, known: Mapping[str, Any]
) -> Problem:
    at_key = path[-1] == found
    return source.problem(
        path, f"there is no {noun} {found}", suggestion(found, known, f"{noun}s"), at_key=at_key
    )


def _check_feature(
    source: Source, feature: Feature, names: Mapping[str, Mapping[str, Any]]
) -> Iterator[Problem]:
    meters = names.get("meters", {})
    if feature.meter is not None and feature.meter not in meters:
        yield _unknown(source, ("meter",), "meter", feature.meter, meters)


def _check_plan(source: Source, plan: Plan, names: Mapping[str, Mapping[str, Any]]) -> Iterator[Problem]:
    features = names.get("features", {})
    for key, value in plan.features.items():
        if key not in features:
            yield _unknown(source, ("features", key), "feature", key, features)
        elif (feature := features[key]) is not None and (wrong := _misfit(feature, value)):
            yield source.problem(("features", key), *wrong)
    if plan.minimum and plan.maximum and plan.maximum.amount < plan.minimum.amount:
        yield source.problem(
            ("maximum", "amount"), "the maximum is less than the minimum", "raise it or lower the minimum"
        )


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
            f"a limit on {feature.key} is not supported by this version yet",
            "write true to grant it without a limit, or false",
        )
    return f"{feature.key} is an on/off feature", "write true or false"

"""What holds between a plan's limits, gates, prompts and alerts and the features, meters and plans they name."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from valorem.core.catalog.plans import Plan
from valorem.core.catalog.problems import Problem, suggestion
from valorem.core.catalog.source import Path, Source
from valorem.core.entitlements.limits import UPGRADE, Limit
from valorem.core.metering.meter import Meter

Names = Mapping[str, Mapping[str, Any]]


def check_access(source: Source, plan: Plan, names: Names) -> Iterator[Problem]:
    """Every name in limits, gates, prompts, alerts, add-ons and the trial that leads nowhere."""
    for key, limits in plan.limits.items():
        yield from _check_limits(source, plan, key, limits, names)
    yield from _known(source, ("gates",), plan.gates, "features", names)
    for key, gate in plan.gates.items():
        if gate.usage is not None:
            yield from _known(source, ("gates", key, "usage", "meter"), (gate.usage.meter,), "meters", names)
    for key, prompt in plan.prompts.items():
        if prompt.to is not None:
            yield from _known(source, ("prompts", key, "to"), (prompt.to,), "plans", names)
    for key, addon in plan.addons.items():
        yield from _known(source, ("addons", key, "features"), addon.features, "features", names)
        yield from _limited(source, ("addons", key, "raises"), addon.raises, plan, names)
    if plan.trial is not None:
        yield from _known(source, ("trial", "features"), plan.trial.features, "features", names)
        yield from _limited(source, ("trial", "raises"), plan.trial.raises, plan, names)
    yield from _check_alerts(source, plan, names)


def _check_limits(
    source: Source, plan: Plan, key: str, limits: tuple[Limit, ...], names: Names
) -> Iterator[Problem]:
    feature, meter = names["features"].get(key), key
    path: Path = ("limits", key)
    if feature is not None:
        if feature.kind != "metered":
            yield source.problem(path, f"{key} is not a metered feature", "give it kind: metered and a meter")
            return
        meter = feature.meter
    elif key not in names["features"] and key not in names["meters"]:
        known = [*names["features"], *names["meters"]]
        hint = suggestion(key, known, "features and meters")
        yield source.problem(path, f"there is no metered feature or meter {key}", hint, at_key=True)
        return
    counted = names["meters"].get(meter)
    if counted is None:
        return  # the feature or the meter has a problem of its own
    for limit in limits:
        yield from _check_limit(source, plan, path, limit, counted, names)


def _check_limit(
    source: Source, plan: Plan, path: Path, limit: Limit, counted: Meter, names: Names
) -> Iterator[Problem]:
    if unknown := sorted(limit.dimensions - set(counted.dimension_names)):
        hint = suggestion(unknown[0], counted.dimension_names, "dimensions")
        yield source.problem(path, f"meter {counted.key} has no dimension {unknown[0]}", hint)
    seats = {fee.per for fee in plan.fees.values() if fee.per} | set(plan.addons)
    if limit.per is not None and limit.per not in seats:
        hint = suggestion(limit.per, sorted(seats), "seats")
        yield source.problem(path, f"the plan has no fee per {limit.per}", hint)
    if limit.prompt is not None and limit.prompt not in plan.prompts:
        if limit.prompt.startswith(UPGRADE):
            yield from _known(source, path, (limit.prompt.removeprefix(UPGRADE),), "plans", names)
        else:
            hint = suggestion(limit.prompt, plan.prompts, "prompts")
            yield source.problem(path, f"the plan has no prompt {limit.prompt}", hint)
    if counted.aggregation.needs_events or counted.aggregation.moment:
        message = f"a {counted.aggregate} cannot be held to a limit while it is used"
        yield source.problem(
            path, message, "limit a meter with another aggregation, such as count, sum or max"
        )


def _check_alerts(source: Source, plan: Plan, names: Names) -> Iterator[Problem]:
    alerts = plan.alerts
    for field, keys in (("included", alerts.included), ("usage", alerts.usage), ("change", alerts.change)):
        yield from _known(source, ("alerts", field), (key for key in keys if key), "meters", names)
    yield from _known(source, ("alerts", "balance"), (key for key in alerts.balance if key), "credits", names)
    for key in alerts.limits:
        if key and key not in plan.limits:
            hint = suggestion(key, plan.limits, "limits")
            yield source.problem(
                ("alerts", "limits", key), f"the plan has no limit on {key}", hint, at_key=True
            )


def _known(source: Source, path: Path, keys: Iterable[str], folder: str, names: Names) -> Iterator[Problem]:
    for key in keys:
        if key not in names[folder]:
            noun = folder.removesuffix("s")
            yield source.problem(path, f"there is no {noun} {key}", suggestion(key, names[folder], folder))


def _limited(source: Source, path: Path, keys: Iterable[str], plan: Plan, names: Names) -> Iterator[Problem]:
    for key in keys:
        feature = names["features"].get(key)
        if key not in plan.limits and not (feature is not None and feature.kind == "value"):
            hint = suggestion(key, plan.limits, "limits")
            yield source.problem(path, f"the plan has no limit on {key} to raise", hint)

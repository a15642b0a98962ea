"""Upgrade prompts: what the next plan would give somebody who has come to a limit, and what it costs."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan
from valorem.core.entitlements.grants import Value
from valorem.core.entitlements.limits import Limit, prompt_of
from valorem.core.numbers import plain
from valorem.core.units import write_span


@dataclass(frozen=True, slots=True)
class Offer:
    """A way past a limit.

    Attributes:
        key: The prompt's.
        text: For people.
        link: Where to go.
        plan: The plan that gives more; None where the prompt names none.
        plan_name: Its name.
        currency: Of its fees.
        every: Its billing interval.
        fees: Its fixed amounts by key, for one of each.
        value: What it grants of the feature.
        limit: Its tightest limit on the feature by amount; None where it has none.
        window: Of that limit.
    """

    key: str
    text: str
    link: str | None
    plan: str | None
    plan_name: str | None = None
    currency: str | None = None
    every: str | None = None
    fees: Mapping[str, Decimal] | None = None
    value: Value | None = None
    limit: Decimal | None = None
    window: str | None = None


def offer_of(plan: Plan, catalog: Catalog, feature: str, limit: Limit | None) -> Offer | None:
    """What to show at a limit, or where a feature is not granted; None where the plan names no prompt.

    Args:
        plan: The customer's.
        catalog: The version it is pinned to.
        feature: What was asked for.
        limit: The limit that was reached; where there is none, the first prompt whose plan grants the feature is taken.
    """
    key = limit.prompt if limit is not None else _granting(plan, catalog, feature)
    prompt = prompt_of(plan.prompts, key)
    if prompt is None or key is None:
        return None
    to = catalog.plans.get(prompt.to) if prompt.to is not None else None
    if to is None:
        return Offer(key, prompt.text or key.replace("_", " "), prompt.link, None)
    gives = _same_limit(to, feature, limit)
    return Offer(
        key=key,
        text=_text(prompt.text, to, limit, gives),
        link=prompt.link,
        plan=to.key,
        plan_name=to.name,
        currency=to.currency,
        every=write_span(to.every),
        fees={name: fee.amount for name, fee in to.fees.items()},
        value=to.features.get(feature, True if gives is not None else None),
        limit=None if gives is None else gives.max,
        window=None if gives is None else str(gives.window),
    )


def _granting(plan: Plan, catalog: Catalog, feature: str) -> str | None:
    """The prompt for a feature that is not granted: of those whose plan grants it, one that no limit has for itself."""
    of_limits = {limit.prompt for limits in plan.limits.values() for limit in limits}
    found = []
    for key, prompt in plan.prompts.items():
        to = catalog.plans.get(prompt.to or "")
        if to is not None and (to.features.get(feature, False) is not False or feature in to.limits):
            found.append(key)
    return min(found, key=lambda key: key in of_limits, default=None)


def _same_limit(to: Plan, feature: str, limit: Limit | None) -> Limit | None:
    limits = to.limits.get(feature, ())
    same = [each for each in limits if limit is not None and each.window == limit.window]
    return min(same or limits, key=lambda each: each.max, default=None)


def _text(text: str | None, to: Plan, limit: Limit | None, gives: Limit | None) -> str:
    now = "" if limit is None else f"{plain(limit.max)} {limit.window.each()}"
    more = "without this limit" if gives is None else f"{plain(gives.max)} {gives.window.each()}"
    about_a_limit = text is not None and ("{limit}" in text or "{more}" in text)
    if text is None or (limit is None and about_a_limit):
        return f"{to.name} has {more}." if limit is not None else f"{to.name} includes it."
    return text.replace("{plan}", to.name).replace("{limit}", now).replace("{more}", more)

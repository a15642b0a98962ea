"""The check as a function of grants and use."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.tree import parse_catalog
from valorem.core.contracts.contract import Contract, Dated
from valorem.core.entitlements.check import Asked, Counted, Verdict, say, verdict
from valorem.core.entitlements.grants import Concession, Grant, Owned, grants_at
from valorem.core.entitlements.limits import Limit, stops_at
from valorem.core.entitlements.prompts import offer_of
from valorem.core.entitlements.windows import Span
from valorem.core.metering.aggregation import AGGREGATIONS
from valorem.core.metering.tally import Tally
from valorem.core.periods import Cadence

START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)
SPAN = Span(START, datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC))
FILES = {
    "meters/jobs.yaml": "meter: jobs\nevent: job\naggregate: count\ndimensions: {user: data.user}\n",
    "features/jobs.yaml": "feature: jobs\nkind: metered\nmeter: jobs\n",
    "features/sso.yaml": "feature: sso\n",
    "features/projects.yaml": "feature: projects\nkind: value\n",
    "plans/team.yaml": """
plan: team
name: Team
currency: USD
fees: {seat: {amount: 10, per: seat}}
addons: {more: {amount: 5, features: {sso: true}, raises: {jobs: 50, projects: 2}}}
trial: {lasts: 14 days, features: {sso: true}, raises: {jobs: 5}}
features: {projects: 10}
limits: {jobs: {max: 20, window: month, per: seat}}
""",
}


def contract(**seats: int) -> Contract:
    return Contract(
        id="c",
        workspace=1,
        customer="ada",
        plan="team",
        catalog_version=1,
        start=START,
        time_zone="UTC",
        currency="USD",
        every=Cadence(1, "month"),
        anchor=START,
        seats={key: (Dated(START, Decimal(count)),) for key, count in seats.items()},
    )


def catalog() -> Catalog:
    return parse_catalog(FILES)


def limit(most: int, **more: Any) -> Limit:
    return Limit.model_validate({"max": most, "window": "month", **more})


def metered(*limits: Limit) -> Grant:
    return Grant(
        "jobs",
        "metered",
        "jobs",
        value=True,
        limits=tuple(Owned(one, "plan") for one in limits),
        origin="plan",
    )


def used(*uses: tuple[dict[str, str | None], int]) -> Counted:
    return Counted(SPAN, AGGREGATIONS["count"], [(dims, Tally(n)) for dims, n in uses])


def ask(grant: Grant, n: int, quantity: int | None = None, **dimensions: str) -> Verdict:
    counts = [used(({"user": "ann"}, n)) for _ in grant.limits]
    return verdict(grant, Asked("jobs", None if quantity is None else Decimal(quantity), dimensions), counts)


def test_origins_are_shown_and_add_up():
    bare = grants_at(contract(seat=3), catalog(), [], NOW)
    assert (bare["jobs"].limits[0].limit.max, bare["jobs"].origin) == (Decimal(60), "plan")
    assert (bare["sso"].value, bare["sso"].origin) == (False, "none")
    bought = grants_at(contract(seat=3, more=2), catalog(), [], NOW)
    assert (bought["jobs"].limits[0].limit.max, bought["jobs"].origin) == (Decimal(160), "add-on")
    assert (bought["sso"].origin, bought["projects"].value) == ("add-on", 14)
    trying = grants_at(contract(seat=3), catalog(), [], NOW, trial_ends=datetime(2026, 1, 15, tzinfo=UTC))
    assert (trying["jobs"].limits[0].limit.max, trying["sso"].origin) == (Decimal(65), "trial")
    over = grants_at(contract(seat=3), catalog(), [], NOW, trial_ends=NOW)
    assert over["sso"].value is False


def test_concessions_come_last_and_end():
    given_ = Concession("x", "jobs", "override", START, None, limits=(limit(5),))
    denied = Concession("y", "projects", "override", START, None, value=False)
    ended = replace(denied, feature="jobs", until=NOW)
    found = grants_at(contract(seat=3), catalog(), [given_, denied, ended], NOW)
    assert (found["jobs"].limits[0].limit.max, found["jobs"].origin) == (Decimal(5), "override")
    assert found["projects"].value is False


def test_without_a_contract_nothing_is_granted():
    assert all(grant.value is False for grant in grants_at(None, catalog(), [], NOW).values())


@pytest.mark.parametrize(
    ("one", "n", "quantity", "reason"),
    [
        (limit(20), 19, 1, "within_limit"),
        (limit(20), 20, 1, "limit_reached"),
        (limit(20), 20, 0, "within_limit"),
        (limit(20), 0, 21, "limit_reached"),
        (limit(20, kind="soft"), 20, 1, "over_soft_limit"),
        (limit(20, kind="soft"), 10_000, 1, "over_soft_limit"),
        (limit(20, kind="soft", enforce_at="125%"), 24, 1, "over_soft_limit"),
        (limit(20, kind="soft", enforce_at="125%"), 25, 1, "limit_reached"),
        (limit(0), 0, 1, "limit_reached"),
    ],
)
def test_what_a_limit_says(one, n, quantity, reason):
    assert ask(metered(one), n, quantity).reason == reason


def test_a_throttle_goes_on_slowly():
    one = limit(20, kind="throttle", slow_to={"max": 3, "window": "hour"})
    hour = Span(NOW, NOW.replace(hour=13), NOW.replace(hour=13))

    def said(total: int, in_this_hour: int) -> Verdict:
        counted = Counted(
            SPAN, AGGREGATIONS["count"], [({}, Tally(total))], hour, [({}, Tally(in_this_hour))]
        )
        return verdict(metered(one), Asked("jobs"), [counted])

    assert said(19, 19).reason == "within_limit"
    assert said(20, 20).reason == "over_soft_limit"  # what was used before the limit does not count as slow
    assert said(22, 22).reason == "over_soft_limit"
    stopped = said(23, 23)
    assert (stopped.reason, stopped.state and stopped.state.resets_at) == ("throttled", hour.resets_at)
    assert said(40, 2).reason == "over_soft_limit"


def test_each_user_has_a_limit_of_its_own_and_some_are_zero_rated():
    one = limit(5, each="user", zero_rated={"user": ["boss"]})
    counts = [used(({"user": "ann"}, 5), ({"user": "bob"}, 1), ({"user": "boss"}, 900))]
    grant = metered(one)

    def reason(user: str) -> str:
        return verdict(grant, Asked("jobs", None, {"user": user}), counts).reason

    assert [reason(user) for user in ("ann", "bob", "boss", "new")] == [
        "limit_reached",
        "within_limit",
        "zero_rated",
        "within_limit",
    ]


def test_only_what_a_limit_is_for_counts():
    one = limit(5, where={"user": ["ann"]})
    counts = [used(({"user": "ann"}, 5), ({"user": "bob"}, 100))]
    assert not verdict(metered(one), Asked("jobs", None, {"user": "ann"}), counts).allowed
    assert verdict(metered(one), Asked("jobs", None, {"user": "bob"}), counts).allowed


@given(st.lists(st.integers(0, 50), min_size=1, max_size=4), st.integers(0, 60), st.integers(0, 20))
def test_of_several_limits_all_must_allow_and_the_tightest_answers(most, n, quantity):
    said = ask(metered(*(limit(each) for each in most)), n, quantity)
    assert said.allowed == all(n + quantity <= each for each in most)
    assert said.state is not None
    assert said.state.limit.max == min(most)
    assert said.state.remaining == max(0, min(most) - n)


@given(
    st.integers(0, 100),
    st.integers(1, 30),
    st.integers(0, 130),
    st.sampled_from([None, "100%", "125%", "150%"]),
)
def test_never_more_permissive_than_what_it_stops_at(most, quantity, n, share):
    one = limit(most) if share is None else limit(most, kind="soft", enforce_at=share)
    stop = stops_at(one)
    assert stop is not None
    said = ask(metered(one), n, quantity)
    assert said.allowed == (n + quantity <= stop)
    assert say(said)


def test_a_prompt_written_for_a_limit_says_nothing_of_it_where_a_feature_is_missing():
    """Of several prompts the one that no limit has for itself is shown; one that speaks of a limit is not read out."""
    files = {
        "meters/jobs.yaml": "meter: jobs\nevent: call\naggregate: count\n",
        "features/sso.yaml": "feature: sso\n",
        "plans/pro.yaml": "plan: pro\nname: Pro\ncurrency: USD\nfeatures: {sso: true}\n",
    }
    limited = "plan: free\nname: Free\ncurrency: USD\nlimits: {jobs: {max: 1, window: day, prompt: more}}\n"
    for prompts, text in (
        ('more: {to: pro, text: "{plan} has {more}, not {limit}."}', "Pro includes it."),
        (
            'more: {to: pro, text: "{more}"}, wall: {to: pro, text: "Sign on with {plan}."}',
            "Sign on with Pro.",
        ),
    ):
        catalog = parse_catalog({**files, "plans/free.yaml": f"{limited}prompts: {{{prompts}}}\n"})
        offer = offer_of(catalog.plans["free"], catalog, "sso", None)
        assert offer is not None
        assert offer.text == text

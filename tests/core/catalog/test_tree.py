from decimal import Decimal
from pathlib import Path

import pytest

from tests.core.catalog.trees import TREE, catalog, tree
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Bound, Fee, Policies
from valorem.core.catalog.tree import parse_catalog
from valorem.core.errors import NotFoundError
from valorem.core.pricing.graduated import Graduated

EXAMPLES = Path(__file__).parents[3] / "examples" / "catalogs"


def example(name: str) -> dict[str, str]:
    root = EXAMPLES / name
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in root.rglob("*.yaml")
    }


def test_a_plan_is_read_exactly() -> None:
    plan = catalog().plan("team")
    assert plan.fees == {"seat": Fee(amount=Decimal(30), per="seat", billed="in advance")}
    assert plan.every == (1, "month")
    assert plan.features == {"sso": True, "projects": Decimal(20)}
    assert plan.minimum == Bound(amount=Decimal(100))
    assert plan.policies == Policies(proration="day", late_events="next_invoice", rounding="half_up")


def test_a_price_is_found_by_name_or_in_place() -> None:
    found = catalog()
    assert found.price_for("team", "tokens") is found.prices["gpt_tokens"]
    (graduated,) = found.price_for("team", "storage_gb").versions
    assert isinstance(graduated, Graduated)
    assert [tier.unit for tier in graduated.tiers] == [Decimal(0), Decimal("0.10"), Decimal("0.08")]
    assert found.prices["gpt_tokens"].versions[0].included == Decimal(2_000_000)


def test_what_does_not_exist_is_said_with_what_does() -> None:
    with pytest.raises(NotFoundError, match="it has team"):
        catalog().plan("teams")
    with pytest.raises(NotFoundError, match="it prices tokens, storage_gb"):
        catalog().price_for("team", "seats")


def test_the_meters_to_count_include_those_that_prices_derive() -> None:
    found = catalog()
    derived = found.meter_for("team", "tokens")
    assert derived.dimension_names == ("context", "kind", "mode", "model")
    assert found.meter_for("team", "storage_gb") == found.meters["storage_gb"]
    fingerprints = [meter.fingerprint() for meter in found.meter_revisions()]
    assert sorted(fingerprints) == sorted(
        {*(meter.fingerprint() for meter in found.meters.values()), derived.fingerprint()}
    )


def test_a_version_is_exactly_what_was_written() -> None:
    files = tree(plans_team=("name: Team", "name: Team  # the small one"))
    found = parse_catalog(files)
    assert dict(found.files) == files
    assert found.digest() != catalog().digest()
    assert parse_catalog(dict(reversed(files.items()))).digest() == found.digest()
    crlf = {path: text.replace("\n", "\r\n") for path, text in files.items()}
    assert parse_catalog(crlf).digest() == found.digest()


def test_the_digest_does_not_run_files_together() -> None:
    moved = Catalog(files={"a": "bc", "d": ""})
    assert moved.digest() != Catalog(files={"a": "b", "cd": ""}).digest()


def test_a_catalog_cannot_be_changed() -> None:
    found = catalog()
    with pytest.raises(TypeError):
        found.plans["x"] = found.plans["team"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        found.plans = {}  # type: ignore[misc]


def test_policies_are_read() -> None:
    text = (
        TREE["plans/team.yaml"]
        + "policies: {proration: second, late_events: note, tier_bound: exclusive_upper}\n"
    )
    policies = parse_catalog({**TREE, "plans/team.yaml": text}).plan("team").policies
    assert (policies.proration, policies.late_events, policies.rounding) == ("second", "note", "half_up")
    assert policies.tier_bound == "exclusive_upper"


@pytest.mark.parametrize("name", ["api_usage", "hybrid_team"])
def test_the_examples_are_catalogs(name: str) -> None:
    found = parse_catalog(example(name))
    for plan in found.plans.values():
        for meter in plan.prices:
            price = found.price_for(plan.key, meter)
            price.check_dimensions(found.meter_for(plan.key, meter).dimension_names)

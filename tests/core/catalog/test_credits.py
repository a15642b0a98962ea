# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""Credit types: what they hold, what is refused, and how a change of them is told."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tests.core.catalog.trees import TREE
from valorem.core.catalog.diff import affected_plans, diff_catalogs, render
from valorem.core.catalog.problems import CatalogError
from valorem.core.catalog.tree import parse_catalog
from valorem.core.errors import NotFoundError
from valorem.core.ledger.policies import ORDERS
from valorem.core.pricing.matrix import Matrix

CREDIT = """\
credit: ai_credits
name: AI credit
price: [{USD: 0.01}, {from: 2026-05-01, USD: 0.012, EUR: 0.011}]
member: mode
burn:
  tokens:
    model: matrix
    rates:
      - {model: gpt-5.4, kind: input, amount: 125, per: 1M}
      - {model: gpt-5.4, kind: output, amount: 750, per: 1M}
      - {model: free, amount: 0}
    multipliers: {mode: {batch: 0.5}}
  exports: {model: per_unit, amount: 2}
packs:
  small: {amount: 250, price: {USD: 10}, expires: 12 months}
caps:
  share: {amount: 100, every: week, per: member, of: pool, scope: {meters: [tokens]}}
policies: {order: expiry first, overage: block}
"""
GRANTS = """\
grants:
  ai_credits: {amount: 500, per: seat, rollover: {cap_share: 50%, lasts: 1 month}}
  welcome: {credit: ai_credits, amount: 100, every: once, expires: 30 days, source: promotional, scope: {products: [tokens]}}
"""
EXPORTS = "meter: exports\nevent: export.done\naggregate: count\n"
FILES = {
    **TREE,
    "meters/exports.yaml": EXPORTS,
    "credits/ai_credits.yaml": CREDIT,
    "plans/team.yaml": TREE["plans/team.yaml"] + GRANTS,
}


def edited(found: str, replacement: str) -> dict[str, str]:
    assert any(found in text for text in FILES.values())
    return {path: text.replace(found, replacement) for path, text in FILES.items()}


def told(found: str, replacement: str) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        parse_catalog(edited(found, replacement))
    return [problem.message for problem in caught.value.problems]


def test_a_credit_type_is_read_exactly() -> None:
    catalog = parse_catalog(FILES)
    credit = catalog.credit("ai_credits")
    assert credit.policies.order == ORDERS["expiry first"]
    assert credit.packs["small"].price == {"USD": Decimal(10)}
    before, after = datetime(2026, 4, 30, 23, 45, tzinfo=UTC), datetime(2026, 5, 1, tzinfo=UTC)
    assert [credit.unit_price("USD", at) for at in (before, after)] == [Decimal("0.01"), Decimal("0.012")]
    assert [credit.unit_price("EUR", at) for at in (before, after)] == [None, Decimal("0.011")]
    assert catalog.plan("team").grants["welcome"].expires == (30, "day")


def test_a_burn_table_knows_its_feature_and_member() -> None:
    table = parse_catalog(FILES).burn_table("ai_credits", "tokens")
    assert (table.meter, table.product, table.member, table.precision) == ("tokens", "tokens", "mode", 2)
    assert isinstance(table.price.versions[0], Matrix)
    with pytest.raises(NotFoundError):
        parse_catalog(FILES).burn_table("ai_credits", "seats")


def test_the_meters_that_burn_tables_derive_are_counted() -> None:
    whole = edited(
        "  tokens:\n    model: matrix\n    rates:\n      - {model: gpt-5.4, kind: input, amount: 125",
        "  tokens:\n    model: matrix\n    whole_event: {value: data.input_tokens, above: 5}\n"
        "    rates:\n      - {model: gpt-5.4, kind: input, amount: 125",
    )
    before, after = parse_catalog(FILES).meter_revisions(), parse_catalog(whole).meter_revisions()
    assert len(after) == len(before) + 1


def test_a_cap_begins_with_a_local_day() -> None:
    terms = parse_catalog(FILES).credit("ai_credits").caps["share"]
    cap = terms.cap("share", datetime(2026, 3, 4, 12, tzinfo=UTC), "Europe/Berlin")
    assert (cap.anchor, cap.per, cap.of) == (datetime(2026, 3, 3, 23, tzinfo=UTC), "member", "pool")
    assert cap.scope.meters == ("tokens",)


def test_money_is_a_credit_type_too() -> None:
    money = parse_catalog({**TREE, "credits/prepaid.yaml": "credit: prepaid\nmoney: USD\n"}).credit("prepaid")
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert (money.unit_price("USD", now), money.unit_price("EUR", now)) == (1, None)


@pytest.mark.parametrize(
    ("found", "replacement", "message"),
    [
        ("  exports: {model: per_unit, amount: 2}", "  export: {model: per_unit, amount: 2}", "there is no meter export"),
        ("{model: free,", "{modle: free,", "meter tokens has no dimension modle"),
        ("member: mode", "member: user", "no meter that burns ai_credits has a dimension user"),
        ("  exports: {model: per_unit, amount: 2}", "  exports: gb", "there is no price gb"),
        ("  exports: {model: per_unit, amount: 2}", "  exports: gpt_tokens", "the price is for meter tokens, not for exports"),
        ("credit: ai_credits, amount", "credit: ai, amount", "there is no credit ai"),
        ("  ai_credits: {amount: 500", "  credits: {amount: 500", "there is no credit credits"),
        ("{products: [tokens]}", "{products: [chat]}", "there is no feature chat"),
        ("{products: [tokens]}", "{meters: [chat]}", "there is no meter chat"),
        ("{meters: [tokens]}", "{meters: [chats]}", "there is no meter chats"),
    ],
)  # fmt: skip
def test_a_name_that_leads_nowhere_is_told(found: str, replacement: str, message: str) -> None:
    assert message in told(found, replacement)


@pytest.mark.parametrize(
    ("found", "replacement"),
    [
        ("{model: per_unit, amount: 2}", "{model: volume, tiers: [{unit: 2}]}"),
        ("{model: per_unit, amount: 2}", "{model: per_unit, amount: 2, minimum: 3}"),
        ("[{USD: 0.01}", "[{USX: 0.01}"),
        ("[{USD: 0.01}", "[{USD: -1}"),
        ("{from: 2026-05-01, USD", "{USD"),
        ("name: AI credit", "money: USD"),
        ("name: AI credit", "precision: 13"),
        ("overage: block", "overage: blok"),
        ("order: expiry first", "order: [expiry, luck]"),
        ("amount: 250", "amount: 0"),
        ("price: {USD: 10}", "price: {}"),
        ("cap_share: 50%", "cap_share: 150%"),
        ("every: once", "every: 2 hours"),
        ("every: week", "every: minute"),
        ("overage: block", "soft_limit: 90%"),
    ],
)
def test_what_cannot_be_is_refused(found: str, replacement: str) -> None:
    assert told(found, replacement)


def test_a_change_is_told_in_a_sentence_and_touches_the_plans_that_grant_it() -> None:
    old = parse_catalog(FILES)
    new = parse_catalog(
        {path: text.replace("output, amount: 750", "output, amount: 900") for path, text in FILES.items()}
    )
    changes = diff_catalogs(old, new)
    told_as = "~ credit ai_credits: burn tokens rates kind=output model=gpt-5.4 750 → 900 per 1M (+20 %)"
    assert render(changes) == told_as
    assert affected_plans(changes, new) == ("team",)
    more = diff_catalogs(old, parse_catalog(edited("amount: 500", "amount: 600")))
    assert render(more) == "~ plan team: grants ai credits amount 500 → 600 (+20 %)"
    assert not diff_catalogs(old, parse_catalog(FILES))


@pytest.mark.parametrize("aggregate", ["max", "min", "latest", "average", "unique", "time_weighted_sum"])
def test_only_what_adds_up_burns_credits(aggregate: str) -> None:
    meter = f"meter: exports\nevent: export.done\naggregate: {aggregate}\nvalue: data.n\n"
    with pytest.raises(CatalogError) as caught:
        parse_catalog({**FILES, "meters/exports.yaml": meter})
    (problem,) = caught.value.problems
    assert (problem.file, problem.path) == ("credits/ai_credits.yaml", "burn.exports")
    assert problem.message == f"meter exports is a {aggregate}, which cannot burn credits as it is used"
    assert problem.hint.startswith("burn by a meter that counts or sums")

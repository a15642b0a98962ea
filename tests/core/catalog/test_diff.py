import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.catalog.trees import TREE, catalog, tree
from valorem.core.catalog.canonical import canonical
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.diff import affected_plans, diff_catalogs, render
from valorem.core.catalog.tree import parse_catalog

OUTPUT = "  - {model: gpt-5.4, kind: output, amount: 15, per: 1M}\n"
TIERS = "    model: graduated\n    tiers: [{up_to: 100, unit: 0}, {up_to: 1000, unit: 0.10}, {unit: 0.08}]\n"


@pytest.mark.parametrize(
    ("file", "edit", "told"),
    [
        ("plans_team", ("amount: 30", "amount: 35"), "~ plan team: fee seat 30 → 35 USD per seat (+16.7 %)"),
        ("plans_team", ("in advance", "in arrears"), "~ plan team: fee seat: billed in advance → in arrears"),
        ("plans_team", ("fees:", "fees:\n  base: {amount: 99.50}"), "+ plan team: fee base added: 99.5 USD"),
        ("plans_team", ("every: month", "every: 2 weeks"), "~ plan team: billing interval 1 month → 2 weeks"),
        ("plans_team", ("minimum: {amount: 100", "minimum: {amount: 80"),
         "~ plan team: minimum 100 → 80 USD per invoice (−20 %)"),
        ("plans_team", ("minimum: {amount: 100, per: invoice}\n", ""),
         "- plan team: minimum removed (was 100 USD per invoice)"),
        ("plans_team", ("projects: 20", "projects: 50"), "~ plan team: feature projects 20 → 50 (+150 %)"),
        ("plans_team", ("sso: true, ", ""), "- plan team: feature sso removed (was true)"),
        ("plans_team", ("name: Team", "name: Teams"), "~ plan team: name Team → Teams"),
        ("plans_team", ("every: month", "policies: {late_events: absorb}"),
         "~ plan team: policy late events next_invoice → absorb"),
        ("plans_team", ("unit: 0.10", "unit: 0.12"),
         "~ plan team: price of storage_gb: tier up to 1k: unit 0.1 → 0.12 (+20 %)"),
        ("plans_team", ("up_to: 1000", "up_to: 2k"),
         ("- plan team: price of storage_gb: tier up to 1k removed (was unit 0.1)\n"
         "+ plan team: price of storage_gb: tier up to 2k added: unit 0.1")),
        ("plans_team", ("graduated", "volume"), "~ plan team: price of storage_gb: model graduated → volume"),
        ("plans_team", (TIERS, ("    - {model: per_unit, amount: 0.10}\n"
                               "    - {model: per_unit, amount: 0.09, from: 2027-01-01}\n")),
         ("~ plan team: price of storage_gb: model graduated → per_unit\n"
         "- plan team: price of storage_gb: tiers removed (was up to 100 unit 0, up to 1k unit 0.1, beyond unit 0.08)\n"
         "+ plan team: price of storage_gb: amount added: 0.1\n"
         "+ plan team: price of storage_gb: per added: 1\n"
         "~ plan team: price of storage_gb: amount 0.1 → 0.09 from 2027-01-01 (−10 %)")),
        ("plans_team", ("tokens: gpt_tokens\n", "tokens: {model: per_unit, amount: 2, per: 1M}\n"),
         "~ plan team: price of tokens gpt_tokens → per_unit 2 per 1M"),
        ("prices_gpt_tokens", ("amount: 15", "amount: 12"),
         "~ price gpt_tokens: rate model=gpt-5.4 kind=output 15 → 12 per 1M (−20 %)"),
        ("prices_gpt_tokens", (OUTPUT, OUTPUT + OUTPUT.replace("15, per: 1M", "12, per: 1M, from: 2026-03-05")),
         "~ price gpt_tokens: rate model=gpt-5.4 kind=output 15 → 12 per 1M from 2026-03-05 (−20 %)"),
        ("prices_gpt_tokens", ("amount: 15, per: 1M", "amount: 0.015, per: 1k"),
         "~ price gpt_tokens: rate model=gpt-5.4 kind=output 15 per 1M → 0.015 per 1k (the same for one unit)"),
        ("prices_gpt_tokens", (OUTPUT, OUTPUT + OUTPUT.replace("gpt-5.4", "gpt-5.5")),
         "+ price gpt_tokens: rate model=gpt-5.5 kind=output added: 15 per 1M"),
        ("prices_gpt_tokens", (OUTPUT, ""),
         "- price gpt_tokens: rate model=gpt-5.4 kind=output removed (was 15 per 1M)"),
        ("prices_gpt_tokens", ("batch: 0.5", "batch: 0.4"),
         "~ price gpt_tokens: multiplier mode=batch 0.5 → 0.4 (−20 %)"),
        ("prices_gpt_tokens", ("included: 2M", "included: 2.5M"),
         "~ price gpt_tokens: included 2M → 2.5M (+25 %)"),
        ("prices_gpt_tokens", ("above: 272k", "above: 200k"),
         "~ price gpt_tokens: whole event above 272k → 200k (−26.5 %): recorded events will be recounted"),
        ("meters_tokens", ("data.status: ok", "data.status: [ok, partial]"),
         "~ meter tokens: filter data.status = ok → data.status in [ok, partial]: recorded events will be recounted"),
        ("meters_tokens", ("mode: data.mode", "mode: data.tier"),
         "~ meter tokens: dimension mode data.mode → data.tier: recorded events will be recounted"),
        ("meters_tokens", ("name: Tokens", "name: AI tokens"), "~ meter tokens: name Tokens → AI tokens"),
        ("meters_storage_gb", ("aggregate: max", "aggregate: average"),
         "~ meter storage_gb: aggregate max → average: recorded events will be recounted"),
        ("features_sso", ("feature: sso", "feature: sso\nname: Sign-on"), "+ feature sso: name added: Sign-on"),
    ],
)  # fmt: skip
def test_a_change_reads_as_a_sentence(file: str, edit: tuple[str, str], told: str) -> None:
    assert render(diff_catalogs(catalog(), catalog(**{file: edit}))) == told


def test_a_whole_catalog_is_added_and_removed() -> None:
    assert render(diff_catalogs(Catalog(), catalog())).splitlines() == [
        "+ meter storage_gb added: max of data.gb",
        "+ meter tokens added: Tokens, sum of each kind",
        "+ feature projects added: value",
        "+ feature sso added: on/off",
        "+ feature tokens added: metered",
        "+ price gpt_tokens added: for tokens, matrix with 3 rates",
        "+ plan team added: Team, USD, every month, 1 fee, 2 prices, 2 features",
    ]
    assert "- plan team removed" in render(diff_catalogs(catalog(), Catalog()))


@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("plans_team", ("name: Team", "# The small plan.\nname:   'Team'")),
        ("plans_team", ("{amount: 30, per: seat, billed: in advance}", "{per: seat, amount: 30.00}")),
        ("plans_team", ("every: month\n", "")),
        ("plans_team", ("up_to: 1000", "up_to: 1k")),
        ("prices_gpt_tokens", ("included: 2M", "included: 2000000\nminimum:")),
        (
            "prices_gpt_tokens",
            (OUTPUT, OUTPUT.replace("model: gpt-5.4, kind: output,", "kind: output, model: gpt-5.4,")),
        ),
        ("meters_tokens", ("event: llm.call", "event: [llm.call]")),
        ("meters_tokens", ("{data.status: ok}", "{data.status: {eq: ok}}")),
        ("meters_storage_gb", ("value: data.gb", "value:  ( data.gb )")),
    ],
)
def test_what_means_the_same_is_no_change(file: str, edit: tuple[str, str]) -> None:
    old, new = catalog(), catalog(**{file: edit})
    assert canonical(old) == canonical(new)
    assert diff_catalogs(old, new) == ()
    assert render(()) == "no change in meaning"


def test_a_change_carries_its_values() -> None:
    (change,) = diff_catalogs(catalog(), catalog(plans_team=("amount: 30", "amount: 35.10")))
    assert (change.kind, change.what, change.path) == ("changed", "plan team", "fees.seat.amount")
    assert (change.before, change.after, change.recount) == ("30", "35.1", False)


def test_the_plans_a_change_touches() -> None:
    other = "plan: other\nname: Other\ncurrency: EUR\nprices: {storage_gb: {model: flat, amount: 1}}\n"
    old = parse_catalog({**TREE, "plans/other.yaml": other})

    def touched(**edits: tuple[str, str]) -> tuple[str, ...]:
        return affected_plans(
            diff_catalogs(old, parse_catalog({**tree(**edits), "plans/other.yaml": other})), old
        )

    assert touched(prices_gpt_tokens=("15", "16")) == ("team",)
    assert touched(meters_storage_gb=("max", "min")) == ("other", "team")
    assert touched(features_sso=("feature: sso", "feature: sso\nname: SSO")) == ("team",)
    assert touched() == ()


NUMBERS = st.decimals(min_value=0, max_value=10**6, places=4, allow_nan=False, allow_infinity=False)


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str]:
    kinds = draw(st.lists(st.sampled_from(["input", "output"]), min_size=1, max_size=2, unique=True))
    dates = draw(st.lists(st.sampled_from(["2026-03-05", "2026-09-01"]), unique=True))
    rows = [f"  - {{kind: {kind}, amount: {draw(NUMBERS)}, per: 1M}}" for kind in kinds]
    rows += [f"  - {{kind: {kinds[0]}, amount: {draw(NUMBERS)}, per: 1M, from: {date}}}" for date in dates]
    price = "price: gpt_tokens\nmeter: tokens\nmodel: matrix\nrates:\n" + "\n".join(
        draw(st.permutations(rows))
    )
    bound = draw(st.integers(1, 1000))
    plan = (
        f"plan: team\nname: Team\ncurrency: {draw(st.sampled_from(['USD', 'JPY', 'KWD']))}\n"
        f"fees: {{seat: {{amount: {draw(NUMBERS)}, per: seat}}}}\n"
        f"prices:\n  tokens: gpt_tokens\n  storage_gb:\n    model: {draw(st.sampled_from(['graduated', 'volume']))}\n"
        f"    tiers: [{{up_to: {bound}, unit: {draw(NUMBERS)}}}, {{unit: {draw(NUMBERS)}}}]\n"
    )
    return {**TREE, "prices/gpt_tokens.yaml": price, "plans/team.yaml": plan}


@settings(max_examples=50, deadline=None)
@given(trees(), trees())
def test_a_catalog_differs_from_another_only_where_its_meaning_does(
    one: dict[str, str], two: dict[str, str]
) -> None:
    a, b = parse_catalog(one), parse_catalog(two)
    assert diff_catalogs(a, a) == ()
    assert (
        diff_catalogs(a, parse_catalog({path: text + "\n# a comment\n" for path, text in one.items()})) == ()
    )
    changes = diff_catalogs(a, b)
    assert bool(changes) == (canonical(a) != canonical(b))
    assert all(change.sentence.startswith(f"{change.what}: ") for change in changes)

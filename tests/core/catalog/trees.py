"""A small whole catalog that the tests change one thing of."""

from collections.abc import Mapping

from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.tree import parse_catalog

TREE: Mapping[str, str] = {
    "meters/tokens.yaml": """\
meter: tokens
name: Tokens
event: llm.call
aggregate: sum
filter: {data.status: ok}
dimensions: {model: data.model, mode: data.mode}
each:
  kind: {input: data.input_tokens, output: data.output_tokens}
""",
    "meters/storage_gb.yaml": """\
meter: storage_gb
event: storage.level
aggregate: max
value: data.gb
""",
    "features/sso.yaml": "feature: sso\n",
    "features/projects.yaml": "feature: projects\nkind: value\n",
    "features/tokens.yaml": "feature: tokens\nkind: metered\nmeter: tokens\n",
    "prices/gpt_tokens.yaml": """\
price: gpt_tokens
meter: tokens
model: matrix
whole_event: {value: data.input_tokens, above: 272k}
rates:
  - {model: gpt-5.4, kind: input, amount: 2.50, per: 1M}
  - {model: gpt-5.4, kind: input, context: long, amount: 5, per: 1M}
  - {model: gpt-5.4, kind: output, amount: 15, per: 1M}
multipliers: {mode: {batch: 0.5, priority: 2}}
included: 2M
""",
    "plans/team.yaml": """\
plan: team
name: Team
currency: USD
every: month
fees:
  seat: {amount: 30, per: seat, billed: in advance}
prices:
  tokens: gpt_tokens
  storage_gb:
    model: graduated
    tiers: [{up_to: 100, unit: 0}, {up_to: 1000, unit: 0.10}, {unit: 0.08}]
features: {sso: true, projects: 20}
minimum: {amount: 100, per: invoice}
""",
}


def tree(**edits: tuple[str, str]) -> dict[str, str]:
    """The tree with one replacement in each named file (``plans_team=("30", "35")``)."""
    files = dict(TREE)
    for name, (found, replacement) in edits.items():
        path = name.replace("_", "/", 1) + ".yaml"
        assert found in files[path], f"{path} has no {found!r}"
        files[path] = files[path].replace(found, replacement, 1)
    return files


def catalog(**edits: tuple[str, str]) -> Catalog:
    return parse_catalog(tree(**edits))

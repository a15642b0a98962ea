"""What somebody who edits prices is told about each mistake; read them as that person."""

import pytest

from tests.core.catalog.trees import TREE, tree
from valorem.core.catalog.problems import CatalogError
from valorem.core.catalog.tree import parse_catalog

Edit = tuple[str, str]


def problems(files: dict[str, str]) -> list[str]:
    with pytest.raises(CatalogError) as caught:
        parse_catalog(files)
    return [str(problem) for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("file", "edit", "told"),
    [
        # fields
        ("plans_team", ("currency:", "currancy:"),
         "plans/team.yaml:3:1: currancy: unknown field currancy\n    did you mean currency?"),
        ("plans_team", ("currency: USD\n", ""),
         ("plans/team.yaml:1:1: currency: currency is missing\n"
         "    Of every amount in the plan and of its invoices, such as USD or EUR or JPY")),
        ("plans_team", ("USD", "usd"),
         ("plans/team.yaml:3:11: currency: unknown currency 'usd'\n"
         "    use an ISO 4217 code in capitals, such as USD, EUR or JPY")),
        ("plans_team", ("name: Team", "name: 2026"),
         'plans/team.yaml:2:7: name: found the number 2026 where a text belongs\n    put it in quotes: "2026"'),
        ("plans_team", ("every: month", "every: monthly"),
         ("plans/team.yaml:4:8: every: expected a length of time, found 'monthly'\n"
         "    write a count and a unit: 14 days, 1 month, 2 weeks, quarter, year")),
        ("plans_team", ("every: month", "every: 3 hours"),
         ("plans/team.yaml:4:8: every: a billing interval is one or more days, weeks, months, quarters or years\n"
         "    The billing interval, such as 14 days or month or 2 weeks")),
        ("plans_team", ("  seat:", "  Seat fee:"),
         ("plans/team.yaml:6:3: fees.Seat fee: 'Seat fee' cannot be a key\n"
         "    a key is lower-case letters, digits and _, starting with a letter: seat_fee")),
        ("plans_team", ("in advance", "advance"),
         "plans/team.yaml:6:41: fees.seat.billed: found the text 'advance'\n    did you mean in advance?"),
        ("plans_team", ("amount: 30", "amount: 3e1"),
         ("plans/team.yaml:6:18: fees.seat.amount: expected a decimal number, found '3e1'\n"
         "    at most 18 digits before and 12 after the point, ASCII digits only, no exponent")),
        ("plans_team", ("amount: 30", "amount: 30 USD"),
         ("plans/team.yaml:6:18: fees.seat.amount: expected a decimal number, found '30 USD'\n"
         "    at most 18 digits before and 12 after the point, ASCII digits only, no exponent")),
        ("plans_team", ("amount: 30", "amount: 0.0000000000001"),
         ("plans/team.yaml:6:18: fees.seat.amount: expected a decimal number, found '0.0000000000001'\n"
         "    at most 18 digits before and 12 after the point, ASCII digits only, no exponent")),
        ("plans_team", ("{amount: 100, per: invoice}", "100"),
         ("plans/team.yaml:13:10: minimum: found the number 100 where fields belong\n"
         "    write it as fields: {name: value}")),
        ("plans_team", ("per: invoice}", "per: month}"),
         "plans/team.yaml:13:29: minimum.per: found the text 'month'\n    possible values: invoice"),
        ("plans_team", ("{amount: 100,", "{amount: -1,"),
         "plans/team.yaml:13:19: minimum.amount: found the number -1\n    0 is the least allowed"),
        ("plans_team", ("minimum: {amount: 100, per: invoice}", "minimum: {amount: 100}\nmaximum: {amount: 50}"),
         ("plans/team.yaml:14:19: maximum.amount: the maximum is less than the minimum\n"
         "    raise it or lower the minimum")),
        # not yet
        ("plans_team", ("every: month", "outcomes: {}"),
         ("plans/team.yaml:4:11: outcomes: found fields where a list belongs\n"
          "    write it as a list: [a, b]")),
        # limits, gates, prompts and alerts
        ("plans_team", ("every: month", "limits: {tokns: {max: 20, window: day}}"),
         "plans/team.yaml:4:10: limits.tokns: there is no metered feature or meter tokns\n    did you mean tokens?"),
        ("plans_team", ("every: month", "limits: {tokens: {max: 20, window: fortnight}}"),
         ("plans/team.yaml:4:36: limits.tokens.window: expected a window, found 'fortnight'\n    write hour, day, week, month, "
          "billing period, rolling 5 hours, 5 hours from first use, or never")),
        ("plans_team", ("every: month", "limits: {tokens: {max: 20, window: day, each: user}}"),
         ("plans/team.yaml:4:18: limits.tokens: meter tokens has no dimension user\n"
          "    dimensions: kind, mode, model")),
        ("plans_team", ("every: month", "limits: {tokens: {max: 20, window: day, prompt: upgrade_to_max}}"),
         "plans/team.yaml:4:18: limits.tokens: there is no plan max\n    plans: team"),
        ("plans_team", ("every: month", "alerts: {limits: {tokens: [80%]}}"),
         "plans/team.yaml:4:19: alerts.limits.tokens: the plan has no limit on tokens\n    there are no limits here"),
        # names of other things
        ("plans_team", ("tokens: gpt_tokens", "tokens: gpt_token"),
         "plans/team.yaml:8:11: prices.tokens: there is no price gpt_token\n    did you mean gpt_tokens?"),
        ("plans_team", ("storage_gb:", "stroage_gb:"),
         "plans/team.yaml:9:3: prices.stroage_gb: there is no meter stroage_gb\n    did you mean storage_gb?"),
        ("plans_team", ("  tokens: gpt_tokens\n  storage_gb:", "  storage_gb: gpt_tokens\n  tokens:"),
         ("plans/team.yaml:8:15: prices.storage_gb: the price is for meter tokens, not for storage_gb\n"
         "    write it under tokens, or use a price of storage_gb")),
        ("plans_team", ("sso: true", "SSO: true"),
         ("plans/team.yaml:12:12: features.SSO: 'SSO' cannot be a key\n"
         "    a key is lower-case letters, digits and _, starting with a letter: sso")),
        ("plans_team", ("sso: true", "ssso: true"),
         "plans/team.yaml:12:12: features.ssso: there is no feature ssso\n    did you mean sso?"),
        ("plans_team", ("sso: true", "sso: yes"),
         "plans/team.yaml:12:17: features.sso: sso is an on/off feature\n    write true or false"),
        ("plans_team", ("projects: 20", "projects: true"),
         ("plans/team.yaml:12:33: features.projects: projects is a value feature\n"
         "    write its value: a number or a text")),
        ("plans_team", ("sso: true", "tokens: 500"),
         ("plans/team.yaml:12:20: features.tokens: tokens is a metered feature\n"
         "    write true or false here, and its limit under limits: tokens: {max: …, window: …}")),
        ("features_tokens", ("meter: tokens", "meter: token"),
         "features/tokens.yaml:3:8: meter: there is no meter token\n    did you mean tokens?"),
        ("features_tokens", ("meter: tokens\n", ""),
         "features/tokens.yaml:1:1: a metered feature names the meter that counts it\n    add `meter: …`"),
        # prices
        ("prices_gpt_tokens", ("model: matrix", "model: matrx"),
         "prices/gpt_tokens.yaml:3:8: model: unknown model matrx\n    did you mean matrix?"),
        ("prices_gpt_tokens", ("model: matrix", "modle: matrix"),
         "prices/gpt_tokens.yaml:1:1: model: model is missing\n    did you write modle for model?"),
        ("prices_gpt_tokens", ("meter: tokens\n", ""),
         "prices/gpt_tokens.yaml:1:1: meter: meter is missing\n    add `meter: …`, the meter it is the price of"),
        ("prices_gpt_tokens", ("kind: output", "kind: outptu"),
         "prices/gpt_tokens.yaml:8:28: rates[2].kind: kind is never outptu\n    did you mean output?"),
        ("prices_gpt_tokens", ("model: gpt-5.4, kind: output", "modell: gpt-5.4, kind: output"),
         ("prices/gpt_tokens.yaml:8:6: rates[2].modell: meter tokens has no dimension modell\n"
         "    did you mean model?")),
        ("prices_gpt_tokens", ("amount: 15, per: 1M", "amount: 15, per: 1M, form: 2026-03-05"),
         ("prices/gpt_tokens.yaml:8:57: rates[2].form: meter tokens has no dimension form\n"
         "    did you mean from?")),
        ("prices_gpt_tokens", ("model: gpt-5.4, kind: output", "model: 5.4, kind: output"),
         ('prices/gpt_tokens.yaml:8:13: rates[2].model: found the number 5.4 where a text belongs\n'
         '    put it in quotes: "5.4"')),
        ("prices_gpt_tokens", ("mode: {batch", "mod: {batch"),
         "prices/gpt_tokens.yaml:9:15: multipliers.mod: meter tokens has no dimension mod\n    did you mean mode?"),
        ("prices_gpt_tokens", ("kind: output", "kind: input"),
         ("prices/gpt_tokens.yaml:1:1: rates 1 and 3 have the same dimension values and date\n"
         "    remove one, or date it")),
        ("prices_gpt_tokens", ("included: 2M", "included: 2 Mio"),
         ("prices/gpt_tokens.yaml:10:11: included: expected a decimal number, found '2 Mio'\n"
         "    write a number, or one like 2M, 1.5k")),
        ("prices_gpt_tokens", ("above: 272k", "above: 272k, dimension: model"),
         ("prices/gpt_tokens.yaml:4:65: whole_event.dimension: whole_event derives dimension 'model', but the meter has"
         " one of that name\n    give it another name")),
        ("plans_team", ("up_to: 100,", "up_to: 5k,"),
         ("plans/team.yaml:11:12: prices.storage_gb.tiers: tier 2 ends at 1000, not above 5000 where it begins\n"
         "    write the tiers in rising order")),
        ("plans_team", (", {unit: 0.08}", ""),
         ("plans/team.yaml:11:12: prices.storage_gb.tiers: nothing is said about more than 1000\n"
         "    leave up_to out in the last tier, so that it is open")),
        ("plans_team", ("{unit: 0.08}", "{unti: 0.08}"),
         "plans/team.yaml:11:64: prices.storage_gb.tiers[2].unti: unknown field unti\n    did you mean unit?"),
        ("plans_team", ("[{up_to: 100, unit: 0}, {up_to: 1000, unit: 0.10}, {unit: 0.08}]", "[{unit: free}]"),
         ("plans/team.yaml:11:20: prices.storage_gb.tiers[0].unit: expected a decimal number, found 'free'\n"
         "    at most 18 digits before and 12 after the point, ASCII digits only, no exponent")),
        ("plans_team", ("[{up_to: 100, unit: 0}, {up_to: 1000, unit: 0.10}, {unit: 0.08}]", "[]"),
         "plans/team.yaml:11:12: prices.storage_gb.tiers: found a list\n    write at least 1"),
        # meters
        ("meters_tokens", ("aggregate: sum", "aggregate: total"),
         ("meters/tokens.yaml:4:12: aggregate: found the text 'total'\n    possible values: average, count, latest, "
         "max, min, percentile, sum, time_weighted_sum, unique")),
        ("meters_tokens", ("{data.status: ok}", "{data.status: {equals: ok}}"),
         ("meters/tokens.yaml:5:32: filter.data.status.equals: unknown comparison 'equals'\n"
         "    use one of eq, ne, contains, in, not_in, gt, gte, lt, lte, exists")),
        ("meters_storage_gb", ("data.gb", "data.gb +"),
         ("meters/storage_gb.yaml:4:8: value: 'data.gb +': column 10: expected a number, path, text, function or (,"
         " found the end\n    Path or expression of the value; absent for count and with each")),
        # files
        ("meters_storage_gb", ("meter: storage_gb", "meter: storage"),
         ("meters/storage_gb.yaml:1:8: meter: the file is called storage_gb.yaml but declares meter storage\n"
         "    rename the file to meters/storage.yaml, or write meter: storage_gb")),
        ("meters_storage_gb", ("event: ", "event:"),
         "meters/storage_gb.yaml:3:1: a line without ': '\n    write it as `field: value`, with a space after the colon"),
        ("plans_team", ("every: month", "name: Other"),
         "plans/team.yaml:4:1: name: name is written twice, on line 2 and on line 4\n    keep one of them"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_place_and_the_way_out(file: str, edit: Edit, told: str) -> None:
    assert problems(tree(**{file: edit})) == [told]


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("plan/x.yaml", "plan/x.yaml: unknown folder plan\n    did you mean plans?"),
        ("plans/x.yml", "plans/x.yml: x.yml is not a .yaml file\n    name it plans/x.yaml, or remove it"),
        ("plans/x", "plans/x: x is not a .yaml file\n    name it plans/x.yaml, or remove it"),
        ("plans/eu/x.yaml", "plans/eu/x.yaml: a folder inside a folder\n    move it to plans/x.yaml"),
        ("team.yaml", ("team.yaml: a file outside the folders of a catalog\n"
                      "    move it into one of the folders meters, features, prices, credits, outcomes, taxes, plans, sources")),
    ],
)  # fmt: skip
def test_a_file_in_the_wrong_place_is_told_where_to_go(path: str, told: str) -> None:
    assert problems({**TREE, path: "plan: x\n"}) == [told]


def test_two_files_cannot_declare_one_key() -> None:
    found = problems({**TREE, "plans/zeta.yaml": TREE["plans/team.yaml"]})
    assert (
        "plans/zeta.yaml:1:7: plan: plan team is already declared in plans/team.yaml\n    give one of them another key"
        in found
    )


def test_an_empty_file_and_an_empty_tree_say_what_to_write() -> None:
    assert problems({**TREE, "plans/x.yaml": ""}) == [
        "plans/x.yaml:1:1: found nothing where fields belong\n    start with `key: value` lines"
    ]
    assert problems({})[0].startswith("catalog: no files\n    write meters/….yaml")


def test_all_problems_of_all_files_are_told_at_once() -> None:
    files = tree(
        plans_team=("currency: USD", "currency: EURO"),
        meters_storage_gb=("max", "maxx"),
        features_projects=("kind: value", "kind: valu"),
    )
    files["plans/team.yaml"] = files["plans/team.yaml"].replace("sso:", "ssso:")
    assert [problem.split(" ")[0] for problem in problems(files)] == [
        "features/projects.yaml:2:7:",
        "meters/storage_gb.yaml:3:12:",
        "plans/team.yaml:3:11:",
        "plans/team.yaml:12:12:",
    ]


def test_a_broken_meter_does_not_make_its_prices_wrong() -> None:
    found = problems(tree(meters_tokens=("aggregate: sum", "aggregate: [")))
    assert [problem.split(":")[0] for problem in found] == ["meters/tokens.yaml"]


def test_the_error_says_the_first_problem_and_how_many_more() -> None:
    with pytest.raises(CatalogError) as caught:
        parse_catalog(tree(plans_team=("USD", "usd"), features_projects=("value", "valeu")))
    assert str(caught.value) == (
        "features/projects.yaml: line 2, kind: found the text 'valeu', and 1 more problem (did you mean value?)"
    )


def test_dated_versions_are_told_by_their_place() -> None:
    storage = (
        "price: storage\nmeter: storage_gb\nversions:\n"
        "  - {model: per_unit, amount: 0.10}\n"
        "  - {model: per_unit, amount: 0.09, from: 2027-01-01, multipliers: {region: {eu: 2}}}\n"
        "  - {model: per_unit, amuont: 0.08, from: 2028-01-01}\n"
    )
    assert problems({**TREE, "prices/storage.yaml": storage}) == [
        "prices/storage.yaml:6:23: versions[2].amuont: unknown field amuont\n    did you mean amount?"
    ]
    assert problems({**TREE, "prices/storage.yaml": storage.replace("amuont", "amount")}) == [
        (
            "prices/storage.yaml:5:69: versions[1].multipliers.region: meter storage_gb has no dimension region\n"
            "    there are no dimensions of storage_gb here"
        )
    ]
    assert problems(
        {**TREE, "prices/storage.yaml": storage.replace("amuont", "amount").replace(", from: 2027-01-01", "")}
    )


def test_too_much_is_refused_before_it_is_read() -> None:
    assert problems({f"plans/p{i}.yaml": "" for i in range(2_001)}) == [
        "catalog: 2,001 files; at most 2,000 are read\n    remove what is not sold any more"
    ]
    assert problems({f"plans/p{i}.yaml": "#" * 262_144 for i in range(17)})[0].startswith(
        "catalog: 4,456,448 characters"
    )


def test_a_message_is_one_legible_line() -> None:
    (found,) = problems(tree(plans_team=("every:", '"\\e[31m\\nevery":')))
    assert "unknown field \\x1b[31m\\x0aevery" in found
    (found,) = problems(tree(plans_team=("amount: 30", f"amount: {'9' * 10_000}")))
    assert len(found) < 300

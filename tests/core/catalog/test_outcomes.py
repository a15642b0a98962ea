"""Outcome definitions as files of a catalog."""

import pytest

from tests.core.catalog.trees import TREE
from valorem.core.catalog.diff import diff_catalogs
from valorem.core.catalog.problems import CatalogError
from valorem.core.catalog.tree import parse_catalog

FILE = """\
outcome: lead
name: Qualified lead
source: {system: crm}
evidence:
  - {event: lead.qualified, kind: success, when: {data.score: {gte: 70}}}
  - {event: lead.returned, kind: refute, reasons: [spam, duplicate]}
key: data.id
reason: data.reason
window: 7 days
currency: USD
price: {model: per_unit, amount: 25}
"""


def files(found: str = "", replacement: str = "") -> dict[str, str]:
    assert found in FILE
    return {**TREE, "outcomes/lead.yaml": FILE.replace(found, replacement, 1) if found else FILE}


def test_a_definition_is_read() -> None:
    lead = parse_catalog(files()).outcomes["lead"]
    assert (lead.label, lead.window.days, lead.evidence[1].reasons) == (
        "Qualified lead",
        7,
        ("spam", "duplicate"),
    )


def test_its_changes_are_told_by_meaning() -> None:
    same = files("gte: 70", "gte: 70.0")
    assert diff_catalogs(parse_catalog(files()), parse_catalog(same)) == ()
    changed = parse_catalog(files("amount: 25", "amount: 30"))
    assert [each.sentence for each in diff_catalogs(parse_catalog(files()), changed)] == [
        "outcome lead: price: amount 25 → 30 (+20 %)"
    ]
    (added,) = diff_catalogs(parse_catalog(TREE), parse_catalog(files()))
    assert added.sentence == "outcome lead added: Qualified lead, from crm, window 7 days, USD"


@pytest.mark.parametrize(
    ("found", "replacement", "told"),
    [
        ("window: 7 days", "window: a week", "line 9, window: expected a length of time"),
        ("kind: success", "kind: won", "line 5, evidence[0].kind"),
        ("reason: data.reason\n", "", "a list of reasons needs reason"),
        ("gte: 70", "above: 70", "unknown comparison 'above'"),
        ("window:", "windows:", "did you mean window?"),
        ("outcome: lead", "outcome: leads", "the file is called lead.yaml but declares outcome leads"),
    ],
)
def test_a_mistake_is_told_with_its_place(found: str, replacement: str, told: str) -> None:
    with pytest.raises(CatalogError) as refused:
        parse_catalog(files(found, replacement))
    assert told in str(refused.value)

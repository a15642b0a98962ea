"""Discounts, bounds and commitments are taxed as what they are about."""

from decimal import Decimal
from typing import Any

import pytest

from tests.core.billing.make import contract, utc
from valorem.core.billing.charges import period_charges
from valorem.core.billing.commitments import commitment_lines
from valorem.core.billing.needs import usage_needs
from valorem.core.billing.schedule import contract_period, cover
from valorem.core.billing.tax_codes import code_of
from valorem.core.billing.terms import Terms, terms_of
from valorem.core.catalog.tree import parse_catalog
from valorem.core.contracts.agreed import Access, Commitment, Discount
from valorem.core.contracts.standing import Standing
from valorem.core.metering.measured import Measured

D = Decimal
FILES = {
    "meters/calls.yaml": "{meter: calls, event: call, aggregate: count}",
    "plans/mixed.yaml": """
plan: mixed
name: Mixed
currency: USD
every: month
fees:
  base: {amount: 100, billed: in arrears}
  book: {amount: 50, billed: in arrears}
prices:
  calls: {model: per_unit, amount: 1}
tax: {code: software, codes: {book: print}}
BOUND
""",
}


def terms(bound: str = "", **agreed: Any) -> Terms:
    catalog = parse_catalog({name: text.replace("BOUND", bound) for name, text in FILES.items()})
    standing = Standing(since=utc("2026-01-01"), plan="mixed", catalog_version=1, **agreed)
    return terms_of(contract(plan="mixed", standings=(standing,)), catalog)


def charged(of: Terms, calls: int) -> dict[tuple[str, str | None], Decimal]:
    period = contract_period(of.contract, 0)
    assert period is not None
    needs = usage_needs(of, period)
    lines = period_charges(of, period, {"calls": [[Measured({}, D(calls), calls)]]}, needs).lines
    lines += commitment_lines(of, cover(of.contract, 1), lines, ())
    found: dict[tuple[str, str | None], Decimal] = {}
    for line in lines:
        key = line.kind, code_of(of, line)
        found[key] = found.get(key, D(0)) + line.amount
    assert len({line.charge for line in lines}) == len(lines)
    return found


def test_a_discount_is_taxed_as_the_lines_it_is_on() -> None:
    tenth = Discount(id="tenth", percent=D("0.1"))
    found = charged(terms(discounts=(tenth,)), 50)
    assert found["discount", "software"] == D(-15)
    assert found["discount", "print"] == D(-5)


@pytest.mark.parametrize(
    ("bound", "kind", "software", "print_"),
    [
        ("maximum: {amount: 100}", "maximum", D(-75), D(-25)),
        ("minimum: {amount: 400}", "minimum", D(150), D(50)),
    ],
)
def test_a_bound_is_shared_among_what_it_bounds(
    bound: str, kind: str, software: Decimal, print_: Decimal
) -> None:
    found = charged(terms(bound), 50)
    assert (found[kind, "software"], found[kind, "print"]) == (software, print_)


def test_a_commitment_is_taxed_as_the_usage_it_covers() -> None:
    year = Access(amount=D(30), start=utc("2026-01-01"), end=utc("2027-01-01"))
    found = charged(terms(commitments=(Commitment(id="order", access=(year,)),)), 50)
    assert found["commitment", "software"] == D(-30)

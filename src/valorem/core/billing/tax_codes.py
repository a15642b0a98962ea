"""Tax codes of lines that stand for others: a discount, a bound or a commitment is taxed as what it is about."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from valorem.core.billing.invoice import Line
from valorem.core.billing.terms import Terms
from valorem.core.money import allocate
from valorem.core.numbers import ZERO


def code_of(terms: Terms, line: Line) -> str | None:
    """The tax code of a line: its own, that of its fee or meter, else that of everything on its plan."""
    if line.tax_code is not None:
        return line.tax_code
    tax = terms.at(line.period.start).plan.tax
    return tax.code_of(line.key) if line.kind in ("fee", "usage") else tax.code


def by_code(terms: Terms, amounts: Iterable[tuple[Line, Decimal]]) -> dict[str | None, Decimal]:
    """What parts of lines come to for each tax code, in the order the codes first come up."""
    found: dict[str | None, Decimal] = {}
    for line, amount in amounts:
        code = code_of(terms, line)
        found[code] = found.get(code, ZERO) + amount
    return found


def split(terms: Terms, line: Line, parts: Mapping[str | None, Decimal]) -> Iterator[Line]:
    """A line as one for each tax code of what it stands for; itself where that is the plan's own code alone.

    Args:
        terms: The contract's terms.
        line: The line; its amount is the sum of the parts.
        parts: Its amount by tax code.
    """
    default = terms.at(line.period.start).plan.tax.code
    for code, amount in parts.items():
        if not amount:
            continue
        if code == default or code is None:
            yield line if len(parts) == 1 else replace(line, amount=amount, exact_amount=amount)
        else:
            charge = f"{line.charge}%{code}"
            yield replace(line, charge=charge, amount=amount, exact_amount=amount, tax_code=code)


def in_proportion(
    terms: Terms, line: Line, lines: Iterable[Line], currency: str
) -> dict[str | None, Decimal]:
    """A line's amount by the tax codes of others, in proportion to what these come to; by the plan's code without any."""
    weights = {
        code: amount
        for code, amount in by_code(terms, ((each, each.amount) for each in lines)).items()
        if amount > 0
    }
    if not weights:
        return {terms.at(line.period.start).plan.tax.code: line.amount}
    return dict(zip(weights, allocate(line.amount, list(weights.values()), currency), strict=True))

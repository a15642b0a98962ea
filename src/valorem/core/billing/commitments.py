"""Commitments on an invoice: what its usage draws from prepaid ones, and what postpaid ones still bill at their end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from valorem.core.billing.invoice import Line
from valorem.core.billing.schedule import Cover
from valorem.core.billing.tax_codes import by_code, in_proportion, split
from valorem.core.billing.terms import Terms
from valorem.core.contracts.agreed import Access, Commitment
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.orders import true_up
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.pricing.lines import Step
from valorem.core.time import write_instant

#: Kinds of line that belong to an invoice as a whole rather than to what its period is charged.
OF_THE_INVOICE = frozenset({"commitment", "true_up"})


def commitments_of(contract: Contract) -> tuple[Commitment, ...]:
    """Every commitment of a contract as it stands last, in the order drawn: by priority, then by end."""
    found = {each.id: each for standing in contract.agreed for each in standing.commitments}
    return tuple(sorted(found.values(), key=lambda each: (each.priority, each.access[-1].end, each.id)))


@dataclass(slots=True)
class _Uncovered:
    """A usage line, and what of it no commitment covers yet."""

    line: Line
    amount: Decimal


@exact
def commitment_lines(
    terms: Terms, at: Cover, lines: Sequence[Line], billed: Sequence[Line]
) -> tuple[Line, ...]:
    """What the usage on an invoice draws from commitments, and what a postpaid one still bills where it has ended.

    A stretch of access covers usage of its own time alone; a unit of usage counts against one commitment only. Late
    usage that lowers what was billed gives back what it had drawn.

    Args:
        terms: The contract's terms.
        at: What the invoice covers.
        lines: Its lines.
        billed: The lines of all earlier invoices and notes of the contract, from the commitments' start on.
    """
    commitments = commitments_of(terms.contract)
    if not commitments or at.closed is None:
        return ()
    kept = terms.keeping
    lines = [line for line in lines if line.customer not in kept]
    billed = [line for line in billed if line.customer not in kept]
    open_lines = [_Uncovered(line, line.amount) for line in lines if line.kind == "usage"]
    found: list[Line] = []
    for commitment in commitments:
        if commitment.kind == "prepaid":
            found += _drawn(terms, at, commitment, open_lines, billed)
        else:
            for line in _made_up(at, commitment, lines, billed):
                about = [
                    each for each in (*billed, *lines) if each.kind == "usage" and _is_about(commitment, each)
                ]
                found += split(terms, line, in_proportion(terms, line, about, terms.contract.currency))
    return tuple(found)


def drawn_from(billed: Sequence[Line], commitment: str) -> Decimal:
    """What a prepaid commitment has covered so far."""
    return -sum(
        (each.amount for each in billed if each.kind == "commitment" and each.key == commitment), ZERO
    )


def _drawn(
    terms: Terms, at: Cover, commitment: Commitment, open_lines: Sequence[_Uncovered], billed: Sequence[Line]
) -> Iterator[Line]:
    for number, access in enumerate(commitment.access, 1):
        charge = f"commitment:{commitment.id}:{number}"
        drawn = -sum((line.amount for line in billed if _names(line, charge)), ZERO)
        left = access.amount - drawn
        covered = ZERO
        parts: list[tuple[Line, Decimal]] = []
        for each in open_lines:
            if not each.amount or not _counts(commitment, access, each.line):
                continue
            part = min(each.amount, left - covered) if each.amount > 0 else max(each.amount, -drawn - covered)
            each.amount -= part
            covered += part
            parts.append((each.line, -part))
        if covered:
            text = f"{plain(left)} left of {plain(access.amount)} until {write_instant(access.end)}"
            line = _line(at, "commitment", commitment, charge, -covered, text)
            yield from split(terms, line, by_code(terms, parts))


def _made_up(
    at: Cover, commitment: Commitment, lines: Sequence[Line], billed: Sequence[Line]
) -> Iterator[Line]:
    (access,) = commitment.access
    charge = f"true_up:{commitment.id}"
    before = sum((line.amount for line in billed if _names(line, charge)), ZERO)
    if access.end > at.at:
        return
    spent = sum(
        (
            line.amount
            for line in (*billed, *lines)
            if line.kind == "usage" and _counts(commitment, access, line)
        ),
        ZERO,
    )
    missing = true_up(access.amount, spent)
    if missing != before:
        text = f"{plain(access.amount)} committed − {plain(spent)} spent"
        text += f" − {plain(before)} already billed" if before else ""
        yield _line(at, "true_up", commitment, charge, missing - before, text)


def _names(line: Line, charge: str) -> bool:
    """Whether a line is a charge, or the part of it that has a tax code of its own."""
    return line.charge.partition("%")[0] == charge


def _is_about(commitment: Commitment, line: Line) -> bool:
    return any(_counts(commitment, access, line) for access in commitment.access)


def _counts(commitment: Commitment, access: Access, line: Line) -> bool:
    return access.start <= line.period.start < access.end and (
        commitment.only is None or line.key in commitment.only
    )


def _line(
    at: Cover,
    kind: Literal["commitment", "true_up"],
    commitment: Commitment,
    charge: str,
    amount: Decimal,
    text: str,
) -> Line:
    assert at.closed is not None  # an invoice that closes nothing has no usage
    return Line(
        kind=kind,
        key=commitment.id,
        charge=charge,
        timing="in_arrears",
        description=commitment.name or commitment.id,
        period_index=at.closed.index,
        period=at.closed.interval,
        quantity=None,
        unit_amount=None,
        exact_amount=amount,
        amount=amount,
        dimensions=MappingProxyType({}),
        steps=(Step("drawn" if kind == "commitment" else "made up", text, amount),),
        pipeline=("commitment",),
        selectors=(),
    )

"""Commitments on an invoice: what its usage draws from prepaid ones, and what postpaid ones still bill at their end."""

from collections.abc import Iterable, Iterator, Sequence
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
from valorem.core.contracts.sharing import Shared, Stretch
from valorem.core.numbers import ZERO, exact, plain
from valorem.core.pricing.lines import Step
from valorem.core.time import write_instant

#: Kinds of line that belong to an invoice as a whole rather than to what its period is charged.
OF_THE_INVOICE = frozenset({"commitment", "true_up"})
_ALWAYS = (Stretch(None, None),)


def commitments_of(contract: Contract) -> tuple[Commitment, ...]:
    """Every commitment of a contract as it stands last, in the order drawn: by priority, then by end."""
    found = {each.id: each for standing in contract.agreed for each in standing.commitments}
    return tuple(sorted(found.values(), key=lambda each: (each.priority, each.access[-1].end, each.id)))


def ordered(shared: Iterable[Shared]) -> tuple[Shared, ...]:
    """Commitments of one account above, in the order drawn."""
    return tuple(
        sorted(
            shared,
            key=lambda each: (
                each.commitment.priority,
                each.commitment.access[-1].end,
                each.commitment.id,
                each.owner,
            ),
        )
    )


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
    usage that lowers what was billed gives back what it had drawn. The contract's own commitments are drawn from first,
    then the prepaid ones of accounts above that are shared; usage of accounts below counts for its own postpaid ones.

    Args:
        terms: The contract's terms.
        at: What the invoice covers.
        lines: Its lines.
        billed: The lines of all earlier invoices and notes of the contract, from the commitments' start on.
    """
    contract, above = terms.contract, terms.sharing.above
    own = commitments_of(contract)
    if not (own or above) or at.closed is None:
        return ()
    kept = terms.keeping
    lines = [line for line in lines if line.customer not in kept]
    billed = [line for line in billed if line.customer not in kept]
    open_lines = [_Uncovered(line, line.amount) for line in lines if line.kind == "usage"]
    found: list[Line] = []
    for commitment in own:
        if commitment.kind == "prepaid":
            found += _drawn(terms, at, Shared(contract.id, commitment, _ALWAYS), open_lines, billed)
        else:
            below = [line for line in terms.sharing.beside if line.kind == "usage"]
            for line in _made_up(at, commitment, [*lines, *below], billed):
                about = [
                    each for each in (*billed, *lines) if each.kind == "usage" and _is_about(commitment, each)
                ]
                found += split(terms, line, in_proportion(terms, line, about, contract.currency))
    for shared in above:
        if shared.commitment.kind == "prepaid":
            found += _drawn(terms, at, shared, open_lines, billed)
    return tuple(found)


def concerns(line: Line, contract: str, shared: Sequence[Shared]) -> bool:
    """Whether another contract's line draws from one of some commitments, or counts for a postpaid one.

    Args:
        line: On a final invoice.
        contract: Whose it is.
        shared: The commitments; with the stretches in which that contract shares them.
    """
    if line.kind == "commitment":
        return any(
            _charge_of(line, contract) == _charge(each, number)
            for each in shared
            for number in range(1, len(each.commitment.access) + 1)
        )
    return line.kind == "usage" and any(
        each.commitment.kind == "postpaid"
        and _is_about(each.commitment, line)
        and any(stretch.holds(line.period.start) for stretch in each.stretches)
        for each in shared
    )


def _drawn(
    terms: Terms, at: Cover, shared: Shared, open_lines: Sequence[_Uncovered], billed: Sequence[Line]
) -> Iterator[Line]:
    commitment, contract = shared.commitment, terms.contract.id
    for number, access in enumerate(commitment.access, 1):
        charge = _charge(shared, number)
        here = -sum((line.amount for line in billed if _charge_of(line, contract) == charge), ZERO)
        elsewhere = -sum(
            (line.amount for line in terms.sharing.beside if _charge_of(line, line.contract or "") == charge),
            ZERO,
        )
        left = access.amount - here - elsewhere
        covered = ZERO
        parts: list[tuple[Line, Decimal]] = []
        for each in open_lines:
            if not each.amount or not _counts(commitment, access, each.line):
                continue
            if not any(stretch.holds(each.line.period.start) for stretch in shared.stretches):
                continue
            wanted = min(each.amount, left - covered) if each.amount > 0 else each.amount
            part = max(wanted, -here - covered)  # it gives back what it has drawn itself, and no more
            each.amount -= part
            covered += part
            parts.append((each.line, -part))
        if covered:
            text = f"{plain(left)} left of {plain(access.amount)} until {write_instant(access.end)}"
            named = charge.removesuffix(f"@{contract}")
            line = _line(at, "commitment", commitment, named, -covered, text)
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


def _charge(shared: Shared, number: int) -> str:
    """Names one stretch of a commitment, whoever draws from it."""
    return f"commitment:{shared.commitment.id}:{number}@{shared.owner}"


def _charge_of(line: Line, contract: str) -> str:
    """The same from a line of a contract: on its own invoices a commitment is named without its owner."""
    charge = line.charge.partition("%")[0]
    return charge if "@" in charge else f"{charge}@{contract}"


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

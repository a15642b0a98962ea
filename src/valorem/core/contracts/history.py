"""A contract as what was signed and every edit since; a fold of them gives the terms in force at every instant."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from valorem.core.contracts.contract import Contract, Dated, Leg
from valorem.core.contracts.edits import (
    Cancel,
    Change,
    Edit,
    Renew,
    SetPlan,
    SetSeats,
    SetStart,
    SetTerm,
    Withdraw,
)
from valorem.core.contracts.standing import Standing
from valorem.core.errors import ConflictError, InvalidInputError, NotFoundError, UnprocessableError
from valorem.core.periods import Cadence, Unit
from valorem.core.time import write_instant


@dataclass(frozen=True)
class History:
    """What was signed, and every edit since.

    Attributes:
        signed: The contract as it was made; its own standings are what was agreed at signing.
        edits: In the order recorded.
    """

    signed: Contract
    edits: tuple[Edit, ...] = ()

    def contract(self, recorded_by: datetime | None = None) -> Contract:
        """The contract that follows, or as it stood when only edits recorded by an instant were known.

        Raises:
            InvalidInputError: Where an edit contradicts what it finds, such as a resume without a pause.
        """
        return fold(self.signed, self.edits, recorded_by)

    def standing_edits(self, recorded_by: datetime | None = None) -> tuple[Edit, ...]:
        """The edits that count: recorded by then, and not withdrawn by then."""
        known = [edit for edit in self.edits if recorded_by is None or edit.recorded <= recorded_by]
        taken_back = {
            change.edit for edit in known for change in edit.changes if isinstance(change, Withdraw)
        }
        return tuple(edit for edit in known if edit.id not in taken_back)

    def with_edit(self, edit: Edit, billed_until: datetime | None = None) -> "History":
        """The history with one more edit; the whole of it holds, or none.

        A repeat of an edit with the same id changes nothing. A change that reaches back into periods that are billed
        already is allowed: the next invoice carries the difference. Only what would number the periods anew is not.

        Args:
            edit: The edit.
            billed_until: The last border that has its invoice; ``None`` where nothing has been billed.

        Raises:
            ConflictError: If another edit has the same id.
            InvalidInputError: Where it contradicts the contract.
            NotFoundError: If it withdraws an edit that is not there.
            UnprocessableError: If it withdraws what is in effect, or would number billed periods anew.
        """
        for known in self.edits:
            if known.id == edit.id:
                if known == edit:
                    return self
                raise ConflictError(f"edit {edit.id!r} says something else already", field="id")
        if self.edits and edit.recorded < self.edits[-1].recorded:
            raise InvalidInputError(
                f"an edit was recorded later, at {write_instant(self.edits[-1].recorded)}", field="recorded"
            )
        for change in edit.changes:
            self._check(edit, change, billed_until)
        longer = History(self.signed, (*self.edits, edit))
        longer.contract()
        return longer

    def _check(self, edit: Edit, change: Change, billed_until: datetime | None) -> None:
        if isinstance(change, Withdraw):
            self._check_withdrawal(change.edit, edit.recorded)
        if billed_until is None:
            return
        renumbers = isinstance(change, SetPlan) and change.every is not None and edit.effective < billed_until
        if renumbers or isinstance(change, SetStart):
            raise UnprocessableError(
                f"periods until {write_instant(billed_until)} are billed, and this would number them anew",
                field="effective",
                hint=f"let it take effect at {write_instant(billed_until)} or later",
            )

    def _check_withdrawal(self, edit_id: str, now: datetime) -> None:
        found = next((edit for edit in self.standing_edits() if edit.id == edit_id), None)
        if found is None:
            raise NotFoundError(f"there is no edit {edit_id[:60]!r} to withdraw", field="edit")
        if found.effective <= now:
            raise UnprocessableError(
                f"edit {edit_id!r} took effect at {write_instant(found.effective)}",
                field="edit",
                hint="make an edit that changes it back",
            )


def fold(signed: Contract, edits: Sequence[Edit], recorded_by: datetime | None = None) -> Contract:
    """The contract that follows from what was signed and the edits recorded by an instant.

    Edits count in the order they take effect, those of one instant in the order they were recorded; each changes what
    it names and nothing else, so that a change made later for an earlier day leaves what follows it standing. Only the
    contract's end is what was said last about it.
    """
    known = History(signed, tuple(edits)).standing_edits(recorded_by)
    contract = _whole(signed, known)
    dated = sorted(known, key=lambda edit: edit.effective)  # a stable sort: of one instant as recorded
    standings = _standings(contract, dated)
    seats = {key: dict(_by_instant(history)) for key, history in signed.seats.items()}
    legs = {leg.since: leg for leg in signed.legs}
    for edit in dated:
        for change in edit.changes:
            if isinstance(change, SetSeats):
                at = max(edit.effective, contract.start)
                seats.setdefault(change.key, {})[at] = Dated(at, change.quantity)
            elif isinstance(change, SetPlan) and change.every is not None:
                if edit.effective <= contract.start:
                    raise InvalidInputError(
                        "the billing interval at the start is the contract's own", field="effective"
                    )
                anchor = contract.anchor if change.anchor == "keep" else edit.effective
                legs[edit.effective] = Leg(edit.effective, _cadence(change.every), anchor)
    return replace(
        contract,
        standings=standings,
        seats={key: tuple(history[at] for at in sorted(history)) for key, history in seats.items()},
        legs=tuple(legs[at] for at in sorted(legs)),
        plan=standings[0].plan,
        catalog_version=standings[0].catalog_version,
    )


def _by_instant(history: Iterable[Dated]) -> Iterator[tuple[datetime, Dated]]:
    return ((dated.since, dated) for dated in history)


def _cadence(span: tuple[int, str]) -> Cadence:
    return Cadence(span[0], cast("Unit", span[1]))


def _whole(signed: Contract, edits: Sequence[Edit]) -> Contract:
    """Start and end: what was recorded last about each."""
    contract = signed
    for edit in edits:
        for change in edit.changes:
            if isinstance(change, SetStart):
                anchor = edit.effective if contract.anchor == contract.start else contract.anchor
                contract = replace(contract, start=edit.effective, anchor=anchor)
            elif isinstance(change, Cancel):
                if edit.effective <= contract.start:
                    raise InvalidInputError(
                        f"the contract starts at {write_instant(contract.start)} only",
                        field="effective",
                        hint="let it end after its start",
                    )
                contract = replace(contract, end=edit.effective)
            elif isinstance(change, Renew):
                contract = replace(contract, end=change.end)
            elif isinstance(change, SetTerm):
                contract = replace(contract, term=None if change.term is None else _cadence(change.term))
    return contract


def _standings(contract: Contract, dated: Sequence[Edit]) -> tuple[Standing, ...]:
    """How the contract stands from which instant on: what was agreed at signing and the edits, by effect."""
    signed = contract.agreed
    changes: list[tuple[datetime, Edit]] = [(max(edit.effective, contract.start), edit) for edit in dated]
    instants = sorted({contract.start, *(each.since for each in signed[1:]), *(at for at, _ in changes)})
    found: list[Standing] = []
    for at in instants:
        standing = found[-1] if found else signed[0]
        for later in signed[1:]:
            if later.since == at:
                standing = _carried(standing, signed[signed.index(later) - 1], later)
        for since, edit in changes:
            if since == at:
                for change in edit.changes:
                    standing = change.applied(standing)
        standing = standing.model_copy(update={"since": at})
        if not found or standing.model_copy(update={"since": found[-1].since}) != found[-1]:
            found.append(standing)
    return tuple(found)


def _carried(standing: Standing, before: Standing, after: Standing) -> Standing:
    """A standing with what changed between two agreed at signing."""
    return standing.model_copy(
        update={
            name: getattr(after, name)
            for name in Standing.model_fields
            if getattr(after, name) != getattr(before, name)
        }
    )

"""``/v1/contracts/{id}/changes`` and ``history``: change a contract, see before what it comes to, and how it stood."""

from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.contracts import ContractAnswer
from valorem.api.invoices import InvoiceDocument
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Page, Text
from valorem.core.billing.canonical import write_invoice
from valorem.core.billing.invoice import Invoice
from valorem.core.contracts.edits import (
    AddCharge,
    AddCommitment,
    AddDiscount,
    AddOverride,
    Cancel,
    Change,
    Pause,
    Release,
    Remove,
    Renew,
    Resume,
    SetBounds,
    SetPhases,
    SetPlan,
    SetPurchaseOrder,
    SetSeats,
    SetStart,
    SetTerm,
    SetThresholds,
    Withdraw,
)
from valorem.core.contracts.parking import Parked
from valorem.core.contracts.written import write_edit, write_standings
from valorem.core.units import Span
from valorem.engine import contract_changes, foretelling
from valorem.engine.contract_changes import ChangeRequest
from valorem.engine.contracts import get_contract
from valorem.engine.engine import Transaction
from valorem.engine.upgrading import Upgrade, preview_upgrade, upgrade

router = APIRouter(prefix="/v1/contracts", tags=["contracts"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("customers:write"))]
Id = Annotated[str, Path(max_length=64)]


class PlanChange(Body):
    """Another plan; without ``catalog_version`` of the version the contract stands on then."""

    kind: Literal["plan"]
    plan: Name
    catalog_version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    every: Span | None = None
    anchor: Literal["keep", "change"] = "keep"


AnyChange = Annotated[
    PlanChange
    | SetSeats
    | Pause
    | Resume
    | Cancel
    | Renew
    | SetStart
    | AddOverride
    | AddDiscount
    | AddCharge
    | AddCommitment
    | Remove
    | SetBounds
    | SetThresholds
    | SetTerm
    | SetPhases
    | SetPurchaseOrder
    | Withdraw
    | Release,
    Field(discriminator="kind"),
]


class ChangeBody(Body):
    """One atomic edit: all of its changes hold, or none.

    Attributes:
        changes: In order.
        effective: ``now``, ``period_end``, ``renewal``, or an instant on the quarter-hour grid, past or future. Left out, a
            plan changes by the policy ``plan_change``, a cancellation at the period's end, everything else now.
        reason: For whoever reads the history.
        id: Names the edit; the same again is the same edit.
        invoiced: With the ``next`` invoice, or ``at_once`` with one of its own.
        preview: Only show what it comes to; nothing is written.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "changes": [
                        {"kind": "plan", "plan": "pro"},
                        {"kind": "seats", "key": "seat", "quantity": "8"},
                    ],
                    "effective": "period_end",
                    "reason": "they asked for it",
                    "preview": True,
                }
            ]
        }
    )

    changes: Annotated[list[AnyChange], Field(min_length=1, max_length=100)]
    effective: Literal["now", "period_end", "renewal"] | Instant | None = None
    reason: Annotated[Text, Field(max_length=500)] = ""
    id: Annotated[Name, Field(max_length=100)] | None = None
    invoiced: Literal["next", "at_once"] = "next"
    preview: bool = False


class UpgradeBody(Body):
    """Another plan for a customer, from now on; what was used stays used.

    Attributes:
        seats: How many there are to be, where the plan charges by seat.
        id: Names the edit; the same again is the same edit.
        invoiced: With the ``next`` invoice, or ``at_once`` with one of its own.
        preview: Only show what it comes to; nothing is written.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"customer": "acme", "plan": "pro", "seats": {"seat": "3"}}]}
    )

    customer: Name
    plan: Name
    seats: Annotated[dict[Name, Exact], Field(max_length=20)] = Field(default_factory=dict)
    reason: Annotated[Text, Field(max_length=500)] = "upgrade"
    id: Annotated[Name, Field(max_length=100)] | None = None
    invoiced: Literal["next", "at_once"] = "next"
    preview: bool = False


class ParkedAnswer(Answer):
    """Nothing of the contract is invoiced until somebody has looked; an edit with a ``release`` change lets it go on."""

    contract: str
    reason: str
    since: Instant
    release: str


class EditAnswer(Answer):
    """An edit as it was recorded. ``withdrawn``: it was taken back before it took effect."""

    id: str
    effective: Instant
    recorded: Instant
    author: str
    reason: str
    changes: list[dict[str, Any]]
    withdrawn: bool


class ChangedAnswer(Answer):
    """The contract with the edit, and whether that parks it."""

    contract: ContractAnswer
    edit: EditAnswer
    parked: ParkedAnswer | None


class ChangePreviewAnswer(ChangedAnswer):
    """The money without and with the edit, from what is counted now.

    Attributes:
        before: The invoices to come without it, up to the first on which it would count.
        after: The same with it, and the one it would give at once.
        difference: How much more is invoiced with it, over these; negative where it is less.
    """

    before: list[InvoiceDocument]
    after: list[InvoiceDocument]
    difference: ExactOut


class HistoryAnswer(Answer):
    """A contract as it stands, or stood when only edits recorded by an instant were known.

    Attributes:
        contract: The contract.
        standings: What is agreed from which instant on.
        edits: The edits known then, in the order recorded.
        parked: Why nothing of it is invoiced now.
    """

    contract: ContractAnswer
    standings: list[dict[str, Any]]
    edits: list[EditAnswer]
    parked: ParkedAnswer | None


@router.get("/parked")
def list_parked(caller: Reader) -> Page[ParkedAnswer]:
    """The contracts of which nothing is invoiced until somebody has looked, the longest first."""
    with caller.reading() as tx:
        return Page(items=[ParkedAnswer.model_validate(each) for each in contract_changes.list_parked(tx)])


@router.post("/upgrade", status_code=201, response_model=ChangedAnswer | ChangePreviewAnswer)
def upgrade_customer(body: UpgradeBody, caller: Writer) -> Response:
    """Let a customer go on with another plan now, by its key alone; with ``preview`` see the money before and after."""
    wanted = Upgrade(
        body.customer, body.plan, body.seats, body.reason, body.id, at_once=body.invoiced == "at_once"
    )
    author = caller.principal.key_name
    if body.preview:
        return caller.acting(lambda tx: _previewed(preview_upgrade(tx, wanted, author), tx.now))
    return caller.once(lambda tx: ChangedAnswer(**_changed(upgrade(tx, wanted, author), tx.now)))


@router.post("/{contract_id}/changes", status_code=201, response_model=ChangedAnswer | ChangePreviewAnswer)
def change_contract(contract_id: Id, body: ChangeBody, caller: Writer) -> Response:
    """Change a contract by one atomic edit, or with ``preview`` see the money before and after."""
    author = caller.principal.key_name
    if body.preview:
        return caller.acting(
            lambda tx: _previewed(
                foretelling.preview_change(tx, contract_id, _request(tx, contract_id, body), author), tx.now
            )
        )
    return caller.once(
        lambda tx: ChangedAnswer(
            **_changed(
                contract_changes.change_contract(tx, contract_id, _request(tx, contract_id, body), author),
                tx.now,
            )
        )
    )


@router.get("/{contract_id}/history")
def contract_history(
    contract_id: Id,
    caller: Reader,
    as_of: Annotated[Instant | None, Query(description="only what was known by then")] = None,
) -> HistoryAnswer:
    """Everything that happened to a contract, and how it stood on a date."""
    with caller.reading() as tx:
        stood = contract_changes.contract_history(tx, contract_id, as_of=as_of)
        at = tx.now if as_of is None else as_of
    return HistoryAnswer(
        contract=ContractAnswer.of(stood.contract, at),
        standings=write_standings(stood.contract.agreed),
        edits=[_edit(row.edit, withdrawn=row.edit.id in stood.withdrawn) for row in stood.edits],
        parked=None if stood.parked is None else ParkedAnswer.model_validate(stood.parked),
    )


def _request(tx: Transaction, contract_id: str, body: ChangeBody) -> ChangeRequest:
    effective = body.effective
    at = effective if isinstance(effective, datetime) else tx.now
    standing = get_contract(tx, contract_id).contract.standing_at(at)
    changes: tuple[Change, ...] = tuple(
        SetPlan.model_validate(
            {"catalog_version": standing.catalog_version} | each.model_dump(exclude_none=True)
        )
        if isinstance(each, PlanChange)
        else each
        for each in body.changes
    )
    return ChangeRequest(changes, effective, body.reason, body.id, body.invoiced)


def _previewed(found: foretelling.ChangePreview, now: datetime) -> Response:
    answer = ChangePreviewAnswer(
        **_changed(found.changed, now),
        before=[_document(each) for each in found.before],
        after=[_document(each) for each in found.after],
        difference=found.difference,
    )
    return Response(answer.model_dump_json(), 200, media_type="application/json")


def _changed(changed: contract_changes.Changed, now: datetime) -> dict[str, Any]:
    return {
        "contract": ContractAnswer.of(changed.row.contract, now),
        "edit": _edit(changed.edit, withdrawn=False),
        "parked": None if changed.parked is None else _parked(changed.parked),
    }


def _parked(parked: Parked) -> ParkedAnswer:
    return ParkedAnswer.model_validate(parked)


def _edit(edit: Any, *, withdrawn: bool) -> EditAnswer:
    return EditAnswer(
        id=edit.id,
        effective=edit.effective,
        recorded=edit.recorded,
        author=edit.author,
        reason=edit.reason,
        changes=write_edit(edit)["changes"],
        withdrawn=withdrawn,
    )


def _document(invoice: Invoice) -> InvoiceDocument:
    return InvoiceDocument.model_validate(write_invoice(invoice))

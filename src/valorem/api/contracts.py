"""``/v1/contracts``: a customer's terms on a plan, and its dated seats."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.customers import Metadata
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Page
from valorem.core.billing.timing import renews_at
from valorem.core.catalog.plans import Policies
from valorem.core.contracts.contract import Contract, Dated
from valorem.engine import contract_changes, contracts
from valorem.engine.contracts import NewContract

router = APIRouter(prefix="/v1/contracts", tags=["contracts"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("customers:write"))]
Id = Annotated[str, Path(max_length=64)]


class PolicySwitches(Body):
    """Switches that differ from the plan's; each default stands first in the catalog's schema."""

    proration: Literal["day", "second", "none"] | None = None
    late_events: Literal["next_invoice", "note", "absorb", "reject"] | None = None
    grace: Annotated[str, Field(max_length=40)] | None = None
    decreases: Literal["at_once", "next_period"] | None = None
    plan_change: Literal["by_value", "at_once", "period_end"] | None = None
    counting: Literal["run_on", "restart"] | None = None
    paused_usage: Literal["billed", "free"] | None = None
    discount_order: Literal["by_kind", "as_agreed"] | None = None
    changes_a_day: Annotated[int, Field(ge=1, le=1000)] | None = None
    rounding: Literal["half_up", "half_even"] | None = None


class ContractBody(Body):
    """A contract to make; what is left out comes from the plan, the customer and the clock.

    Attributes:
        start: First instant billed, on the quarter-hour grid.
        end: First instant not billed.
        term: How long it is agreed for at a time, such as ``1 year``; it stays on its version until a term ends.
        renewal: At the end of a term: ``automatic`` begins another one, ``none`` ends the contract there.
        every: The billing interval, such as ``1 month``.
        anchor: ``start`` counts periods from the start, ``calendar`` from the 1st (or Monday), an instant from there.
        zone: IANA time zone of its periods.
        seats: Seats by key, from the start on.
        catalog_version: The version to pin.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "acme",
                    "plan": "team",
                    "start": "2026-03-01T00:00:00Z",
                    "term": "1 year",
                    "seats": {"seat": "5"},
                }
            ]
        }
    )

    customer: Name
    plan: Name
    catalog_version: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    start: Instant | None = None
    end: Instant | None = None
    term: Annotated[str, Field(max_length=40)] | None = None
    renewal: Literal["automatic", "none"] = "automatic"
    every: Annotated[str, Field(max_length=40)] | None = None
    anchor: Literal["start", "calendar"] | Instant = "start"
    zone: Annotated[str, Field(max_length=64)] | None = None
    seats: Annotated[dict[Name, Exact], Field(max_length=100, default_factory=dict)]
    policies: PolicySwitches | None = None
    purchase_order: Name | None = None
    metadata: Metadata = Field(default_factory=dict)


class SeatsBody(Body):
    """How many seats there are from an instant on."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"key": "seat", "quantity": "8", "since": "2026-03-15T00:00:00Z"}]}
    )

    key: Name
    quantity: Exact
    since: Instant | None = None


class DatedQuantity(Answer):
    """A quantity that holds from an instant until the next one."""

    since: Instant
    quantity: ExactOut


class ContractAnswer(Answer):
    """A contract. ``catalog_version`` is the version it is pinned to; ``anchor`` the instant its periods count from.

    Attributes:
        term: How long it is agreed for at a time; null where it runs on without one.
        renews_at: When its running term ends and another one begins; null where none does.
    """

    id: str
    customer: str
    plan: str
    catalog_version: int
    start: Instant
    end: Instant | None
    term: str | None
    renews_at: Instant | None
    zone: str
    currency: str
    every: str
    anchor: Instant
    seats: dict[str, list[DatedQuantity]]
    policies: dict[str, str] | None
    purchase_order: str | None
    metadata: dict[str, str]

    @classmethod
    def of(cls, contract: Contract, at: datetime) -> "ContractAnswer":
        """As the engine has it; its plan is the one it stands on at an instant."""
        standing = contract.standing_at(at)
        return cls(
            id=contract.id,
            customer=contract.customer,
            plan=standing.plan,
            catalog_version=standing.catalog_version,
            start=contract.start,
            end=contract.end,
            term=None if contract.term is None else f"{contract.term.count} {contract.term.unit}",
            renews_at=renews_at(contract, at),
            zone=contract.time_zone,
            currency=contract.currency,
            every=f"{contract.every.count} {contract.every.unit}",
            anchor=contract.anchor,
            seats=_seats(contract.seats),
            policies=None if contract.policies is None else _policies(contract.policies),
            purchase_order=standing.purchase_order,
            metadata=dict(contract.metadata),
        )


@router.post("", status_code=201, response_model=ContractAnswer)
def create_contract(body: ContractBody, caller: Writer) -> Response:
    """Put a customer on a plan; the contract pins the catalog version it starts on."""
    new = NewContract(
        customer=body.customer,
        plan=body.plan,
        catalog_version=body.catalog_version,
        start=body.start,
        end=body.end,
        term=body.term,
        renewal=body.renewal,
        every=body.every,
        anchor=_anchor(body.anchor),
        zone=body.zone,
        seats=body.seats,
        policies=None if body.policies is None else body.policies.model_dump(exclude_none=True),
        purchase_order=body.purchase_order,
        metadata=body.metadata,
    )
    return caller.once(lambda tx: ContractAnswer.of(contracts.create_contract(tx, new), tx.now))


@router.get("")
def list_contracts(
    caller: Reader,
    customer: Annotated[str | None, Query(max_length=255)] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[ContractAnswer]:
    """Contracts in order of id, of one customer where given."""
    with caller.reading() as tx:
        found = contracts.list_contracts(tx, customer=customer, after=read_cursor(after), limit=limit + 1)
        items = [ContractAnswer.of(row.contract, tx.now) for row in found[:limit]]
    return Page(items=items, next=cursor_of(items[-1].id) if len(found) > limit else None)


@router.get("/{contract_id}")
def get_contract(contract_id: Id, caller: Reader) -> ContractAnswer:
    """One contract."""
    with caller.reading() as tx:
        return ContractAnswer.of(contracts.get_contract(tx, contract_id).contract, tx.now)


@router.post("/{contract_id}/seats", status_code=201, response_model=ContractAnswer)
def set_seats(contract_id: Id, body: SeatsBody, caller: Writer) -> Response:
    """Say how many seats there are from an instant on; later dated quantities stay as they are."""
    return caller.once(
        lambda tx: ContractAnswer.of(
            contract_changes.set_seats(
                tx,
                contract_id,
                key=body.key,
                quantity=body.quantity,
                since=body.since,
                author=caller.principal.key_name,
            ),
            tx.now,
        )
    )


def _anchor(anchor: str | datetime) -> Literal["start", "calendar"] | datetime:
    if isinstance(anchor, datetime):
        return anchor
    return "calendar" if anchor == "calendar" else "start"


def _policies(policies: Policies) -> dict[str, str]:
    written = policies.model_dump(mode="json")
    return {key: value if isinstance(value, str) else _span(value) for key, value in written.items()}


def _span(value: Any) -> str:
    return f"{value[0]} {value[1]}" if isinstance(value, list) else str(value)


def _seats(seats: Mapping[str, tuple[Dated, ...]]) -> dict[str, list[DatedQuantity]]:
    return {
        key: [DatedQuantity(since=dated.since, quantity=dated.quantity) for dated in history]
        for key, history in seats.items()
    }

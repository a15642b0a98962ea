"""Contracts: put a customer on a plan, and find the ones there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from pydantic import ValidationError

from valorem.core.billing.schedule import next_due_at
from valorem.core.billing.terms import Terms
from valorem.core.billing.timing import with_trial
from valorem.core.catalog.plans import Plan, Policies
from valorem.core.contracts.contract import Contract, Dated
from valorem.core.contracts.customer import check_metadata, check_text
from valorem.core.contracts.effective import in_currency, trial_end
from valorem.core.errors import InvalidInputError, NotFoundError
from valorem.core.ids import part_of
from valorem.core.numbers import parse_decimal
from valorem.core.periods import Cadence, boundary, calendar_anchor
from valorem.core.time import parse_grid_instant, quarter_hour_of
from valorem.core.units import parse_span
from valorem.engine.alerts import arm
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.identifiers import new_id
from valorem.store.postgres import contracts, thresholds
from valorem.store.postgres.contracts import ContractRow

Anchor = Literal["start", "calendar"]
Renewal = Literal["automatic", "none"]


@dataclass(frozen=True, slots=True)
class NewContract:
    """What a contract is made from; what is left out comes from the plan and the customer.

    Attributes:
        customer: The customer's key.
        plan: The plan's key.
        catalog_version: The version to pin; the newest where left out.
        start: First instant billed, on the quarter-hour grid; this quarter hour where left out.
        end: First instant not billed; open-ended where left out.
        term: How long it is agreed for at a time (``1 year``).
        renewal: At the end of the term: ``automatic`` begins another one, ``none`` ends the contract.
        every: The billing interval (``1 month``); the plan's where left out.
        anchor: ``start`` counts periods from the contract's start, ``calendar`` from the 1st (or Monday), an instant from there.
        zone: IANA time zone of its periods; the customer's where left out.
        seats: Seats by key from the start on.
        policies: Switches that differ from the plan's.
        purchase_order: Printed on invoices.
        metadata: The operator's own keys and texts.
    """

    customer: str
    plan: str
    catalog_version: int | None = None
    start: datetime | None = None
    end: datetime | None = None
    term: str | None = None
    renewal: Renewal = "automatic"
    every: str | None = None
    anchor: Anchor | datetime = "start"
    zone: str | None = None
    seats: Mapping[str, Decimal] | None = None
    policies: Mapping[str, Any] | None = None
    purchase_order: str | None = None
    metadata: Mapping[str, str] | None = None


def create_contract(tx: Transaction, new: NewContract) -> Contract:
    """Put a customer on a plan; the contract pins the catalog version it starts on.

    Raises:
        NotFoundError: If the customer, the plan or the version does not exist.
        InvalidInputError: Naming the field.
        UnprocessableError: If the plan's currency is not the customer's.
    """
    customer = get_customer(tx, new.customer)
    version, catalog = (
        current_catalog(tx)
        if new.catalog_version is None
        else (new.catalog_version, catalog_at(tx, new.catalog_version))
    )
    plan = in_currency(catalog.plan(new.plan), customer.currency)
    start = quarter_hour_of(tx.now) if new.start is None else parse_grid_instant(new.start, "start")
    every = Cadence(*(parse_span(new.every, "every") if new.every is not None else plan.every))  # type: ignore[arg-type]
    zone = new.zone or customer.zone
    term, end = _term(new, start, zone)
    if new.purchase_order is not None:
        check_text(new.purchase_order, "purchase_order", 200)
    check_metadata(new.metadata or {})
    contract = Contract(
        id=new_id("ctr", part_of(tx.workspace.id, customer.key), tx.now),
        workspace=tx.workspace.id,
        customer=customer.key,
        plan=plan.key,
        catalog_version=version,
        start=start,
        end=end,
        term=term,
        time_zone=zone,
        currency=plan.currency,
        every=every,
        anchor=_anchor(new.anchor, start, every, zone),
        seats=_seats(new.seats or {}, counted_keys(plan), start),
        policies=_policies(new.policies, plan.policies),
        purchase_order=new.purchase_order,
        metadata=dict(new.metadata or {}),
    )
    if (ends := trial_end(contract, plan)) is not None:
        contract = with_trial(contract, ends)
    contracts.insert(tx.connection, contract, next_index=0, next_at=next_due_at(contract, -1), now=tx.now)
    if plan.thresholds is not None:
        thresholds.watch(tx.connection, tx.workspace.id, contract.id, watched=True)
    arm(tx, contract.customer)
    return contract


def watch_thresholds(tx: Transaction, terms: Terms) -> None:
    """Let a contract's spend be looked at from now on, where its terms have thresholds at any time."""
    watched = any(stretch.plan.thresholds is not None for stretch in terms.stretches)
    thresholds.watch(tx.connection, tx.workspace.id, terms.contract.id, watched=watched)


def get_contract(tx: Transaction, contract_id: str, *, lock: bool = False) -> ContractRow:
    """One contract and where its billing stands; ``lock`` keeps others from billing or changing it meanwhile.

    Raises:
        NotFoundError: If there is none.
    """
    row = contracts.load(tx.connection, tx.workspace.id, contract_id, lock=lock)
    if row is None:
        raise NotFoundError(f"there is no contract {contract_id[:60]!r}", field="contract")
    return row


def list_contracts(
    tx: Transaction, *, customer: str | None = None, after: str | None = None, limit: int = 50
) -> list[ContractRow]:
    """Contracts in order of id, from after an id on; of one customer where given."""
    if customer is not None:
        get_customer(tx, customer)
    return contracts.load_page(tx.connection, tx.workspace.id, customer=customer, after=after, limit=limit)


def counted_keys(plan: Plan) -> set[str]:
    """What a contract on a plan says quantities of: its seats and its add-ons."""
    return {*plan.addons, *(fee.per for fee in plan.fees.values() if fee.per)}


def _term(new: NewContract, start: datetime, zone: str) -> tuple[Cadence | None, datetime | None]:
    """The term, and the end where the contract has one."""
    end = None if new.end is None else parse_grid_instant(new.end, "end")
    if new.term is None:
        if new.renewal == "none" and end is None:
            raise InvalidInputError(
                "a contract without a term has nothing to renew",
                field="renewal",
                hint="give a term such as 1 year, or an end",
            )
        return None, end
    span = parse_span(new.term, "term")
    if span[1] in ("minute", "hour") or not 1 <= span[0] <= 1200:
        raise InvalidInputError(
            f"a term of {new.term}", field="term", hint="days, weeks, months, quarters or years"
        )
    term = Cadence(*span)  # type: ignore[arg-type]  # the unit is checked above
    if new.renewal == "none" and end is None:
        end = boundary(start, term, zone, 1)
    return term, end


def _anchor(anchor: Anchor | datetime, start: datetime, every: Cadence, zone: str) -> datetime:
    if isinstance(anchor, datetime):
        return parse_grid_instant(anchor, "anchor")
    return start if anchor == "start" else calendar_anchor(start, every, zone)


def _seats(seats: Mapping[str, Decimal], known: set[str], start: datetime) -> dict[str, tuple[Dated, ...]]:
    for key in seats:
        _check_seat_key(key, known)
    return {key: (Dated(start, parse_decimal(quantity, f"seats.{key}")),) for key, quantity in seats.items()}


def _check_seat_key(key: str, known: set[str]) -> None:
    if key not in known:
        raise InvalidInputError(
            f"the plan has no fee per {key!r}",
            field=f"seats.{key}",
            hint=f"it has fees per {', '.join(sorted(known))}" if known else "none of its fees is per seat",
        )


def _policies(changed: Mapping[str, Any] | None, of_plan: Policies) -> Policies | None:
    if not changed:
        return None
    try:
        return Policies.model_validate({**of_plan.model_dump(), **changed})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInputError(
            f"{first['msg']}, found {first['input']!r}", field=".".join(("policies", *map(str, first["loc"])))
        ) from None

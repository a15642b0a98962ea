"""``/v1/customers``: who is charged, and the subjects its events come under."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name, Page, Text
from valorem.core.billing.parties import BillingDetails
from valorem.engine import customers
from valorem.engine.aliases import attach_alias

router = APIRouter(prefix="/v1/customers", tags=["customers"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("customers:write"))]
Key = Annotated[str, Path(max_length=255, description="the customer's key, percent-encoded")]
Metadata = Annotated[dict[str, Text], Field(max_length=50)]


class NewCustomer(Body):
    """A customer to make; events already recorded under its key or an alias are its own.

    Attributes:
        consolidated: Whether its contracts' invoices of one day are sent as one.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "key": "acme",
                    "name": "Acme Inc",
                    "currency": "USD",
                    "zone": "Europe/Berlin",
                    "aliases": ["org_17"],
                }
            ]
        }
    )

    key: Name
    name: Annotated[Text, Field(min_length=1, max_length=500)]
    currency: Annotated[str, Field(pattern=r"^[A-Z]{3}$")]
    zone: Annotated[Text, Field(min_length=1, max_length=64)] = "UTC"
    aliases: Annotated[list[Name], Field(max_length=100, default_factory=list)]
    metadata: Metadata = Field(default_factory=dict)
    billing: BillingDetails | None = None
    consolidated: bool = False


class CustomerChange(Body):
    """What to change; what is left out stays."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"name": "Acme Corporation"}]})

    name: Annotated[Text, Field(min_length=1, max_length=500)] | None = None
    metadata: Metadata | None = None
    billing: BillingDetails | None = None
    consolidated: bool | None = None


class NewAlias(Body):
    """A subject whose events, past and future, are the customer's."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"subject": "org_17"}]})

    subject: Name


class CustomerAnswer(Answer):
    """A customer. ``subjects`` are its key and its aliases."""

    key: str
    name: str
    currency: str
    zone: str
    subjects: list[str]
    metadata: dict[str, str]
    created_at: Instant
    billing: BillingDetails
    consolidated: bool


@router.post("", status_code=201, response_model=CustomerAnswer)
def create_customer(body: NewCustomer, caller: Writer) -> Response:
    """Make a customer."""
    return caller.once(
        lambda tx: CustomerAnswer.model_validate(
            customers.create_customer(
                tx,
                key=body.key,
                name=body.name,
                currency=body.currency,
                zone=body.zone,
                aliases=body.aliases,
                metadata=body.metadata,
                billing=body.billing,
                consolidated=body.consolidated,
            )
        )
    )


@router.get("")
def list_customers(caller: Reader, after: After = None, limit: Limit = 50) -> Page[CustomerAnswer]:
    """Customers in order of key."""
    with caller.reading() as tx:
        found = customers.list_customers(tx, after=read_cursor(after), limit=limit + 1)
    items = [CustomerAnswer.model_validate(customer) for customer in found[:limit]]
    return Page(items=items, next=cursor_of(items[-1].key) if len(found) > limit else None)


@router.post("/{key:path}/aliases", status_code=201, response_model=CustomerAnswer)
def add_alias(key: Key, body: NewAlias, caller: Writer) -> Response:
    """Attach a subject: its events, past and future, are this customer's."""
    return caller.once(lambda tx: CustomerAnswer.model_validate(attach_alias(tx, key, body.subject)))


@router.get("/{key:path}")
def get_customer(key: Key, caller: Reader) -> CustomerAnswer:
    """One customer."""
    with caller.reading() as tx:
        return CustomerAnswer.model_validate(customers.get_customer(tx, key))


@router.patch("/{key:path}", response_model=CustomerAnswer)
def update_customer(key: Key, body: CustomerChange, caller: Writer) -> Response:
    """Change a customer's name, metadata or billing details (address, tax id, locale, e-mail); the details are replaced whole."""
    return caller.once(
        lambda tx: CustomerAnswer.model_validate(
            customers.update_customer(
                tx,
                key,
                name=body.name,
                metadata=body.metadata,
                billing=body.billing,
                consolidated=body.consolidated,
            )
        ),
        status=200,
    )

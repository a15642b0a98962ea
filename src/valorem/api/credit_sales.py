"""``/v1/credits/purchases``, ``/orders`` and ``/top-ups``: credits that customers pay for, once or by a rule."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.credits import Credit, Customer, GrantAnswer, Names, ScopeBody, SpanText
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Page
from valorem.core.ledger.recharge import RechargeRule
from valorem.core.ledger.scope import EVERYTHING
from valorem.core.numbers import ONE
from valorem.core.units import parse_span, write_span
from valorem.engine.credits import buying, granting, ordering
from valorem.engine.engine import Transaction
from valorem.store.postgres.top_ups import TopUp

router = APIRouter(prefix="/v1/credits", tags=["credits"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("customers:write"))]


class PurchaseBody(Body):
    """Credits that a customer buys: packs of the catalog, or an amount at the credit type's price.

    Attributes:
        id: Your own; the same again is the same purchase.
        lasts: For an amount: how long it can be used, such as `12 months`; for ever where left out.
        holder: The member whose allowance it becomes.
        on_payment: Whether the credits are given when the invoice is paid; as the credit type says where left out.
        preview: Only show what it comes to; nothing is written.
    """

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"customer": "acme", "credit": "ai_credits", "pack": "small"}]}
    )

    customer: Name
    credit: Name
    pack: Name | None = None
    quantity: Exact = ONE
    amount: Exact | None = None
    lasts: SpanText | None = None
    holder: Name | None = None
    id: Name | None = None
    on_payment: bool | None = None
    preview: bool = False

    def new(self) -> buying.NewPurchase:
        """The same as the engine knows it."""
        return buying.NewPurchase(
            customer=self.customer,
            credit=self.credit,
            pack=self.pack,
            quantity=self.quantity,
            amount=self.amount,
            lasts=None if self.lasts is None else parse_span(self.lasts, "lasts"),
            holder=self.holder,
            id=self.id,
            on_payment=self.on_payment,
        )


class PurchaseAnswer(Answer):
    """Credits that were sold. ``total`` is the invoice's, with tax; ``available`` is what the account has now.

    Attributes:
        waits: Why the invoice of a top-up cannot be written yet; it is as soon as it can.
    """

    id: str
    customer: str
    credit: str
    state: Literal["due", "invoiced", "paid", "void"]
    description: str
    quantity: ExactOut
    unit_amount: ExactOut
    amount: ExactOut
    currency: str
    credits: ExactOut
    granted_at: Instant | None
    automatic: bool
    invoice: str | None
    invoice_number: str | None
    total: ExactOut | None
    available: ExactOut | None
    waits: str | None
    created_at: Instant

    @classmethod
    def of(cls, found: buying.Purchase) -> "PurchaseAnswer":
        """As the engine has it."""
        row, sale, invoice = found.row, found.sale, found.invoice
        return cls(
            id=row.id,
            customer=row.place.customer,
            credit=row.place.credit,
            state=row.state,
            description=sale.description,
            quantity=sale.quantity,
            unit_amount=sale.unit_amount,
            amount=sale.amount,
            currency=sale.currency,
            credits=sale.grant.amount,
            granted_at=row.granted_at,
            automatic=sale.automatic,
            invoice=None if invoice is None else invoice.id,
            invoice_number=None if invoice is None else invoice.number,
            total=None if invoice is None else invoice.total,
            available=found.available,
            waits=found.waits,
            created_at=row.created_at,
        )


class StretchBody(Body):
    """Credits that can be used from an instant to another, both on the quarter-hour grid."""

    amount: Exact
    start: Instant
    end: Instant | None = None


class OrderBody(Body):
    """Credits paid in instalments on a contract's invoices, and usable in stretches of their own.

    Attributes:
        id: Your own key of the order, unique in the contract.
        name: How the instalments are called.
        price: What all of it costs, in the contract's currency.
        invoiced_at: When each instalment is invoiced; the price is split evenly, to the minor unit.
        preview: Only show what it comes to; nothing is written.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "contract": "ctr_…",
                    "credit": "ai_credits",
                    "id": "year_2026",
                    "name": "AI credits 2026",
                    "stretches": [
                        {"amount": "120000", "start": "2026-01-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}
                    ],
                    "price": "1200",
                    "invoiced_at": ["2026-01-01T00:00:00Z", "2026-07-01T00:00:00Z"],
                }
            ]
        }
    )

    contract: Name
    credit: Name
    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
    name: Name
    stretches: Annotated[list[StretchBody], Field(min_length=1, max_length=120)]
    price: Exact
    invoiced_at: Annotated[list[Instant], Field(min_length=1, max_length=120)]
    priority: Annotated[int, Field(ge=0, le=1000)] = 50
    scope: ScopeBody | None = None
    preview: bool = False

    def order(self) -> ordering.CreditOrder:
        """The same as the engine knows it."""
        return ordering.CreditOrder(
            contract=self.contract,
            credit=self.credit,
            id=self.id,
            name=self.name,
            stretches=[ordering.Stretch(one.amount, one.start, one.end) for one in self.stretches],
            price=self.price,
            invoiced_at=self.invoiced_at,
            priority=self.priority,
            scope=EVERYTHING if self.scope is None else self.scope.scope(),
        )


class InstalmentAnswer(Answer):
    """One instalment, on the first invoice issued at or after its instant."""

    id: str
    name: str
    amount: ExactOut
    at: Instant


class OrderAnswer(Answer):
    """An order as it was taken: grants and instalments each add up to the price."""

    grants: list[GrantAnswer]
    instalments: list[InstalmentAnswer]
    currency: str


class TopUpBody(Body):
    """When to buy how many credits: up to `target`, or `amount`, or a `pack`.

    Attributes:
        threshold: A balance of this or less is topped up, once for each crossing.
        most_per_day: Purchases on one day of the customer's zone.
        lasts: How long what is bought can be used; for ever where left out.
        exclude: Grants with one of these tags do not count as balance.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"customer": "acme", "credit": "ai_credits", "key": "auto", "threshold": "10", "target": "50"}
            ]
        }
    )

    customer: Name
    credit: Name
    key: Name = "auto"
    threshold: Exact
    target: Exact | None = None
    amount: Exact | None = None
    pack: Name | None = None
    lasts: SpanText | None = None
    most_per_day: Annotated[int, Field(ge=1, le=1000)] = 1
    zone: Annotated[str, Field(max_length=64)] = "UTC"
    exclude: Names


class TopUpAnswer(Answer):
    """A top-up rule, and how often it has bought."""

    key: str
    threshold: ExactOut
    target: ExactOut | None
    amount: ExactOut | None
    pack: str | None
    lasts: str | None
    most_per_day: int
    crossings: int

    @classmethod
    def of(cls, top_up: TopUp) -> "TopUpAnswer":
        """As the engine has it."""
        rule = top_up.rule
        return cls(
            key=rule.key,
            threshold=rule.threshold,
            target=rule.target,
            amount=rule.amount if top_up.pack is None else None,
            pack=top_up.pack,
            lasts=None if top_up.lasts is None else write_span(top_up.lasts),
            most_per_day=rule.most_per_day,
            crossings=top_up.state.crossings,
        )


class TopUpsAnswer(Answer):
    """The rules of one account."""

    items: list[TopUpAnswer]


class RemovedAnswer(Answer):
    """What was removed."""

    key: str


@router.post("/purchases", status_code=201, response_model=PurchaseAnswer)
def buy_credits(body: PurchaseBody, caller: Writer) -> Response:
    """Sell credits: a one-off invoice and its payment, and the credits at once or when it is paid."""
    buying.ask_purchase_taxes(caller.engine, caller.workspace.id, body.new())
    if body.preview:
        found = caller.acting(lambda tx: PurchaseAnswer.of(buying.preview_purchase(tx, body.new())))
        return Response(found.model_dump_json(), media_type="application/json")
    return caller.once(lambda tx: PurchaseAnswer.of(buying.buy_credits(tx, body.new())))


@router.get("/purchases")
def list_purchases(
    caller: Reader, customer: Customer, after: After = None, limit: Limit = 50
) -> Page[PurchaseAnswer]:
    """What a customer bought, in order of id; top-ups too."""
    with caller.reading() as tx:
        found = buying.list_purchases(tx, customer, after=read_cursor(after), limit=limit + 1)
    items = [PurchaseAnswer.of(one) for one in found[:limit]]
    return Page(items=items, next=cursor_of(items[-1].id) if len(found) > limit else None)


@router.post("/orders", status_code=201, response_model=OrderAnswer)
def order_credits(body: OrderBody, caller: Writer) -> Response:
    """Take an order of credits: its instalments stand on the contract's invoices, its credits have dates of their own."""
    author = caller.principal.key_name

    def done(tx: Transaction) -> OrderAnswer:
        return OrderAnswer.model_validate(ordering.order_credits(tx, body.order(), author))

    if body.preview:
        found = caller.acting(
            lambda tx: OrderAnswer.model_validate(ordering.preview_order(tx, body.order(), author))
        )
        return Response(found.model_dump_json(), media_type="application/json")
    return caller.once(done)


@router.post("/top-ups", response_model=TopUpAnswer)
def set_top_up(body: TopUpBody, caller: Writer) -> Response:
    """Buy credits whenever the balance falls to a threshold."""
    rule = RechargeRule(
        key=body.key,
        threshold=body.threshold,
        target=body.target,
        amount=ONE if body.pack is not None else body.amount,
        most_per_day=body.most_per_day,
        zone=body.zone,
        exclude=tuple(body.exclude),
    )
    lasts = None if body.lasts is None else parse_span(body.lasts, "lasts")
    return caller.once(
        lambda tx: TopUpAnswer.of(
            granting.set_top_up(tx, body.customer, body.credit, rule, lasts=lasts, pack=body.pack)
        ),
        status=200,
    )


@router.get("/top-ups")
def list_top_ups(caller: Reader, customer: Customer, credit: Credit) -> TopUpsAnswer:
    """An account's top-up rules, and how often each has bought."""
    with caller.reading() as tx:
        found = granting.list_top_ups(tx, customer, credit)
    return TopUpsAnswer(items=[TopUpAnswer.of(one) for one in found])


@router.delete("/top-ups/{key}")
def remove_top_up(
    key: Annotated[str, Path(max_length=255, description="the rule's key")],
    caller: Writer,
    customer: Annotated[str, Query(max_length=255)],
    credit: Annotated[str, Query(max_length=63)],
) -> RemovedAnswer:
    """Buy nothing more by a rule; what it bought stays."""
    caller.acting(lambda tx: granting.remove_top_up(tx, customer, credit, key))
    return RemovedAnswer(key=key)

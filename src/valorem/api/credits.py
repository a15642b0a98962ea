"""``/v1/credits``: grants, members, balances and statements of prepaid credits."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict, Field
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.pages import After, Limit, cursor_of, read_cursor
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Exact, ExactOut, Instant, Name, Page
from valorem.core.ledger.granting import Member
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.scope import EVERYTHING, Scope
from valorem.core.numbers import ZERO
from valorem.core.units import parse_span
from valorem.engine.credits import granting, reading
from valorem.engine.credits.granting import NewGrant

router = APIRouter(prefix="/v1/credits", tags=["credits"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("customers:write"))]
Customer = Annotated[str, Query(max_length=255)]
Credit = Annotated[str, Query(max_length=63, description="the credit type's key")]
Names = Annotated[list[Name], Field(max_length=100, default_factory=list)]
By = Annotated[
    str, Query(max_length=63, description="`meter`, `product`, `member` or a dimension of the meters")
]
SpanText = Annotated[str, Field(max_length=40)]


class ScopeBody(Body):
    """What granted credits may pay for; what is left out restricts nothing."""

    products: Names
    meters: Names
    dimensions: Annotated[dict[Name, list[Name]], Field(max_length=20, default_factory=dict)]

    def scope(self) -> Scope:
        """The same as the ledger knows it."""
        named = {name: tuple(values) for name, values in self.dimensions.items()}
        return Scope(tuple(self.products), tuple(self.meters), named)


class GrantBody(Body):
    """Credits to give. What a customer pays for is `POST /v1/credits/purchases`.

    Attributes:
        id: Your own; the same id and amount is the same grant.
        start: From when it can be used, on the quarter-hour grid; this quarter hour where left out.
        expires: From when it cannot; never where left out.
        lasts: Instead of `expires`, for how long, such as `12 months`.
        priority: Lower is used first.
        cost: What was paid for all of it, in the customer's currency.
        holder: The member whose allowance it is.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "acme",
                    "credit": "ai_credits",
                    "amount": "500",
                    "source": "promotional",
                    "lasts": "30 days",
                }
            ]
        }
    )

    customer: Name
    credit: Name
    amount: Exact
    id: Name | None = None
    start: Instant | None = None
    expires: Instant | None = None
    lasts: SpanText | None = None
    priority: Annotated[int, Field(ge=0, le=1000)] = 50
    source: granting.Source = "adjustment"
    cost: Exact = ZERO
    scope: ScopeBody | None = None
    holder: Name | None = None
    tag: Name | None = None


class GrantKey(Body):
    """Which grant."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"customer": "acme", "credit": "ai_credits", "grant": "welcome"}]}
    )

    customer: Name
    credit: Name
    grant: Name


class ExpiryBody(GrantKey):
    """When a grant is to end instead; `never` for never."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "customer": "acme",
                    "credit": "ai_credits",
                    "grant": "welcome",
                    "expires": "2026-12-31T00:00:00Z",
                }
            ]
        }
    )

    expires: Instant | Literal["never"]


class MemberBody(Body):
    """Somebody with a seat, and from when until when."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"customer": "acme", "member": "ann"}]})

    customer: Name
    member: Name
    since: Instant | None = None
    until: Instant | None = None


class MemberAnswer(Answer):
    """Somebody with a seat."""

    customer: str
    member: str
    since: Instant
    until: Instant | None


class MembersAnswer(Answer):
    """Everybody who has, or had, a seat."""

    items: list[MemberAnswer]


class GrantAnswer(Answer):
    """A grant as it stands. ``end`` is its expiry, or when it was voided."""

    id: str
    amount: ExactOut
    start: Instant
    end: Instant | None
    priority: int
    source: str
    cost: ExactOut
    currency: str | None
    holder: str | None
    tag: str | None
    voided_at: Instant | None


class GrantStateAnswer(Answer):
    """A grant, what is left of it, and what the account has after the change."""

    grant: GrantAnswer
    remaining: ExactOut
    held: ExactOut
    available: ExactOut

    @classmethod
    def of(cls, state: granting.GrantState) -> "GrantStateAnswer":
        """As the engine has it."""
        return cls(
            grant=GrantAnswer.model_validate(state.grant),
            remaining=state.remaining,
            held=state.held,
            available=state.account.available,
        )


class GrantLeftAnswer(Answer):
    """What is left of a running grant."""

    grant: str
    source: str
    holder: str | None
    priority: int
    amount: ExactOut
    remaining: ExactOut
    held: ExactOut
    end: Instant | None

    @classmethod
    def of(cls, left: reading.GrantLeft) -> "GrantLeftAnswer":
        """As the engine has it."""
        grant: Grant = left.grant
        return cls(
            grant=grant.id,
            source=grant.source,
            holder=grant.holder,
            priority=grant.priority,
            amount=grant.amount,
            remaining=left.remaining,
            held=left.held,
            end=left.end,
        )


class BalanceAnswer(Answer):
    """What a customer has of one credit type. ``overage`` is use that no grant paid for."""

    customer: str
    credit: str
    name: str
    at: Instant
    available: ExactOut
    held: ExactOut
    balance: ExactOut
    granted: ExactOut
    overage: ExactOut
    used: ExactOut
    grants: list[GrantLeftAnswer]

    @classmethod
    def of(cls, found: reading.Balance) -> "BalanceAnswer":
        """As the engine has it."""
        return cls(
            **{
                name: getattr(found, name)
                for name in (
                    "customer", "credit", "name", "at", "available", "held", "balance", "granted", "overage", "used",
                )
            },
            grants=[GrantLeftAnswer.of(each) for each in found.grants],
        )  # fmt: skip


class BalancesAnswer(Answer):
    """The balances of every credit type asked for."""

    items: list[BalanceAnswer]


class StatementLineAnswer(Answer):
    """One line of a statement."""

    at: Instant
    kind: str
    text: str
    change: ExactOut
    balance: ExactOut


class StatementAnswer(Answer):
    """What there was, what came, what it was used for and what is left. Opening plus every change is closing."""

    lines: list[StatementLineAnswer]
    opening: ExactOut
    closing: ExactOut
    uncovered: ExactOut


class BurnRowAnswer(Answer):
    """Credits used by one value; null stands for use that names none."""

    value: str | None
    amount: ExactOut


class BurnAnswer(Answer):
    """Credits used in an interval, the most first."""

    customer: str
    credit: str
    by: str
    start: Instant
    end: Instant
    rows: list[BurnRowAnswer]


class ForecastAnswer(Answer):
    """When credits run out if usage goes on as in the last seven days; ``lost`` will have expired by then."""

    per_day: ExactOut
    runs_out_at: Instant | None
    days_left: ExactOut | None
    lost: ExactOut


@router.post("/grants", status_code=201, response_model=GrantStateAnswer)
def give_credits(body: GrantBody, caller: Writer) -> Response:
    """Give credits."""
    new = NewGrant(
        customer=body.customer,
        credit=body.credit,
        amount=body.amount,
        id=body.id,
        start=body.start,
        expires=body.expires,
        lasts=None if body.lasts is None else parse_span(body.lasts, "lasts"),
        priority=body.priority,
        source=body.source,
        cost=body.cost,
        scope=EVERYTHING if body.scope is None else body.scope.scope(),
        holder=body.holder,
        tag=body.tag,
    )
    return caller.once(lambda tx: GrantStateAnswer.of(granting.give_grant(tx, new)))


@router.get("/grants")
def list_grants(
    caller: Reader, customer: Customer, credit: Credit, after: After = None, limit: Limit = 50
) -> Page[GrantAnswer]:
    """Recorded grants in order of id."""
    with caller.reading() as tx:
        found = granting.list_grants(tx, customer, credit, after=read_cursor(after), limit=limit + 1)
    items = [GrantAnswer.model_validate(grant) for grant in found[:limit]]
    return Page(items=items, next=cursor_of(items[-1].id) if len(found) > limit else None)


@router.post("/grants/void", response_model=GrantStateAnswer)
def void_grant(body: GrantKey, caller: Writer) -> Response:
    """Take back what is unused of a grant."""
    return caller.once(
        lambda tx: GrantStateAnswer.of(granting.void_grant(tx, body.customer, body.credit, body.grant)),
        status=200,
    )


@router.post("/grants/expiry", response_model=GrantStateAnswer)
def change_expiry(body: ExpiryBody, caller: Writer) -> Response:
    """Let a grant end at another time."""
    return caller.once(
        lambda tx: GrantStateAnswer.of(
            granting.change_expiry(
                tx,
                body.customer,
                body.credit,
                body.grant,
                None if isinstance(body.expires, str) else body.expires,
            )
        ),
        status=200,
    )


@router.get("/members")
def list_members(caller: Reader, customer: Customer) -> MembersAnswer:
    """Who has, or had, a seat."""
    with caller.reading() as tx:
        found = granting.list_members(tx, customer)
    return MembersAnswer(
        items=[
            MemberAnswer(customer=customer, member=one.key, since=one.since, until=one.until) for one in found
        ]
    )


@router.post("/members", response_model=MemberAnswer)
def set_member(body: MemberBody, caller: Writer) -> Response:
    """Give somebody a seat with an allowance of their own, or say when it ends."""

    def done(found: Member) -> MemberAnswer:
        return MemberAnswer(customer=body.customer, member=found.key, since=found.since, until=found.until)

    return caller.once(
        lambda tx: done(
            granting.set_member(tx, body.customer, body.member, since=body.since, until=body.until)
        ),
        status=200,
    )


@router.get("/balance")
def get_balance(
    caller: Reader,
    customer: Customer,
    credit: Annotated[str | None, Query(max_length=63, description="only this credit type")] = None,
    at: Annotated[Instant | None, Query(description="as it stood then")] = None,
) -> BalancesAnswer:
    """What a customer has, now or as it stood at an instant."""
    with caller.reading() as tx:
        found = (
            reading.balances(tx, customer, at=at)
            if credit is None
            else [reading.balance(tx, customer, credit, at=at)]
        )
    return BalancesAnswer(items=[BalanceAnswer.of(each) for each in found])


@router.get("/statement")
def get_statement(
    caller: Reader,
    customer: Customer,
    credit: Credit,
    start: Annotated[Instant | None, Query()] = None,
    end: Annotated[Instant | None, Query()] = None,
    by: By = "meter",
) -> StatementAnswer:
    """A statement a customer can read; of the running billing period where nothing is said."""
    with caller.reading() as tx:
        return StatementAnswer.model_validate(
            reading.credit_statement(tx, customer, credit, start=start, end=end, by=by)
        )


@router.get("/burn")
def get_burn(
    caller: Reader,
    customer: Customer,
    credit: Credit,
    start: Annotated[Instant | None, Query()] = None,
    end: Annotated[Instant | None, Query()] = None,
    by: By = "meter",
) -> BurnAnswer:
    """What used credits up."""
    with caller.reading() as tx:
        over, rows = reading.credit_burn(tx, customer, credit, start=start, end=end, by=by)
    return BurnAnswer(
        customer=customer,
        credit=credit,
        by=by,
        start=over.start,
        end=over.end,
        rows=[BurnRowAnswer(value=value, amount=amount) for value, amount in rows],
    )


@router.get("/forecast")
def get_forecast(caller: Reader, customer: Customer, credit: Credit) -> ForecastAnswer:
    """When credits run out."""
    with caller.reading() as tx:
        return ForecastAnswer.model_validate(reading.credit_forecast(tx, customer, credit))

"""``/v1/customers/{key}/account``: who stands above a customer, who pays for it, what is counted together."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path
from pydantic import ConfigDict
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, Body, Instant, Name
from valorem.core.contracts.accounts import Account
from valorem.engine import accounts
from valorem.engine.accounts import Family
from valorem.engine.engine import Transaction

router = APIRouter(prefix="/v1/customers", tags=["customers"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Writer = Annotated[Caller, Depends(Needs("customers:write"))]
Key = Annotated[str, Path(max_length=255, description="the customer's key, percent-encoded")]


class AccountBody(Body):
    """A customer's place among others from an instant on; the whole of it is replaced.

    Attributes:
        parent: The customer above it; null at the top.
        payer: Whether its usage is billed to itself or to its parent.
        tiers: Billed to the parent: whether it is counted together with the parent's (``pooled``) or its tiers and
            included quantities begin anew (``apart``).
        commitments: Whether the parent's commitments cover its usage too, after its own. Left out, a child that the
            parent pays for shares them, and one that pays for itself keeps to its ``own``.
        since: From when, on the quarter-hour grid; from always where left out. Time that is billed cannot change hands.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"parent": "globex", "payer": "parent", "tiers": "apart", "since": "2026-03-01T00:00:00Z"}
            ]
        }
    )

    parent: Name | None = None
    payer: Literal["self", "parent"] = "self"
    tiers: Literal["pooled", "apart"] = "pooled"
    commitments: Literal["shared", "own"] | None = None
    since: Instant | None = None


class RelationAnswer(Answer):
    """A customer's place from an instant on; ``since`` is null from always."""

    since: Instant | None
    parent: str | None
    payer: str
    tiers: str
    commitments: str


class ChildAnswer(Answer):
    """A customer directly under another."""

    customer: str
    payer: str
    tiers: str
    commitments: str


class AccountAnswer(Answer):
    """A customer's place among others now, and its history. ``billed_to`` is who pays for its usage now."""

    customer: str
    parent: str | None
    payer: str
    tiers: str
    commitments: str
    billed_to: str
    children: list[ChildAnswer]
    history: list[RelationAnswer]

    @classmethod
    def of(cls, family: Family) -> "AccountAnswer":
        """As the engine has it."""
        account = family.account
        return cls(
            customer=account.customer,
            parent=account.parent,
            payer=account.payer,
            tiers=account.tiers,
            commitments=account.commitments,
            billed_to=family.pays,
            children=[ChildAnswer.model_validate(each) for each in family.children],
            history=[
                RelationAnswer(
                    since=each.since,
                    parent=each.account.parent,
                    payer=each.account.payer,
                    tiers=each.account.tiers,
                    commitments=each.account.commitments,
                )
                for each in family.history
            ],
        )


@router.get("/{key:path}/account")
def get_account(key: Key, caller: Reader) -> AccountAnswer:
    """Who stands above and under a customer, and who pays for its usage."""
    with caller.reading() as tx:
        return AccountAnswer.of(accounts.get_family(tx, key))


@router.post("/{key:path}/account", status_code=201, response_model=AccountAnswer)
def set_account(key: Key, body: AccountBody, caller: Writer) -> Response:
    """Put a customer under another, or on its own, from an instant on."""

    def place(tx: Transaction) -> AccountAnswer:
        commitments = body.commitments or ("shared" if body.payer == "parent" else "own")
        account = Account(key, body.parent, body.payer, body.tiers, commitments)
        return AccountAnswer.of(accounts.set_account(tx, account, since=body.since))

    return caller.once(place)

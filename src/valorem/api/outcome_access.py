"""What the routes of outcomes share: who may call them, whose definition they are of, and for whom a key speaks."""

from typing import Annotated, Any

from fastapi import Depends, Path, Query
from pydantic import Field

from valorem.api.access import Caller, Needs
from valorem.api.wire import Body, Instant, Name
from valorem.core.errors import ForbiddenError
from valorem.core.outcomes.signing import Party
from valorem.engine.outcome_deals import Signer

Reader = Annotated[Caller, Depends(Needs("read"))]
Vendor = Annotated[Caller, Depends(Needs("outcomes:write"))]
Customer = Annotated[Caller, Depends(Needs("outcomes:sign"))]
Contract = Annotated[str, Query(max_length=64, description="the contract's id")]
Definition = Annotated[str, Query(max_length=255, description="the outcome's key")]
At = Annotated[Instant | None, Query(description="the instant looked at; now where left out")]
Id = Annotated[str, Path(max_length=64)]
OF: dict[str, Any] = {"contract": "ctr_019b0000000000000000000000", "definition": "resolution"}


class OfBody(Body):
    """A definition of a contract."""

    contract: Annotated[str, Field(max_length=64)]
    definition: Name


def check_party(caller: Caller, party: Party) -> None:
    """A key speaks for one side: one that carries ``outcomes:sign`` for the customer, every other for the vendor.

    Raises:
        ForbiddenError: If it speaks for the other side.
    """
    if (party == "customer") != ("outcomes:sign" in caller.principal.scopes):
        raise ForbiddenError(
            f"this key does not speak for the {party}",
            hint="make a key with the scope outcomes:sign for the customer, and use another one for the vendor",
        )


def signer_of(caller: Caller, party: Party, person: str, role: str) -> Signer:
    """Who signs with a key.

    Raises:
        ForbiddenError: If the key does not speak for the party.
    """
    check_party(caller, party)
    return Signer(party, person, role, "api_key", caller.principal.key_id)

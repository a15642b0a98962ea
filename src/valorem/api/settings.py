"""``/v1/settings``: what a workspace settles its invoices by; and what is owed to customers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import ConfigDict
from starlette.responses import Response

from valorem.api.access import Caller, Needs
from valorem.api.strict_json import StrictRoute
from valorem.api.wire import Answer, ExactOut, Instant
from valorem.core.billing.parties import BillingSettings
from valorem.engine import customer_balances, settings

router = APIRouter(prefix="/v1", tags=["settings"], route_class=StrictRoute)
Reader = Annotated[Caller, Depends(Needs("read"))]
Administrator = Annotated[Caller, Depends(Needs("admin"))]


class BillingSettingsBody(BillingSettings):
    """Who sells, where transfers go, by when to pay, and who is reminded when."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "seller": {
                        "name": "Metered GmbH",
                        "tax_id": "DE123456789",
                        "address": {
                            "lines": ["Hauptstraße 1"],
                            "postcode": "10115",
                            "city": "Berlin",
                            "country": "DE",
                        },
                    },
                    "bank": {"holder": "Metered GmbH", "iban": "DE02120300000000202051"},
                    "terms": {"net_days": 14},
                    "dunning": {"reminders": [{"key": "first", "after_days": 3}]},
                }
            ]
        }
    )


class EntryAnswer(Answer):
    """One movement of a balance: ``credited`` opens a credit, ``applied`` pays with it, ``restored`` and ``refunded`` answer."""

    id: str
    at: Instant
    kind: str
    credit: str
    amount: ExactOut
    reference: str


class BalanceAnswer(Answer):
    """What is owed to a customer in one currency, and why."""

    currency: str
    amount: ExactOut
    entries: list[EntryAnswer]


class BalancesAnswer(Answer):
    """What is owed to a customer."""

    customer: str
    balances: list[BalanceAnswer]


@router.get("/settings/billing")
def get_billing_settings(caller: Reader) -> BillingSettings:
    """What the workspace settles its invoices by."""
    with caller.reading() as tx:
        return settings.get_billing_settings(tx)


@router.put("/settings/billing", response_model=BillingSettings)
def set_billing_settings(body: BillingSettingsBody, caller: Administrator) -> Response:
    """Put settings in the place of those there are; invoices that are final keep what they say."""
    return caller.once(
        lambda tx: settings.set_billing_settings(tx, BillingSettings.model_validate(body.model_dump())),
        status=200,
    )


@router.get("/balances")
def get_balances(
    caller: Reader, customer: Annotated[str, Query(max_length=255, description="the customer's key")]
) -> BalancesAnswer:
    """What is owed to a customer: from credit notes, payments above what was owed, and negative invoices."""
    with caller.reading() as tx:
        found = customer_balances.get_balances(tx, customer)
        return BalancesAnswer(
            customer=customer, balances=[BalanceAnswer.model_validate(each) for each in found]
        )

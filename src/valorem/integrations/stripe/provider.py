"""The payment port filled by Stripe's own SDK.

A payment is one PaymentIntent, created and confirmed in one call under the payment's id as idempotency key, which Stripe keeps
for a day; its metadata name the payment, so that one whose answer was lost is found again by search, which is complete long
before that day is over. So a charge is never made twice.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import stripe

from valorem.core.errors import UnauthorizedError
from valorem.core.payments.payment import Outcome, Report
from valorem.core.payments.provider import (
    AnswerLostError,
    Charge,
    Payer,
    ProviderRefusedError,
    RefundRequest,
    Webhook,
)
from valorem.integrations.stripe.amounts import from_stripe, to_stripe

Answer = TypeVar("Answer")

_PAYMENT, _REFUND, _CUSTOMER = "valorem_payment", "valorem_refund", "valorem_customer"
_LOCKED = 409
_INTENTS: Mapping[str, Outcome] = {"succeeded": "succeeded", "canceled": "failed"}
_REFUNDS: Mapping[str, Outcome] = {"succeeded": "succeeded", "failed": "failed", "canceled": "failed"}


class StripePayments:
    """Payments through Stripe.

    Args:
        api_key: The secret key.
        webhook_secrets: Signing secrets of the endpoint; several while one is being rotated.
        api_base: Where the API is; Stripe's own where left out.
        timeout_s: How long one call may take.
        tolerance_s: How old a webhook may be.
    """

    name = "stripe"

    def __init__(
        self,
        api_key: str,
        webhook_secrets: Sequence[str] = (),
        *,
        api_base: str | None = None,
        timeout_s: int = 30,
        tolerance_s: int = 300,
    ) -> None:
        self._client = stripe.StripeClient(
            api_key,
            base_addresses={"api": api_base} if api_base is not None else {},
            max_network_retries=0,  # whoever asks decides when to ask again
            http_client=stripe.RequestsClient(timeout=timeout_s),
        )
        self._webhook_secrets = tuple(webhook_secrets)
        self._tolerance_s = tolerance_s

    def create_customer(self, payer: Payer) -> str:
        """Make the customer known; asked again within a day, the same one answers."""
        params: dict[str, Any] = {"name": payer.name, "metadata": {_CUSTOMER: payer.customer}}
        if payer.email is not None:
            params["email"] = payer.email
        made = _asked(
            lambda: self._client.v1.customers.create(
                params=params,  # type: ignore[arg-type]
                options={"idempotency_key": f"customer:{payer.customer}"},
            )
        )
        return made.id

    def charge(self, charge: Charge) -> Report:
        """Create and confirm a PaymentIntent under the payment's id."""
        params: dict[str, Any] = {
            "amount": to_stripe(charge.amount, charge.currency),
            "currency": charge.currency.lower(),
            "customer": charge.payer,
            "confirm": True,
            "off_session": True,
            "description": charge.invoice,
            "metadata": {_PAYMENT: charge.payment, "valorem_invoice": charge.invoice},
        }
        if charge.method is not None:
            params["payment_method"] = charge.method
        try:
            intent = _asked(
                lambda: self._client.v1.payment_intents.create(
                    params=params,  # type: ignore[arg-type]
                    options={"idempotency_key": charge.payment},
                )
            )
        except stripe.CardError as declined:
            told: Any = declined.json_body or {}
            failed = told.get("error", {}).get("payment_intent") or {}
            reason = declined.user_message or declined.code
            return Report(
                charge.payment, failed.get("id", ""), "failed", charge.amount, charge.currency, reason
            )
        return _payment_report(intent.to_dict(), charge.payment)

    def refund(self, request: RefundRequest) -> Report:
        """Refund part of a PaymentIntent under the refund's id."""
        made = _asked(
            lambda: self._client.v1.refunds.create(
                params={
                    "payment_intent": request.reference,
                    "amount": to_stripe(request.amount, request.currency),
                    "metadata": {_REFUND: request.refund},
                },
                options={"idempotency_key": request.refund},
            )
        )
        return _refund_report(made.to_dict(), request.refund)

    def lookup(self, payment: str, reference: str | None = None) -> Report | None:
        """The PaymentIntent by its id, or by the payment's id in its metadata."""
        if reference:
            found = _asked(lambda: self._client.v1.payment_intents.retrieve(reference))
            return _payment_report(found.to_dict(), payment)
        query = f"metadata['{_PAYMENT}']:'{payment}'"
        page = _asked(lambda: self._client.v1.payment_intents.search(params={"query": query, "limit": 10}))
        reports = [_payment_report(each.to_dict(), payment) for each in page.data]
        ranked = sorted(reports, key=lambda report: report.outcome == "succeeded")
        return ranked[-1] if ranked else None

    def lookup_refund(self, request: RefundRequest) -> Report | None:
        """The refund among those of its PaymentIntent."""
        page = _asked(
            lambda: self._client.v1.refunds.list(params={"payment_intent": request.reference, "limit": 100})
        )
        for each in page.data:
            found = each.to_dict()
            if (found.get("metadata") or {}).get(_REFUND) == request.refund:
                return _refund_report(found, request.refund)
        return None

    def verify_webhook(self, body: bytes, headers: Mapping[str, str], now: datetime) -> Webhook:
        """Read a webhook signed by one of the endpoint's secrets, not older than the tolerance.

        Raises:
            UnauthorizedError: Where the signature is wrong, missing or too old.
        """
        signature = {key.lower(): value for key, value in headers.items()}.get("stripe-signature", "")
        if not any(_signed(body, signature, secret) for secret in self._webhook_secrets):
            raise UnauthorizedError("the webhook's signature is not right", field="stripe-signature")
        if abs(now.timestamp() - _stamp(signature)) > self._tolerance_s:
            raise UnauthorizedError(
                f"the webhook was not signed within {self._tolerance_s} s of now", field="stripe-signature"
            )
        event = json.loads(body)
        return Webhook(event["id"], event["type"], _report_in(event["type"], event["data"]["object"]))


def _asked(call: Callable[[], Answer]) -> Answer:
    """Make a call; tell an answer that was lost from a refusal. A declined card is the caller's business."""
    try:
        return call()
    except stripe.CardError:
        raise
    except (stripe.APIConnectionError, stripe.APIError, stripe.RateLimitError) as error:
        raise AnswerLostError(f"Stripe gave no answer: {error}", hint="look the payment up") from error
    except stripe.StripeError as error:
        if error.http_status == _LOCKED:
            raise AnswerLostError(f"Stripe is still at it: {error}", hint="look the payment up") from error
        raise ProviderRefusedError(f"Stripe refused: {error}", field=getattr(error, "param", None)) from error


def _signed(body: bytes, signature: str, secret: str) -> bool:
    try:
        return bool(stripe.WebhookSignature.verify_header(body.decode(), signature, secret, tolerance=None))
    except (stripe.SignatureVerificationError, UnicodeDecodeError):
        return False


def _stamp(signature: str) -> int:
    """The second of signing, in a header whose signature was right."""
    stamps = [part[2:] for part in signature.split(",") if part.startswith("t=")]
    return int(stamps[0])


def _report_in(kind: str, found: Mapping[str, Any]) -> Report | None:
    metadata = found.get("metadata") or {}
    if kind.startswith("payment_intent.") and _PAYMENT in metadata:
        return _payment_report(found, metadata[_PAYMENT])
    if (kind.startswith("refund.") or kind == "charge.refund.updated") and _REFUND in metadata:
        return _refund_report(found, metadata[_REFUND])
    return None


def _payment_report(intent: Mapping[str, Any], payment: str) -> Report:
    status, currency = intent["status"], intent["currency"].upper()
    error = intent.get("last_payment_error") or {}
    outcome = _INTENTS.get(status, "pending")
    if status == "requires_payment_method" and error:
        outcome = "failed"
    counted = intent["amount_received"] if outcome == "succeeded" else intent["amount"]
    reason = error.get("message") or error.get("code") if outcome == "failed" else None
    return Report(payment, intent["id"], outcome, from_stripe(counted, currency), currency, reason)


def _refund_report(refund: Mapping[str, Any], name: str) -> Report:
    currency = refund["currency"].upper()
    outcome = _REFUNDS.get(refund.get("status") or "", "pending")
    reason = refund.get("failure_reason") if outcome == "failed" else None
    return Report(name, refund["id"], outcome, from_stripe(refund["amount"], currency), currency, reason)

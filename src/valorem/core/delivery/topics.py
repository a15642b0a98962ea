"""What may be told to others, by topic."""

from collections.abc import Mapping

#: Topic to what has happened. A receiver takes some of them, ``alert.*`` for a family, or all.
TOPICS: Mapping[str, str] = {
    "alert.crossed": "a threshold was crossed: of use, a limit, spend, a budget, a balance, or time",
    "alert.recovered": "use is back below a threshold, or a balance above it",
    "contract.renewed": "a contract goes on for another term",
    "credit.bought": "credits that were ordered are there",
    "credit.exhausted": "a balance of credits has reached nothing",
    "credit.low": "a balance of credits has fallen to a fifth of what was granted",
    "credit.topped_up": "credits were bought by a top-up rule",
    "credit_note.issued": "a credit note was issued",
    "endpoint.disabled": "a receiver is not called any more",
    "expansion.signal": "a customer has nearly used up what is included or allowed: worth a call by sales",
    "invoice.finalised": "an invoice is final",
    "invoice.paid": "nothing of an invoice is owed any more",
    "invoice.refunded": "what was paid for an invoice was given back",
    "invoice.reminder": "an invoice is overdue",
    "invoice.uncollectible": "an invoice was written off",
    "invoice.voided": "an invoice was voided",
    "payment.failed": "a payment failed",
    "payment.parked": "what a payment provider told does not fit, and waits for somebody",
    "payment.received": "a part of an invoice was paid",
    "paywall.hit": "a check was denied for the first time in its window",
    "webhook.test": "somebody tried whether this arrives",
}

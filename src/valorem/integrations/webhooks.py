"""Webhooks as the Standard Webhooks specification has them: signed, with an id that never changes."""

from datetime import datetime

from standardwebhooks.webhooks import Webhook

from valorem.core.delivery.texts import body_of
from valorem.engine.delivery import Outcome, Outgoing
from valorem.integrations.calling import Caller


class WebhookSender:
    """Signs notices and posts them.

    Args:
        caller: Posts.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def send(self, outgoing: Outgoing, now: datetime) -> Outcome:
        """Send one notice; a webhook gets no digests."""
        notice = outgoing.notices[0]
        body = body_of(notice)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Valorem",
            "webhook-id": notice.id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": signatures(outgoing.secrets, notice.id, now, body),
        }
        return await self._caller.post(outgoing.endpoint.address, body, headers)


def signatures(secrets: tuple[str, ...], message_id: str, now: datetime, body: bytes) -> str:
    """The signatures of a body, one for each secret that is valid."""
    return " ".join(Webhook(secret).sign(message_id, now, body.decode()) for secret in secrets)

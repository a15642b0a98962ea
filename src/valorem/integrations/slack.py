"""Slack-compatible incoming webhooks: Slack, Mattermost, Rocket.Chat, Zulip and others take the same body."""

from datetime import datetime

from valorem.core.delivery.texts import slack_of
from valorem.engine.delivery import Outcome, Outgoing
from valorem.integrations.calling import Caller


class SlackSender:
    """Posts notices as text.

    Args:
        caller: Posts.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def send(self, outgoing: Outgoing, now: datetime) -> Outcome:  # noqa: ARG002 - nothing is signed
        """Send one notice, or a digest."""
        headers = {"Content-Type": "application/json", "User-Agent": "Valorem"}
        return await self._caller.post(outgoing.endpoint.address, slack_of(outgoing.notices), headers)

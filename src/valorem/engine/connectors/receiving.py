"""Signed messages of other systems: verified on their bytes, kept as they came, counted once."""

from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

import msgspec

from valorem.core.errors import InvalidInputError, NotFoundError
from valorem.core.sources.mapping import Record, split_records
from valorem.core.sources.signatures import Received, verify
from valorem.engine.connectors.secrets import open_secrets
from valorem.engine.connectors.taking import Taken, Taker, find_source
from valorem.store.postgres import sources
from valorem.store.postgres.database import Connection

_decode = msgspec.json.Decoder(float_hook=Decimal).decode


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of a message.

    Attributes:
        repeated: Whether the very same message came before; then nothing was done.
        taken: What became of its records.
    """

    repeated: bool
    taken: Taken


def receive(taker: Taker, workspace: int, source: str, message: Received) -> Receipt:
    """Take a message of another system; order and repetition do not matter.

    Raises:
        NotFoundError: If there is no such source, or it takes no messages.
        UnauthorizedError: If it is not signed by one of the source's secrets, or too long ago.
        InvalidInputError: If it is signed, but no JSON.
        UnprocessableError: If the source's secret has not been set.
    """
    engine = taker.engine
    digest = sha256(message.body).digest()
    with engine.transaction(workspace) as tx:
        definition = find_source(tx, source)
        if definition.webhook is None:
            raise NotFoundError(
                f"the source {source[:60]!r} takes no messages", hint="add webhook to its file"
            )
        secrets = open_secrets(tx, definition)
        signers = [secrets[name] for name in definition.webhook.secret]
        verify(definition.webhook, signers, message, engine.real_now())
        if sources.has_message(tx.connection, workspace, source, digest):
            return Receipt(repeated=True, taken=Taken())
    payload = _payload(message.body)
    try:
        records: list[Record] = (
            split_records(payload, definition.webhook.records) if payload is not None else []
        )
    except InvalidInputError:
        # It is from whom it should be, so it must not be sent again and again: a test, or another kind of message.
        records = [payload] if isinstance(payload, dict) else []

    def keep(connection: Connection) -> None:
        sources.keep_message(
            connection, workspace, source, digest, message.body, len(records), engine.real_now()
        )

    return Receipt(False, taker.take(workspace, definition, records, via="webhook", beside=keep))


def _payload(body: bytes) -> object:
    if not body.strip():
        return None
    try:
        return _decode(body)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(f"the message is not JSON: {error}", field="body") from None

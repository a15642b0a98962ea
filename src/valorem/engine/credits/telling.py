"""What happens to an account, put into the outbox."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5

from valorem.core.numbers import exact, plain
from valorem.core.time import write_instant
from valorem.engine.alerts import note_credits
from valorem.engine.engine import Transaction
from valorem.store.postgres import outbox
from valorem.store.postgres.credits import AccountRow, Place
from valorem.store.postgres.outbox import Message

#: Of what was granted: a balance that falls to it is told as low.
LOW_SHARE = Decimal("0.2")


@exact
def tell(
    tx: Transaction, before: AccountRow, after: AccountRow, granted: Decimal, *, watched: bool = True
) -> None:
    """Tell that a balance has become low, or that nothing is left, and what it crossed of anybody's alerts, if it is watched."""
    # what is only held or free again does not count
    fell = before.available + before.held - after.available - after.held
    if fell and watched:
        note_credits(tx, after.place.customer, fell)
    low = granted * LOW_SHARE
    if after.available <= 0 < before.available:
        topic = "credit.exhausted"
    elif after.available <= low < before.available:
        topic = "credit.low"
    else:
        return
    payload = {"available": plain(after.available), "granted": plain(granted), "held": plain(after.held)}
    put(tx, after.place, topic, str(after.version), payload, after.as_of)


def put(
    tx: Transaction, place: Place, topic: str, occasion: str, payload: Mapping[str, str], at: datetime
) -> None:
    """Put one thing that happened to an account into the outbox; the same occasion is told once."""
    name = f"{place.customer}:{place.credit}"
    message = Message(
        part=place.part,
        id=uuid5(NAMESPACE_URL, f"valorem:{place.workspace}:{topic}:{name}:{occasion}"),
        topic=topic,
        object=name,
        payload={"customer": place.customer, "credit": place.credit, "at": write_instant(at), **payload},
    )
    outbox.put(tx.connection, place.workspace, [message], at)

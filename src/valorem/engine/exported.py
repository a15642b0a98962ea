"""How much of what is recorded the warehouse answers for."""

import logging
from collections.abc import Sequence

from valorem.core.errors import OverloadedError
from valorem.engine.engine import Transaction
from valorem.store.postgres.ingest import GROUP
from valorem.store.warehouse.rows import Stream

_log = logging.getLogger(__name__)


def exported_to(tx: Transaction, streams: Sequence[Stream]) -> int:
    """The sequence up to which the warehouse has all of some streams; 0 without one.

    A warehouse that is away counts as one that has nothing yet: every answer is then read from the recorded batches, which
    takes longer and gives the same.
    """
    warehouse = tx.warehouse
    if warehouse is None:
        return 0
    try:
        return min(warehouse.covered(tx.workspace.id, stream).get(GROUP, 0) for stream in streams)
    except OverloadedError as error:
        _log.warning("history is read from the database: %s", error)
        return 0

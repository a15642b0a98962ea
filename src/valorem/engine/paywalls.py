"""Paywalls: who met a limit and what it was shown, once for each window; told to others and counted for the funnel."""

import logging
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime
from threading import Lock
from typing import TYPE_CHECKING
from uuid import NAMESPACE_URL, uuid5

from valorem.core.entitlements.check import say
from valorem.core.entitlements.windows import Window
from valorem.core.errors import OverloadedError
from valorem.core.ids import part_of
from valorem.core.numbers import plain
from valorem.core.time import write_instant
from valorem.engine.engine import Engine, Transaction
from valorem.store.postgres import limits, outbox
from valorem.store.postgres.database import Connection
from valorem.store.postgres.outbox import Message

if TYPE_CHECKING:
    from valorem.engine.checking import CheckResult
    from valorem.engine.entitlements import Known

_log = logging.getLogger(__name__)
_MOST_REMEMBERED = 50_000
_Place = tuple[int, str, str, datetime]
_DAY = Window("calendar", "day")


class Paywalls:
    """Notes denied checks. What is known to be noted costs a customer who goes on asking nothing more.

    Args:
        engine: Where they are noted.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._noted: OrderedDict[_Place, None] = OrderedDict()
        self._lock = Lock()

    def note(self, workspace: int, known: "Known", results: "Sequence[CheckResult]", at: datetime) -> None:
        """Note the denied among some answers, which are given in any case: a note that fails is made at the next one."""
        if known.customer is None:
            return
        new = []
        for result in results:
            if result.verdict.allowed or result.verdict.reason == "outage":
                continue
            place = (workspace, known.customer, result.verdict.feature, _window_start(known, result, at))
            if place not in self._noted:
                new.append((place, result))
        if not new:
            return
        try:
            with self._engine.transaction(workspace) as tx:
                for place, result in new:
                    _note(tx, place, result)
        except OverloadedError as error:
            _log.warning("a denied check was not noted for the funnel: %s", error)
            return
        with self._lock:
            for place, _ in new:
                self._noted[place] = None
            while len(self._noted) > _MOST_REMEMBERED:
                self._noted.popitem(last=False)


def _window_start(known: "Known", result: "CheckResult", at: datetime) -> datetime:
    """Start of the window the limit counts in; of the day where it moves or there is none."""
    state = result.verdict.state
    window = state.limit.window if state is not None else _DAY
    return known.span(window if window.kind in ("calendar", "billing_period") else _DAY, at).start


def _note(tx: Transaction, place: _Place, result: "CheckResult") -> None:
    _, customer, feature, start = place
    offer = result.offer
    first = limits.note_paywall(
        tx.connection,
        tx.workspace.id,
        customer,
        feature,
        start,
        reason=result.verdict.reason,
        prompt=offer.key if offer is not None else None,
        now=tx.now,
    )
    if first:
        _tell(tx.connection, tx.workspace.id, place, result, tx.now)


def _tell(
    connection: Connection, workspace: int, place: _Place, result: "CheckResult", now: datetime
) -> None:
    _, customer, feature, start = place
    state, offer = result.verdict.state, result.offer
    message = Message(
        part=part_of(workspace, customer),
        id=uuid5(NAMESPACE_URL, f"valorem:{workspace}:paywall:{customer}:{feature}:{write_instant(start)}"),
        topic="paywall.hit",
        object=f"{customer}/{feature}",
        payload={
            "customer": customer,
            "feature": feature,
            "reason": result.verdict.reason,
            "used": None if state is None else plain(state.used),
            "limit": None if state is None else plain(state.limit.max),
            "window_start": write_instant(start),
            "prompt": None if offer is None else offer.key,
            "plan_offered": None if offer is None else offer.plan,
            "text": f"was told no: {say(result.verdict)}",
        },
    )
    outbox.put(connection, workspace, [message], now)

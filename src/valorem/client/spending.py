"""Credits held for a piece of work, spent locally at no cost, and settled at its end."""

import threading
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from valorem.client.credit_methods import Amount, place_hold, release_hold, settle_hold
from valorem.client.credit_values import HoldState

if TYPE_CHECKING:
    from valorem.client.asynchronous import AsyncClient
    from valorem.client.synchronous import Client


class NotEnoughCreditsError(Exception):
    """A hold was refused: there were not enough credits, or what was held has been spent or has expired.

    Attributes:
        shortfall: By how much it was too large.
    """

    def __init__(self, shortfall: Decimal) -> None:
        super().__init__(f"{shortfall} credits are missing")
        self.shortfall = shortfall


class _Spending:
    """What is held and what of it has been spent here.

    Spending never asks the server. The interval is counted from before the request was sent, on a clock that cannot be
    set, so it ends here before it ends there: never more than ``amount`` is spent, and nothing after the server has
    given the rest back.

    Attributes:
        id: The hold's id.
        amount: Credits held.
        used: Credits spent; set it, or let :meth:`use` and :meth:`spend` add to it.
        state: The hold as the server last told it.
    """

    def __init__(
        self,
        customer: str,
        credit: str,
        amount: Amount,
        *,
        lasts_s: int,
        id: str | None,  # noqa: A002 - the word users know
        work: Mapping[str, Any] | None,
    ) -> None:
        self.id = id or uuid.uuid4().hex
        self.amount = Decimal(amount)
        self.used = Decimal(0)
        self.state: HoldState | None = None
        self._owner = customer, credit
        self._lasts_s = lasts_s
        self._work = work
        self._ends_s = 0.0
        self._lock = threading.Lock()

    def spend(self, amount: Amount) -> bool:
        """Spend some of what is held; False, and nothing is spent, where not enough is left or its time is over."""
        more = Decimal(amount)
        with self._lock:
            if more < 0 or self.used + more > self.amount or time.monotonic() >= self._ends_s:
                return False
            self.used += more
            return True

    def use(self, amount: Amount) -> None:
        """Spend some of what is held.

        Raises:
            NotEnoughCreditsError: Where not enough is left, or its time is over.
        """
        if not self.spend(amount):
            raise NotEnoughCreditsError(max(self.used + Decimal(amount) - self.amount, Decimal(0)))

    def _place(self) -> Any:
        self._ends_s = time.monotonic() + self._lasts_s
        return place_hold(self.id, *self._owner, self.amount, lasts_s=self._lasts_s, work=self._work)

    def _placed(self, state: HoldState) -> None:
        self.state = state
        if state.state != "held":
            raise NotEnoughCreditsError(state.shortfall)

    def _end(self) -> Any:
        if self.used:
            return settle_hold(self.id, *self._owner, self.used)
        return release_hold(self.id, *self._owner)


class HeldCredits(_Spending):
    """A hold as a context manager: placed on entering, settled with what was used on leaving, released where nothing was."""

    def __init__(self, client: "Client", *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._client = client

    def __enter__(self) -> Self:
        self._placed(self._client.call(self._place()))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.state = self._client.call(self._end())


class AsyncHeldCredits(_Spending):
    """The same, awaited."""

    def __init__(self, client: "AsyncClient", *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._client = client

    async def __aenter__(self) -> Self:
        self._placed(await self._client.acall(self._place()))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.state = await self._client.acall(self._end())

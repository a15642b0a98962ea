"""Checks answered on this side: an answer is used again for a declared time, and counts down what was used meanwhile."""

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from valorem.client import limit_values as v
from valorem.client.errors import ApiError, ConnectionFailedError


class Checks(Protocol):
    """A client that can ask."""

    def check(
        self,
        customer: str,
        feature: str,
        *,
        quantity: Decimal | None = None,
        dimensions: Mapping[str, str] | None = None,
    ) -> v.Check:
        """Ask the server."""
        ...


@dataclass(frozen=True)
class LocalAnswer:
    """An answer that may be a little old.

    Attributes:
        allowed: Whether to go on.
        result: The server's answer it follows from; None where the server could not be asked and had never been.
        age_s: How old that is.
        used_since: What was let pass on this side since.
        outage: Whether the server could not be asked, so that the feature's outage rule, or the default, answers.
    """

    allowed: bool
    result: v.CheckResult | None
    age_s: float
    used_since: Decimal
    outage: bool = False


@dataclass
class _Kept:
    result: v.CheckResult
    at: float
    used: Decimal


_Place = tuple[str, str, tuple[tuple[str, str], ...]]


class LocalChecks:
    """Answers checks without a request for each, at most ``stale_s`` behind the server.

    Within that time others may use the same limit, so each process may let pass what the server last said remains, and
    no more: what this process lets pass is counted down here. Where nothing may ever be over, ask the server with
    ``consume`` instead.

    Args:
        client: Asks.
        stale_s: How old an answer may be.
        default: What to answer where the server cannot be asked and never was: ``closed`` or ``open``.
        clock: A monotonic clock in seconds.
    """

    def __init__(
        self,
        client: Checks,
        *,
        stale_s: float = 5.0,
        default: str = "closed",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._stale_s = stale_s
        self._default = default
        self._clock = clock
        self._kept: dict[_Place, _Kept] = {}
        self._lock = threading.Lock()

    def check(
        self,
        customer: str,
        feature: str,
        *,
        quantity: Decimal | int = 1,
        dimensions: Mapping[str, str] | None = None,
    ) -> LocalAnswer:
        """May this customer use a feature now? What is answered yes is taken to be used."""
        place = (customer, feature, tuple(sorted((dimensions or {}).items())))
        with self._lock:
            kept = self._kept.get(place)
            if kept is None or self._clock() - kept.at >= self._stale_s:
                try:
                    kept = self._ask(place, dimensions)
                except (ConnectionFailedError, ApiError) as error:
                    if isinstance(error, ApiError) and error.status < 500:
                        raise
                    return self._without_the_server(kept)
            return self._answer(kept, Decimal(quantity))

    def _ask(self, place: _Place, dimensions: Mapping[str, str] | None) -> _Kept:
        customer, feature, _ = place
        result = self._client.check(customer, feature, dimensions=dimensions).results[0]
        kept = self._kept[place] = _Kept(result, self._clock(), Decimal(0))
        return kept

    def _answer(self, kept: _Kept, quantity: Decimal) -> LocalAnswer:
        result = kept.result
        allowed = result.allowed
        if allowed and result.reason in ("within_limit", "over_soft_limit"):
            stopping = [
                (each.limit if each.stops_at is None else each.stops_at, each)
                for each in result.limits
                if each.kind == "hard" or each.stops_at is not None
            ]
            allowed = all(each.used + each.held + kept.used + quantity <= most for most, each in stopping)
        if allowed:
            kept.used += quantity
        return LocalAnswer(allowed, result, self._clock() - kept.at, kept.used)

    def _without_the_server(self, kept: _Kept | None) -> LocalAnswer:
        rule = self._default if kept is None else kept.result.outage
        age_s = 0.0 if kept is None else self._clock() - kept.at
        used = Decimal(0) if kept is None else kept.used
        return LocalAnswer(rule == "open", None if kept is None else kept.result, age_s, used, outage=True)

"""How fast one session may ask: quicker than any person, slower than a program that reads everything."""

import time
from collections import OrderedDict
from threading import Lock

from valorem.core.errors import ValoremError

_BURST, _PER_S = 60, 6
_MOST_KEPT = 5000


class TooFastError(ValoremError):
    """More requests than a person could look at."""

    code = "too_fast"
    status = 429


class Pace:
    """A bucket of requests for each session, refilled as time passes."""

    def __init__(self) -> None:
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = Lock()

    def take(self, session: str) -> None:
        """Take one request out of a session's bucket.

        Raises:
            TooFastError: When it is empty.
        """
        now = time.monotonic()
        with self._lock:
            left, since = self._buckets.get(session, (float(_BURST), now))
            left = min(float(_BURST), left + (now - since) * _PER_S)
            self._buckets[session] = (max(left - 1, 0.0), now)
            self._buckets.move_to_end(session)
            while len(self._buckets) > _MOST_KEPT:
                self._buckets.popitem(last=False)
        if left < 1:
            raise TooFastError("too many pages at once", hint="wait a moment, then load the page again")

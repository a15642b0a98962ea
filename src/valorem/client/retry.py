"""When to try again, and after how long. A repeat carries the same ids and Idempotency-Key, so it is never done twice."""

import random
from collections.abc import Mapping
from dataclasses import dataclass

#: Not accepted, come again.
RETRIED_STATUSES = frozenset({408, 425, 429, 502, 503, 504})
_MOST_RETRY_AFTER_S = 60.0


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with full jitter, so that many clients do not come back at the same moment.

    Attributes:
        retries: How often to try again after the first time.
        first_s: Upper bound of the first pause.
        most_s: Upper bound of any pause that the server did not ask for.
    """

    retries: int = 4
    first_s: float = 0.2
    most_s: float = 10.0

    def pause_s(self, attempt: int, headers: Mapping[str, str] | None = None) -> float | None:
        """How long to wait after the ``attempt``-th failure (from 0); None to give up.

        A ``Retry-After`` in seconds is honoured, with some jitter on top.
        """
        if attempt >= self.retries:
            return None
        return self.spread_s(attempt, headers)

    def spread_s(self, attempt: int, headers: Mapping[str, str] | None = None) -> float:
        """The pause after the ``attempt``-th failure in a row, for those who never give up."""
        jittered: float = random.uniform(0.5, 1.0) * min(self.most_s, self.first_s * 2 ** min(attempt, 16))  # noqa: S311 - no secret
        asked = (headers or {}).get("retry-after", "")
        if asked.isascii() and asked.isdigit():
            return min(float(asked), _MOST_RETRY_AFTER_S) + jittered * 0.1
        return jittered

"""Alerts on a foreseen end, which moves with every look: told when it is near, over only when it is clearly away again."""

from datetime import timedelta
from typing import Literal

#: A foreseen end has gone away again once it is a quarter further off than what was to be told of.
_CLEAR = 4


def nearness(left: timedelta | None, before: timedelta) -> Literal["due", "near", "away"]:
    """Where a foreseen end stands: what is ``due`` is told, what is ``near`` stays as it was, what is ``away`` is over.

    Without a stretch in between, a pace that goes up and down a little would tell of the same end again and again.

    Args:
        left: How long until then; None where no end is in sight.
        before: How long before it is to be told of.
    """
    if left is None:
        return "away"
    if left <= before:
        return "due"
    return "near" if left < before + before / _CLEAR else "away"

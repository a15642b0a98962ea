"""Ids made by the program: sorted by time, and telling the part their row lives in."""

import threading
from datetime import datetime
from secrets import randbelow

_TAILS = 1 << 48
_STEP = 1 << 24
_INSTANTS = 1000

_last_tails: dict[int, int] = {}
_lock = threading.Lock()


def new_id(kind: str, part: int, now: datetime) -> str:
    """An id such as ``ctr_019a…7f``: 12 hex digits of milliseconds, 12 of chance, and the part in the last two.

    Of two ids that one process makes in the same millisecond the later sorts after the earlier: a sandbox's clock may
    stand still for a whole day. The part in the id lets a row be read by its id alone without asking every part
    (see ``core.ids.part_in``).
    """
    milliseconds = int(now.timestamp() * 1000)
    return f"{kind}_{milliseconds:012x}{_next_tail(milliseconds):012x}{part:02x}"


def _next_tail(milliseconds: int) -> int:
    with _lock:
        last = _last_tails.get(milliseconds)
        tail = _TAILS if last is None else last + 1 + randbelow(_STEP)
        if tail >= _TAILS:
            tail = randbelow(_TAILS // 2)
        if len(_last_tails) >= _INSTANTS:
            _last_tails.clear()
        _last_tails[milliseconds] = tail
        return tail

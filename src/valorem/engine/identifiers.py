"""Ids made by the program: sorted by time, and telling the part their row lives in."""

import secrets
from datetime import datetime


def new_id(kind: str, part: int, now: datetime) -> str:
    """An id such as ``ctr_019a…7f``: 12 hex digits of milliseconds, 12 of chance, and the part in the last two.

    The part in the id lets a row be read by its id alone without asking every part (see ``core.ids.part_in``).
    """
    milliseconds = int(now.timestamp() * 1000)
    return f"{kind}_{milliseconds:012x}{secrets.token_hex(6)}{part:02x}"

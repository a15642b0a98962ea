"""Pages of a list: the cursor is opaque to callers, and holds the last item's place."""

import base64
import binascii
from typing import Annotated

from fastapi import Query

from valorem.core.errors import InvalidInputError

After = Annotated[str | None, Query(max_length=2000, description="a page's `next`")]
Limit = Annotated[int, Query(ge=1, le=200, description="most items on the page")]


def cursor_of(place: str) -> str:
    """The cursor that continues after a place."""
    return base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")


def read_cursor(cursor: str | None) -> str | None:
    """The place a cursor holds.

    Raises:
        InvalidInputError: If it is none of ours.
    """
    if not cursor:
        return None
    try:
        place = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        place = "\0"
    if "\0" in place:
        raise InvalidInputError(
            "this is no cursor", field="after", hint="pass a page's `next` as it was answered"
        )
    return place

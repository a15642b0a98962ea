"""Forms as browsers send them, and the tokens in them."""

import hmac
from urllib.parse import parse_qsl

from starlette.requests import Request

_MOST_FORM_BYTES = 4 * 1024 * 1024


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a URL-encoded form; none of anything else, which is then refused for its missing token."""
    if (
        request.headers.get("content-type", "").partition(";")[0].strip()
        != "application/x-www-form-urlencoded"
    ):
        return {}
    body = await request.body()
    if len(body) > _MOST_FORM_BYTES:
        return {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=2000, errors="strict")
    except ValueError:
        return {}  # no form of ours: it has no token either, so it is refused as any other
    return {name: value.replace("\r\n", "\n").replace("\0", "") for name, value in pairs}


def same(given: str, right: str) -> bool:
    """Compare in a time that says nothing of where they differ; what a browser sends may be any text."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), right.encode("utf-8", "replace"))

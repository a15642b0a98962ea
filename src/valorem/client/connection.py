"""What both clients share: where the server is, who is asking, and how one request is built and judged."""

import os
import secrets
from typing import Any, TypeVar

import httpx

from valorem.client.call import Call
from valorem.client.errors import ApiError
from valorem.client.retry import RETRIED_STATUSES

T = TypeVar("T")
DEFAULT_URL = "http://127.0.0.1:8080"
IN_PROCESS_URL = "http://valorem.invalid"
#: Nothing was sent, or what was sent may be sent again because ids and keys make it count once.
RETRIED_ERRORS = (
    httpx.ConnectError,
    httpx.TimeoutException,
    httpx.ReadError,
    httpx.WriteError,
    httpx.RemoteProtocolError,
)


class Connection:
    """Builds requests and reads answers; sends nothing itself.

    Args:
        url: Of the server; ``VALOREM_URL`` where left out.
        key: The API key; ``VALOREM_API_KEY`` where left out.
        in_process: Whether requests stay in this process.
    """

    def __init__(self, url: str | None, key: str | None, *, in_process: bool) -> None:
        if in_process:
            self.url = IN_PROCESS_URL
        else:
            self.url = (url or os.environ.get("VALOREM_URL") or DEFAULT_URL).rstrip("/")
        self.key = key or os.environ.get("VALOREM_API_KEY")

    def headers(self) -> dict[str, str]:
        """The headers of every request."""
        headers = {"User-Agent": "valorem-client", "Accept": "application/json"}
        if self.key:
            headers["Authorization"] = f"Bearer {self.key}"
        return headers

    def arguments(self, call: Call[Any]) -> dict[str, Any]:
        """What ``httpx.Client.request`` takes; the same arguments are used for every repeat of the call."""
        content = call.encoded()
        headers: dict[str, str] = {}
        if content is not None:
            headers["Content-Type"] = call.content_type
        if call.once:
            headers["Idempotency-Key"] = secrets.token_hex(16)
        longer = {} if call.timeout_s is None else {"timeout": call.timeout_s}
        return {
            **longer,
            "method": call.method,
            "url": call.path,
            "params": call.params() or None,
            "content": content,
            "headers": headers,
        }


def should_repeat(response: httpx.Response) -> bool:
    """Whether the server said that it accepted nothing and the request may come again."""
    if response.status_code == 409:  # our own earlier try with this key is still at work
        return "idempotency-key" in response.request.headers and b'"Idempotency-Key"' in response.content
    return response.status_code in RETRIED_STATUSES


def read(call: Call[T], response: httpx.Response) -> T:
    """The typed answer.

    Raises:
        ApiError: If the server refused.
    """
    if response.is_success:
        return call.read(response.content)
    raise ApiError(response.status_code, response.content, response.headers.get("x-request-id"))

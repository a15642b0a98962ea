"""The client: what other programs import to send events and ask questions. Light: httpx and msgspec alone."""

from valorem.client.asynchronous import AsyncClient
from valorem.client.errors import ApiError, ConnectionFailedError, SpoolError
from valorem.client.spending import NotEnoughCreditsError
from valorem.client.synchronous import Client

__all__ = [
    "ApiError",
    "AsyncClient",
    "Client",
    "ConnectionFailedError",
    "NotEnoughCreditsError",
    "SpoolError",
]

"""A call, described once as data; and how a description becomes a method of both clients."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Generic, ParamSpec, Protocol, TypeVar, overload
from urllib.parse import quote

import msgspec

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request and what its answer is.

    Attributes:
        method: HTTP method.
        path: Absolute path, parts already quoted.
        returns: The type its answer is read as; None where it has none.
        query: Query parameters; those that are None or empty are left out.
        body: JSON members; those that are None are left out.
        content: Instead of ``body``: bytes as they are, with ``content_type``.
        content_type: Of the body.
        once: Whether it has an effect that an Idempotency-Key keeps from happening twice.
        timeout_s: How long it may take, where that is longer than the client's own.
    """

    method: str
    path: str
    returns: type[T]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    content: bytes | None = None
    content_type: str = "application/json"
    once: bool = False
    timeout_s: float | None = None

    def encoded(self) -> bytes | None:
        """The body's bytes."""
        if self.body is None:
            return self.content
        return _encoder.encode(
            written({name: value for name, value in self.body.items() if value is not None})
        )

    def params(self) -> list[tuple[str, str]]:
        """The query parameters as text; a list is repeated."""
        pairs: list[tuple[str, str]] = []
        for name, value in self.query.items():
            if value is None:
                continue
            values = value if isinstance(value, list | tuple) else [value]
            pairs += [(name, _query_text(item)) for item in values]
        return pairs

    def read(self, body: bytes) -> T:
        """The typed answer."""
        if self.returns is type(None):
            return None
        if self.returns is bytes:
            return body  # type: ignore[return-value]  # T is bytes here
        return msgspec.json.decode(body, type=self.returns)


class Sync(Protocol):
    """A client that waits for its answers."""

    def call(self, call: Call[T]) -> T:
        """Do a call."""
        ...


class Async(Protocol):
    """A client whose answers are awaited."""

    async def acall(self, call: Call[T]) -> T:
        """Do a call."""
        ...


class Method(Generic[P, T]):
    """Makes a description of a call a method: on ``Client`` it answers, on ``AsyncClient`` it is awaited."""

    def __init__(self, describe: Callable[P, Call[T]]) -> None:
        self._describe = describe
        self.__doc__ = describe.__doc__
        self.__name__ = describe.__name__
        self.__wrapped__ = describe

    @overload
    def __get__(self, client: None, owner: type) -> "Method[P, T]": ...
    @overload
    def __get__(self, client: Sync, owner: type) -> Callable[P, T]: ...
    @overload
    def __get__(self, client: Async, owner: type) -> Callable[P, Awaitable[T]]: ...
    def __get__(self, client: Any, owner: type) -> Any:
        """The method of a client."""
        if client is None:
            return self
        do = client.acall if hasattr(client, "acall") else client.call

        def method(*args: P.args, **kwargs: P.kwargs) -> Any:
            return do(self._describe(*args, **kwargs))

        method.__doc__ = self.__doc__
        method.__name__ = self.__name__
        return method


def quoted(part: str) -> str:
    """One part of a path; dots alone would be taken for a step up."""
    return quote(part, safe="").replace(".", "%2E") if part in {".", ".."} else quote(part, safe="")


def written(value: Any) -> Any:
    """A value with its instants and decimals as the API writes them."""
    if isinstance(value, datetime):
        return written_instant(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {str(name): written(member) for name, member in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [written(member) for member in value]
    return value


def written_instant(instant: datetime) -> str:
    """RFC 3339 in UTC.

    Raises:
        ValueError: Without a time zone.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant.isoformat()} has no time zone: add one, datetime.now(UTC) for example")
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _query_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(written(value))


def _unwritable(value: object) -> Any:
    raise TypeError(
        f"a {type(value).__name__} cannot be sent; use text, numbers, Decimal, datetime, lists and dicts"
    )


_encoder = msgspec.json.Encoder(enc_hook=_unwritable)

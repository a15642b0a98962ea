"""Calling a URL that somebody else chose: the name is resolved, every address checked, and the checked one connected to."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from time import monotonic

import httpx

from valorem.core.delivery.targets import Target, parse_target, refusal
from valorem.core.errors import InvalidInputError
from valorem.engine.delivery import Outcome

TIMEOUT_S = 15.0
ANSWER_BYTES = 64 * 1024
_KEPT_BYTES = 2000
#: Resolves a host and port to addresses as text.
Resolver = Callable[[str, int], Awaitable[Sequence[str]]]


class RefusedAddressError(Exception):
    """The name leads to an address that may not be called."""


async def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, in the system's order."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


class Caller:
    """Posts to URLs.

    Args:
        loopback: Whether this machine itself may be called; for development and tests.
        resolver: How names are resolved.
        timeout_s: For everything from resolving to the last byte of the answer.
    """

    def __init__(
        self, *, loopback: bool = False, resolver: Resolver = resolve, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._loopback = loopback
        self._resolver = resolver
        self._timeout_s = timeout_s
        self._trust = (
            httpx.create_ssl_context()
        )  # reading every authority's certificate takes longer than a call

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> Outcome:
        """Post once. Redirects are failures; of a long answer no more than 64 kB are read."""
        began = monotonic()
        try:
            async with asyncio.timeout(self._timeout_s):
                status, answer, retry_after_s = await self._post(url, body, headers)
        except TimeoutError:
            return Outcome(None, f"no answer within {self._timeout_s:g} s", took_ms=_ms(began))
        except (InvalidInputError, RefusedAddressError) as error:
            return Outcome(None, str(error), took_ms=_ms(began))
        except (OSError, httpx.HTTPError) as error:
            return Outcome(None, f"{type(error).__name__}: {error}"[:500], took_ms=_ms(began))
        error_text = None if 200 <= status < 300 else f"answered {status}"
        return Outcome(status, error_text, answer, _ms(began), retry_after_s)

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, int | None]:
        target = parse_target(url, loopback=self._loopback)
        address = await self._checked(target)
        literal = f"[{address}]" if ":" in address else address
        async with (
            httpx.AsyncClient(
                trust_env=False, follow_redirects=False, timeout=self._timeout_s, verify=self._trust
            ) as client,
            client.stream(
                "POST",
                f"{target.scheme}://{literal}:{target.port}{target.path}",
                content=body,
                headers={**headers, "Host": target.authority},
                extensions={"sni_hostname": target.host},
            ) as response,
        ):
            answer = b""
            async for piece in response.aiter_raw():
                answer += piece
                if len(answer) >= ANSWER_BYTES:
                    break
            text = answer[:_KEPT_BYTES].decode("utf-8", "replace")
            return response.status_code, text, _seconds(response.headers.get("retry-after"))

    async def _checked(self, target: Target) -> str:
        """The address to connect to; where any of a name's addresses may not be called, none is."""
        found = (
            [target.host] if target.address is not None else await self._resolver(target.host, target.port)
        )
        if not found:
            raise RefusedAddressError(f"{target.host} has no address")
        for each in found:
            reason = refusal(ip_address(each.partition("%")[0]), loopback=self._loopback)
            if reason is not None:
                raise RefusedAddressError(f"{target.host} leads where nothing is sent: {reason}")
        return found[0]


def _seconds(text: str | None) -> int | None:
    """What ``Retry-After`` asks for, in seconds or as a date; None where it is neither."""
    if text is None:
        return None
    if text.isascii() and text.isdigit() and len(text) < 9:
        return int(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0, int((at - datetime.now(UTC)).total_seconds())) if at.tzinfo is not None else None


def _ms(began: float) -> int:
    return int((monotonic() - began) * 1000)

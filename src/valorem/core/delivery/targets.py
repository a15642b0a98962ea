"""Which addresses a notice may be sent to: public ones, over TLS; never a network of one's own."""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

from valorem.core.errors import InvalidInputError

Address = IPv4Address | IPv6Address
_NAT64 = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))
_RELAY = IPv4Network("192.88.99.0/24")  # 6to4 relays: public by registration, leading wherever the relay does
_COMPATIBLE = IPv6Network("::/96")
_PORTS = frozenset({443, 8443})
_NUMBERLIKE = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)(\.(0[xX][0-9a-fA-F]*|[0-9]+))*\.?")
_HOST = re.compile(
    r"(?=.{1,253}$)([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.?"
)
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that was taken apart and found to be of a form that may be called.

    Attributes:
        url: As written.
        scheme: ``https``; ``http`` only to this machine, where that is allowed.
        host: A name, or an address as text.
        port: Where.
        path: With the query.
    """

    url: str
    scheme: str
    host: str
    port: int
    path: str

    @property
    def address(self) -> Address | None:
        """The host where it is an address."""
        try:
            return ip_address(self.host)
        except ValueError:
            return None

    @property
    def authority(self) -> str:
        """What the ``Host`` header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"https": 443, "http": 80}[self.scheme] else f"{host}:{self.port}"


def parse_target(url: str, *, loopback: bool = False) -> Target:
    """Take a URL apart, and refuse what can never be called.

    Args:
        url: As given.
        loopback: Whether this machine itself may be called, over plain HTTP and on any port; for development and tests.

    Raises:
        InvalidInputError: Naming ``url``.
    """
    if len(url) > _LONGEST or not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise _refused("it is not a plain URL", "write it with ASCII letters, percent-encoded")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise _refused(str(error), "write it as https://example.com/path") from None
    if parts.username is not None or parts.password is not None:
        raise _refused("it carries a user or a password", "signatures say who it is from; leave them out")
    if parts.fragment:
        raise _refused("it has a fragment", "leave out everything from # on")
    host = (parts.hostname or "").rstrip(".")
    is_here = loopback and _is_loopback(host)
    if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
        raise _refused(f"{parts.scheme or 'no scheme'} is not https", "write it as https://…")
    number = port or {"https": 443, "http": 80}[parts.scheme]
    if number not in _PORTS and not is_here:
        raise _refused(f"port {number} is not one for webhooks", "use 443 or 8443")
    _check_host(host, loopback=loopback)
    path = parts.path or "/"
    return Target(url, parts.scheme, host, number, f"{path}?{parts.query}" if parts.query else path)


def _check_host(host: str, *, loopback: bool) -> None:
    if not host:
        raise _refused("it names no host", "write it as https://example.com/path")
    try:
        address = ip_address(host)
    except ValueError:
        if _NUMBERLIKE.fullmatch(host) or not _HOST.fullmatch(host):
            raise _refused(
                f"{host[:60]!r} is no host name", "use the name the receiver's certificate is for"
            ) from None
        if not loopback and (
            host == "localhost" or host.endswith((".localhost", ".local", ".internal", ".home.arpa"))
        ):
            raise _refused(f"{host[:60]!r} is a name inside a network", "use a public name") from None
        return
    if (reason := refusal(address, loopback=loopback)) is not None:
        raise _refused(reason, "use a public address, better a name")


def refusal(address: Address, *, loopback: bool = False) -> str | None:
    """Why an address may not be connected to; None where it may.

    An IPv6 address that stands for an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is judged by that as well.

    Args:
        address: What a name was resolved to.
        loopback: Whether this machine itself may be called.
    """
    if loopback and address.is_loopback:
        return None
    for each in (address, *_embedded(address)):
        if (
            not each.is_global
            or each.is_multicast
            or each.is_reserved
            or each.is_unspecified
            or each.is_link_local
        ):
            return f"{address} is not a public address"
        if isinstance(each, IPv6Address) and each.is_site_local:
            return f"{address} is not a public address"
        if isinstance(each, IPv4Address) and each in _RELAY:
            return f"{address} is a relay's address"
    if any(True for _ in _embedded(address)):
        return f"{address} stands for another address"
    return None


def _embedded(address: Address) -> tuple[IPv4Address, ...]:
    if isinstance(address, IPv4Address):
        return ()
    found: list[IPv4Address] = []
    if address.ipv4_mapped is not None:
        found.append(address.ipv4_mapped)
    if address.sixtofour is not None:
        found.append(address.sixtofour)
    if address.teredo is not None:
        found.extend(address.teredo)
    if any(address in network for network in _NAT64) or (address in _COMPATIBLE and int(address) > 1):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(found)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _refused(problem: str, hint: str) -> InvalidInputError:
    return InvalidInputError(f"this URL cannot be called: {problem}", field="url", hint=hint)

"""One reading, whichever way the source is read; the same in a process of its own and in a test."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from pathlib import Path
from socket import SOCK_STREAM, gaierror, getaddrinfo
from urllib.parse import urlsplit

from valorem.core.sources.channels import FileTerms, RestTerms, SqlTerms
from valorem.core.sources.frames import ReadPage, ReadRequest, SourceUnreachableError


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a reading may do.

    Attributes:
        loopback: Whether this machine itself may be asked; for development and tests.
        local: Below which folder of this machine files may be read.
        attempts: How often one page is asked for.
        pause_s: The first pause between.
        answer_s: How long an answer may take.
    """

    loopback: bool = False
    local: Path | None = None
    attempts: int = 5
    pause_s: float = 1.0
    answer_s: float = 60.0


def read_pages(request: ReadRequest, bounds: Bounds, now: datetime) -> Iterator[ReadPage]:
    """Read a source to its end.

    Raises:
        SourceUnreachableError: If it cannot be.
    """
    terms = request.definition.poll
    if isinstance(terms, RestTerms):
        from valorem.integrations.sources.rest import read_rest  # noqa: PLC0415 - one kind is loaded, not all

        for url in (terms.url, terms.auth.url if terms.auth is not None else None):
            if url is not None:
                check_address(url, loopback=bounds.loopback)
        yield from read_rest(
            request, now, attempts=bounds.attempts, pause_s=bounds.pause_s, answer_s=bounds.answer_s
        )
    elif isinstance(terms, SqlTerms):
        from valorem.integrations.sources.sql import read_sql  # noqa: PLC0415 - as above

        yield from read_sql(request)
    elif isinstance(terms, FileTerms):
        from valorem.integrations.sources.files import read_files  # noqa: PLC0415 - as above

        yield from read_files(request, local=bounds.local)


def check_address(url: str, *, loopback: bool) -> None:
    """Refuse this machine itself and link-local addresses, where clouds keep their keys; private networks are fine.

    Raises:
        SourceUnreachableError: If the name leads there, or nowhere.
    """
    parts = urlsplit(url)
    try:
        found = getaddrinfo(parts.hostname or "", parts.port or 443, type=SOCK_STREAM)
    except gaierror:
        raise SourceUnreachableError(f"{parts.hostname} has no address") from None
    for each in found:
        address = ip_address(str(each[4][0]).partition("%")[0])
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            raise SourceUnreachableError(f"{parts.hostname} leads where nothing is read", lasting=True)
        if address.is_loopback and not loopback:
            raise SourceUnreachableError(
                f"{parts.hostname} is this machine itself",
                lasting=True,
                hint="VALOREM_WEBHOOKS_TO_THIS_MACHINE=yes allows it, for development",
            )

"""HTTP interfaces read by dlt's ``rest_api``: one resource, its pages in order, numbers digit for digit."""

import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import parsedate_to_datetime
from hashlib import blake2b
from typing import Any

os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")

from dlt.common.configuration import configspec
from dlt.extract.exceptions import ResourceExtractionError
from dlt.sources.helpers.requests import Client
from dlt.sources.helpers.rest_client import paginators
from dlt.sources.helpers.rest_client.auth import OAuth2ClientCredentials
from dlt.sources.rest_api import rest_api_resources
from requests import HTTPError, PreparedRequest, RequestException, Response

from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event
from valorem.core.metering.paths import compile_path, parse_path
from valorem.core.numbers import plain
from valorem.core.sources.channels import AuthTerms, PageTerms, RestTerms, SinceTerms
from valorem.core.sources.frames import ReadPage, ReadRequest, SourceUnreachableError
from valorem.core.sources.mapping import order_of
from valorem.core.sources.times import read_time, zone_named
from valorem.integrations.sources.exact import decode, encode

_MOST_PASSES = 6
_LASTING = frozenset({400, 401, 403, 404, 405, 410, 422})
_PER_SECOND = {"unix": 1, "unix_ms": 1000, "unix_us": 1_000_000}


def read_rest(
    request: ReadRequest,
    now: datetime,
    *,
    attempts: int = 5,
    pause_s: float = 1.0,
    answer_s: float = 60.0,
) -> Iterator[ReadPage]:
    """Read an interface to its end.

    Args:
        request: What is to be read.
        now: Real time, for what is asked relative to it.
        attempts: How often one page is asked for.
        pause_s: The first pause between; each is twice as long, unless the answer says when.
        answer_s: How long an answer may take.

    Raises:
        SourceUnreachableError: If a page could not be had.
    """
    terms = request.definition.poll
    assert isinstance(terms, RestTerms)  # who calls this has looked
    try:
        with closing(_Reading(request, terms, attempts, pause_s, answer_s)) as reading:
            yield from reading.pages()
    except (ResourceExtractionError, RequestException, ValueError) as error:
        cause = error.__cause__ if isinstance(error, ResourceExtractionError) else error
        if isinstance(cause, SourceUnreachableError):
            raise cause from None
        if isinstance(cause, HTTPError) and cause.response is not None:
            raise _refused(cause.response, now) from None
        if isinstance(cause, RequestException):
            raise SourceUnreachableError(f"{terms.url} does not answer: {type(cause).__name__}") from None
        raise SourceUnreachableError(
            f"what {terms.url} answers cannot be read: {cause}"[:400],
            hint="is it JSON, and where poll.records says?",
        ) from None


class _Reading:
    def __init__(
        self, request: ReadRequest, terms: RestTerms, attempts: int, pause_s: float, answer_s: float
    ) -> None:
        self._request = request
        self._terms = terms
        self._most = request.most_records
        self._auth = None if terms.auth is None else _auth(terms.auth, request.secrets)
        self._session = _session(attempts, pause_s, answer_s, self._auth)
        if isinstance(self._auth, _Refreshing):
            self._auth.session = self._session
        self._since = None if terms.since is None else _Since(terms.since)

    def close(self) -> None:
        self._session.close()

    def pages(self) -> Iterator[ReadPage]:
        """Every page; those whose order can shift while they are read are read again until nothing new shows."""
        seen: set[bytes] = set()
        shifts = self._terms.pages.shifts and self._most is None
        for attempt in range(_MOST_PASSES):
            news = 0
            for records, cursor in self._pass():
                fresh = []
                for record in records:
                    name = blake2b(encode(record), digest_size=16).digest() if shifts else b""
                    if not shifts or name not in seen:
                        seen.add(name)
                        fresh.append(record)
                news += len(fresh)
                if fresh or cursor is not None:
                    yield ReadPage(tuple(fresh), cursor)
            if not shifts or (news == 0 and attempt > 0):
                yield self._end()
                return
        # It changes faster than it can be read: what is there is kept, and the next reading begins where this one did.
        yield ReadPage((), None)

    def _end(self) -> ReadPage:
        if self._since is not None and self._since.furthest is not None:
            return ReadPage((), {"since": self._since.furthest}, done=True)
        return ReadPage((), None, done=True)

    def _pass(self) -> Iterator[tuple[list[dict[str, Any]], Mapping[str, Any] | None]]:
        """One reading from the first page on, page by page, each with the cursor that may be kept after it."""
        pages, marks = _paginator(self._terms.pages)
        # The address of a list never ends up with two slashes, nor loses the last part of its base.
        config: Any = {
            "client": {
                "base_url": self._terms.url.rstrip("/") + "/",
                "headers": dict(self._terms.headers),
                "session": self._session,
                "auth": self._auth,
            },
            "resources": [
                {
                    "name": "records",
                    "max_table_nesting": 0,
                    "endpoint": {
                        "path": self._terms.path,
                        "params": self._params(),
                        "paginator": pages,
                        **({"data_selector": self._terms.records} if self._terms.records else {}),
                    },
                }
            ],
        }
        [resource] = rest_api_resources(config)
        waiting: list[dict[str, Any]] = []
        for record in resource:
            if not isinstance(record, dict):
                raise SourceUnreachableError(
                    "the answer holds no list of objects", lasting=True, hint="say where it is: poll.records"
                )
            waiting.append(record)
            while marks and len(waiting) >= marks[0].records:
                yield self._cut(waiting, marks)
            if self._most is not None and len(waiting) >= self._most:
                yield waiting, None
                return
        while marks:
            yield self._cut(waiting, marks)

    def _cut(
        self, waiting: list[dict[str, Any]], marks: "deque[_Mark]"
    ) -> tuple[list[dict[str, Any]], Mapping[str, Any] | None]:
        mark = marks.popleft()
        records, waiting[:] = waiting[: mark.records], waiting[mark.records :]
        if self._since is not None:
            self._since.note(records)
        if self._terms.pages.resume and mark.token is not None:
            return records, {"token": mark.token}
        if self._since is not None and self._since.ascending and not self._terms.pages.shifts and records:
            return records, {"since": self._since.furthest}
        return records, None

    def _params(self) -> dict[str, Any]:
        params: dict[str, Any] = {
            name: plain(value)
            if isinstance(value, Decimal)
            else str(value).lower()
            if isinstance(value, bool)
            else value
            for name, value in self._terms.params.items()
        }
        pages = self._terms.pages
        token = self._request.cursor.get("token")
        if pages.resume and token is not None and pages.param is not None:
            params[pages.param] = token
        if self._since is not None:
            start = self._since.start(self._request.cursor.get("since"))
            if start is not None and not self._request.everything:
                params[str(self._since.terms.param)] = start
        return params


class _Since:
    """Where the next reading goes on, in the source's own writing."""

    def __init__(self, terms: SinceTerms) -> None:
        self.terms = terms
        self.furthest: Any = None
        self.ascending = True
        self._order = ""
        self._read = compile_path(parse_path(terms.at))

    def note(self, records: list[dict[str, Any]]) -> None:
        """Look how far these records go."""
        for record in records:
            value = self._read(Event("", "", "", "", data=record))
            if value is None:
                continue
            order = self._order_of(value)
            if order < self._order:
                self.ascending = False
            else:
                self._order, self.furthest = order, value

    def start(self, kept: Any) -> Any:
        """What to ask for: a little before where the last reading ended."""
        value = kept if kept is not None else self.terms.start
        if value is None:
            return None
        if kept is None or self.terms.format in ("number", "text"):
            return plain(value) if isinstance(value, Decimal) else value
        form = self.terms.format
        instant = read_time(value, form, self.terms.zone, "earlier", self.terms.at) - self.terms.overlap  # type: ignore[arg-type]
        if form in _PER_SECOND:
            since = instant - datetime(1970, 1, 1, tzinfo=UTC)
            return str(since // timedelta(microseconds=1) * _PER_SECOND[form] // 1_000_000)
        if form == "local":
            wall = instant.astimezone(zone_named(self.terms.zone or "UTC")).replace(tzinfo=None)
            return wall.isoformat(sep=" " if " " in str(value) else "T")
        return instant.isoformat().replace("+00:00", "Z")

    def _order_of(self, value: Any) -> str:
        if self.terms.format == "local":
            return read_time(value, "local", self.terms.zone, "earlier", self.terms.at).isoformat()
        try:
            return order_of(value)
        except InvalidInputError:
            return str(value)


class _Mark:
    """A page's border: how many records it held, and the token it gave."""

    __slots__ = ("records", "token")

    def __init__(self, records: int, token: Any) -> None:
        self.records = records
        self.token = token


def _paginator(terms: PageTerms) -> tuple[Any, "deque[_Mark]"]:
    """Dlt's paginator for the terms, one that marks where pages end."""
    marks: deque[_Mark] = deque()
    base: type[Any]
    arguments: dict[str, Any] = {}
    match terms.kind:
        case "single":
            base = paginators.SinglePagePaginator
        case "token":
            base = paginators.JSONResponseCursorPaginator
            arguments = {"cursor_path": terms.at, "cursor_param": terms.param}
        case "offset":
            base = paginators.OffsetPaginator
            arguments = {
                "limit": terms.size,
                "offset_param": terms.param,
                "limit_param": terms.size_param or "limit",
                "total_path": None,
                "stop_after_empty_page": True,
            }
        case "page":
            base = paginators.PageNumberPaginator
            arguments = {"base_page": terms.first, "page_param": terms.param, "total_path": None}
        case "link_header":
            base = paginators.HeaderLinkPaginator
        case "next_url":
            base = paginators.JSONLinkPaginator
            arguments = {"next_url_path": terms.at}

    class Marked(base):  # type: ignore[misc]
        def update_state(self, response: Response, data: list[Any] | None = None) -> None:
            super().update_state(response, data)
            answer = response.json()
            if terms.end is not None and _at(answer, terms.end) is True:
                self._has_next_page = False
            if terms.more is not None and _at(answer, terms.more) is not True:
                self._has_next_page = False
            marks.append(_Mark(len(data or ()), _at(answer, terms.at) if terms.resume and terms.at else None))

    return Marked(**arguments), marks


def _at(answer: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(answer, Mapping):
            return None
        answer = answer.get(part)
    return answer


@configspec(init=False)
class _Refreshing(OAuth2ClientCredentials):
    """OAuth that asks for another token as soon as the one it has is refused."""

    def forget(self) -> None:
        """Take the token for expired."""
        self.token_expiry = self.token_expiry.subtract(years=10)


def _auth(terms: AuthTerms, secrets: Mapping[str, str]) -> Any:
    secret = secrets[terms.secret]
    match terms.kind:
        case "bearer":
            return {"type": "bearer", "token": secret}
        case "basic":
            return {"type": "http_basic", "username": terms.name, "password": secret}
        case "client_credentials":
            assert terms.url is not None  # an entry without them is refused when it is written
            assert terms.name is not None
            return _Refreshing(
                access_token_url=terms.url,
                client_id=terms.name,
                client_secret=secret,
                access_token_request_data={} if terms.scope is None else {"scope": terms.scope},
            )
    return {"type": "api_key", "name": terms.name, "api_key": secret, "location": terms.kind}


def _session(attempts: int, pause_s: float, answer_s: float, auth: Any) -> Any:
    def is_cut_off(response: Response | None, _error: BaseException | None) -> bool:
        if (
            response is None
            or response.status_code >= 300
            or "json" not in response.headers.get("content-type", "")
        ):
            return False
        try:
            decode(response.content)
        except ValueError:
            return True
        return False

    def expired(response: Response | None, _error: BaseException | None) -> bool:
        if (
            response is None
            or response.status_code != 401
            or not isinstance(auth, _Refreshing)
            or response.url == auth.access_token_url
        ):
            return False
        auth.forget()
        auth(response.request)  # the same request is sent again, with a new token
        return True

    session: Any = Client(
        request_timeout=(min(10.0, answer_s), answer_s),
        raise_for_status=False,
        request_max_attempts=attempts,
        request_backoff_factor=pause_s,
        request_max_retry_delay=60,
        retry_condition=[is_cut_off, expired],
    ).session
    session.max_redirects = 0
    session.trust_env = False
    send: Any = session.send

    def send_exactly(request: PreparedRequest, **named: Any) -> Response:
        response: Response = send(request, **named)
        response.__dict__["json"] = lambda **_: decode(response.content)  # no float on the way
        return response

    session.send = send_exactly
    return session


def _refused(response: Response, now: datetime) -> SourceUnreachableError:
    status = response.status_code
    hints = {
        401: "is the stored secret right, and not expired?",
        403: "may it read this?",
        404: "check url and path",
    }
    return SourceUnreachableError(
        f"the source answers {status} at {_shown(response.request)}",
        hint=hints.get(status),
        retry_after_s=_retry_after(response.headers.get("retry-after"), now),
        lasting=status in _LASTING,
    )


def _shown(request: PreparedRequest) -> str:
    """The address without its query, where keys may stand."""
    return str(request.url).partition("?")[0][:200]


def _retry_after(text: str | None, now: datetime) -> int | None:
    if not text:
        return None
    if text.strip().isdigit():
        return min(int(text), 86_400)
    try:
        return max(1, min(86_400, int((parsedate_to_datetime(text) - now).total_seconds())))
    except (TypeError, ValueError):
        return None

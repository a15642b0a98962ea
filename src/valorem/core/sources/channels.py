"""How records reach us: signed webhooks, reading an interface page by page, a database, files."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from valorem.core.entry import Entry
from valorem.core.metering.meter import ExpressionText
from valorem.core.outcomes.durations import Duration
from valorem.core.sources.times import Format, Zone

#: The name of a stored secret; its value never stands in the catalog.
SecretName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
Scheme = Literal["zendesk", "intercom", "hubspot", "stripe", "hmac"]
_Short = Annotated[str, StringConstraints(min_length=1, max_length=500)]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class HmacTerms(Entry):
    """How a sender without a scheme of its own signs.

    Attributes:
        header: The header that holds the signature.
        algorithm: Of the HMAC.
        encoding: How the signature is written.
        prefix: What stands before it, such as ``sha256=``.
        timestamp: The header that holds the time, in seconds.
        signed: What is signed, of ``{timestamp}`` and ``{body}``.
    """

    header: _Short
    algorithm: Literal["sha256", "sha512", "sha1"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: str = ""
    timestamp: _Short | None = None
    signed: _Short = "{body}"

    @model_validator(mode="after")
    def _signs_the_body(self) -> "HmacTerms":
        if "{body}" not in self.signed:
            raise ValueError('the body must be signed (write signed: "{timestamp}.{body}")')
        if ("{timestamp}" in self.signed) != (self.timestamp is not None):
            raise ValueError("timestamp names the header, and {timestamp} stands in signed, both or neither")
        return self


class WebhookTerms(Entry):
    """Messages that the other system sends by itself; each is verified before anything reads it.

    Attributes:
        scheme: Whose signature it carries.
        secret: Name of the stored secret; several while one is being replaced.
        hmac: For ``hmac``: how it is signed.
        tolerance: How old a signed timestamp may be.
        records: Path of the record, or list of records, in the message; the message itself where left out.
        url: For ``hubspot``, which signs it: the address as registered there; the one asked where left out.
    """

    scheme: Scheme
    secret: Annotated[
        tuple[SecretName, ...],
        BeforeValidator(_as_tuple, json_schema_input_type=str | list[str]),
        Field(min_length=1, max_length=4),
    ]
    hmac: HmacTerms | None = None
    tolerance: Duration = timedelta(minutes=5)
    records: ExpressionText | None = None
    url: _Short | None = None

    @model_validator(mode="after")
    def _fits_scheme(self) -> "WebhookTerms":
        if (self.scheme == "hmac") != (self.hmac is not None):
            raise ValueError("hmac goes with scheme: hmac (write hmac: {header: X-Signature})")
        return self


class AuthTerms(Entry):
    """How we say who we are.

    Attributes:
        kind: ``bearer``, ``basic``, a key in a ``header`` or ``query``, or OAuth 2 ``client_credentials``.
        secret: Name of the stored secret: the token, the password, the key or the client's secret.
        name: Of the header or query parameter; for ``basic`` the user, for OAuth the client's id.
        url: For OAuth: where tokens are given.
        scope: For OAuth: what for.
    """

    kind: Literal["bearer", "basic", "header", "query", "client_credentials"]
    secret: SecretName
    name: _Short | None = None
    url: _Short | None = None
    scope: _Short | None = None

    @model_validator(mode="after")
    def _complete(self) -> "AuthTerms":
        if self.kind != "bearer" and self.name is None:
            raise ValueError(f"{self.kind} needs name (the user, header, parameter or client id)")
        if (self.kind == "client_credentials") != (self.url is not None):
            raise ValueError("url says where tokens are given, and goes with kind: client_credentials")
        return self


class PageTerms(Entry):
    """How one page leads to the next.

    Attributes:
        kind: ``single`` page; a ``token`` in the answer; an ``offset``; a ``page`` number; the ``link_header``; a
            ``next_url`` in the answer.
        param: The query parameter that takes the token, offset or page number.
        at: Where in the answer the token or address stands, with dots: ``meta.after_cursor``.
        end: Where in the answer it says that there is no more, such as ``end_of_stream``.
        more: Where in the answer it says that there is more, such as ``has_more``.
        resume: Whether the token is where the next reading goes on, as in a feed of changes.
        size: Records on a page, for ``offset``.
        size_param: The query parameter that takes it.
        first: The first page's number.
    """

    kind: Literal["single", "token", "offset", "page", "link_header", "next_url"] = "single"
    param: _Short | None = None
    at: _Short | None = None
    end: _Short | None = None
    more: _Short | None = None
    resume: bool = False
    size: Annotated[int, Field(ge=1, le=100_000)] = 100
    size_param: _Short | None = None
    first: Annotated[int, Field(ge=0, le=1)] = 1

    @model_validator(mode="after")
    def _complete(self) -> "PageTerms":
        if self.kind in ("token", "offset", "page") and self.param is None:
            raise ValueError(f"{self.kind} needs param, the query parameter that takes it")
        if self.kind in ("token", "next_url") and self.at is None:
            raise ValueError(f"{self.kind} needs at, where in the answer it stands")
        if self.resume and self.kind != "token":
            raise ValueError("resume goes with kind: token")
        return self

    @property
    def shifts(self) -> bool:
        """Whether records can move from page to page while they are read, so that one may be missed."""
        return self.kind in ("offset", "page", "link_header", "next_url")


class SinceTerms(Entry):
    """How a reading goes on where the last one ended.

    Attributes:
        at: Path of what records are ordered by when they change, such as ``data.updated_at``; for a database the column.
        param: The query parameter that takes it.
        format: How it is written.
        zone: For local times: where the clock hangs.
        start: Where the first reading begins.
        overlap: How far back each reading begins again, for records that appear late.
    """

    at: _Short
    param: _Short | None = None
    format: Format | Literal["number", "text"] = "rfc3339"
    zone: Zone | None = None
    start: str | Decimal | None = None
    overlap: Duration = timedelta(minutes=2)


class RestTerms(Entry):
    """An HTTP interface, read page by page.

    Attributes:
        kind: ``rest_api``.
        every: How often.
        url: Its base address.
        path: Of the list of records.
        records: Where in the answer they are, with dots; found by itself where left out.
        params: Further query parameters.
        headers: Further headers.
        auth: How we say who we are.
        pages: How one page leads to the next.
        since: How a reading goes on where the last one ended; everything is read each time where left out.
        all_every: How often everything is read, to find what was deleted without a word.
    """

    kind: Literal["rest_api"]
    every: Duration = timedelta(minutes=5)
    url: _Short
    path: _Short
    records: _Short | None = None
    params: dict[str, str | Decimal | bool] = Field(default_factory=dict, max_length=50)
    headers: dict[str, str] = Field(default_factory=dict, max_length=50)
    auth: AuthTerms | None = None
    pages: PageTerms = PageTerms()
    since: SinceTerms | None = None
    all_every: Duration | None = None

    @model_validator(mode="after")
    def _complete(self) -> "RestTerms":
        if not self.url.startswith(("https://", "http://")):
            raise ValueError("url begins with https://")
        if self.since is not None and self.since.param is None:
            raise ValueError("since needs param, the query parameter that takes it")
        if self.since is not None and not self.since.at.startswith("data."):
            raise ValueError("since.at is a path into the record (write data.updated_at)")
        if self.since is not None and self.pages.resume:
            raise ValueError("a feed that resumes by its token needs no since")
        return self


class SqlTerms(Entry):
    """A database table or view, read by an account that may only read.

    Attributes:
        kind: ``sql_database``.
        every: How often.
        secret: Name of the stored secret that holds the database's URL.
        table: Which.
        schema_: Its schema, written ``schema``.
        columns: Which of its columns; all where left out.
        since: The column that tells what changed.
        rows: Rows at a time.
        all_every: How often everything is read, to find what was deleted.
    """

    kind: Literal["sql_database"]
    every: Duration = timedelta(minutes=5)
    secret: SecretName
    table: _Short
    schema_: _Short | None = Field(default=None, alias="schema")
    columns: tuple[_Short, ...] = ()
    since: SinceTerms | None = None
    rows: Annotated[int, Field(ge=1, le=100_000)] = 1000
    all_every: Duration | None = None


class FileTerms(Entry):
    """Files in a folder, in S3 or on an SFTP server; each is taken whole or not at all.

    Attributes:
        kind: ``filesystem``.
        every: How often.
        url: ``s3://bucket/folder``, ``sftp://host/folder`` or ``file:///folder``.
        files: Which, as a pattern: ``*.csv``.
        format: How they are written.
        delimiter: For ``csv``.
        encoding: For ``csv`` and ``jsonl``.
        manifest: The file that says what a file must be, of ``{name}``: with its ``sha256`` and number of ``rows``.
        secret: Name of the stored secret that holds the credentials, as JSON.
        endpoint: For S3: another address than Amazon's.
        all_rows: Whether each file holds everything, so that what it lacks is gone.
    """

    kind: Literal["filesystem"]
    every: Duration = timedelta(minutes=15)
    url: _Short
    files: _Short = "*.csv"
    format: Literal["csv", "jsonl", "parquet"] = "csv"
    delimiter: Annotated[str, StringConstraints(min_length=1, max_length=1)] = ","
    encoding: _Short = "utf-8"
    manifest: _Short = "{name}.manifest.json"
    secret: SecretName | None = None
    endpoint: _Short | None = None
    all_rows: bool = False

    @model_validator(mode="after")
    def _readable(self) -> "FileTerms":
        if not self.url.startswith(("s3://", "sftp://", "file:///")):
            raise ValueError("url begins with s3://, sftp:// or file:///")
        if "{name}" not in self.manifest:
            raise ValueError("manifest names the file by {name} (write {name}.manifest.json)")
        return self


PollTerms = Annotated[RestTerms | SqlTerms | FileTerms, Field(discriminator="kind")]

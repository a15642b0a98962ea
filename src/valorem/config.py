"""Settings of the server, read once from ``VALOREM_*`` environment variables."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from valorem.core.errors import InvalidInputError

PREFIX = "VALOREM_"
LOG_LEVELS = ("debug", "info", "warning", "error")


#: Settings that hold a password, so that no message shows them.
_SECRET = (
    "clickhouse_url",
    "database_url",
    "openid_client_secret",
    "secret_keys",
    "smtp_url",
    "stripe_api_key",
    "stripe_webhook_secrets",
)


class _RefusedError(ValueError):
    """A value that does not read; the text says what would."""


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise _RefusedError(f"write a whole number from {least} to {most}")
        return int(text)

    return read


def _yes_or_no(text: str) -> bool:
    if text.lower() not in ("yes", "no"):
        raise _RefusedError("write yes or no")
    return text.lower() == "yes"


def _postgres_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgresql+psycopg://", "postgres://")):
        raise _RefusedError("write it as postgresql://user:password@host:5432/database")
    return text


def _clickhouse_url(text: str) -> str:
    if not text.startswith(("clickhouse://", "http://", "https://", "chdb://")):
        raise _RefusedError("write it as clickhouse://user:password@host:8123/database")
    return text


def _https_url(text: str) -> str:
    if not text.startswith(("https://", "http://127.0.0.1", "http://localhost")):
        raise _RefusedError("write it as https://id.example.com")
    return text.rstrip("/")


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise _RefusedError(f"write one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _folder(text: str) -> Path:
    return Path(text).expanduser()


def _setting(default: Any, read: Callable[[str], Any], meaning: str) -> Any:
    return field(default=default, metadata={"read": read, "meaning": meaning})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a server needs to know before it starts. The variable of ``ingest_writers`` is ``VALOREM_INGEST_WRITERS``."""

    data: Path = _setting(  # noqa: RUF009 - it makes a dataclass field
        Path("valorem-data"),
        _folder,
        "Folder of everything kept on disk: the embedded PostgreSQL, the warehouse, the API key of the first start.",
    )
    database_url: str | None = _setting(
        None, _postgres_url, "A PostgreSQL 15 or newer to use instead of the embedded one."
    )
    clickhouse_url: str | None = _setting(
        None,
        _clickhouse_url,
        "A ClickHouse that keeps history instead of Parquet files in the data folder:"
        " clickhouse://user:password@host:8123/database, https://… for TLS.",
    )
    host: str = _setting("127.0.0.1", str, "Address to listen on; 0.0.0.0 for every one of the machine's.")
    port: int = _setting(8080, _whole(0, 65535), "Port to listen on; 0 takes a free one.")
    ingest_writers: int = _setting(
        2,
        _whole(1, 64),
        "Ingest transactions at work at once; requests that wait meanwhile share the next one.",
    )
    connections: int = _setting(16, _whole(4, 1000), "Most database connections at once.")
    webhooks_to_this_machine: bool = _setting(
        False,
        _yes_or_no,
        "yes lets webhooks go to this machine itself (valorem webhooks listen), no refuses that; never yes in production.",
    )
    secret_keys: str | None = _setting(
        None,
        str,
        "Keys that seal signing secrets in the database: 32 bytes in base64 each, with commas between, the newest first;"
        " the one in secret.key of the data folder where left out. The same for every server of one database.",
    )
    smtp_url: str | None = _setting(
        None, str, "Mail server for notices: smtps://user:password@host:465, or smtp://host:587 for STARTTLS."
    )
    mail_from: str | None = _setting(None, str, "Address that notices by mail come from.")
    stripe_api_key: str | None = _setting(
        None, str, "Secret key with which Stripe takes payments; none without it."
    )
    stripe_webhook_secrets: str | None = _setting(
        None,
        str,
        "Signing secrets of Stripe's webhook endpoint, with commas between; two while one is being rotated.",
    )
    stripe_api_base: str | None = _setting(None, str, "Where Stripe's API is; its own where left out.")
    tax_url: str | None = _setting(
        None, str, "An outside tax engine, asked by POST; for workspaces whose settings say `taxes: outside`."
    )
    tax_key: str | None = _setting(None, str, "Sent to the tax engine as a bearer token.")
    openid_issuer: str | None = _setting(
        None,
        _https_url,
        "An OpenID Connect issuer by which people sign in, besides passwords; people are added first, by e-mail address.",
    )
    openid_client_id: str | None = _setting(None, str, "What the issuer calls this installation.")
    openid_client_secret: str | None = _setting(None, str, "The secret that goes with it.")
    source_files: Path | None = _setting(  # noqa: RUF009 - it makes a dataclass field
        None, _folder, "Folder of this machine below which sources may read files; none without it."
    )
    log_level: str = _setting("info", _log_level, f"One of {', '.join(LOG_LEVELS)}.")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read the settings; a variable that is missing or empty leaves its default.

        Args:
            environment: Instead of the process's own.

        Raises:
            InvalidInputError: A value does not read, or a variable looks like a misspelt one; ``field`` names it.
        """
        given = os.environ if environment is None else environment
        known = {variable_of(setting.name): setting for setting in fields(cls)}
        for name in given:
            if name.startswith(PREFIX) and name not in known:
                _refuse_if_misspelt(name, list(known))
        values: dict[str, Any] = {}
        for variable, setting in known.items():
            if text := given.get(variable, "").strip():
                try:
                    values[setting.name] = setting.metadata["read"](text)
                except _RefusedError as refused:
                    shown = "what is set" if setting.name in _SECRET else repr(text)  # it holds a password
                    raise InvalidInputError(
                        f"cannot use {shown}", field=variable, hint=str(refused)
                    ) from None
        return cls(**values)


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + name.upper()


def described() -> list[tuple[str, str, str]]:
    """Each setting as (variable, default as written, meaning), for the reference and ``--help``."""
    return [
        (variable_of(s.name), "" if s.default is None else str(s.default), s.metadata["meaning"])
        for s in fields(Settings)
    ]


def _refuse_if_misspelt(name: str, known: list[str]) -> None:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.88)
    if close:
        raise InvalidInputError("there is no such setting", field=name, hint=f"did you mean {close[0]}?")

"""Whom a command talks to: the server of ``VALOREM_URL`` with ``VALOREM_API_KEY``, else the one of the data folder."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

import typer

from valorem.client import Client
from valorem.config import Settings

#: Written by ``valorem up`` into the data folder, readable by its owner alone.
KEY_FILE = "admin.key"
SERVER_FILE = "server.json"
SET_UP_FILE = "setup.link"


class NoKeyError(Exception):
    """There is no key to use; the message says how to get one."""


@dataclass(frozen=True)
class Session:
    """Where to find a server and a key.

    Attributes:
        url: As given on the command line or in the environment.
        key: Likewise.
        timeout_s: For one try of a request.
    """

    url: str | None
    key: str | None
    timeout_s: float = 30.0

    @classmethod
    def of_folder(cls, folder: Path, *, timeout_s: float = 30.0) -> "Session":
        """With what a server wrote into its data folder."""
        return cls(_url_in(folder), _key_in(folder), timeout_s)

    def client(self) -> Client:
        """A client with what was given, or what the data folder holds.

        Raises:
            NoKeyError: If there is no key anywhere.
        """
        folder = Settings.from_environment().data
        url = self.url or _url_in(folder)
        key = self.key or _key_in(folder)
        if key is None:
            raise NoKeyError(
                f"there is no API key: set VALOREM_API_KEY, or run this where {folder / KEY_FILE} is "
                "(valorem up writes it at its first start)"
            )
        return Client(url, key, timeout_s=self.timeout_s)


def session_of(context: typer.Context) -> Session:
    """The session that the options before the command describe."""
    session = context.obj
    assert isinstance(session, Session)
    return session


def client_of(context: typer.Context) -> Client:
    """A client for a command; closed when the command ends."""
    return context.with_resource(session_of(context).client())


def author() -> str:
    """Who applies a catalog, where nobody is named."""
    for variable in ("VALOREM_AUTHOR", "GIT_AUTHOR_NAME", "USER", "LOGNAME"):
        if name := os.environ.get(variable, "").strip():
            return name
    return "unknown"


def set_up_link_in(folder: Path) -> str | None:
    """The link by which the first person sets up the console; None where somebody has, or no server ran here."""
    try:
        return (folder / SET_UP_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def _url_in(folder: Path) -> str | None:
    try:
        return str(json.loads((folder / SERVER_FILE).read_text(encoding="utf-8"))["url"])
    except (OSError, ValueError, KeyError):
        return None  # no server has run here; the client has a default


def _key_in(folder: Path) -> str | None:
    try:
        return (folder / KEY_FILE).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None

"""Databases for the tests: each a copy of the migrated template, the next one copied while a test still runs."""

import os
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import Protocol

import psycopg

from valorem.store.postgres.migrate import upgrade

TEMPLATE = "migrated"
_numbers = count(1)


class Server(Protocol):
    """A running PostgreSQL on which databases may be made."""

    def url_for(self, database: str) -> str: ...

    def conninfo_for(self, database: str) -> str: ...


class Databases:
    """The databases of one server; closed with it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._work = ThreadPoolExecutor(1, thread_name_prefix="databases")
        self._next: Future[str] | None = None
        self._drops: list[Future[None]] = []
        self._has_template = False

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """A migrated, empty database, gone afterwards. Yields its URL."""
        if self._next is None:
            self.make_template()
            self._next = self._work.submit(self._copy, TEMPLATE)
        name = self._next.result()
        self._next = self._work.submit(self._copy, TEMPLATE)
        try:
            yield self._server.url_for(name)
        finally:
            self._drops.append(self._work.submit(self._drop, name))

    @contextmanager
    def empty(self) -> Iterator[str]:
        """A database without any migration, gone afterwards. Yields its URL."""
        name = self._copy("template0")
        try:
            yield self._server.url_for(name)
        finally:
            self._drop(name)

    def close(self) -> None:
        """Wait for what is under way, and let its errors be seen."""
        self._work.shutdown()
        for drop in self._drops:
            drop.result()

    def make_template(self) -> None:
        """Make the database ``TEMPLATE`` that has every migration, once."""
        if self._has_template:
            return
        self._has_template = True
        self._execute(f"CREATE DATABASE {TEMPLATE}")
        upgrade(self._server.url_for(TEMPLATE))

    def _copy(self, template: str) -> str:
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        return name

    def _drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._server.conninfo_for("postgres"), autocommit=True) as connection:
            connection.execute(statement)

"""Who is asking and what they may do; and the one way in which a request opens its transaction."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b, sha256
from threading import Lock
from typing import Any, TypeVar

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from valorem.core.errors import ForbiddenError, UnauthorizedError
from valorem.core.workspace import Workspace
from valorem.engine.engine import Engine, Transaction
from valorem.engine.idempotency import Once, check_key, once
from valorem.engine.keys import Principal, authenticate
from valorem.engine.retrying import in_transaction

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

#: How long a key that was found valid is taken to be so without asking again: a revocation made by another process is
#: respected within this time, one made by this process at once.
TRUSTED_S = 2.0
_MOST_TRUSTED = 10_000
_NO_KEY_HINT = "send 'Authorization: Bearer vl_…' with a key that is not revoked or expired"


class Gate:
    """Finds out who holds a key, remembering it for :data:`TRUSTED_S`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._trusted: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._lock = Lock()

    def remembered(self, authorization: str | None) -> Principal | None:
        """The principal if its key was found valid a moment ago; never asks the database."""
        found = self._trusted.get(_fingerprint(authorization))
        return found[1] if found is not None and found[0] > time.monotonic() else None

    def principal(self, authorization: str | None) -> Principal:
        """Who holds the key of an ``Authorization`` header.

        Raises:
            UnauthorizedError: The same, whatever is wrong with it.
        """
        if (known := self.remembered(authorization)) is not None:
            return known
        scheme, _, key = (authorization or "").partition(" ")
        if scheme.lower() != "bearer":
            raise UnauthorizedError("this API key is not valid", hint=_NO_KEY_HINT)
        principal = authenticate(self._engine, key.strip())
        with self._lock:
            self._trusted[_fingerprint(authorization)] = (time.monotonic() + TRUSTED_S, principal)
            while len(self._trusted) > _MOST_TRUSTED:
                self._trusted.popitem(last=False)
        return principal

    def forget(self, key_id: str) -> None:
        """Stop trusting a key that was just revoked."""
        with self._lock:
            for fingerprint in [
                at for at, (_, principal) in self._trusted.items() if principal.key_id == key_id
            ]:
                del self._trusted[fingerprint]


def check_scope(principal: Principal, scope: str) -> None:
    """Refuse a key that lacks a scope.

    Raises:
        ForbiddenError: Naming the scope.
    """
    if not principal.may(scope):
        raise ForbiddenError(
            f"this key lacks the scope {scope}",
            hint=f"use a key with {scope}, or make one: valorem keys create",
        )


@dataclass(frozen=True)
class Caller:
    """One authenticated request.

    Attributes:
        engine: What the verbs work with.
        gate: To forget a revoked key.
        principal: Whose request it is.
        request: As it came.
    """

    engine: Engine
    gate: Gate
    principal: Principal
    request: Request

    @property
    def workspace(self) -> Workspace:
        """The workspace of the caller's key."""
        return self.principal.workspace

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """One transaction that sees one instant and writes nothing."""
        with self.engine.transaction(self.workspace.id, snapshot=True, read_only=True) as tx:
            yield tx

    def once(self, effect: Callable[[Transaction], BaseModel], *, status: int = 201) -> Response:
        """Run a verb and keep its answer in the same transaction, under the request's ``Idempotency-Key``.

        Args:
            effect: Calls the verb and gives the answer.
            status: Of the answer.
        """
        key, digest = self._idempotency_key(), self._digest()

        def done(tx: Transaction) -> Once:
            def answered() -> tuple[int, bytes, bytes]:
                answer = effect(tx).model_dump_json().encode()
                return status, answer, answer

            return once(tx, key, digest, answered)

        return _response(self.acting(done))

    def acting(self, verb: Callable[[Transaction], R]) -> R:
        """Run a verb that writes, in one transaction; again where another one got in its way."""
        return in_transaction(self.engine, self.workspace.id, verb)

    def once_around(
        self,
        effect: Callable[[], M],
        *,
        status: int = 201,
        kept: Callable[[M], M] | None = None,
    ) -> Response:
        """Run a verb that makes transactions of its own, and keep its answer after it.

        Two at once are still told apart by the key. A crash between the verb's last commit and ours lets a repeat run
        the verb again, so such a verb must itself be safe to repeat or be a step a person sees.

        Args:
            effect: Calls the verb and gives the answer.
            status: Of the answer.
            kept: What to keep instead of the answer, where that holds a secret.
        """
        key = self._idempotency_key()

        def done() -> tuple[int, bytes, bytes]:
            answer = effect()
            text = answer.model_dump_json().encode()
            return status, text, text if kept is None else kept(answer).model_dump_json().encode()

        if key is None:
            status, text, _ = done()
            return Response(text, status, media_type="application/json")
        with self.engine.transaction(self.workspace.id) as tx:
            return _response(once(tx, key, self._digest(), done))

    def _idempotency_key(self) -> str | None:
        key = self.request.headers.get("idempotency-key")
        if key is not None:
            check_key(key)
        return key

    def _digest(self) -> bytes:
        digest = sha256()
        body: bytes = self.request.scope["state"]["body"]
        for piece in (self.request.method.encode(), self.request.scope["raw_path"], body):
            digest.update(len(piece).to_bytes(8) + piece)
        return digest.digest()


class Needs:
    """A dependency: the caller of a route, who must hold a scope.

    Args:
        scope: The scope; the OpenAPI document names it from here.
    """

    def __init__(self, scope: str) -> None:
        self.scope = scope

    async def __call__(self, request: Request) -> Caller:
        """Authenticate the request and check its scope; no other thread is asked where the key is remembered."""
        services: Any = request.app.state
        gate: Gate = services.gate
        authorization = request.headers.get("authorization")
        principal = gate.remembered(authorization)
        if principal is None:
            principal = await run_in_threadpool(gate.principal, authorization)
        check_scope(principal, self.scope)
        return Caller(services.engine, services.gate, principal, request)


def _fingerprint(authorization: str | None) -> bytes:
    return blake2b((authorization or "").encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _response(done: Once) -> Response:
    headers = {"Idempotent-Replay": "true"} if done.replayed else {}
    return Response(done.response, done.status, headers, "application/json")

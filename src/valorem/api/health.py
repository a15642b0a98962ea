"""Is it alive, is it ready, what does it count. These need no key and tell nothing about anybody's data."""

from typing import Literal

import anyio.to_thread
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from valorem.api.wire import Answer
from valorem.core.errors import OverloadedError
from valorem.engine.engine import Engine

router = APIRouter(tags=["health"])


class HealthAnswer(Answer):
    """The program runs."""

    status: Literal["ok"]
    version: str


class ReadyAnswer(Answer):
    """The program can do its work: the database answers and no shutdown is under way."""

    status: Literal["ready"]


@router.get("/v1/health")
async def health(request: Request) -> HealthAnswer:
    """Whether the program runs; says nothing about the database."""
    return HealthAnswer(status="ok", version=request.app.version)


@router.get("/v1/ready")
async def ready(request: Request) -> ReadyAnswer:
    """Whether requests can be served; 503 with Retry-After while not."""
    if request.app.state.draining.is_set():
        raise OverloadedError("the server is shutting down", retry_after_s=5)
    await anyio.to_thread.run_sync(_ask, request.app.state.engine)
    return ReadyAnswer(status="ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Counters and histograms in the Prometheus text format."""
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _ask(engine: Engine) -> None:
    if not engine.database.takes_writes():
        raise OverloadedError("the database takes no writes", retry_after_s=5)

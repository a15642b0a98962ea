"""The application: every router, behind the edge, under one OpenAPI document."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.routing import Route

from valorem import __version__
from valorem.api import (
    accounts,
    alerts,
    budgets,
    catalog,
    check,
    clock,
    concessions,
    contract_changes,
    contracts,
    credit_notes,
    credit_sales,
    credits,  # noqa: A004 - the noun of the room
    customers,
    economics,
    events,
    health,
    holds,
    invoices,
    keys,
    ledger,
    migrations,
    outcome_deals,
    outcome_disputes,
    outcome_links,
    outcome_savings,
    outcomes,
    payments,
    portal,
    reports,
    settings,
    settlements,
    sources,
    usage,
    webhooks,
    workspaces,
)
from valorem.api.access import Gate
from valorem.api.document import complete
from valorem.api.edge import Edge
from valorem.api.metrics import Metrics
from valorem.api.problems import install_handlers
from valorem.engine.checking import Checker
from valorem.engine.connectors.taking import Taker
from valorem.engine.consuming import Consumer
from valorem.engine.engine import Engine
from valorem.engine.heard import Heard

_ROUTERS = (
    events,
    check,
    catalog,
    migrations,
    accounts,
    customers,
    contract_changes,
    contracts,
    concessions,
    credit_sales,
    credits,
    holds,
    ledger,
    usage,
    outcomes,
    outcome_deals,
    outcome_disputes,
    outcome_links,
    outcome_savings,
    budgets,
    alerts,
    invoices,
    settlements,
    sources,
    credit_notes,
    payments,
    settings,
    portal,
    webhooks,
    reports,
    economics,
    clock,
    keys,
    workspaces,
    health,
)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


def create_app(
    engine: Engine,
    ingestor: events.Submits,
    *,
    metrics: Metrics | None = None,
    lifespan: Lifespan | None = None,
    loopback: bool = False,
) -> FastAPI:
    """The HTTP API as an ASGI application.

    Args:
        engine: What the verbs work with.
        ingestor: Takes events; its start and end are the caller's business (or the lifespan's).
        metrics: To share with others.
        lifespan: What to run at start and shutdown.
        loopback: Whether webhooks may go to this machine itself; for development and tests.
    """
    app = FastAPI(
        title="Valorem",
        version=__version__,
        summary="Usage in, correct invoices out.",
        docs_url=None,  # these pages load their scripts from a content-delivery network; /reference does not
        redoc_url=None,
        openapi_url="/openapi.json",
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.engine = engine
    app.state.ingestor = ingestor
    app.state.gate = Gate(engine)
    app.state.checker = Checker(engine)
    app.state.taker = Taker(engine)
    app.state.consumer = Consumer(engine, app.state.checker.knowledge, app.state.checker.paywalls)
    app.state.loopback = loopback
    app.state.metrics = metrics or Metrics()
    app.state.heard = Heard()
    app.state.draining = asyncio.Event()
    app.router.routes.append(Route(events.router.prefix, events.ingest, methods=["POST"]))
    for module in _ROUTERS:
        app.include_router(module.router)
    install_handlers(app)
    app.add_middleware(Edge, limits=engine.limits, metrics=app.state.metrics)

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title=app.title,
                version=app.version,
                summary=app.summary,
                description=_DESCRIPTION,
                openapi_version="3.1.0",
                routes=app.routes,
            )
            routes = [route for module in _ROUTERS for route in module.router.routes]
            app.openapi_schema = complete(document, routes)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    return app


_DESCRIPTION = """\
Events come in, are counted exactly once and priced under a versioned catalog; every number here follows from them.

Decimals are written as text, instants in UTC with `Z`; intervals hold their start and not their end. Lists come in
pages: pass `next` as `after`. Send an `Idempotency-Key` with a POST and repeat it without fear: the same request gets
the stored answer (`Idempotent-Replay: true`), another one under the same key is refused. Errors are problems (RFC 9457)
that name the field and the way out.
"""

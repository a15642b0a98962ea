"""Everything a server imports, for the process that new servers are forked from."""

import fastapi
import psycopg
import uvicorn
import uvloop

import tests.faults.victim
import valorem.api.application
import valorem.cli.session
import valorem.engine.jobs
import valorem.engine.worker
import valorem.store.postgres.migrate
import valorem.store.warehouse.duckdb
import valorem.web.pages

__all__ = ["fastapi", "psycopg", "tests", "uvicorn", "uvloop", "valorem"]

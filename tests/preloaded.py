"""What servers and commands import, for the process that new ones are forked from.

The command line itself is left out: each command looks at its own environment and terminal as it is imported.
"""

import fastapi
import httpx
import msgspec
import psycopg
import pydantic
import pytest
import rich.markdown
import rich.progress
import rich.traceback
import typer.rich_utils
import uvicorn
import uvloop
import yaml

import tests.engine.crediting
import tests.engine.limiting
import tests.faults.victim
import valorem.api.application
import valorem.engine.delivery_loop
import valorem.engine.jobs
import valorem.engine.worker
import valorem.integrations.webhooks
import valorem.store.postgres.migrate
import valorem.store.warehouse.duckdb
import valorem.web.pages

__all__ = [
    "fastapi",
    "httpx",
    "msgspec",
    "psycopg",
    "pydantic",
    "pytest",
    "rich",
    "tests",
    "typer",
    "uvicorn",
    "uvloop",
    "valorem",
    "yaml",
]

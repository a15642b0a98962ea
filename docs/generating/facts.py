"""Pages that are one table each: settings, limits, errors."""

import pkgutil
from dataclasses import fields
from importlib import import_module
from typing import Any

import valorem
from docs.generating.markdown import attributes_of, first_line, page, table
from valorem import config
from valorem.core.errors import ValoremError
from valorem.core.limits import Limits


def settings() -> str:
    """Every environment variable."""
    rows = [
        (f"`{name}`", f"`{default}`" if default else "", text) for name, default, text in config.described()
    ]
    return page(
        "Settings",
        "Environment variables of the server, read once when it starts. An empty one counts as not set.",
        table(("Variable", "Default", "Meaning"), rows),
    )


def limits() -> str:
    """Every declared limit."""
    meanings = attributes_of(Limits)
    rows = [
        (f"`{limit.name}`", _amount(limit.name, limit.default), meanings[limit.name])
        for limit in fields(Limits)
    ]
    return page("Limits", first_line(Limits), table(("Limit", "Value", "Of what"), rows))


def errors() -> str:
    """Every kind of problem, by status."""
    found = sorted(_all_errors(), key=lambda kind: (kind.status, kind.code))
    rows = [(str(kind.status), f"`{kind.code}`", first_line(kind)) for kind in found]
    return page(
        "Errors",
        "Every refusal is a problem document (RFC 9457): `type` ends in the code below, `field` names the offending "
        "input where there is one and `hint` says the way out. The client raises the same as `ApiError`.",
        table(("Status", "Code", "Meaning"), rows),
    )


def _amount(name: str, value: Any) -> str:
    units = {
        "_bytes": ((1024**2, "MiB"), (1024, "KiB"), (1, "bytes")),
        "_s": ((86_400, "days"), (3600, "hours"), (60, "minutes")),
    }
    for ending, sizes in units.items():
        for size, unit in sizes:
            if name.endswith(ending) and value % size == 0 and value >= size:
                return f"{value // size:,} {unit}"
    return f"{value:,}"


def _all_errors() -> set[type[ValoremError]]:
    """Every error class a room defines, once everything is imported."""
    for module in pkgutil.walk_packages(valorem.__path__, "valorem."):
        if "migrations" not in module.name and not module.name.endswith("__main__"):
            import_module(module.name)
    found: set[type[ValoremError]] = set()
    waiting = [ValoremError]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind is not ValoremError and "code" in vars(kind):
            found.add(kind)
    return found

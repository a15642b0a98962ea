"""Meters: what is counted, and does it match?"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from valorem.core.errors import NotFoundError, ValoremError
from valorem.core.metering.event import decode_event
from valorem.core.metering.meter import Meter
from valorem.core.metering.read import compile_meter
from valorem.engine.catalog import current_catalog
from valorem.engine.engine import Transaction
from valorem.web.page import Page
from valorem.web.site import Site, Visit
from valorem.web.standings import Standings, Watch

_EXAMPLE = """{
  "specversion": "1.0",
  "id": "try-1",
  "source": "console",
  "type": "llm.call",
  "subject": "acme",
  "data": {"model": "gpt-5.4", "input_tokens": 1200, "output_tokens": 300, "status": "ok"}
}"""


@dataclass(frozen=True, slots=True)
class Used:
    """What running contracts were charged for a meter so far."""

    quantity: Decimal
    amounts: Mapping[str, Decimal]
    contracts: int


@dataclass(frozen=True, slots=True)
class Tried:
    """What one meter makes of a pasted event: values by dimensions, or why it counts nothing."""

    meter: str
    readings: tuple[tuple[str, str], ...]
    why_not: str | None


def add(site: Site, watch: Watch) -> None:
    """Add the pages."""
    site.page("/meters", partial(_show, watch=watch))
    site.action("/meters", "read", partial(_show, watch=watch))


def _show(visit: Visit, watch: Watch) -> Page:
    seen = watch.look(visit.workspace.id, patience_s=0.1)
    text = visit.form.get("event", "")
    tried: list[Tried] = []
    refused: ValoremError | None = None
    with visit.reading() as tx:
        meters = _meters(tx)
        if text:
            try:
                tried = _try(tx, text, meters)
            except ValoremError as error:
                refused = error
    values = {
        "here": "meters",
        "meters": meters,
        "used": {meter.key: _used(seen, meter.key) for meter in meters},
        "seen": seen,
        "text": text or _EXAMPLE,
        "tried": tried,
        "refused": refused,
    }
    return Page("console/meters.html", values, 200 if refused is None else refused.status)


def _meters(tx: Transaction) -> list[Meter]:
    try:
        return list(current_catalog(tx)[1].meters.values())
    except NotFoundError:
        return []  # no catalog has been applied; the page says how


def _used(seen: Standings, meter: str) -> Used:
    quantity, contracts = Decimal(0), set()
    amounts: dict[str, Decimal] = {}
    for each in seen.running.values():
        for line in each.usage:
            if line.key == meter:
                quantity += line.quantity or 0
                amounts[each.currency] = amounts.get(each.currency, Decimal(0)) + line.amount
                contracts.add(each.contract)
    return Used(quantity, amounts, len(contracts))


def _try(tx: Transaction, text: str, meters: list[Meter]) -> list[Tried]:
    event = decode_event(text.encode(), tx.limits).at(tx.now)
    found = []
    for meter in meters:
        compiled = compile_meter(meter, tx.limits)
        if event.type not in meter.event:
            found.append(Tried(meter.name or meter.key, (), f"it counts {', '.join(meter.event)}"))
            continue
        try:
            readings = compiled.read(event)
        except ValoremError as error:
            found.append(Tried(meter.name or meter.key, (), str(error)))
            continue
        said = tuple(
            (
                ", ".join(
                    f"{name} {value}"
                    for name, value in zip(meter.dimension_names, reading.dimensions, strict=True)
                    if value is not None
                ),
                f"{reading.value}",
            )
            for reading in readings
        )
        found.append(
            Tried(meter.name or meter.key, said, None if said else "its filter leaves the event out")
        )
    return found

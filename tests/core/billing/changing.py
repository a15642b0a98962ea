"""A contract that is edited while time goes by, billed border by border, for the tests of changes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.core.billing.ledger import Biller, Use
from tests.core.billing.make import contract, utc
from valorem.core.billing.terms import Terms, terms_of
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.edits import Edit
from valorem.core.contracts.history import History
from valorem.core.metering.meter import Meter

START = utc("2026-01-01")
CALLS = Meter.model_validate({"meter": "calls", "event": "call", "aggregate": "sum", "value": "data.n"})
#: Plan to what a unit costs.
UNIT = {"small": 1, "middle": 2, "large": 4}


def offer(key: str, unit: int, policies: dict[str, Any]) -> Plan:
    fees = {
        "base": {"amount": 30 * unit},
        "seat": {"amount": 10 * unit, "per": "seat"},
        "care": {"amount": 15 * unit, "billed": "in arrears"},
    }
    if key == "small":
        del fees["care"]
    return Plan.model_validate(
        {
            "plan": key,
            "name": key.title(),
            "currency": "USD",
            "fees": fees,
            "prices": {"calls": {"model": "per_unit", "amount": unit}},
            "policies": policies,
        }
    )


def catalog(**policies: Any) -> Catalog:
    plans = {key: offer(key, unit, policies) for key, unit in UNIT.items()}
    return Catalog(meters={"calls": CALLS}, plans=plans)


def at(quarters: int) -> datetime:
    """So many quarter hours after the start."""
    return START + timedelta(minutes=15 * quarters)


def made(effective: datetime, *changes: Any, recorded: datetime | None = None, name: str = "") -> Edit:
    label = name or f"{effective:%Y-%m-%dT%H:%M} {changes[0].kind}"
    return Edit(
        id=label,
        effective=effective,
        recorded=recorded or effective,
        author="ann",
        reason="asked",
        changes=changes,
    )


def small(**changes: Any) -> Contract:
    return contract("2026-01-01", plan="small", **changes)


@dataclass
class Account:
    """A history, and a biller that is told of every edit."""

    history: History
    offers: Catalog
    uses: Sequence[Use] = ()
    biller: Biller = field(init=False)

    def __post_init__(self) -> None:
        self.biller = Biller(self.terms)

    @property
    def terms(self) -> Terms:
        return terms_of(self.history.contract(), self.offers)

    @property
    def billed_until(self) -> datetime | None:
        return max((invoice.issued_at for invoice in self.biller.invoices), default=None)

    def edit(self, change: Edit) -> None:
        self.history = self.history.with_edit(change, self.billed_until)
        self.biller.terms = self.terms

    def close_due(self, now: datetime) -> None:
        self.biller.close_due(now, [use for use in self.uses if use.at < now])

    def total(self, *kinds: str) -> Decimal:
        return sum((line.amount for line in self.biller.lines if not kinds or line.kind in kinds), Decimal(0))

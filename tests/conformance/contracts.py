"""Real contracts for cases: signed on a plan written here, edited, and billed border by border."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.conformance.adapters.periods import cadence
from valorem.core.billing.draft import draft_invoice
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import PeriodUsage, usage_needs
from valorem.core.billing.schedule import contract_period
from valorem.core.billing.tax_rates import TaxRate
from valorem.core.billing.taxes import Taxable, tax_lines
from valorem.core.billing.terms import Terms, terms_of
from valorem.core.calendar import add_days, local_date, start_of_day
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.plans import Plan
from valorem.core.contracts.contract import Contract
from valorem.core.contracts.edits import Edit
from valorem.core.contracts.history import History
from valorem.core.metering.measured import Measured
from valorem.core.metering.meter import Meter
from valorem.core.numbers import plain
from valorem.core.periods import Cadence, Interval, calendar_anchor
from valorem.core.time import quarter_hour_of
from valorem.core.units import write_span

METER = Meter.model_validate({"meter": "usage", "event": "used", "aggregate": "sum", "value": "data.value"})
MONTHLY = Cadence(1, "month")
_TOLERANCE = Decimal("1e-12")


def cents(amount: Any) -> Decimal:
    return Decimal(str(amount)).scaleb(-2)


def in_cents(amount: Decimal) -> Decimal:
    return amount.scaleb(2)


def double(exact: Decimal, printed: Any) -> Any:
    """The exact number, or the case's own digits where these are that number printed from a binary double."""
    value = Decimal(str(printed))
    return printed if abs(exact - value) <= _TOLERANCE * max(abs(exact), Decimal(1)) else exact


def instant(text: str) -> datetime:
    """An instant on the grid; a clock between two quarter hours is moved back to the first, as a contract's is."""
    read = datetime.fromisoformat(text if "T" in text else f"{text}T00:00")
    return quarter_hour_of(read.replace(tzinfo=read.tzinfo or UTC).astimezone(UTC))


def after(text: str, zone: str = "UTC") -> datetime:
    """The end of a local day that is given as the last one included."""
    return start_of_day(add_days(local_date(instant(text), zone), 1), zone)


def through(end: datetime, zone: str = "UTC") -> str:
    """The last local day before an instant."""
    return str(local_date(end - timedelta(microseconds=1), zone))


def every_of(interval: str) -> Cadence:
    return cadence(interval)


def span(every: Cadence) -> str:
    return write_span((every.count, every.unit))


def plan(key: str = "plan", every: Cadence = MONTHLY, **fields: Any) -> Plan:
    written = {"plan": key, "name": key, "currency": "USD", "every": span(every), **fields}
    return Plan.model_validate(written)


def fee(amount: Decimal, *, in_advance: bool = True) -> dict[str, Any]:
    return {"amount": plain(amount), "billed": "in advance" if in_advance else "in arrears"}


def signed(
    offer: Plan, start: datetime, *, billing: str = "calendar", zone: str = "UTC", **changes: Any
) -> Contract:
    every = Cadence(*offer.every)  # type: ignore[arg-type]
    anchor = start if billing == "anniversary" else calendar_anchor(start, every, zone)
    terms = {
        "id": "ctr_case",
        "workspace": 1,
        "customer": "case",
        "plan": offer.key,
        "catalog_version": 1,
        "start": start,
        "time_zone": zone,
        "currency": offer.currency,
        "every": every,
        "anchor": anchor,
    }
    return Contract(**{**terms, **changes})


def edit(effective: datetime, *changes: Any, recorded: datetime | None = None) -> Edit:
    made = recorded or effective
    name = f"{effective.isoformat()} {changes[0].kind} and {len(changes) - 1} more"
    return Edit(id=name, effective=effective, recorded=made, author="case", changes=changes)


@dataclass
class Books:
    """A contract's history and what has been billed of it.

    Attributes:
        history: The contract's.
        plans: Every plan it stands on.
        used: Quantities of the one meter, by period.
        invoices: Those made so far.
    """

    history: History
    plans: Sequence[Plan]
    used: Mapping[int, Any] = field(default_factory=dict)
    invoices: list[Invoice] = field(default_factory=list)

    @property
    def contract(self) -> Contract:
        return self.history.contract()

    @property
    def terms(self) -> Terms:
        offers = {each.key: each for each in self.plans}
        return terms_of(self.contract, Catalog(meters={"usage": METER}, plans=offers))

    @property
    def lines(self) -> list[Line]:
        return [line for invoice in self.invoices for line in invoice.lines]

    def usage(self, index: int) -> PeriodUsage:
        period = contract_period(self.contract, index)
        assert period is not None
        quantity = Decimal(str(self.used.get(index, 0)))
        answers: dict[str, list[list[Measured]]] = {}
        for need in usage_needs(self.terms, period):
            none = [Measured({}, Decimal(0), 0)]
            answers[need.key] = [[Measured({}, quantity, 1)], *(none for _ in need.intervals[1:])]
        return answers

    def close(self, index: int) -> Invoice:
        known = {index - 1: self.usage(index - 1)} if index else {}
        made = draft_invoice(self.terms, index, known, self.lines)
        self.invoices.append(made)
        return made

    def change(self, *edits: Edit) -> None:
        for each in edits:
            self.history = self.history.with_edit(each)


def books(
    offers: Plan | Sequence[Plan], start: datetime, *, used: Mapping[int, Any] | None = None, **signing: Any
) -> Books:
    plans = [offers] if isinstance(offers, Plan) else list(offers)
    return Books(History(signed(plans[0], start, **signing)), plans, used or {})


def total(lines: Iterable[Line], *kinds: str) -> Decimal:
    return sum((line.amount for line in lines if not kinds or line.kind in kinds), Decimal(0))


def exact_total(lines: Iterable[Line]) -> Decimal:
    return sum((line.exact_amount for line in lines), Decimal(0))


def taxed(net: Decimal, tax: Any) -> tuple[Decimal, Decimal]:
    """Tax and total of a net amount in USD, at a rate in percent."""
    settled = tax_lines([Taxable("net", net, (TaxRate("tax", "Tax", cents(tax or 0)),))], currency="USD")
    return settled.tax, settled.gross


def zone_of(text: str | None) -> str:
    """``negative offset (local date 02-07)`` or an IANA name as a zone."""
    if text is None:
        return "UTC"
    if match := re.match(r"(negative|positive) offset", text):
        return "America/New_York" if match[1] == "negative" else "Asia/Tokyo"
    return text


def days(text: str) -> tuple[Decimal, Decimal]:
    """``20/31`` as two counts."""
    served, whole = text.split("/")
    return Decimal(served), Decimal(whole)


def day_interval(first: str, last_included: str) -> Interval:
    return Interval(instant(first), after(last_included))


def first_period_of(length: int) -> tuple[datetime, Cadence]:
    """A start whose first calendar period has so many days."""
    for every, start in (
        (Cadence(1, "week"), date(2024, 1, 1)),
        (Cadence(1, "month"), date(2023, 2, 1)),
        (Cadence(1, "month"), date(2024, 2, 1)),
        (Cadence(1, "month"), date(2023, 4, 1)),
        (Cadence(1, "month"), date(2023, 3, 1)),
        (Cadence(1, "quarter"), date(2023, 1, 1)),
        (Cadence(1, "quarter"), date(2023, 4, 1)),
        (Cadence(1, "quarter"), date(2023, 7, 1)),
        (Cadence(1, "year"), date(2023, 1, 1)),
        (Cadence(1, "year"), date(2024, 1, 1)),
    ):
        if (every.after(start, 1) - start).days == length:
            return start_of_day(start, "UTC"), every
    raise LookupError(f"no calendar period of {length} days")

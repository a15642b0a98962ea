"""A tiny counter store for tests: recorded events, answered by brute force, and a biller that closes border by border."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from valorem.core.billing.draft import draft_invoice, draft_note
from valorem.core.billing.invoice import Invoice, Line
from valorem.core.billing.needs import PeriodUsage, UsageNeed, usage_needs
from valorem.core.billing.schedule import contract_period, due
from valorem.core.billing.terms import Terms
from valorem.core.catalog.catalog import Catalog
from valorem.core.catalog.tree import parse_catalog
from valorem.core.metering.measured import Measured
from valorem.core.periods import Interval


@dataclass(frozen=True)
class Use:
    """One event as a meter reads it."""

    meter: str
    at: datetime
    quantity: Decimal
    dimensions: dict[str, str] = field(default_factory=dict)


def measure(need: UsageNeed, uses: Sequence[Use], interval: Interval) -> list[Measured]:
    """The need's meter over one interval, by its dimensions."""
    found: dict[tuple[str | None, ...], list[Decimal]] = {}
    for use in uses:
        if use.meter == need.key and use.at in interval:
            values = tuple(use.dimensions.get(name) for name in need.dimensions)
            found.setdefault(values, []).append(use.quantity)
    fold = max if need.meter.aggregate == "max" else sum
    return [
        Measured(dict(zip(need.dimensions, values, strict=True)), Decimal(fold(quantities)), len(quantities))
        for values, quantities in found.items()
    ]


def answer(needs: Sequence[UsageNeed], uses: Sequence[Use]) -> PeriodUsage:
    """Everything that was asked for."""
    return {need.key: [measure(need, uses, interval) for interval in need.intervals] for need in needs}


def usage_of(terms: Terms, index: int, uses: Sequence[Use], until: datetime | None = None) -> PeriodUsage:
    """The usage of one period of a contract."""
    period = contract_period(terms.contract, index)
    assert period is not None
    return answer(usage_needs(terms, period, until), uses)


@dataclass
class Biller:
    """Closes borders in order, looking at every earlier period again each time."""

    terms: Terms
    invoices: list[Invoice] = field(default_factory=list)

    @property
    def lines(self) -> list[Line]:
        """Everything billed so far."""
        return [line for invoice in self.invoices for line in invoice.lines]

    def close_due(self, now: datetime, uses: Sequence[Use]) -> list[Invoice]:
        """Close what is due with the uses known by now."""
        closed_through = max((invoice.boundary_index for invoice in self.invoices), default=-1)
        made = []
        for index in due(self.terms.contract, closed_through, now):
            usage = {period: usage_of(self.terms, period, uses) for period in range(index)}
            billed = self.lines
            made.append(draft_invoice(self.terms, index, usage, billed))
            note = draft_note(self.terms, index, usage, billed)
            made.extend([note] if note is not None else [])
            self.invoices.extend(made[-2:] if note is not None else made[-1:])
        return made


TEAM = """
plan: team
name: Team
currency: {currency}
every: month
fees:
  base: {{amount: 50, name: Platform}}
  seat: {{amount: 30, per: seat, name: Seats}}
  support: {{amount: 20, billed: in arrears}}
prices:
  tokens: model_tokens
  storage_gb:
    model: graduated
    tiers: [{{up_to: 100, unit: 0}}, {{up_to: 1000, unit: 0.10}}, {{unit: 0.08}}]
minimum: {{amount: 150, per: invoice}}
maximum: {{amount: 5000, per: invoice}}
policies: {{{policies}}}
"""

FILES = {
    "meters/tokens.yaml": """
meter: tokens
event: llm.call
aggregate: sum
unit: token
dimensions: {model: data.model, region: data.region}
each:
  kind: {input: data.input, output: data.output}
""",
    "meters/storage_gb.yaml": """
meter: storage_gb
event: storage.sample
aggregate: max
value: data.gb
unit: GB
""",
    "prices/model_tokens.yaml": """
price: model_tokens
meter: tokens
model: matrix
rates:
  - {model: small, kind: input, amount: 2.5, per: 1M}
  - {model: small, kind: output, amount: 10, per: 1M}
  - {model: small, kind: output, amount: 15, per: 1M, from: 2026-03-05}
included: 2M
""",
}


def team_catalog(currency: str = "USD", policies: str = "") -> Catalog:
    """A hybrid plan: base fee, seats, a dated matrix over tokens, graduated storage, bounds."""
    return parse_catalog({**FILES, "plans/team.yaml": TEAM.format(currency=currency, policies=policies)})

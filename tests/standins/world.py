"""What happens at the stand-in help desk and shop, seeded: tickets that change, orders that are paid, restated, deleted.

Every change becomes visible at an instant of the server's own clock. ``truth`` is what a perfect reader must know.
"""

from dataclasses import dataclass, field, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

START = datetime(2026, 3, 2, 8, tzinfo=UTC)
CUSTOMERS = ("acme", "bolt", "crane")


@dataclass(frozen=True)
class Faults:
    """What goes wrong; each by itself, or all together."""

    shifting: bool = False  # rows change, and so move, between two pages
    expiry: bool = False  # tokens stop being good in the middle
    throttle: bool = False  # 429, with seconds or a date to wait for
    broken: bool = False  # 500, 502, a connection that breaks, JSON that ends in the middle
    ties: bool = False  # updated_at in whole minutes
    late: bool = False  # a row can be seen only a while after its own timestamp
    clock_s: int = 0  # how far the server's clock is off
    deletions: bool = False  # tombstones, rows that just go, and rows whose own address answers 404
    restated: bool = False  # amounts change afterwards
    strings: bool = False  # numbers as text
    huge: bool = False  # amounts that no float holds
    local: bool = False  # times without a zone, without daylight saving
    new_fields: bool = False  # that nobody announced
    renamed: bool = False  # half way a field has another name
    merged: bool = False  # two tickets become one
    stalled: bool = False  # an answer that never comes
    webhooks: bool = False  # messages twice, in another order, late, or never

    @classmethod
    def everything(cls) -> "Faults":
        switched: dict[str, Any] = {one.name: 420 if one.name == "clock_s" else True for one in fields(cls)}
        return cls(**switched)


@dataclass
class Change:
    """One version of one order, or one event of a ticket."""

    kind: str
    key: str
    version: int
    at: datetime  # when it happened, in business
    made_at: datetime  # when it was written, by the true clock
    visible_at: datetime
    fields: dict[str, Any] = field(default_factory=dict)
    gone: str | None = None  # "tombstone", "silent" or "missing"


class World:
    """A seeded history, of which more and more has happened.

    Args:
        seed: Makes the history.
        faults: What goes wrong with telling it; what happens is the same whatever they are, but for deletions,
            restatements and huge amounts, which happen or not.
        orders: How many.
    """

    def __init__(self, seed: int = 1, faults: Faults | None = None, orders: int = 10) -> None:
        self.faults = faults or Faults()
        self.now = START
        random = Random(seed)
        self.changes = sorted(
            self._orders(random, orders) + self._tickets(random, orders), key=lambda one: one.made_at
        )
        self.end = max(one.visible_at for one in self.changes) + timedelta(minutes=30)

    def _orders(self, random: Random, count: int) -> list[Change]:
        made = []
        for number in range(count):
            at = START + timedelta(minutes=random.randrange(0, 2000), seconds=random.randrange(60))
            amount = Decimal(random.randrange(100, 100_000)).scaleb(-2)
            extra, fate = random.randrange(1, 500), random.random()
            if self.faults.huge and number % 5 == 0:
                amount += Decimal("1234567890123456.07")
            fields = {"customer": random.choice(CUSTOMERS), "amount": amount}
            wait = timedelta(minutes=random.randrange(1, 300))
            lateness = timedelta(seconds=random.randrange(0, 240))
            made.append(self._change("order", f"o{number}", 1, at, at, lateness, fields))
            if fate < 0.3 and self.faults.restated:
                restated = {**fields, "amount": amount + Decimal(extra).scaleb(-2)}
                made.append(self._change("order", f"o{number}", 2, at, at + wait, lateness, restated))
            elif 0.3 <= fate < 0.55 and self.faults.deletions:
                gone = "tombstone" if fate < 0.4 else "silent" if fate < 0.48 else "missing"
                made.append(self._change("order", f"o{number}", 2, at, at + wait, lateness, fields, gone))
        return made

    def _tickets(self, random: Random, count: int) -> list[Change]:
        made = []
        for number in range(count):
            at = START + timedelta(minutes=random.randrange(0, 1500), seconds=random.randrange(60))
            customer, length = random.choice(CUSTOMERS), random.choice((1, 2, 2, 3, 4))
            for version, status in enumerate(("open", "solved", "open", "solved")[:length], 1):
                lateness = timedelta(seconds=random.randrange(0, 240))
                fields = {"customer": customer, "status": status, "ticket": f"t{number}"}
                made.append(self._change("ticket", f"t{number}-{version}", 1, at, at, lateness, fields))
                at += timedelta(minutes=random.randrange(10, 400))
        if self.faults.merged:
            made += self._merges(made)
        return made

    def _merges(self, tickets: list[Change]) -> list[Change]:
        """Of tickets that were solved once and no more, every second of a customer becomes part of the one before."""
        by_ticket: dict[str, list[Change]] = {}
        for one in tickets:
            by_ticket.setdefault(one.fields["ticket"], []).append(one)
        made = []
        for customer in CUSTOMERS:
            solved = [
                own for own in by_ticket.values() if len(own) == 2 and own[0].fields["customer"] == customer
            ]
            for kept, merged in zip(solved[::2], solved[1::2], strict=False):
                at = max(kept[-1].at, merged[-1].at) + timedelta(minutes=45)
                ticket, into = (each[0].fields["ticket"] for each in (merged, kept))
                fields = {"customer": customer, "status": "merged", "ticket": ticket, "into": into}
                made.append(self._change("ticket", f"{ticket}-3", 1, at, at, timedelta(0), fields))
        return made

    def _change(
        self, kind: str, key: str, version: int, at: datetime, made_at: datetime, lateness: timedelta,
        fields: dict[str, Any], gone: str | None = None,
    ) -> Change:  # fmt: skip
        visible_at = made_at + (lateness if self.faults.late else timedelta(0))
        return Change(kind, key, version, at, made_at, visible_at, fields, gone)

    @property
    def middle(self) -> datetime:
        """When the server is told to call a field otherwise."""
        return START + (self.end - START) / 2

    @property
    def clock(self) -> datetime:
        """What the server takes for the time."""
        return self.now + timedelta(seconds=self.faults.clock_s)

    def visible(self, kind: str) -> list[Change]:
        """Everything of a kind that can be seen by now, in the order in which it became so."""
        return sorted(
            (one for one in self.changes if one.kind == kind and one.visible_at <= self.now),
            key=lambda one: (one.visible_at, one.key, one.version),
        )

    def next_change(self) -> None:
        """Let time go on to the next thing that happens."""
        coming = [one.visible_at for one in self.changes if one.visible_at > self.now]
        self.now = min(coming) if coming else self.end

    def stamp(self, change: Change) -> datetime:
        """The server's ``updated_at``: by its own clock, and as coarse as it is."""
        at = change.made_at + timedelta(seconds=self.faults.clock_s)
        return at.replace(second=0, microsecond=0) if self.faults.ties else at

    def written(self, change: Change) -> dict[str, Any]:
        """A change as the server writes it."""
        fields = {"id": change.key, "version": change.version, **change.fields}
        if "amount" in fields and self.faults.strings:
            fields["amount"] = f"{fields['amount']:f}"
        if self.faults.new_fields and change.version % 2:
            fields |= {"beta_flags": {"x": [1, None]}, "amount_display": "€ 1"}
        if self.faults.renamed and self.now >= self.middle:
            fields["client"] = fields.pop("customer")
        fields["updated_at"] = self._time(self.stamp(change))
        fields["at"] = self._time(change.at)
        if change.gone == "tombstone":
            fields["status"] = "deleted"
        return fields

    def _time(self, at: datetime) -> str:
        if self.faults.local:  # a clock in +01:00 that knows no summer
            return (at + timedelta(hours=1)).strftime("%Y-%m-%d %H:%M:%S")
        return at.strftime("%Y-%m-%dT%H:%M:%SZ")

    def rows(self) -> list[Change]:
        """The orders as they stand, in the order of the list: by ``updated_at`` and id."""
        newest: dict[str, Change] = {}
        for change in self.visible("order"):
            if change.key not in newest or change.version > newest[change.key].version:
                newest[change.key] = change
        rows = [one for one in newest.values() if one.gone not in ("silent", "missing")]
        return sorted(rows, key=lambda one: (self.stamp(one), one.key))

    def truth(self) -> dict[str, tuple[str, Decimal]]:
        """Each order that there is in the end, with its customer and amount."""
        newest: dict[str, Change] = {}
        for change in sorted(self.changes, key=lambda one: one.version):
            if change.kind == "order":
                newest[change.key] = change
        return {
            key: (one.fields["customer"], one.fields["amount"])
            for key, one in newest.items()
            if one.gone is None
        }

    def true_money(self) -> dict[str, tuple[Decimal, int]]:
        """By customer: what was paid, and how many tickets stay solved by the rule of two hours; a merged pair is one."""
        paid = {customer: Decimal(0) for customer in CUSTOMERS}
        solved = dict.fromkeys(CUSTOMERS, 0)
        for customer, amount in self.truth().values():
            paid[customer] += amount
        by_ticket: dict[str, list[Change]] = {}
        for one in self.changes:
            if one.kind == "ticket":
                by_ticket.setdefault(one.fields["ticket"], []).append(one)
        for own in by_ticket.values():
            own.sort(key=lambda one: one.at)
            solved[own[0].fields["customer"]] += own[-1].fields["status"] == "solved"
        return {customer: (paid[customer], solved[customer]) for customer in CUSTOMERS}

    def true_states(self) -> set[tuple[str, str, str, datetime]]:
        """Every state a ticket was in: ticket, customer, status, when."""
        return {
            (
                one.fields["ticket"],
                one.fields["customer"],
                one.fields["status"],
                one.at.replace(microsecond=0),
            )
            for one in self.changes
            if one.kind == "ticket"
        }

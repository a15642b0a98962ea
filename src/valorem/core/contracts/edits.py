"""Edits: the only way a contract changes. Each is atomic, dated twice (effective, recorded), signed and explained."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer

from valorem.core.billing.thresholds import Thresholds
from valorem.core.catalog.plans import Bound, Phase
from valorem.core.contracts.agreed import Charge, Commitment, Discount, GridInstant, Override
from valorem.core.contracts.standing import Standing
from valorem.core.entry import Entry, Key
from valorem.core.errors import InvalidInputError
from valorem.core.time import parse_instant, write_instant
from valorem.core.units import Quantity, Span


def _read_instant(value: Any) -> datetime:
    try:
        return parse_instant(value)
    except InvalidInputError as error:
        raise ValueError(f"{error.message} ({error.hint})") from None


def _lasting(span: tuple[int, str]) -> tuple[int, str]:
    if span[1] in ("minute", "hour") or not 1 <= span[0] <= 1200:
        raise ValueError("a term is one or more days, weeks, months, quarters or years")
    return span


#: Any instant, in UTC.
Instant = Annotated[
    datetime,
    BeforeValidator(_read_instant),
    PlainSerializer(write_instant, return_type=str, when_used="json"),
]


class _Change(Entry):
    """One change; those of the whole contract (its end, its seats) leave the standing as it is."""

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return standing


def _having(standing: Standing, **changes: Any) -> Standing:
    return standing.model_copy(update=changes)


def _with(agreed: tuple[Any, ...], added: Any) -> tuple[Any, ...]:
    return (*(each for each in agreed if each.id != added.id), added)


class SetPlan(_Change):
    """Another plan, or the same plan of another catalog version; upgrade, downgrade and migration are this.

    Attributes:
        plan: The plan's key.
        catalog_version: The version it is pinned to from then on.
        every: Another billing interval; the running period ends there.
        anchor: With another interval: whether periods keep their anchor or count from the change.
    """

    kind: Literal["plan"] = "plan"
    plan: Key
    catalog_version: int
    every: Span | None = None
    anchor: Literal["keep", "change"] = "keep"

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return _having(standing, plan=self.plan, catalog_version=self.catalog_version)


class SetSeats(_Change):
    """How many of something there are: seats, add-ons."""

    kind: Literal["seats"] = "seats"
    key: Key
    quantity: Quantity


class Pause(_Change):
    """Fees stand still."""

    kind: Literal["pause"] = "pause"

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        if standing.paused:
            raise InvalidInputError("the contract is paused already", field="changes")
        return _having(standing, paused=True)


class Resume(_Change):
    """Fees run again."""

    kind: Literal["resume"] = "resume"

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        if not standing.paused:
            raise InvalidInputError("the contract is not paused", field="changes")
        return _having(standing, paused=False)


class Cancel(_Change):
    """The contract ends at the edit's effective instant."""

    kind: Literal["cancel"] = "cancel"


class Renew(_Change):
    """The contract runs on: until another end, or open-ended. It also takes back a cancellation.

    Attributes:
        end: First instant not billed; open-ended where left out.
    """

    kind: Literal["renew"] = "renew"
    end: GridInstant | None = None


class SetStart(_Change):
    """The contract starts at the edit's effective instant instead; only while nothing has been billed."""

    kind: Literal["start"] = "start"


class AddOverride(_Change):
    """A negotiated number, such as a new price; one of the same id is replaced."""

    kind: Literal["override"] = "override"
    override: Override

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return _having(standing, overrides=_with(standing.overrides, self.override))


class AddDiscount(_Change):
    """A discount or coupon; one of the same id is replaced."""

    kind: Literal["discount"] = "discount"
    discount: Discount

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return _having(standing, discounts=_with(standing.discounts, self.discount))


class AddCharge(_Change):
    """An amount on a date; one of the same id is replaced."""

    kind: Literal["charge"] = "charge"
    charge: Charge

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return _having(standing, charges=_with(standing.charges, self.charge))


class AddCommitment(_Change):
    """Money promised for usage, with the instalments that pay for it; one of the same id is replaced."""

    kind: Literal["commitment"] = "commitment"
    commitment: Commitment
    instalments: tuple[Charge, ...] = ()

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        charges = standing.charges
        for instalment in self.instalments:
            charges = _with(charges, instalment)
        return _having(standing, commitments=_with(standing.commitments, self.commitment), charges=charges)


class Remove(_Change):
    """An override, discount, charge or commitment that no longer counts from then on."""

    kind: Literal["remove"] = "remove"
    what: Literal["override", "discount", "charge", "commitment"]
    id: Key

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        agreed = getattr(standing, f"{self.what}s")
        kept = tuple(each for each in agreed if each.id != self.id)
        if len(kept) == len(agreed):
            raise InvalidInputError(f"there is no {self.what} {self.id!r} to remove", field="changes")
        return _having(standing, **{f"{self.what}s": kept})


class SetBounds(_Change):
    """A minimum and maximum in the place of the plan's; ``None`` takes the plan's again."""

    kind: Literal["bounds"] = "bounds"
    minimum: Bound | None = None
    maximum: Bound | None = None

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return _having(standing, minimum=self.minimum, maximum=self.maximum)


class SetThresholds(_Change):
    """Spend thresholds in the place of the plan's; ``None`` takes the plan's again."""

    kind: Literal["thresholds"] = "thresholds"
    thresholds: Thresholds | None = None

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return _having(standing, thresholds=self.thresholds)


class SetTerm(_Change):
    """How long the contract is agreed for at a time, counted from its start; ``None`` for no term."""

    kind: Literal["term"] = "term"
    term: Annotated[Span, AfterValidator(_lasting)] | None = None


class SetPhases(_Change):
    """Phases in the place of the plan's, counted from the contract's start; ``None`` takes the plan's again."""

    kind: Literal["phases"] = "phases"
    phases: tuple[Phase, ...] | None = None

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return _having(standing, phases=self.phases)


class SetPurchaseOrder(_Change):
    """The number printed on invoices."""

    kind: Literal["purchase_order"] = "purchase_order"
    number: Annotated[str, Field(min_length=1, max_length=200)] | None = None

    def applied(self, standing: Standing) -> Standing:
        """How the contract stands with this change."""
        return _having(standing, purchase_order=self.number)


class Withdraw(_Change):
    """Takes back an earlier edit that has not taken effect yet."""

    kind: Literal["withdraw"] = "withdraw"
    edit: str


class Release(_Change):
    """Somebody has looked at a parked contract: edits recorded until then no longer park it."""

    kind: Literal["release"] = "release"


Change = Annotated[
    SetPlan
    | SetSeats
    | Pause
    | Resume
    | Cancel
    | Renew
    | SetStart
    | AddOverride
    | AddDiscount
    | AddCharge
    | AddCommitment
    | Remove
    | SetBounds
    | SetThresholds
    | SetTerm
    | SetPhases
    | SetPurchaseOrder
    | Withdraw
    | Release,
    Field(discriminator="kind"),
]


class Edit(Entry):
    """One atomic request: all of its changes hold, or none.

    Attributes:
        id: Unique in the contract; a repeat with the same id is the same edit.
        effective: From when its changes count, on the quarter-hour grid; before or after ``recorded``.
        recorded: When it was made.
        author: Who made it.
        reason: Why, for whoever reads the history.
        changes: What it changes, in order.
    """

    id: Annotated[str, Field(min_length=1, max_length=100)]
    effective: GridInstant
    recorded: Instant
    author: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Annotated[str, Field(max_length=500)] = ""
    changes: Annotated[tuple[Change, ...], Field(min_length=1, max_length=100)]

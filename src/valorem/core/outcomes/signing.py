"""Signed definitions: a canonical form, its hash, two signatures, and which version holds when."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Literal

from valorem.core.catalog.outcomes import definition_fields
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.time import on_grid, write_instant

Party = Literal["vendor", "customer"]
Method = Literal["console", "portal", "api_key", "paper"]
PARTIES: tuple[Party, ...] = ("vendor", "customer")


def definition_form(definition: OutcomeDefinition) -> dict[str, Any]:
    """Everything a definition says, its price included, as plain JSON values with defaults written out.

    Definitions that mean the same have one form: white space of expressions, the order of a filter's parts and the
    spelling of numbers and lengths of time do not show. Decimals are text.
    """
    price = definition.price
    form = definition_fields(definition)
    return form if price is None else {**form, "price": price.model_dump(mode="json", by_alias=True)}


def canonical_definition(definition: OutcomeDefinition) -> bytes:
    """The bytes that are signed: UTF-8 JSON with sorted keys, no spaces and no floats (in the manner of RFC 8785)."""
    form = definition_form(definition)
    return json.dumps(form, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def definition_digest(definition: OutcomeDefinition) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical_definition(definition)).hexdigest()


@dataclass(frozen=True, slots=True)
class Signature:
    """One party's yes to exactly one text.

    Attributes:
        party: Vendor or customer.
        person: Who signed.
        role: As what.
        method: How the person was known.
        at: When (UTC).
        digest: Of what was signed.
    """

    party: Party
    person: str
    role: str
    method: Method
    at: datetime
    digest: str


@dataclass(frozen=True)
class DefinitionVersion:
    """One version of a contract's definition.

    Attributes:
        number: Counted from 1; a later one takes the place of an earlier.
        definition: What it says.
        effective_from: From when it is meant to hold, on the quarter-hour grid.
        signatures: Those given so far.
        live_from: From when confirmed outcomes are billed; ``None`` in shadow, where all is counted and nothing billed.
        retired_from: From when nothing is accepted any more.
        retroactive: Whether both parties signed that it also holds before the last signature.
    """

    number: int
    definition: OutcomeDefinition
    effective_from: datetime
    signatures: tuple[Signature, ...] = ()
    live_from: datetime | None = None
    retired_from: datetime | None = None
    retroactive: bool = False
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        if not on_grid(self.effective_from):
            raise InvalidInputError(
                f"{write_instant(self.effective_from)} is not on the quarter-hour grid",
                field="effective_from",
                hint="take a quarter hour, so that counters are exact at the border",
            )
        object.__setattr__(self, "digest", definition_digest(self.definition))

    def missing(self) -> tuple[Party, ...]:
        """The parties whose signature under this very text is missing."""
        signed = {each.party for each in self.signatures if each.digest == self.digest}
        return tuple(party for party in PARTIES if party not in signed)

    def in_force_from(self) -> datetime | None:
        """From when it holds: with both signatures, not before either; ``None`` with one."""
        return self._held_from

    @cached_property
    def _held_from(self) -> datetime | None:
        if self.missing():
            return None
        if self.retroactive:
            return self.effective_from
        first = [
            min(each.at for each in self.signatures if each.party == party and each.digest == self.digest)
            for party in PARTIES
        ]
        return max(self.effective_from, *first)

    def status(self, now: datetime) -> Literal["draft", "proposed", "shadow", "live", "retired"]:
        """Where it stands: draft, proposed (one signature), shadow (in force, not billed), live or retired."""
        if self.retired_from is not None and now >= self.retired_from:
            return "retired"
        since = self.in_force_from()
        if since is None:
            return "proposed" if len(self.missing()) < len(PARTIES) else "draft"
        if now < since:
            return "proposed"
        return "live" if self.bills_at(now) else "shadow"

    def bills_at(self, confirmed_at: datetime) -> bool:
        """Whether an outcome confirmed at an instant may be billed: both signatures, in force, and not in shadow."""
        since = self.in_force_from()
        return since is not None and self.live_from is not None and confirmed_at >= max(since, self.live_from)


def sign(version: DefinitionVersion, signature: Signature) -> DefinitionVersion:
    """Add a signature.

    Raises:
        UnprocessableError: Where it is for another text, or the party has signed already.
    """
    if signature.digest != version.digest:
        raise UnprocessableError(
            f"the signature is for {signature.digest[:12]}…, this version is {version.digest[:12]}…",
            field="digest",
            hint="read the definition as it stands now and sign that",
        )
    if signature.party not in version.missing():
        raise UnprocessableError(f"the {signature.party} has signed this version already", field="party")
    return DefinitionVersion(
        version.number,
        version.definition,
        version.effective_from,
        (*version.signatures, signature),
        version.live_from,
        version.retired_from,
        version.retroactive,
    )


def version_at(versions: Iterable[DefinitionVersion], instant: datetime) -> DefinitionVersion | None:
    """The version in force at an instant: of those with both signatures, the one that began last."""
    held = [
        (since, version.number, version)
        for version in versions
        if (since := version.in_force_from()) is not None
        and since <= instant
        and not (version.retired_from is not None and version.retired_from <= instant)
    ]
    return max(held, key=lambda each: each[:2])[2] if held else None


def check_amendment(
    versions: Sequence[DefinitionVersion], amendment: DefinitionVersion, now: datetime
) -> None:
    """Refuse an amendment that would reach back or repeat a version.

    Raises:
        UnprocessableError: Saying what would be right.
    """
    if amendment.number != max((version.number for version in versions), default=0) + 1:
        raise UnprocessableError(
            f"version {amendment.number} does not follow the {len(versions)} there are", field="number"
        )
    if amendment.effective_from <= now and not amendment.retroactive:
        raise UnprocessableError(
            f"{write_instant(amendment.effective_from)} is not in the future",
            field="effective_from",
            hint="choose a quarter hour to come, or have both sides sign the list of differences (retroactive)",
        )
    if any(version.digest == amendment.digest for version in versions[-1:]):
        raise UnprocessableError("the amendment changes nothing", field="definition")

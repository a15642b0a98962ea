"""Which version of a definition governs which outcome, so that a window never changes under a running one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from valorem.core.errors import InvalidInputError
from valorem.core.metering.event import Event
from valorem.core.numbers import exact
from valorem.core.outcomes.evidence import CompiledOutcome, Evidence, in_order
from valorem.core.outcomes.fold import fold
from valorem.core.outcomes.frame import UTC_MONTHS, Frame
from valorem.core.outcomes.signing import DefinitionVersion, version_at
from valorem.core.outcomes.states import Outcome

#: Events with the instant at which each arrived.
Recorded = Sequence[tuple[Event, datetime]]


@dataclass(frozen=True)
class Governed:
    """One key under the version that governs it.

    Attributes:
        outcome: Its states.
        version: The version; ``None`` where none was in force, and nothing can come of it.
    """

    outcome: Outcome
    version: DefinitionVersion | None

    def billable(self, confirmed_at: datetime) -> bool:
        """Whether a result confirmed at that instant may be billed."""
        return self.version is not None and self.version.bills_at(confirmed_at)


class Definitions:
    """All versions of one definition of a contract, compiled once."""

    def __init__(self, versions: Iterable[DefinitionVersion]) -> None:
        self.versions = tuple(sorted(versions, key=lambda version: version.number))
        self._last: tuple[Recorded, Frame, dict[str, Governed]] | None = None
        self.compiled = {version.number: CompiledOutcome(version.definition) for version in self.versions}

    @property
    def signed(self) -> tuple[DefinitionVersion, ...]:
        """The versions that both sides signed; no other governs anything."""
        return tuple(version for version in self.versions if version.in_force_from() is not None)

    def keys_of(self, event: Event, known_at: datetime) -> dict[str, frozenset[str]]:
        """The keys an event speaks of as any signed version reads it, each with the keys it says it was merged into."""
        found: dict[str, set[str]] = {}
        for version in self.signed:
            for _, each in self.compiled[version.number].readable([(event, known_at)]):
                links = found.setdefault(each.key, set())
                if each.alias_of is not None and each.alias_of != each.key:
                    links.add(each.alias_of)
        return {key: frozenset(links) for key, links in found.items()}

    def unreadable(self, event: Event, known_at: datetime) -> str | None:
        """Why the version in force when an event happened cannot read it; None where it can.

        Before any is in force the first that both signed is asked, and before that the first there is.
        """
        assert event.time is not None  # a recorded event has its time
        version = version_at(self.versions, event.time) or (*self.signed, *self.versions)[0]
        try:
            self.compiled[version.number].read(event, known_at)
        except InvalidInputError as error:
            return f"{error.field}: {error.message}" if error.field else error.message
        return None

    @property
    def event_types(self) -> frozenset[str]:
        """The events any version reads."""
        return frozenset().union(*(compiled.event_types for compiled in self.compiled.values()))

    def fold(self, recorded: Recorded, frame: Frame = UTC_MONTHS) -> Mapping[str, Governed]:
        """Every outcome, each under the version in force at the instant its definition names.

        A version that one side has not signed governs nothing, whatever its date. The very same events asked about again
        give the answer of before.

        Args:
            recorded: Events in any order, with any repetition.
            frame: The contract's calendar and rates.
        """
        if not isinstance(recorded, tuple):  # a list may have changed since
            return self._fold(recorded, frame)
        if self._last is None or self._last[0] is not recorded or self._last[1] != frame:
            self._last = (recorded, frame, self._fold(recorded, frame))
        return MappingProxyType(self._last[2])

    @exact
    def _fold(self, recorded: Recorded, frame: Frame) -> dict[str, Governed]:
        signed = self.signed
        read = {version.number: _by_key(self.compiled[version.number], recorded) for version in signed}
        keys = {key for by_key in read.values() for key in by_key}
        governed = {key: self._governing(key, read, frame) for key in sorted(keys)}
        found: dict[str, Governed] = {
            key: Governed(Outcome(key, (), (), ()), None)
            for key, version in governed.items()
            if version is None
        }
        for version in signed:
            own = [key for key, other in governed.items() if other is version]
            evidence = [
                each
                for key in own
                for each in read[version.number].get(key, ())
                if each.kind != "success" or version_at(self.versions, each.at) is not None
            ]
            compiled = self.compiled[version.number]
            for key, outcome in fold(compiled, evidence, frame, digest=version.digest).items():
                found[key] = Governed(outcome, version)
        return found

    def _governing(
        self, key: str, read: Mapping[int, Mapping[str, list[Evidence]]], frame: Frame
    ) -> DefinitionVersion | None:
        """The version in force at the key's first success (or first touch, or confirmation) as that version reads it."""
        decided = [
            (at, version)
            for version in self.versions
            if version.number in read
            and (at := self._decisive(version, read[version.number].get(key, []), frame)) is not None
        ]
        return min(decided, key=lambda each: (each[0], -each[1].number))[1] if decided else None

    def _decisive(
        self, version: DefinitionVersion, evidence: list[Evidence], frame: Frame
    ) -> datetime | None:
        """The first instant that would put the key under a version: one at which that version is in force."""
        by = version.definition.governed_by
        if by == "confirmation":
            outcomes = fold(self.compiled[version.number], evidence, frame).values()
            instants = [
                result.ends_at
                for outcome in outcomes
                for result in outcome.results
                if result.end == "confirmed"
            ]
        else:
            kind = "touch" if by == "first_touch" else "success"
            instants = [each.at for each in in_order(evidence) if each.kind == kind]
        return next((at for at in instants if version_at(self.versions, at) is version), None)


def _by_key(compiled: CompiledOutcome, recorded: Recorded) -> dict[str, list[Evidence]]:
    by_key: dict[str, list[Evidence]] = {}
    for _, each in compiled.readable(recorded):
        by_key.setdefault(each.key, []).append(each)
    return by_key

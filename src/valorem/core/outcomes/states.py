"""What becomes of one key: its states with the moment, the arrival and the evidence of each change."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from valorem.core.numbers import ONE

State = Literal["candidate", "assumed", "confirmed", "reversed", "cancelled", "rejected"]


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of state.

    Attributes:
        state: What it is from then on.
        at: When (UTC).
        known_at: When the last evidence it rests on arrived; with nothing but silence, the instant itself.
        evidence: Ids of the evidence it rests on.
        rule: What decided it: the name of a rule or predicate, ``window over``, ``duplicate``, ``unattributed``, …
        silent: Whether nothing but the passing of time leads to it and nothing has been heard since.
    """

    state: State
    at: datetime
    known_at: datetime
    evidence: tuple[str, ...]
    rule: str
    silent: bool = False


@dataclass(frozen=True, slots=True)
class Restatement:
    """A change of what a confirmed outcome is worth."""

    at: datetime
    change: Decimal
    evidence: str


@dataclass(frozen=True, slots=True)
class Touch:
    """A touch before a success, with its share of it.

    Attributes:
        evidence: Its id.
        at: When.
        actor: Whose it was.
        share: Of the result; the shares of all touches add up to one.
        ours: Whether it is the vendor's.
    """

    evidence: str
    at: datetime
    actor: str | None
    share: Decimal
    ours: bool


@dataclass(frozen=True, slots=True)
class Result:
    """One acceptance of a key: from the success that opened it to its end.

    Attributes:
        accepted_at: When the success was accepted.
        ends_at: When it stops being assumed, by evidence or by the end of its window; known beforehand.
        end: What it becomes then.
        reversed_at: When it was taken back after confirmation.
        reversed_by: The name of the rule that did.
        value: What it is worth at confirmation, in the definition's currency, times our share; ``None`` where the
            definition has no value or no rate is known.
        restated: Changes of that value after confirmation.
        credit: Our share of the result by the attribution model.
        touches: The touches the share rests on.
        dimensions: Values of the definition's dimensions.
        pays: What a guarantee pays out, in the definition's currency.
        rate: The rate into the definition's currency that holds for it for ever.
        measures: Its part of the period's facts, for a share of savings.
        arm: Treated or control, for a difference in differences.
        unit: Whose assignment to the holdout decides.
    """

    accepted_at: datetime
    ends_at: datetime
    end: Literal["confirmed", "cancelled", "rejected"]
    reversed_at: datetime | None = None
    reversed_by: str | None = None
    value: Decimal | None = None
    restated: tuple[Restatement, ...] = ()
    credit: Decimal = ONE
    touches: tuple[Touch, ...] = ()
    dimensions: tuple[str | None, ...] = ()
    pays: Decimal | None = None
    rate: Decimal | None = None
    measures: tuple[Decimal | None, ...] = ()
    arm: str | None = None
    unit: str | None = None

    def confirmed_at(self) -> datetime | None:
        """When it is confirmed; ``None`` for one that never is."""
        return self.ends_at if self.end == "confirmed" else None


@dataclass(frozen=True, slots=True)
class Unheard:
    """Evidence that changed nothing, and why; stored and shown all the same."""

    evidence: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything about one key under one definition: a function of its evidence alone.

    Transitions that time alone will bring are already in it, so the state at any instant is read off without a write.

    Attributes:
        key: The canonical key.
        transitions: In order of time.
        results: One for each time the key was accepted.
        unheard: Evidence without effect.
        digest: The hash of the definition that governs it.
    """

    key: str
    transitions: tuple[Transition, ...]
    results: tuple[Result, ...]
    unheard: tuple[Unheard, ...]
    digest: str = ""

    def state(self, now: datetime) -> State:
        """Its state at an instant."""
        state: State = "candidate"
        for transition in self.transitions:
            if transition.at > now:
                break
            state = transition.state
        return state

    def history(self, now: datetime) -> tuple[Transition, ...]:
        """What has happened to it up to an instant, that instant included."""
        return tuple(each for each in self.transitions if each.at <= now)

    def matures_at(self, now: datetime) -> datetime | None:
        """When it is confirmed if nothing more is heard; ``None`` where it is not assumed."""
        for result in self.results:
            if result.accepted_at <= now < result.ends_at:
                return result.ends_at
        return None

    def rejected_by(self, now: datetime) -> str | None:
        """Which predicate or rule rejected it."""
        history = self.history(now)
        return history[-1].rule if history and history[-1].state == "rejected" else None

    def standing(self, now: datetime) -> Iterator[Result]:
        """The results that are confirmed at an instant and not reversed."""
        for result in self.results:
            confirmed = result.confirmed_at()
            if (
                confirmed is not None
                and confirmed <= now
                and not (result.reversed_at is not None and result.reversed_at <= now)
            ):
                yield result

"""The fold: (definition, evidence) → states. Order of arrival, repetition and splitting of evidence never matter.

Whatever time alone will bring is worked out beforehand and carries its instant, so no job ever moves a state.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Literal

from valorem.core.metering.event import Event
from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.outcomes.attribution import attributed, touch_shares
from valorem.core.outcomes.durations import window_end
from valorem.core.outcomes.evidence import CompiledOutcome, Evidence, in_order
from valorem.core.outcomes.frame import UTC_MONTHS, Frame
from valorem.core.outcomes.keys import held_out
from valorem.core.outcomes.merging import merge_into, merged_groups
from valorem.core.outcomes.states import Outcome, Restatement, Result, State, Touch, Transition, Unheard
from valorem.core.outcomes.terms import AttributionTerms

#: Raised whenever the same evidence comes to other results: what was kept is then folded again.
REVISION = 1

_PPM = 1_000_000
_DISTANT = datetime.max.replace(tzinfo=UTC_MONTHS.anchor.tzinfo)


@exact
def fold(
    compiled: CompiledOutcome,
    evidence: Iterable[Evidence],
    frame: Frame = UTC_MONTHS,
    *,
    digest: str = "",
) -> dict[str, Outcome]:
    """Every outcome of a set of evidence.

    Records that were merged (``alias_of``) count once: the key whose success was accepted first keeps its outcome, and
    hears what is said of the others from the merge on; the others are duplicates from that moment.

    Args:
        compiled: The definition.
        evidence: In any order, with any repetition.
        frame: The contract's calendar and rates.
        digest: The hash of the definition, kept on the outcomes.
    """
    by_key: dict[str, list[Evidence]] = {}
    for each in evidence:
        by_key.setdefault(each.key, []).append(each)
    outcomes = {key: fold_key(compiled, key, own, frame, digest=digest) for key, own in by_key.items()}
    for group in merged_groups(by_key):
        winner = min(group, key=lambda key: (_accepted(outcomes.get(key)), key))
        merges = {key: group[key] or merge_into(by_key, key) for key in group if key != winner}
        inherited = by_key.get(winner, [])
        for key, merge in merges.items():
            own = by_key.get(key, [])
            if merge is None or not own:
                continue
            outcomes[key] = fold_key(compiled, key, own, frame, digest=digest, merged=merge)
            inherited = [*inherited, *(each for each in own if each.at >= merge.at and each.level is None)]
        outcomes[winner] = fold_key(compiled, winner, inherited, frame, digest=digest)
    return outcomes


@exact
def fold_key(
    compiled: CompiledOutcome,
    key: str,
    evidence: Iterable[Evidence],
    frame: Frame = UTC_MONTHS,
    *,
    digest: str = "",
    merged: Evidence | None = None,
) -> Outcome:
    """The outcome of one key; :func:`fold` does this for many.

    Args:
        compiled: The definition.
        key: The canonical key.
        evidence: Of this key, in any order, with any repetition.
        frame: The contract's calendar and rates.
        digest: The hash of the definition.
        merged: The evidence by which this record became part of another one.
    """
    run = _Run(compiled, frame, merged)
    for each in in_order(evidence):
        run.hear(each)
    return run.outcome(key, digest)


def _accepted(outcome: Outcome | None) -> datetime:
    return outcome.results[0].accepted_at if outcome is not None and outcome.results else _DISTANT


@dataclass(slots=True)
class _Open:
    """A result whose window is running."""

    success: Evidence
    ends_at: datetime
    credit: Decimal
    touches: tuple[Touch, ...]
    amount: Decimal | None
    rate: Decimal | None


class _Run:
    """One pass over the ordered evidence of one key."""

    def __init__(self, compiled: CompiledOutcome, frame: Frame, merged: Evidence | None) -> None:
        self.compiled, self.definition, self.frame = compiled, compiled.definition, frame
        self.merged = merged
        self.gone = False  # merged into another record
        self.open: _Open | None = None
        self.standing: Evidence | None = None  # the success of the confirmed result that stands
        self.amount: Decimal | None = None  # of the standing result, before rate and credit
        self.results: list[Result] = []
        self.transitions: list[Transition] = []
        self.unheard: list[Unheard] = []
        self.seen: list[Evidence] = []
        self.levels: dict[int, Decimal] = {}

    def hear(self, evidence: Evidence) -> None:
        """Let time pass up to the evidence, then let it take effect."""
        self._pass_to(evidence.at, silent=False)
        if self._too_late(evidence):
            self._ignore(evidence, "too late")
            return
        if not self._risen(evidence):
            return
        self.seen.append(evidence)
        match evidence.kind:
            case "success":
                self._success(evidence)
            case "restate":
                self._restate(evidence)
            case "confirm":
                self._confirm(evidence)
            case "refute" | "retract":
                self._refute(evidence)

    def outcome(self, key: str, digest: str) -> Outcome:
        """What the pass has found, with all that silence will bring."""
        self._pass_to(_DISTANT, silent=True)
        return Outcome(key, tuple(self.transitions), tuple(self.results), tuple(self.unheard), digest)

    def _pass_to(self, instant: datetime, *, silent: bool) -> None:
        """End the window, and merge the record into another, where that has come by an instant."""
        merged = self.merged
        if merged is not None and merged.at < instant:
            self.merged, self.gone = None, True
            if self.open is not None and self.open.ends_at <= merged.at:
                self._mature(silent=False)
            self._merge(merged)
        if self.open is not None and self.open.ends_at <= instant:
            self._mature(silent=silent)

    def _too_late(self, evidence: Evidence) -> bool:
        accept = self.definition.accept_until
        if accept is None:
            if self.definition.late != "reject":
                return False
            accept = timedelta(0)
        end = self.frame.period(self.frame.period_of(evidence.at)).end
        return evidence.known_at >= end + accept

    def _risen(self, evidence: Evidence) -> bool:
        if evidence.level is None:
            return True
        before = self.levels.get(evidence.rule)
        self.levels[evidence.rule] = evidence.level
        return before is not None and evidence.level > before

    def _success(self, evidence: Evidence) -> None:
        if self.open is not None:
            if self.definition.restart_on == "last":
                self.open.ends_at = self._window_end(evidence.at)
            else:
                self._ignore(evidence, "already counted")
            return
        if self.gone or self._taken(evidence.at):
            self._ignore(evidence, "duplicate")
            return
        if self.definition.judged_at == "success" and (failed := self._failed(evidence.data)):
            self._reject(evidence, failed)
            return
        if self._held_out(evidence):
            self._reject(evidence, "holdout")
            return
        credit: Decimal = ONE
        touches: tuple[Touch, ...] = ()
        if self.definition.attribution is not None:
            credit, touches = self._credit(evidence, self.definition.attribution)
            if not credit:
                self._reject(evidence, "unattributed")
                return
            if self.definition.attribution.exclusive and self._others_acted(evidence, touches):
                self._reject(evidence, "other actor")
                return
        self.standing = None
        self.open = _Open(
            evidence, self._window_end(evidence.at), credit, touches, evidence.amount, evidence.rate
        )
        self._to("assumed", evidence.at, (evidence,), self._name(evidence))

    def _confirm(self, evidence: Evidence) -> None:
        if self.open is None or self.definition.explicit == "ignored":
            return
        if evidence.rate is not None:
            self.open.rate = evidence.rate
        self.open.ends_at = evidence.at
        self._mature(silent=False, by=evidence)

    def _restate(self, evidence: Evidence) -> None:
        if evidence.amount is None:
            return
        if self.open is not None:
            self.open.amount = evidence.amount
            self.open.rate = evidence.rate if evidence.rate is not None else self.open.rate
        elif self.standing is not None and self.amount is not None and self.results[-1].rate is not None:
            result = self.results[-1]
            change = (evidence.amount - self.amount) * (result.rate or ZERO) * result.credit
            self.amount = evidence.amount
            restated = (*result.restated, Restatement(evidence.at, change, evidence.id))
            self.results[-1] = replace(result, restated=restated)

    def _refute(self, evidence: Evidence) -> None:
        rule = self.definition.evidence[evidence.rule]
        if self.open is None and self.standing is None:
            return
        if rule.reasons and evidence.reason not in rule.reasons:
            self._ignore(evidence, "reason not in definition")
            return
        if self.open is not None:
            if rule.reverses:
                self._end("cancelled", evidence)
            return
        lock = self.definition.lock_after(rule)
        if lock is not None and evidence.at >= self.results[-1].ends_at + lock:
            self._ignore(evidence, "after window" if not lock else "after lock")
            return
        if rule.reverses:
            self._reverse(evidence, self._name(evidence))
        else:
            self._pay(evidence)

    def _pay(self, evidence: Evidence) -> None:
        result = self.results[-1]
        if evidence.pays is not None:
            paid = (result.pays or ZERO) + evidence.pays * (result.rate or ONE)
            self.results[-1] = replace(result, pays=paid)

    def _merge(self, evidence: Evidence) -> None:
        """The record is part of another one from here on."""
        if self.open is not None:
            self._end("rejected", evidence, "duplicate")
        elif self.standing is not None:
            self._reverse(evidence, "duplicate")
        else:
            self._to("rejected", evidence.at, (evidence,), "duplicate")

    def _end(
        self, end: Literal["cancelled", "rejected"], evidence: Evidence, rule: str | None = None
    ) -> None:
        opened, self.open = self.open, None
        assert opened is not None
        self.results.append(self._result(opened, evidence.at, end))
        self._to(end, evidence.at, (opened.success, evidence), rule or self._name(evidence))

    def _reverse(self, evidence: Evidence, rule: str) -> None:
        self._pay(evidence)
        self.results[-1] = replace(self.results[-1], reversed_at=evidence.at, reversed_by=rule)
        self._to("reversed", evidence.at, (evidence,), rule)
        self.standing = None

    def _mature(self, *, silent: bool, by: Evidence | None = None) -> None:
        opened, self.open = self.open, None
        assert opened is not None
        behind = (opened.success,) if by is None else (opened.success, by)
        rule = "window over" if by is None else self._name(by)
        if self.definition.judged_at == "maturity" and (failed := self._failed(self._known())):
            self.results.append(self._result(opened, opened.ends_at, "rejected"))
            self._to("rejected", opened.ends_at, behind, failed, silent=silent)
            return
        self.results.append(self._result(opened, opened.ends_at, "confirmed"))
        self.standing, self.amount = opened.success, opened.amount
        self._to("confirmed", opened.ends_at, behind, rule, silent=silent)

    def _result(
        self, opened: _Open, ends_at: datetime, end: Literal["confirmed", "cancelled", "rejected"]
    ) -> Result:
        success, value, rate = opened.success, None, None
        if opened.amount is not None and end == "confirmed":
            rate = self._rate(opened, ends_at)
            value = None if rate is None else opened.amount * rate * opened.credit
        return Result(
            accepted_at=success.at,
            ends_at=ends_at,
            end=end,
            value=value,
            credit=opened.credit,
            touches=opened.touches,
            dimensions=success.dimensions,
            rate=rate,
            measures=success.measures,
            arm=success.arm,
            unit=success.unit,
        )

    def _rate(self, opened: _Open, at: datetime) -> Decimal | None:
        """The rate of the confirmation day, as the evidence brought it or the contract's table has it."""
        if opened.rate is not None:
            return opened.rate
        currency = opened.success.currency
        rate = self.frame.rate(currency, self.definition.currency, at)
        if rate is None:
            self._ignore(opened.success, f"no rate from {currency} into {self.definition.currency}")
        return rate

    def _window_end(self, start: datetime) -> datetime:
        return window_end(start, self.definition.window, self.definition.window_clock, self.frame.zone)

    def _taken(self, at: datetime) -> bool:
        """Whether the key has been counted already, by the definition's ``one_per``."""
        counted = [result for result in self.results if result.end == "confirmed"]
        if self.definition.one_per == "until_reversed":
            return self.standing is not None
        if self.definition.one_per == "forever":
            return bool(counted)
        if self.definition.one_per == "period":
            period = self.frame.period_of
            return any(period(result.accepted_at) == period(at) for result in counted)
        length = self.definition.once_for or timedelta(0)
        return any(at < result.accepted_at + length for result in counted)

    def _failed(self, data: Mapping[str, object]) -> str | None:
        """The first predicate that does not hold."""
        if not self.compiled.predicates:
            return None
        event = Event("", "", "", "", None, data)
        return next((name for name, holds in self.compiled.predicates if not holds(event)), None)

    def _known(self) -> dict[str, object]:
        """All that the evidence so far says, the latest word on each member."""
        known: dict[str, object] = {}
        for each in self.seen:
            known.update(each.data)
        return known

    def _held_out(self, evidence: Evidence) -> bool:
        terms = self.definition.holdout
        return (
            terms is not None
            and evidence.unit is not None
            and held_out(terms.salt, evidence.unit, int(terms.share * _PPM))
        )

    def _credit(self, evidence: Evidence, terms: AttributionTerms) -> tuple[Decimal, tuple[Touch, ...]]:
        touches = [
            each
            for each in self.seen
            if each.kind == "touch" and attributed(each.at, evidence.at, terms.within)
        ]
        shares = touch_shares([each.at for each in touches], evidence.at, terms.model, terms.half_life)
        credited = tuple(
            Touch(each.id, each.at, each.actor, share, self._ours(each, terms))
            for each, share in zip(touches, shares, strict=True)
        )
        ours = [touch.share for touch in credited if touch.ours]
        if terms.model == "any":
            return (ONE if ours else ZERO), credited
        return sum(ours, ZERO), credited

    def _ours(self, evidence: Evidence, terms: AttributionTerms) -> bool:
        return not terms.vendor_actors or evidence.actor in terms.vendor_actors

    def _others_acted(self, evidence: Evidence, touches: tuple[Touch, ...]) -> bool:
        """Whether somebody else acted between our last touch and a success that is not our own act."""
        terms = self.definition.attribution
        assert terms is not None
        if evidence.actor in terms.vendor_actors:
            return False
        last = max(touch.at for touch in touches if touch.ours)
        return any(
            each.at >= last and each.actor is not None and each.actor not in terms.vendor_actors
            for each in self.seen[:-1]
        )

    def _reject(self, evidence: Evidence, rule: str) -> None:
        if self.standing is not None:
            self._ignore(evidence, rule)
            return
        self._to("rejected", evidence.at, (evidence,), rule)

    def _to(
        self, state: State, at: datetime, behind: tuple[Evidence, ...], rule: str, *, silent: bool = False
    ) -> None:
        known_at = max([each.known_at for each in behind] + [at] * (rule == "window over"))
        ids = tuple(dict.fromkeys(each.id for each in behind))
        self.transitions.append(Transition(state, at, known_at, ids, rule, silent))

    def _ignore(self, evidence: Evidence, reason: str) -> None:
        self.unheard.append(Unheard(evidence.id, evidence.at, reason))

    def _name(self, evidence: Evidence) -> str:
        return self.definition.evidence[evidence.rule].name or evidence.kind

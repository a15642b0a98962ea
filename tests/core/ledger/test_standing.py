# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""What a few numbers decide is what the replay decides: for any grants, any sequence of holds, any settlements."""

import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.ledger.build import START, UNTIMED, burn, grant
from valorem.core.ledger import holds as core
from valorem.core.ledger import standing as lots
from valorem.core.ledger import standing_written as written
from valorem.core.ledger.account import Account, Facts, LotKey
from valorem.core.ledger.admission import room_beyond, soft_room, verdict_on
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.replay import replay, spendable
from valorem.core.ledger.scope import Scope, Workload
from valorem.core.ledger.standing import Parts, Standing, StandingLot, standing_of
from valorem.core.numbers import ZERO
from valorem.core.periods import Cadence

MOMENT = timedelta(microseconds=1)
LONG = timedelta(days=1)
SCOPES = st.sampled_from([Scope(), Scope(), Scope(meters=("chat",)), Scope(products=("agents",))])
WORKS = st.sampled_from(
    [
        Workload(),
        Workload(meter="chat"),
        Workload(meter="image", member="ann"),
        Workload(product="agents", meter="chat", member="bob"),
    ]
)
ANN = Workload(member="ann")
SHARE = Cap("share", Decimal(60), Cadence(1, "day"), START - timedelta(days=9), per="member", of="pool")
CAPS = st.sampled_from(
    [
        SHARE,
        Cap("most", Decimal(90), Cadence(1, "week"), START - timedelta(days=9)),
        Cap(
            "chats", Decimal(25), Cadence(1, "day"), START - timedelta(days=9), scope=Scope(meters=("chat",))
        ),
    ]
)
POLICIES = st.sampled_from(
    [
        CreditPolicies(),
        CreditPolicies(overage="block"),
        CreditPolicies(overage="throttle", uncovered="carried"),
        CreditPolicies.model_validate({"overage": "block", "soft_limit": "1.25", "order": "expiry first"}),
    ]
)


@st.composite
def grants(draw: st.DrawFn) -> tuple[Grant, ...]:
    return tuple(
        grant(
            f"g{number}",
            draw(st.integers(1, 300)),
            -1,
            draw(st.sampled_from([None, 100, 200])),
            priority=draw(st.sampled_from([10, 50])),
            holder=draw(st.sampled_from([None, None, "ann", "bob"])),
            scope=draw(SCOPES),
        )
        for number in range(draw(st.integers(1, 4)))
    )


@dataclass
class Both:
    """One account, decided twice: by its standing, and by a replay of everything."""

    facts: Facts
    policies: CreditPolicies
    standing: Standing
    parts: dict[str, Parts] = field(default_factory=dict)

    def account(self, at: datetime) -> Account:
        return replay(self.facts, at + MOMENT, self.policies)

    def admitted(self, at: datetime, work: Workload) -> Decimal:
        left = spendable(self.facts, at + MOMENT, work, self.policies)
        return left + soft_room(self.account(at), self.policies)

    def keep(self, hold: Hold) -> None:
        others = tuple(each for each in self.facts.holds if each.id != hold.id)
        self.facts = replace(self.facts, holds=(*others, hold))

    def agree(self, at: datetime) -> None:
        account = self.account(at)
        found = standing_of(account, self.facts.grants, self.facts.caps)
        for name in ("available", "held", "overage", "granted", "used", "counts"):
            assert getattr(found, name) == getattr(self.standing, name), name
        if found.complete and self.standing.complete:
            assert _credited(found) == _credited(self.standing)
        held = account.checkpoint.held or {}
        assert {name: parts for name, parts in held.items() if parts} == {
            name: parts for name, parts in self.parts.items() if parts
        }


@settings(UNTIMED, max_examples=60)
@given(grants(), POLICIES, st.data())
def test_a_standing_decides_what_the_replay_decides(
    given_: tuple[Grant, ...], policies: CreditPolicies, data: st.DataObject
) -> None:
    used = tuple(burn(-0.5, amount) for amount in data.draw(st.lists(st.integers(1, 120), max_size=2)))
    facts = Facts(
        given_, used, caps=tuple(data.draw(st.lists(CAPS, max_size=2, unique_by=lambda cap: cap.key)))
    )
    most = data.draw(st.sampled_from([lots.MOST_LOTS, 1]))
    with patch.object(lots, "MOST_LOTS", most):
        _any_holds(facts, policies, data)


def _any_holds(facts: Facts, policies: CreditPolicies, data: st.DataObject) -> None:
    """Any holds and settlements; where the standing does not know, it is made anew from the replay."""
    both = Both(facts, policies, standing_of(replay(facts, START, policies), facts.grants, facts.caps))
    open_: dict[str, Hold] = {}
    at = START
    for number in range(data.draw(st.integers(1, 8))):
        at += MOMENT * data.draw(st.integers(2, 5))
        resolves: bool = data.draw(st.booleans())
        if open_ and resolves:
            known = open_.pop(data.draw(st.sampled_from(sorted(open_))))
            used_of = data.draw(st.integers(0, int(known.amount) + 20))
            ended = core.settle(known, Decimal(used_of), now=at, policies=policies)
            parts = both.parts.pop(known.id)
            after = lots.resolve(both.standing, parts, ended.settled, known.work, known.at, at)
            both.keep(ended)
        else:
            work, amount = data.draw(WORKS), Decimal(data.draw(st.integers(1, 200)))
            done = lots.place(both.standing, amount, work, at)
            admitted = both.admitted(at, work)
            if done is not None:
                taken = sum((part for _, part in done[1]), Decimal(0))
                room = room_beyond(both.standing.granted, both.standing.overage, policies)
                assert admitted == taken + room if taken < amount else admitted >= amount
            asked = core.hold(
                f"h{number}", amount, available=admitted, now=at, lasts=LONG, work=work, policies=policies
            )
            both.keep(asked)
            after = both.standing
            if asked.open:
                open_[asked.id] = asked
                after, both.parts[asked.id] = done or (None, _replayed_parts(both, asked, at))
        both.standing = after or standing_of(both.account(at), facts.grants, facts.caps)
        both.agree(at)


def _replayed_parts(both: Both, asked: Hold, at: datetime) -> Parts:
    return dict(both.account(at).checkpoint.held or {})[asked.id]


def _credited(standing: Standing) -> list[StandingLot]:
    return [lot for lot in standing.lots if lot.remaining or lot.held]


@given(grants())
def test_a_standing_is_read_as_it_was_written(given_: tuple[Grant, ...]) -> None:
    before = standing_of(replay(Facts(given_), START), given_, (SHARE,))
    done = lots.place(before, Decimal(50), Workload(meter="chat", member="ann"), START)
    assert done is not None
    standing, parts = done
    read = written.read_standing(
        json.loads(json.dumps(written.write_standing(standing))),
        available=standing.available,
        held=standing.held,
        overage=standing.overage,
    )
    assert read == standing
    assert written.read_parts(written.write_parts(parts)) == parts


def test_of_many_lots_the_first_decide_and_what_they_do_not_cover_is_left_to_the_replay() -> None:
    many = tuple(grant(f"g{number:03}", 1, -1) for number in range(lots.MOST_LOTS + 1))
    standing = standing_of(replay(Facts(many), START), many)
    assert (len(standing.lots), standing.complete, standing.available) == (lots.MOST_LOTS, False, 33)
    done = lots.place(standing, Decimal(lots.MOST_LOTS), Workload(), START)
    assert done is not None
    assert done[0].available == 1
    assert lots.place(standing, Decimal(lots.MOST_LOTS + 1), Workload(), START) is None
    assert lots.resolve(done[0], done[1], Decimal(40), Workload(), START, START) is None


def test_of_many_members_only_those_who_asked_last_are_kept() -> None:
    shares = tuple(grant(f"s{n:03}", 1, -1, holder=f"m{n:03}") for n in range(lots.MOST_MEMBERS + 1))
    standing = standing_of(replay(Facts(shares), START), shares, lately=["m007"])
    assert standing.members == ("m007",)
    assert lots.place(standing, Decimal(1), Workload(member="m008"), START) is None
    done = lots.place(standing, Decimal(1), Workload(member="m007"), START)
    assert done is not None
    assert (done[1][0][0].grant, done[0].available) == ("s007", lots.MOST_MEMBERS)


def test_what_is_freed_is_free_in_the_window_it_was_held_in() -> None:
    day = START + timedelta(days=1)
    used = Standing(
        (StandingLot(LotKey("g"), Decimal(70), Decimal(30)),),
        Decimal(70),
        Decimal(30),
        ZERO,
        Decimal(100),
        caps=(SHARE,),
        counts={SHARE.window(day, ANN): Decimal(10)},
    )
    parts: Parts = ((LotKey("g"), Decimal(30)),)
    today = lots.resolve(used, parts, ZERO, ANN, day, day)
    assert today is not None
    assert today.counts == {SHARE.window(day, ANN): -20}
    yesterday = lots.resolve(used, parts, ZERO, ANN, START, day)
    assert yesterday is not None
    assert yesterday.counts == used.counts


def test_a_hold_says_what_becomes_of_what_is_missing() -> None:
    for overage, state, verdict in (
        ("bill", "held", "bill"),
        ("throttle", "held", "throttle"),
        ("block", "refused", "block"),
    ):
        policies = CreditPolicies.model_validate({"overage": overage})
        asked = core.hold("h", Decimal(12), available=Decimal(10), now=START, lasts=LONG, policies=policies)
        assert (asked.state, asked.shortfall, verdict_on(asked, policies)) == (state, 2, verdict)
        enough = core.hold("h", Decimal(9), available=Decimal(10), now=START, lasts=LONG, policies=policies)
        assert verdict_on(enough, policies) == "allow"

# mypy: disable-error-code=comparison-overlap
# Decimals are compared with plain integers here.
"""What a few numbers decide is what the replay decides: for any grants, any sequence of holds, any settlements."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.ledger.build import START, UNTIMED, burn, grant
from valorem.core.ledger import holds as core
from valorem.core.ledger import standing as lots
from valorem.core.ledger.account import Account, Facts
from valorem.core.ledger.admission import soft_room, verdict_on
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.grants import Grant
from valorem.core.ledger.holds import Hold
from valorem.core.ledger.policies import CreditPolicies
from valorem.core.ledger.replay import replay, spendable
from valorem.core.ledger.scope import Scope, Workload
from valorem.core.ledger.standing import Parts, Standing, standing_of
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
        found = standing_of(account, self.facts.grants, ())
        assert found == self.standing
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
    facts = Facts(given_, used)
    first = standing_of(replay(facts, START, policies), given_, ())
    assert first is not None
    both = Both(facts, policies, first)
    open_: dict[str, Hold] = {}
    at = START
    for number in range(data.draw(st.integers(1, 8))):
        at += MOMENT * data.draw(st.integers(2, 5))
        resolves: bool = data.draw(st.booleans())
        if open_ and resolves:
            known = open_.pop(data.draw(st.sampled_from(sorted(open_))))
            used_of = data.draw(st.integers(0, int(known.amount) + 20))
            ended = core.settle(known, Decimal(used_of), now=at, policies=policies)
            both.standing = lots.resolve(both.standing, both.parts.pop(known.id), ended.settled, known.work)
            both.keep(ended)
        else:
            work, amount = data.draw(WORKS), Decimal(data.draw(st.integers(1, 200)))
            quick = both.standing.admits(work, policies)
            assert quick == both.admitted(at, work)
            asked = core.hold(
                f"h{number}", amount, available=quick, now=at, lasts=LONG, work=work, policies=policies
            )
            if asked.open:
                both.standing, both.parts[asked.id] = lots.place(both.standing, amount, work)
                open_[asked.id] = asked
            both.keep(asked)
        both.agree(at)


@given(grants())
def test_a_standing_is_read_as_it_was_written(given_: tuple[Grant, ...]) -> None:
    standing = standing_of(replay(Facts(given_), START), given_, ())
    assert standing is not None
    assert lots.read_lots(lots.write_lots(standing)) == standing.lots
    _, parts = lots.place(standing, Decimal(50), Workload(meter="chat", member="ann"))
    assert lots.read_parts(lots.write_parts(parts)) == parts


def test_what_takes_more_than_a_few_numbers_is_left_to_the_replay() -> None:
    cap = Cap("share", Decimal(30), Cadence(1, "day"), START, per="member", of="pool")
    one = (grant("g", 10, -1),)
    assert standing_of(replay(Facts(one, caps=(cap,)), START), one, (cap,)) is None
    many = tuple(grant(f"g{number}", 1, -1) for number in range(lots.MOST_LOTS + 1))
    assert standing_of(replay(Facts(many), START), many, ()) is None


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

"""Outcomes through real invoices: who signed, what is billed, what is taken back, and the same bytes again."""

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import psycopg
import pytest

from tests.engine.billing import JANUARY, Shops, shops
from tests.engine.dealing import (
    CATALOG,
    RESOLUTION,
    all_verify,
    day,
    deal,
    fact,
    outcome_total,
    send,
    signer,
)
from valorem.core.errors import InvalidInputError, UnprocessableError
from valorem.core.outcomes.agreement import Listed
from valorem.core.outcomes.billing import price_quantities
from valorem.core.outcomes.signing import Party
from valorem.engine.audit import list_audit, verify_audit
from valorem.engine.contracts import get_contract
from valorem.engine.credit_notes import list_credit_notes
from valorem.engine.invoices import explain_line, get_invoice, preview_invoice
from valorem.engine.outcome_deals import (
    Proposal,
    backtest,
    go_live,
    propose,
    sign_definition,
    sign_report,
)
from valorem.engine.outcome_disputes import NewDispute, open_dispute, resolve_dispute
from valorem.engine.outcome_reports import build_bundle, compare_lists, open_outcome, show_board
from valorem.engine.outcomes import definitions_of, evidence_of, frame_of
from valorem.engine.settling import standings


@pytest.fixture
def opened(database_url: str) -> Iterator[Shops]:
    with shops(database_url) as found:
        yield found


@pytest.mark.parametrize("parties", [(), ("vendor",), ("customer",)])
def test_without_both_signatures_nothing_is_ever_billed(opened: Shops, parties: Sequence[Party]) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    deal(shop, contract, *parties)
    send(shop, *(fact("acme", "solved", f"c{n}", day(n + 1)) for n in range(5)))
    shop.go(day(2, month=4))
    assert outcome_total(shop, contract) == 0
    assert shop.documents(contract=contract.id) == []


def test_a_party_signs_once_and_only_the_very_text(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    version = deal(shop, contract, "vendor")
    with shop.engine.transaction(shop.workspace) as tx, pytest.raises(UnprocessableError):
        sign_definition(
            tx, contract.id, "resolution", number=1, digest=version.digest, signer=signer("vendor")
        )
    with shop.engine.transaction(shop.workspace) as tx, pytest.raises(UnprocessableError):
        sign_definition(tx, contract.id, "resolution", number=1, digest="0" * 64, signer=signer("customer"))


def test_signing_is_in_the_chain_of_the_audit_log(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    version = deal(shop, contract, "vendor", "customer")
    with shop.engine.transaction(shop.workspace) as tx:
        found = list_audit(tx.connection, shop.workspace)
        assert verify_audit(tx.connection, shop.workspace).broken_at is None
    signed = [each.deed for each in found if each.deed.action == "outcome.sign"]
    assert [(each.actor, each.object) for each in signed] == [("key key_test", "resolution")] * 2
    assert [(each.after or {})["party"] for each in signed] == ["customer", "vendor"]
    assert all((each.after or {})["digest"] == version.digest for each in signed)
    assert all((each.after or {})["contract"] == contract.id for each in signed)


def test_a_signed_definition_cannot_be_changed_by_the_application(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    for statement in (
        "UPDATE outcome_version SET definition = '{}'",
        "DELETE FROM outcome_version",
        "UPDATE outcome_signature SET person = 'someone'",
        "DELETE FROM outcome_signature",
    ):
        with (
            pytest.raises(psycopg.errors.InsufficientPrivilege),
            shop.engine.transaction(shop.workspace) as tx,
        ):
            tx.connection.execute(statement)


def test_shadow_measures_and_bills_nothing(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer", live=False)
    send(shop, *(fact("acme", "solved", f"c{n}", day(n + 1)) for n in range(5)))
    shop.go(day(2, month=3))
    assert outcome_total(shop, contract) == 0
    with shop.engine.transaction(shop.workspace) as tx:
        board = show_board(tx, contract.id, "resolution").dashboard
    assert board.standing.confirmed.n == 5
    assert board.versions[0].status == "shadow"
    assert all(period.amount == 0 for period in board.periods)


def test_going_live_needs_agreeing_lists_and_both_signatures_on_the_report(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer", live=False)
    keys = [f"c{n}" for n in range(10)]
    send(shop, *(fact("acme", "solved", key, day(3)) for key in keys))
    shop.go(day(2, month=2))
    engine, workspace = shop.engine, shop.workspace

    def live() -> None:
        with engine.transaction(workspace) as tx:
            go_live(tx, contract.id, "resolution", number=1, since=None, proof="key_test")

    with engine.transaction(workspace) as tx:
        # As many keys on both lists, but three of them are others: totals would agree.
        wrong = {key: Listed() for key in [*keys[:7], "x1", "x2", "x3"]}
        report = compare_lists(tx, contract.id, "resolution", wrong)
    assert report.report["agrees"] is False
    assert report.report["vendor_only"] == keys[7:]
    assert report.report["source_only"] == ["x1", "x2", "x3"]
    with pytest.raises(UnprocessableError, match="not agreed"):
        live()
    with engine.transaction(workspace) as tx:
        report = compare_lists(tx, contract.id, "resolution", {key: Listed() for key in keys})
    assert report.report["agreement"] == "1"
    with pytest.raises(UnprocessableError, match="not signed report"):
        live()
    for party in ("vendor", "customer"):
        with engine.transaction(workspace) as tx:
            sign_report(tx, contract.id, "resolution", report.id, signer=signer(party))
    live()
    send(shop, fact("acme", "solved", "later", day(5, month=2)))
    shop.go(day(2, month=3))
    assert outcome_total(shop, contract) == Decimal("0.99")


def test_preview_draft_final_and_verify_agree(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "agents", seats={"seat": Decimal(2)})
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"c{n}", day(n + 1)) for n in range(5)))
    send(shop, fact("acme", "solved", "running", day(31, 20)))
    shop.go(day(31, 23))
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        seen = preview_invoice(tx, contract.id)
        board = show_board(tx, contract.id, "resolution").dashboard
    so_far = [line for line in seen.so_far.lines if line.kind == "outcome"]
    assert sum(line.amount for line in so_far) == Decimal("3.97")  # 3 × 0.99 + 2 × 0.50
    assert (board.standing.assumed.n, board.standing.next_matures_at) == (1, day(1, 20, month=2))
    shop.go(day(1, 0, month=2) + timedelta(minutes=15))
    (draft,) = shop.headers(contract=contract.id, status="draft")
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        drafted = get_invoice(tx, draft.id).invoice
    assert [line for line in drafted.lines if line.kind == "outcome"] == so_far
    shop.go(day(2, month=2))
    with shop.engine.transaction(shop.workspace, snapshot=True) as tx:
        final = get_invoice(tx, draft.id).invoice
        assert [line for line in final.lines if line.kind == "outcome"] == so_far
        number = next(n for n, line in enumerate(final.lines, 1) if line.kind == "outcome")
        explained = explain_line(tx, draft.id, number)
    assert explained.events is not None
    assert [each.event.data["key"] for each in explained.events.items] == [f"c{n}" for n in range(5)]
    all_verify(shop, contract)


def test_a_reversal_in_a_later_period_is_credited_by_pricing_the_first_again(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"c{n}", day(n + 1)) for n in range(5)))
    shop.go(day(2, month=2))
    assert outcome_total(shop, contract) == Decimal("3.97")
    send(shop, fact("acme", "reopened", "c0", day(10, month=2)))
    send(shop, *(fact("acme", "solved", f"n{n}", day(11, month=2)) for n in range(2)))
    shop.go(day(2, month=3))
    last = shop.documents(contract=contract.id)[-1]
    assert {(line.period_index, line.amount) for line in last.lines} == {
        (0, Decimal("-0.50")),
        (1, Decimal("1.98")),
    }
    send(shop, fact("acme", "reopened", "c1", day(9, month=6)))
    shop.go(day(2, month=7))
    assert outcome_total(shop, contract) == Decimal("4.95")  # 3 × 0.99, and 2 × 0.99 in February
    all_verify(shop, contract)


@pytest.mark.parametrize("seed", range(4))
def test_billed_less_credited_is_the_price_of_the_final_states_in_any_order_of_arrival(
    opened: Shops, seed: int
) -> None:
    chance = random.Random(seed)
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    facts: list[tuple[datetime, bytes]] = []
    for key in range(14):
        at = JANUARY + timedelta(hours=chance.randrange(24 * 80))
        for _ in range(chance.randrange(1, 4)):
            kind = chance.choice(["solved", "solved", "yes", "reopened"])
            facts.append((at, fact("acme", kind, f"c{key}", at)))
            at += timedelta(hours=chance.randrange(1, 24 * 12))
    # Each arrives some time after it happened, some of them weeks later, some of them twice.
    arrivals = sorted(
        (at + timedelta(hours=chance.choice([0, 0, 1, 30, 24 * 20])), raw)
        for at, raw in facts
        for _ in range(chance.choice([1, 1, 2]))
    )
    for at, raw in arrivals:
        with shop.engine.transaction(shop.workspace) as tx:
            ahead = at > tx.now
        if ahead:
            shop.go(at)
        send(shop, raw)
    shop.go(datetime(2026, 8, 2, tzinfo=UTC))
    with shop.engine.transaction(shop.workspace) as tx:
        found = get_contract(tx, contract.id).contract
        definitions = definitions_of(tx, contract.id)["resolution"]
        events = evidence_of(tx, ["acme"], definitions).events
        frame = frame_of(found)
        standing: dict[int, Decimal] = {}
        for each in definitions.fold(events, frame).values():
            for result in each.outcome.standing(tx.now):
                index = frame.period_of(result.ends_at)
                standing[index] = standing.get(index, Decimal(0)) + 1
    definition = definitions.versions[0].definition
    price = sum(
        (
            price_quantities(definition, {(): quantity}, frame.period(index), frame).total
            for index, quantity in standing.items()
        ),
        Decimal(0),
    )
    assert outcome_total(shop, contract) == price
    all_verify(shop, contract)


@pytest.mark.parametrize("settle", ["credit_note", "next_invoice"])
def test_what_a_dispute_upholds_is_given_back(opened: Shops, settle: str) -> None:
    told = RESOLUTION.replace("disputes: {days: 30,", f"disputes: {{days: 30, settle: {settle},")
    shop = opened.open({**CATALOG, "outcomes/resolution.yaml": told})
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"c{n}", day(n + 1)) for n in range(5)))
    shop.go(day(2, month=2))
    (invoice,) = shop.headers(contract=contract.id, status="finalised")
    new = NewDispute(contract.id, "resolution", "customer", ["c1", "c2"], "not_ours", "by hand", invoice.id)
    with shop.engine.transaction(shop.workspace) as tx, pytest.raises(InvalidInputError, match="reason"):
        open_dispute(tx, NewDispute(contract.id, "resolution", "customer", ["c1"], "other", "", invoice.id))
    with shop.engine.transaction(shop.workspace) as tx, pytest.raises(InvalidInputError, match="no outcome"):
        open_dispute(
            tx, NewDispute(contract.id, "resolution", "customer", ["zz"], "not_ours", "", invoice.id)
        )
    with shop.engine.transaction(shop.workspace) as tx:
        stored = open_dispute(tx, new)
        assert show_board(tx, contract.id, "resolution").dashboard.disputes == (stored.dispute,)
    with shop.engine.transaction(shop.workspace) as tx, pytest.raises(UnprocessableError, match="already"):
        open_dispute(tx, new)
    shop.go(day(5, month=2))
    assert outcome_total(shop, contract) == Decimal("3.97")  # the final invoice never changes
    with shop.engine.transaction(shop.workspace) as tx:
        resolve_dispute(
            tx, contract.id, "resolution", stored.dispute.id, {"c1": Decimal(1), "c2": Decimal(0)}
        )
    with shop.engine.transaction(shop.workspace) as tx:
        notes = [each.note.net for each in list_credit_notes(tx, invoice=invoice.id)]
    assert notes == ([Decimal("0.50")] if settle == "credit_note" else [])
    # One that is refuted later besides: whichever way the dispute was settled, nothing is given back twice.
    send(shop, fact("acme", "reopened", "c0", day(10, month=2)))
    shop.go(day(2, month=4))
    assert outcome_total(shop, contract) - sum(notes, Decimal(0)) == Decimal("2.97")
    all_verify(shop, contract)


def test_what_is_disputed_is_not_due_and_silence_is_settled_by_a_credit_note(opened: Shops) -> None:
    terms = "disputes: {days: 30, vendor_silence_days: 10, "
    told = RESOLUTION.replace("disputes: {days: 30,", terms)
    shop = opened.open({**CATALOG, "outcomes/resolution.yaml": told})
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"c{n}", day(n + 1)) for n in range(5)))
    shop.go(day(2, month=2))
    (invoice,) = shop.headers(contract=contract.id, status="finalised")

    def stands() -> tuple[Decimal, Decimal, Decimal]:
        with shop.engine.transaction(shop.workspace) as tx:
            (found,) = standings(tx, [invoice])
        return found.life.owed, found.life.held, found.life.payable

    def dispute(*keys: str) -> str:
        with shop.engine.transaction(shop.workspace) as tx:
            new = NewDispute(contract.id, "resolution", "customer", keys, "not_ours", "", invoice.id)
            return open_dispute(tx, new).dispute.id

    assert stands() == (Decimal("3.97"), 0, Decimal("3.97"))
    first = dispute("c0", "c1")
    assert stands() == (
        Decimal("3.97"),
        Decimal("1.00"),
        Decimal("2.97"),
    )  # two at 0.50, the last of the tiers
    dispute("c2")
    assert stands() == (Decimal("3.97"), Decimal("1.99"), Decimal("1.98"))
    with shop.engine.transaction(shop.workspace) as tx:
        shares = {"c0": Decimal(0), "c1": Decimal(1)}
        resolve_dispute(tx, contract.id, "resolution", first, shares)
    assert stands() == (Decimal("3.47"), Decimal("0.50"), Decimal("2.97"))
    shop.go(day(11, month=2))
    assert stands() == (Decimal("3.47"), Decimal("0.50"), Decimal("2.97"))
    shop.go(day(13, month=2))  # ten days without an answer
    assert stands() == (Decimal("2.97"), 0, Decimal("2.97"))
    with shop.engine.transaction(shop.workspace) as tx:
        assert [each.note.net for each in list_credit_notes(tx, invoice=invoice.id)] == [Decimal("0.50")] * 2
    shop.go(day(2, month=4))
    assert outcome_total(shop, contract) == Decimal("3.97")
    all_verify(shop, contract)


def test_an_amendment_shows_its_money_and_changes_nothing_under_way(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(shop, *(fact("acme", "solved", f"c{n}", day(n + 1)) for n in range(5)))
    shop.go(day(2, month=2))
    dearer = Proposal(
        contract.id,
        "resolution",
        {
            "source": {"system": "desk"},
            "evidence": [{"event": "solved", "kind": "success"}, {"event": "reopened", "kind": "refute"}],
            "key": "data.key",
            "window": "24 hours",
            "currency": "USD",
            "price": {"model": "per_unit", "amount": "2"},
        },
        effective_from=day(10, 0, month=2),
        live_from=day(10, 0, month=2),
    )
    with shop.engine.transaction(shop.workspace) as tx:
        found = backtest(tx, dearer)
        version = propose(tx, dearer, by="key_test")
    assert [(each.before, each.after) for each in found.periods][:1] == [(Decimal("3.97"), Decimal(10))]
    for party in ("vendor", "customer"):
        with shop.engine.transaction(shop.workspace) as tx:
            sign_definition(
                tx, contract.id, "resolution", number=2, digest=version.digest, signer=signer(party)
            )
    send(
        shop,
        fact("acme", "solved", "old", day(9, 23, month=2)),
        fact("acme", "solved", "new", day(10, 1, month=2)),
    )
    shop.go(day(2, month=3))
    last = shop.documents(contract=contract.id)[-1]
    assert sorted(line.amount for line in last.lines) == [Decimal("0.99"), Decimal(2)]
    all_verify(shop, contract)


def test_an_outcome_opens_to_its_evidence_and_a_bundle_has_the_same_bytes(opened: Shops) -> None:
    shop = opened.open(CATALOG)
    contract = shop.sell("acme", "bare")
    deal(shop, contract, "vendor", "customer")
    send(
        shop,
        fact("acme", "solved", "c1", day(3)),
        fact("acme", "reopened", "c1", day(6)),
        fact("acme", "solved", "c2", day(4)),
    )
    send(shop, fact("acme", "solved", "nokey", day(5)).replace(b'"key": "nokey"', b'"other": 1'))
    shop.go(day(20))
    with shop.engine.transaction(shop.workspace) as tx:
        opened_one = open_outcome(tx, contract.id, "resolution", "c1")
        board = show_board(tx, contract.id, "resolution")
        bundle = build_bundle(tx, contract.id, "resolution", keys=["c1"], at=day(10))
    assert opened_one.governed.outcome.state(opened_one.at) == "reversed"
    assert [event.type for event, _ in opened_one.events] == ["solved", "reopened"]
    assert len(board.unreadable) == 1
    send(shop, fact("acme", "solved", "c3", day(18)))
    shop.go(day(21))
    with shop.engine.transaction(shop.workspace) as tx:
        assert build_bundle(tx, contract.id, "resolution", keys=["c1"], at=day(10)) == bundle


INTERCOM = {
    "outcomes/fin.yaml": RESOLUTION.replace("outcome: resolution", "outcome: fin").replace(
        "  model: graduated\n  tiers: [{up_to: 3, unit: 0.99}, {unit: 0.5}]\n",
        "  model: per_unit\n  amount: 0.99\n  minimum: 50\n",
    ),
    "plans/seats.yaml": "plan: seats\nname: Seats and Fin\ncurrency: USD\nevery: month\n"
    "fees: {seat: {amount: 29, per: seat}}\noutcomes: [fin]\n",
}


def test_seats_and_an_agent_paid_by_the_resolution_with_a_minimum(opened: Shops) -> None:
    shop = opened.open(INTERCOM)
    contract = shop.sell("acme", "seats", seats={"seat": Decimal(2)})
    with shop.engine.transaction(shop.workspace) as tx:
        terms = {"effective_from": JANUARY, "retroactive": True, "live_from": JANUARY}
        version = propose(tx, Proposal(contract.id, "fin", **terms), by="key_test")  # type: ignore[arg-type]
        for party in ("vendor", "customer"):
            sign_definition(tx, contract.id, "fin", number=1, digest=version.digest, signer=signer(party))
    # One conversation is charged once, however often it is solved; 60 of them in January, 10 in February.
    send(shop, *(fact("acme", "solved", f"c{n}", day(2 + n % 20)) for n in range(60)))
    send(shop, *(fact("acme", "solved", f"c{n}", day(25)) for n in range(60)))
    shop.go(day(2, month=2))
    first = shop.documents(contract=contract.id)[-1]
    assert sum(line.amount for line in first.lines if line.kind == "outcome") == Decimal("59.40")
    assert [line.amount for line in first.lines if line.kind == "fee"] == [Decimal(58)]
    send(shop, *(fact("acme", "reopened", f"c{n}", day(3, month=2)) for n in range(15)))
    send(shop, *(fact("acme", "solved", f"d{n}", day(4, month=2)) for n in range(10)))
    shop.go(day(2, month=3))
    second = shop.documents(contract=contract.id)[-1]
    # January falls to 45 × 0.99 = 44.55, which its minimum raises to 50; February's 9.90 is raised to 50 as well.
    by_period = {
        index: sum(
            each.amount for each in second.lines if each.kind == "outcome" and each.period_index == index
        )
        for index in (0, 1)
    }
    assert by_period == {0: Decimal("-9.40"), 1: Decimal(50)}
    all_verify(shop, contract)

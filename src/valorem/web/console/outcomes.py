"""Outcomes: what was agreed, what stands, what is disputed, and what it comes to if nobody says anything more."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from valorem.core.contracts.contract import Contract
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import parse_decimal, plain
from valorem.core.outcomes.dashboard import OutcomeView
from valorem.engine import outcome_deals, outcome_disputes, outcome_reports
from valorem.engine.contracts import get_contract
from valorem.engine.customers import get_customer
from valorem.engine.outcome_deals import Signer
from valorem.engine.outcome_reports import Board
from valorem.engine.overview import customer_names
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit
from valorem.web.templating import segment

_MOST_BOARDS = 12
_MOST_OUTCOMES = 25
_STATES = ("assumed", "confirmed", "reversed", "cancelled", "rejected")


@dataclass(frozen=True, slots=True)
class Sold:
    """One contract's outcome in the list; without a board where there are too many to work out for a list."""

    contract: Contract
    outcome: str
    board: Board | None


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/outcomes", _list)
    site.page("/outcomes/{contract}/{outcome}", _show)
    site.page("/outcomes/{contract}/{outcome}/of/{key:path}", _open)
    site.action("/outcomes/{contract}/{outcome}/sign", "customers", _sign)
    site.action("/outcomes/{contract}/{outcome}/live", "customers", _live)
    site.action("/outcomes/{contract}/{outcome}/retire", "customers", _retire)
    site.action("/outcomes/{contract}/{outcome}/disputes/{dispute}", "customers", _dispute)


def _list(visit: Visit) -> Page:
    customer = visit.query("customer") or None
    with visit.reading() as tx:
        found = outcome_reports.list_sold(tx, customer=customer)
        rows = [
            Sold(
                contract,
                outcome,
                outcome_reports.show_board(tx, contract.id, outcome) if place < _MOST_BOARDS else None,
            )
            for place, (contract, outcome) in enumerate(found)
        ]
        names = customer_names(tx)
        now = tx.now
    values = {"here": "outcomes", "rows": rows, "names": names, "customer": customer, "now": now}
    return Page("console/outcomes.html", values)


def _show(visit: Visit) -> Page:
    contract_id, outcome = visit.path("contract"), visit.path("outcome")
    state = visit.query("state") if visit.query("state") in _STATES else ""
    with visit.reading() as tx:
        contract = get_contract(tx, contract_id).contract
        customer = get_customer(tx, contract.customer)
        board = outcome_reports.show_board(tx, contract_id, outcome)
        versions = outcome_deals.versions_of(tx, contract_id, outcome)
        disputes = outcome_disputes.list_disputes(tx, contract_id, outcome)
        now = tx.now
    found = board.dashboard
    shown = [each for each in found.outcomes if not state or each.state == state]
    shown.sort(key=_newest, reverse=True)
    values: dict[str, Any] = {
        "here": "outcomes",
        "contract": contract,
        "customer": customer,
        "board": found,
        "unreadable": dict(list(board.unreadable.items())[:10]),
        "versions": [(each, each.status(now), _text(each.definition)) for each in reversed(versions)],
        "missing": {each.number: each.missing for each in found.versions},
        "disputes": [(each, _open_keys(each)) for each in reversed(disputes)],
        "outcomes": shown[:_MOST_OUTCOMES],
        "found": len(shown),
        "state": state,
        "states": _STATES,
        "person": visit.person,
        "now": now,
    }
    return Page("console/outcome.html", values)


def _newest(each: OutcomeView) -> tuple[bool, Any, str]:
    return (each.since is not None, each.since, each.key)


def _open_keys(stored: Any) -> list[str]:
    return [key for key in stored.dispute.keys if key not in stored.dispute.resolutions]


def _text(definition: Any) -> str:
    """A definition as its canonical JSON, indented for people; its digest is of the same values."""
    written = definition.model_dump(mode="json", exclude_defaults=True)
    return msgspec.json.format(msgspec.json.encode(written), indent=2).decode()


def _open(visit: Visit) -> Page:
    contract_id, outcome, key = visit.path("contract"), visit.path("outcome"), visit.path("key")
    with visit.reading() as tx:
        contract = get_contract(tx, contract_id).contract
        customer = get_customer(tx, contract.customer)
        opened = outcome_reports.open_outcome(tx, contract_id, outcome, key)
    values = {
        "here": "outcomes",
        "contract": contract,
        "customer": customer,
        "outcome": outcome,
        "key": key,
        "opened": opened,
        "history": opened.governed.outcome.history(opened.at),
    }
    return Page("console/outcome_evidence.html", values)


def _to(visit: Visit) -> str:
    return f"{visit.home}/outcomes/{visit.path('contract')}/{segment(visit.path('outcome'))}"


def _number(visit: Visit) -> int:
    if not visit.form.get("number", "").isdigit():
        raise InvalidInputError("say which version", field="number")
    return int(visit.form["number"])


def _sign(visit: Visit) -> Answer:
    """Sign exactly one text for the vendor; the customer signs in its portal, or by a key of its own."""
    form, number = visit.form, _number(visit)
    contract, outcome = visit.path("contract"), visit.path("outcome")
    signer = Signer(
        "vendor",
        visit.person.name,
        form.get("role", "").strip() or visit.person.role,
        "console",
        visit.person.id,
        visit.person.email,
    )
    with visit.acting() as tx:
        outcome_deals.sign_definition(
            tx, contract, outcome, number=number, digest=form.get("digest", ""), signer=signer
        )
    return Go(_to(visit), f"Version {number} is signed for the vendor.")


def _live(visit: Visit) -> Answer:
    number, contract, outcome = _number(visit), visit.path("contract"), visit.path("outcome")
    with visit.acting() as tx:
        outcome_deals.go_live(
            tx,
            contract,
            outcome,
            number=number,
            since=None,
            proof=visit.person.id,
            actor=visit.person.email,
        )
    return Go(_to(visit), f"Version {number} bills from now on.")


def _retire(visit: Visit) -> Answer:
    number, contract, outcome = _number(visit), visit.path("contract"), visit.path("outcome")
    with visit.acting() as tx:
        outcome_deals.retire(
            tx,
            contract,
            outcome,
            number=number,
            since=None,
            proof=visit.person.id,
            actor=visit.person.email,
        )
    return Go(_to(visit), f"Version {number} accepts nothing more.")


def _dispute(visit: Visit) -> Answer:
    """Answer a dispute, or resolve all that is open of it by one share."""
    contract, outcome, dispute = visit.path("contract"), visit.path("outcome"), visit.path("dispute")
    with visit.acting() as tx:
        if visit.form.get("do") == "answer":
            outcome_disputes.answer_dispute(tx, contract, outcome, dispute)
            visit.note(tx, visit.deed("outcome.answer", dispute, after={"contract": contract}))
            return Go(_to(visit), "Noted: from now on the customer's silence counts, where the terms say so.")
        share = parse_decimal(visit.form.get("share", "").strip(), "share")
        stored = next(
            (
                each
                for each in outcome_disputes.list_disputes(tx, contract, outcome)
                if each.dispute.id == dispute
            ),
            None,
        )
        if stored is None:
            raise InvalidInputError("there is no such dispute")
        shares: dict[str, Decimal] = dict.fromkeys(_open_keys(stored), share)
        note = visit.form.get("note", "").strip()
        outcome_disputes.resolve_dispute(tx, contract, outcome, dispute, shares, note=note)
        after = {"contract": contract, "share": plain(share), "keys": len(shares), "note": note}
        visit.note(tx, visit.deed("outcome.resolve", dispute, after=after))
    return Go(_to(visit), "Resolved: what is given back is credited on the next invoice.")

"""Results that are paid for: the text to sign, what counts and why, the evidence, and disputes."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from valorem.core.errors import InvalidInputError, NotFoundError, ValoremError
from valorem.core.metering.event import Event
from valorem.core.numbers import plain
from valorem.core.outcomes.durations import write_duration
from valorem.core.outcomes.signing import DefinitionVersion, definition_form
from valorem.engine import outcome_deals as deals
from valorem.engine import outcome_disputes as disputes
from valorem.engine import outcome_reports as reports
from valorem.engine.engine import Transaction
from valorem.engine.invoices import list_invoices
from valorem.engine.outcome_deals import Signer
from valorem.engine.outcome_disputes import NewDispute
from valorem.engine.outcome_reports import Board
from valorem.engine.portal import customer_actor
from valorem.store.postgres.outcomes import StoredDispute, StoredReport
from valorem.web.page import Page
from valorem.web.portal import figures, said
from valorem.web.portal.site import Answer, Go, Guest, PortalSite

_MOST_SHOWN = 100
_MOST_DATA = 4000


@dataclass(frozen=True, slots=True)
class Deal:
    """One definition of one contract.

    Attributes:
        contract: The contract's id.
        outcome: The definition's key.
        board: What both sides see; None until something can be folded.
        versions: Of the text.
    """

    contract: str
    outcome: str
    board: Board | None
    versions: tuple[DefinitionVersion, ...]

    @property
    def newest(self) -> DefinitionVersion:
        """The version proposed last."""
        return self.versions[-1]


def add(site: PortalSite) -> None:
    """Add the pages."""
    site.page("/outcomes", _list)
    site.page("/outcomes/{outcome}", _show)
    site.action("/outcomes/{outcome}/sign", _sign)
    site.action("/outcomes/{outcome}/report", _sign_report)
    site.action("/outcomes/{outcome}/dispute", _dispute)
    site.page("/outcomes/{outcome}/bundle.zip", _bundle)
    site.page("/outcomes/{outcome}/one", _one)


def _deals(tx: Transaction, guest: Guest) -> list[Deal]:
    found = []
    for contract in figures.contracts_of(tx, guest):
        for outcome, definitions in reports.list_outcomes(tx, contract.id).items():
            found.append(
                Deal(contract.id, outcome, _board(tx, contract.id, outcome), tuple(definitions.versions))
            )
    return found


def _board(tx: Transaction, contract: str, outcome: str) -> Board | None:
    try:
        return reports.show_board(tx, contract, outcome)
    except NotFoundError:
        return None  # nothing of it is in force
    except InvalidInputError:
        return None  # the contract has not begun


def _deal(tx: Transaction, guest: Guest) -> Deal:
    """One of this customer's; of several contracts with it the one the address names, else the newest."""
    wanted = guest.query("contract") or guest.field("contract")
    mine = [each for each in _deals(tx, guest) if each.outcome == guest.path("outcome")]
    mine = [each for each in mine if wanted in ("", each.contract)]
    if not mine:
        raise NotFoundError("there is no such definition")
    return mine[-1]


def _list(guest: Guest) -> Page:
    with guest.reading() as tx:
        found = _deals(tx, guest)
        now = tx.now
    return Page(
        "outcomes.html",
        {"here": "outcomes", "deals": found, "said": said, "now": now, "zone": guest.customer.zone},
    )


def _show(guest: Guest) -> Page:
    return _page(guest)


def _page(guest: Guest, refused: ValoremError | None = None) -> Page:
    with guest.reading() as tx:
        deal = _deal(tx, guest)
        open_disputes: Sequence[StoredDispute] = ()
        agreements: Sequence[StoredReport] = ()
        if deal.board is not None:
            open_disputes = disputes.list_disputes(tx, deal.contract, deal.outcome)
            agreements = reports.list_reports(tx, deal.contract, deal.outcome)
        invoices = [
            each.number
            for each in list_invoices(tx, contract=deal.contract, newest_first=True, limit=12)
            if each.number is not None
        ]
        now = tx.now
    shown = deal.board.dashboard.outcomes if deal.board is not None else ()
    state = guest.query("state")
    chosen = [each for each in shown if state in ("", each.state)]
    values = {
        "here": "outcomes",
        "deal": deal,
        "definition": deal.newest.definition,
        "terms": _terms(guest, deal.newest),
        "text": json.dumps(
            definition_form(deal.newest.definition), indent=2, ensure_ascii=False, sort_keys=True
        ),
        "shown": chosen[:_MOST_SHOWN],
        "found": len(chosen),
        "states": sorted({each.state for each in shown}),
        "state": state,
        "disputes": open_disputes,
        "reports": agreements,
        "invoices": invoices,
        "refused": refused,
        "said": said,
        "zone": guest.customer.zone,
        "now": now,
    }
    return Page("outcome.html", values, 200 if refused is None else refused.status)


def _terms(guest: Guest, version: DefinitionVersion) -> list[tuple[str, str]]:
    """What the text comes to, in words; the text itself is below them."""
    definition, words = version.definition, guest.words
    pairs = [
        (words.say("What counts"), definition.description or definition.label),
        (words.say("Source of the evidence"), definition.source.system),
        (words.say("Counted by"), definition.key),
        (
            words.say("Silence until it counts"),
            write_duration(definition.window) if definition.window else words.say("none: at once"),
        ),
        (words.say("May be taken back until"), str(definition.reversal_until)),
        (words.say("Days to dispute"), words.quantity_text(definition.disputes.days)),
        (words.say("Reasons to dispute"), ", ".join(definition.disputes.reasons)),
        (words.say("Currency"), definition.currency),
    ]
    return [(name, text) for name, text in pairs if text]


def _signer(guest: Guest) -> Signer:
    if guest.field("agree") != "yes":
        raise InvalidInputError("say that you have read it", field="agree")
    return Signer(
        "customer",
        guest.field("person"),
        guest.field("role"),
        "portal",
        f"portal of {guest.key}"[:200],
        customer_actor(guest.key),
    )


def _sign(guest: Guest) -> Answer:
    """Sign exactly the text that was shown: its fingerprint comes with the form."""
    try:
        number = int(guest.field("number")) if guest.field("number").isdecimal() else 0
        signer = _signer(guest)
        with guest.acting() as tx:
            deal = _deal(tx, guest)
            deals.sign_definition(
                tx, deal.contract, deal.outcome, number=number, digest=guest.field("digest"), signer=signer
            )
    except NotFoundError:
        raise
    except ValoremError as error:
        return _page(guest, error)
    return Go(f"{guest.home}/outcomes/{guest.path('outcome')}?contract={deal.contract}", "signed")


def _sign_report(guest: Guest) -> Answer:
    """Sign a comparison of both lists."""
    try:
        signer = _signer(guest)
        with guest.acting() as tx:
            deal = _deal(tx, guest)
            deals.sign_report(tx, deal.contract, deal.outcome, guest.field("report"), signer=signer)
    except NotFoundError:
        raise
    except ValoremError as error:
        return _page(guest, error)
    return Go(f"{guest.home}/outcomes/{guest.path('outcome')}?contract={deal.contract}", "signed")


def _dispute(guest: Guest) -> Answer:
    """Say no to counted results, for one of the reasons both sides agreed on."""
    keys = [each.strip() for each in guest.field("keys").replace(",", "\n").split("\n") if each.strip()]
    try:
        if not keys:
            raise InvalidInputError("name at least one result", field="keys")
        with guest.acting() as tx:
            deal = _deal(tx, guest)
            new = NewDispute(
                deal.contract,
                deal.outcome,
                "customer",
                keys[:500],
                guest.field("reason"),
                guest.field("text"),
                guest.field("invoice") or None,
            )
            opened = disputes.open_dispute(tx, new)
            guest.note(tx, "outcome.dispute", deal.outcome, dispute=opened.dispute.id, keys=keys[:20])
    except NotFoundError as error:
        if error.field == "invoice":
            return _page(guest, error)
        raise
    except ValoremError as error:
        return _page(guest, error)
    return Go(f"{guest.home}/outcomes/{guest.path('outcome')}?contract={deal.contract}", "dispute_opened")


def _bundle(guest: Guest) -> Response:
    """The evidence as a ZIP that can be checked without us."""
    with guest.reading() as tx:
        deal = _deal(tx, guest)
        content = reports.build_bundle(tx, deal.contract, deal.outcome)
    return Response(
        content,
        media_type="application/zip",
        headers={"content-disposition": f'attachment; filename="evidence-{deal.outcome}.zip"'},
    )


def _one(guest: Guest) -> Page:
    """One result with its states, and the very events they rest on."""
    with guest.reading() as tx:
        deal = _deal(tx, guest)
        opened = reports.open_outcome(tx, deal.contract, deal.outcome, guest.query("key"))
    outcome = opened.governed.outcome
    values = {
        "here": "outcomes",
        "deal": deal,
        "definition": deal.newest.definition,
        "key": outcome.key,
        "history": outcome.history(opened.at),
        "state": outcome.state(opened.at),
        "events": [(event, arrived, _data(event)) for event, arrived in opened.events],
        "said": said,
        "zone": guest.customer.zone,
        "now": opened.at,
    }
    return Page("outcome_one.html", values)


def _data(event: Event) -> str:
    def written(value: Any) -> str:
        return plain(value)

    return json.dumps(event.data, indent=2, ensure_ascii=False, default=written)[:_MOST_DATA]

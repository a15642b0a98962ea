"""Changing to another plan, or to another number of seats: the money is seen before, to the cent, and then it is done."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from valorem.core.contracts.edits import Change, SetPlan, SetSeats
from valorem.core.errors import ForbiddenError, InvalidInputError, ValoremError
from valorem.core.ids import identity
from valorem.core.numbers import plain
from valorem.engine.catalog import current_catalog
from valorem.engine.contract_changes import ChangeRequest, change_contract
from valorem.engine.engine import Transaction
from valorem.engine.foretelling import ChangePreview, preview_change
from valorem.engine.portal import customer_actor
from valorem.engine.terms import terms_for
from valorem.web.page import Page
from valorem.web.portal.figures import Running, running_one
from valorem.web.portal.plan import seats_of
from valorem.web.portal.site import Answer, Go, Guest, PortalSite


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is asked for.

    Attributes:
        running: The contract it is asked of.
        change: The change of the contract.
        name: How the page calls what there would be.
        fields: What the form carries on.
        done: The notice when it is done.
        action: In the audit log.
        kept: What the audit log keeps of it.
        already: Whether the contract stands like this.
    """

    running: Running
    change: Change
    name: str
    fields: dict[str, str]
    done: str
    action: str
    kept: dict[str, Any]
    already: bool


def add(site: PortalSite) -> None:
    """Add the page."""
    site.page("/plan/change", _preview)
    site.action("/plan/change", _change)


def _wanted(tx: Transaction, guest: Guest, plan: str, seat: str, quantity: str) -> _Wanted:
    running = running_one(tx, guest)
    return _of_seats(tx, guest, running, seat, quantity) if seat else _of_plan(tx, guest, running, plan)


def _of_plan(tx: Transaction, guest: Guest, running: Running, plan: str) -> _Wanted:
    version, catalog = current_catalog(tx)
    if plan not in guest.settings.offers or plan not in catalog.plans:
        raise ForbiddenError("this plan is not offered here", field="plan")
    return _Wanted(
        running,
        SetPlan(plan=plan, catalog_version=version),
        catalog.plan(plan).name or plan,
        {"plan": plan},
        "plan_changed",
        "plan.change",
        {"plan": plan},
        running.contract.standing_at(tx.now).plan == plan,
    )


def _of_seats(tx: Transaction, guest: Guest, running: Running, seat: str, quantity: str) -> _Wanted:
    guest.check_allowed("seats")
    seats = seats_of(terms_for(tx, running.contract).at(tx.now).plan, running.contract, tx.now)
    if seat not in seats:
        raise ForbiddenError("your plan charges nothing for each of these", field="quantity")
    number = guest.words.read_number(quantity)
    if number is None or number < 0 or number != number.to_integral_value() or number > _MOST_SEATS:
        raise InvalidInputError(
            "this is no whole number", field="quantity", hint="write a number, such as 12"
        )
    shown = guest.words.quantity_text(number)
    return _Wanted(
        running,
        SetSeats(key=seat, quantity=number),
        f"{seat.replace('_', ' ')}: {shown}",
        {"seat": seat, "quantity": plain(number)},
        "seats_changed",
        "seats.change",
        {"key": seat, "quantity": plain(number)},
        seats[seat] == number,
    )


_MOST_SEATS = Decimal(1_000_000)


def _asked(wanted: _Wanted, once: str) -> ChangeRequest:
    return ChangeRequest(
        (wanted.change,), reason="chosen in the portal", id=f"portal_{once}" if once else None
    )


def _preview(guest: Guest) -> Page:
    """The invoices to come without and with the change, to the cent; it is made, looked at, and undone."""
    return _page(guest, guest.query("plan"), guest.query("seat"), guest.query("quantity"))


def _page(guest: Guest, plan: str, seat: str, quantity: str, refused: ValoremError | None = None) -> Page:
    preview: ChangePreview | None = None
    with guest.acting() as tx:  # it locks the contract; nothing of it stays
        wanted = _wanted(tx, guest, plan, seat, quantity)
        if wanted.already:
            refused = refused or InvalidInputError("this is what you have", field="plan")
        else:
            try:
                asked = _asked(wanted, "")
                preview = preview_change(tx, wanted.running.contract.id, asked, customer_actor(guest.key))
            except ValoremError as error:
                refused = refused or error
        now = tx.now
    values = {
        "here": "plan",
        "running": wanted.running,
        "fields": wanted.fields,
        "name": wanted.name,
        "preview": preview,
        "once": identity(guest.csrf, wanted.name, now.isoformat()).hex(),
        "refused": refused,
        "now": now,
    }
    return Page("plan_change.html", values, 200 if refused is None else refused.status)


def _change(guest: Guest) -> Answer:
    plan, seat, quantity = guest.field("plan"), guest.field("seat"), guest.field("quantity")
    once = guest.once()
    try:
        with guest.acting() as tx:
            wanted = _wanted(tx, guest, plan, seat, quantity)
            if not wanted.already:  # else the button was hit twice
                asked = _asked(wanted, once)
                changed = change_contract(tx, wanted.running.contract.id, asked, customer_actor(guest.key))
                effective = changed.edit.effective.isoformat()
                contract = changed.row.contract.id
                guest.note(tx, wanted.action, contract, effective=effective, **wanted.kept)
    except ForbiddenError:
        raise
    except ValoremError as error:
        return _page(guest, plan, seat, quantity, error)
    return Go(f"{guest.home}/plan", wanted.done)

"""Change a contract: what it would cost, line by line, before anybody decides; then the same, for good."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from valorem.core.catalog.catalog import Catalog
from valorem.core.contracts.edits import Cancel, Change, Pause, Release, Renew, Resume, SetPlan, SetSeats
from valorem.core.errors import InvalidInputError, ValoremError
from valorem.core.ids import identity
from valorem.core.numbers import parse_decimal, plain
from valorem.core.time import write_instant
from valorem.engine import contracts as verbs
from valorem.engine.catalog import catalog_at, current_catalog
from valorem.engine.contract_changes import ChangeRequest, change_contract, contract_history
from valorem.engine.customers import get_customer
from valorem.engine.engine import Transaction
from valorem.engine.foretelling import ChangePreview, preview_change
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit

When = Literal["now", "period_end"]
_MADE = {
    "plan": "another plan",
    "seats": "another number of seats",
    "pause": "a pause of its fees",
    "resume": "the end of the pause",
    "cancel": "its end",
    "renew": "running on",
}


@dataclass(frozen=True, slots=True)
class Moved:
    """One line of the invoices to come, without and with the edit; None where it is not on them."""

    description: str
    before: Decimal | None
    after: Decimal | None

    @property
    def difference(self) -> Decimal:
        """How much more it is with the edit."""
        return (self.after or Decimal(0)) - (self.before or Decimal(0))


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/contracts/{id}/change", _show)
    site.action("/contracts/{id}/change", "customers", _submit)
    site.action("/contracts/{id}/release", "customers", _release)


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, *, preview: ChangePreview | None = None, refused: ValoremError | None = None) -> Page:
    with visit.reading() as tx:
        row = verbs.get_contract(tx, visit.path("id"))
        contract = row.contract
        customer = get_customer(tx, contract.customer)
        standing = contract.standing_at(tx.now)
        number, catalog = current_catalog(tx)
        mine = catalog_at(tx, standing.catalog_version).plan(standing.plan)
        now = tx.now
    kind = visit.form.get("kind") or visit.query("kind") or "plan"
    values = {
        "here": "customers",
        "contract": contract,
        "customer": customer,
        "standing": standing,
        "mine": mine,
        "number": number,
        "plans": list(catalog.plans.values()),
        "seats": {
            key: contract.seats_at(key, now)
            for key in sorted({fee.per for fee in mine.fees.values() if fee.per} | set(contract.seats))
        },
        "kinds": _kinds(paused=standing.paused, ends=contract.end is not None),
        "kind": kind if kind in _MADE else "plan",
        "preview": preview,
        "moved": () if preview is None else _moved(preview),
        "refused": refused,
        "form": visit.form,
        "once": visit.form.get("once") or identity(visit.request_id, now.isoformat()).hex(),
        "now": now,
    }
    return Page("console/contract_change.html", values, 200 if refused is None else refused.status)


def _kinds(*, paused: bool, ends: bool) -> list[tuple[str, str]]:
    hidden = {"pause" if paused else "resume", "" if ends else "renew"}
    return [(key, name) for key, name in _MADE.items() if key not in hidden]


def _moved(preview: ChangePreview) -> list[Moved]:
    """The lines of the invoices to come, put together by what they charge for; those that differ come first."""
    before: dict[str, Decimal] = {}
    after: dict[str, Decimal] = {}
    for invoices, sums in ((preview.before, before), (preview.after, after)):
        for invoice in invoices:
            for line in invoice.lines:
                sums[line.description] = sums.get(line.description, Decimal(0)) + line.amount
    rows = [Moved(each, before.get(each), after.get(each)) for each in dict.fromkeys((*after, *before))]
    return sorted(rows, key=lambda each: (not each.difference, -abs(each.difference)))


def _submit(visit: Visit) -> Answer:
    contract_id, form = visit.path("id"), visit.form
    try:
        with visit.acting() as tx:
            request = _request(tx, form, applying=form.get("do") == "apply")
            if form.get("do") != "apply":
                preview = preview_change(tx, contract_id, request, visit.person.email)
            else:
                changed = change_contract(tx, contract_id, request, visit.person.email)
                after: dict[str, Any] = {
                    "edit": changed.edit.id,
                    "effective": write_instant(changed.edit.effective),
                    "changes": [each.model_dump(mode="json") for each in request.changes],
                }
                visit.note(tx, visit.deed("contract.change", contract_id, after=after))
    except ValoremError as error:
        return _page(visit, refused=error)
    if form.get("do") != "apply":
        return _page(visit, preview=preview)
    said = _MADE.get(form.get("kind", ""), "the change")
    at = changed.edit.effective
    return Go(f"{visit.home}/contracts/{contract_id}", f"Agreed: {said}, effective {at:%Y-%m-%d %H:%M} UTC.")


def _request(tx: Transaction, form: Any, *, applying: bool) -> ChangeRequest:
    effective = form.get("effective", "")
    when: When | None = "now" if effective == "now" else "period_end" if effective == "period_end" else None
    once = form.get("once", "")
    if applying and not once.isalnum():
        raise InvalidInputError("load the page again", field="once")
    return ChangeRequest(
        (_change(form, current_catalog(tx)),),
        when,
        form.get("reason", "").strip(),
        f"console_{once}" if applying else None,
        "at_once" if form.get("invoiced") == "at_once" else "next",
    )


def _change(form: Any, current: tuple[int, Catalog]) -> Change:
    kind = form.get("kind", "")
    if kind == "plan":
        number, catalog = current
        return SetPlan(plan=catalog.plan(form.get("plan", "")).key, catalog_version=number)
    if kind == "seats":
        quantity = parse_decimal(form.get("quantity", "").strip(), "quantity")
        if quantity < 0:
            raise InvalidInputError(f"{plain(quantity)} seats", field="quantity", hint="use zero or more")
        return SetSeats(key=form.get("key", ""), quantity=quantity)
    simple: dict[str, Change] = {
        "pause": Pause(),
        "resume": Resume(),
        "cancel": Cancel(),
        "renew": Renew(),
    }
    if kind not in simple:
        raise InvalidInputError("say what is to change", field="kind")
    return simple[kind]


def _release(visit: Visit) -> Answer:
    """Let a parked contract be invoiced again, after somebody has looked."""
    contract_id = visit.path("id")
    with visit.acting() as tx:
        parked = contract_history(tx, contract_id).parked
        if parked is None:
            raise InvalidInputError("the contract is not parked")
        reason = visit.form.get("reason", "").strip()
        request = ChangeRequest((Release(),), reason=reason)
        change_contract(tx, contract_id, request, visit.person.email)
        visit.note(tx, visit.deed("contract.release", contract_id, after={"reason": reason}))
    return Go(f"{visit.home}/contracts/{contract_id}", "It is invoiced again.")

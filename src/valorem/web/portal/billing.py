"""Billing details: who is invoiced, and where; the next invoice carries them."""

from collections.abc import Mapping

from pydantic import ValidationError

from valorem.core.billing.parties import BillingDetails, PostalAddress
from valorem.core.errors import InvalidInputError, ValoremError
from valorem.engine.customers import get_customer, update_customer
from valorem.web.page import Page
from valorem.web.portal.site import Answer, Go, Guest, PortalSite

_PLAIN = ("legal_name", "tax_id", "registration", "email", "phone", "contact")
_ADDRESS = ("postcode", "city", "region", "country")
_LINES = 3


def add(site: PortalSite) -> None:
    """Add the page."""
    site.page("/plan/billing", _show)
    site.action("/plan/billing", _change)


def _show(guest: Guest) -> Page:
    return _page(guest)


def _page(guest: Guest, refused: ValoremError | None = None) -> Page:
    values = {
        "here": "plan",
        "form": guest.form or _form(guest.customer.billing),
        "may": "billing" in guest.settings.allows and not guest.watching,
        "refused": refused,
        "lines": range(1, _LINES + 1),
    }
    return Page("billing.html", values, 200 if refused is None else refused.status)


def _form(billing: BillingDetails) -> dict[str, str]:
    form = {name: getattr(billing, name) or "" for name in _PLAIN}
    address = billing.address
    if address is not None:
        form |= {name: getattr(address, name) or "" for name in _ADDRESS}
        form |= {f"line{number}": line for number, line in enumerate(address.lines, 1)}
    return form


def _change(guest: Guest) -> Answer:
    guest.check_allowed("billing")
    try:
        with guest.acting() as tx:
            before = get_customer(tx, guest.key).billing
            after = _read(guest, before)
            update_customer(tx, guest.key, billing=after)
            guest.note(tx, "billing.change", guest.key, before=_kept(before), billing=_kept(after))
    except ValoremError as error:
        return _page(guest, error)
    return Go(f"{guest.home}/plan/billing", "billing_changed")


def _kept(billing: BillingDetails) -> Mapping[str, object]:
    return billing.model_dump(mode="json", exclude_none=True)


def _read(guest: Guest, before: BillingDetails) -> BillingDetails:
    """What the form says; what it does not ask for stays."""
    said: dict[str, object] = {name: guest.field(name) or None for name in _PLAIN}
    lines = [line for number in range(1, _LINES + 1) if (line := guest.field(f"line{number}"))]
    address = {name: text for name in _ADDRESS if (text := guest.field(name))}
    address |= {"country": address["country"].upper()} if "country" in address else {}
    try:
        place = PostalAddress.model_validate({**address, "lines": lines}) if address or lines else None
        kept = before.model_dump(exclude={*_PLAIN, "address"})
        return BillingDetails.model_validate({**kept, **said, "address": place})
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False)[0]
        field = str(next((part for part in wrong["loc"] if isinstance(part, str)), ""))
        raise InvalidInputError(
            wrong["msg"].removeprefix("Value error, "),
            field="line1" if field == "lines" else field,
            hint="an address has at least a street, a city and a country such as DE",
        ) from None

"""Billing settings: who charges, by when, and where money goes."""

from typing import Any

from pydantic import ValidationError

from valorem.core.billing.parties import BillingSettings
from valorem.core.errors import InvalidInputError, ValoremError
from valorem.engine.settings import get_billing_settings, set_billing_settings
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit


def add(site: Site) -> None:
    """Add the page."""
    site.page("/settings/billing", _show)
    site.action("/settings/billing", "invoices", _keep)


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, refused: ValoremError | None = None) -> Page:
    with visit.reading() as tx:
        stored = get_billing_settings(tx)
    values = {"here": "settings", "tab": "billing", "stored": stored, "refused": refused, "form": visit.form}
    return Page("console/settings_billing.html", values, 200 if refused is None else refused.status)


def _keep(visit: Visit) -> Answer:
    try:
        with visit.acting() as tx:
            before = get_billing_settings(tx)
            new = _read(visit, before)
            set_billing_settings(tx, new)
            written = new.model_dump(mode="json", exclude={"logo"}, exclude_defaults=True)
            visit.note(tx, visit.deed("settings.billing", visit.workspace.name, after=written))
    except ValoremError as error:
        return _page(visit, error)
    return Go(f"{visit.home}/settings/billing", "Kept: it is printed from now on.")


def _read(visit: Visit, before: BillingSettings) -> BillingSettings:
    """The form over what is kept: what the form does not show stays as it is."""
    given = {name: text.strip() for name, text in visit.form.items()}
    kept: dict[str, Any] = before.model_dump(mode="json")
    seller = {**(kept.get("seller") or {}), "name": given.get("name", "")}
    address = {
        **(seller.get("address") or {}),
        "lines": [given["line"]] if given.get("line") else [],
        "postcode": given.get("postcode", ""),
        "city": given.get("city", ""),
        "country": given.get("country", "").upper(),
    }
    seller["address"] = address if given.get("line") or given.get("city") else None
    seller |= {name: given.get(name) or None for name in ("tax_id", "email")}
    bank = {
        **(kept.get("bank") or {}),
        "holder": given.get("holder", ""),
        **{name: given.get(name) or None for name in ("iban", "bic")},
    }
    kept["seller"] = seller if given.get("name") else None
    kept["bank"] = bank if given.get("holder") else None
    kept["terms"] = {**kept["terms"], "net_days": given.get("net_days", "30")}
    try:
        return BillingSettings.model_validate(kept)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = str(first["loc"][-1]) if first["loc"] else ""
        raise InvalidInputError(f"{field.replace('_', ' ')}: {first['msg']}", field=field) from None

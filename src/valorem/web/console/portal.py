"""The portal as the vendor sets it up: its look, who may frame it, what it offers; and a look through a customer's eyes."""

from base64 import b64encode
from typing import Any

from starlette.responses import RedirectResponse

from valorem.core.errors import NotFoundError, ValoremError
from valorem.core.portal.colours import contrast
from valorem.core.portal.settings import DARK, LANGUAGES, LIGHT, PERMISSIONS, PortalSettings
from valorem.engine import portal
from valorem.engine.catalog import current_catalog
from valorem.engine.engine import Transaction
from valorem.web.page import Page
from valorem.web.site import Answer, Go, Site, Visit

_PLAIN = ("name", "accent", "accent_dark", "mode", "corners", "support", "language")


def add(site: Site) -> None:
    """Add the pages; the look comes before the customers' own, whose address takes everything that follows."""
    site.page("/settings/portal", _show)
    site.action("/settings/portal", "keys", _save)
    site.action("/customers/{key:path}/portal", "read", _look)


def _show(visit: Visit) -> Page:
    return _page(visit)


def _page(visit: Visit, refused: ValoremError | None = None) -> Page:
    with visit.reading() as tx:
        settings = portal.get_portal_settings(tx)
        plans = _plans(tx)
    values = {
        "here": "settings",
        "tab": "portal",
        "settings": settings,
        "plans": plans,
        "languages": LANGUAGES,
        "permissions": PERMISSIONS,
        "contrasts": (contrast(settings.accent, LIGHT[0]), contrast(settings.dark_accent, DARK[0])),
        "form": visit.form or _form(settings),
        "refused": refused,
    }
    return Page("console/settings_portal.html", values, 200 if refused is None else refused.status)


def _plans(tx: Transaction) -> list[str]:
    try:
        return list(current_catalog(tx)[1].plans)
    except NotFoundError:
        return []  # no catalog has been applied


def _form(settings: PortalSettings) -> dict[str, str]:
    form = {name: str(getattr(settings, name) or "") for name in _PLAIN}
    form["origins"] = "\n".join(settings.origins)
    form["offers"] = "\n".join(settings.offers)
    form |= {f"allows-{each}": "yes" for each in settings.allows}
    form["names"] = "\n".join(f"{value}: {name}" for value, name in settings.names.items())
    return form


def _save(visit: Visit) -> Answer:
    form = visit.form
    said: dict[str, Any] = {name: form[name].strip() for name in _PLAIN if form.get(name, "").strip()}
    said["origins"] = _lines(form.get("origins", ""))
    said["offers"] = _lines(form.get("offers", ""))
    said["allows"] = [each for each in PERMISSIONS if form.get(f"allows-{each}") == "yes"]
    pairs = (line.partition(":") for line in _lines(form.get("names", "")))
    said["names"] = {value.strip(): name.strip() for value, _, name in pairs}
    try:
        with visit.acting() as tx:
            before = portal.get_portal_settings(tx)
            logo = form.get("logo", "").strip()
            if logo:
                said["logo"] = {"format": "svg", "data": b64encode(logo.encode()).decode()}
            elif before.logo is not None and form.get("without_logo") != "yes":
                said["logo"] = before.logo.model_dump()
            after = portal.set_portal_settings(tx, portal.read_portal_settings(said))
            deed = visit.deed(
                "portal.settings",
                visit.workspace.name,
                before=before.model_dump(mode="json", exclude={"logo"}),
                after=after.model_dump(mode="json", exclude={"logo"}),
            )
            visit.note(tx, deed)
    except ValoremError as error:
        return _page(visit, error)
    return Go(f"{visit.home}/settings/portal", "The portal looks like this from now on.")


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _look(visit: Visit) -> Answer:
    """Open a customer's portal as the customer sees it; what it opens may change nothing, and the audit log knows."""
    with visit.acting() as tx:
        made = portal.make_portal_link(
            tx,
            visit.path("key"),
            real_now=visit.engine.real_now(),
            by=visit.person.email,
            as_operator=True,
        )
    return RedirectResponse(f"/portal/enter?t={made.token}", 303)

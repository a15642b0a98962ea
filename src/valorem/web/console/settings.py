"""Settings: keys, people and roles, workspaces, and the audit log."""

from datetime import datetime
from typing import Any

import msgspec
from starlette.responses import RedirectResponse

from valorem.core.errors import InvalidInputError, ValoremError
from valorem.engine import audit, keys, people, sessions, workspaces
from valorem.store.postgres.keys import KeyRecord
from valorem.web.locales import COOKIE, OFFERED
from valorem.web.page import Page
from valorem.web.security import is_https
from valorem.web.site import Answer, Go, Site, Visit

_AUDIT_PAGE = 50
_YEAR_S = 365 * 86_400


def add(site: Site) -> None:
    """Add the pages."""
    site.page("/settings", lambda visit: Go(f"{visit.home}/settings/keys"))
    site.page("/settings/keys", _keys)
    site.action("/settings/keys", "keys", _issue)
    site.action("/settings/keys/{id}/revoke", "keys", _revoke)
    site.page("/settings/people", _people)
    site.action("/settings/people", "people", _invite)
    site.action("/settings/people/{id}/role", "people", _role)
    site.action("/settings/people/{id}/access", "people", _access)
    site.action("/settings/people/{id}/link", "people", _link)
    site.page("/settings/workspaces", _workspaces)
    site.action("/settings/workspaces", "keys", _create_workspace)
    site.page("/settings/audit", _audit)
    site.action("/settings/formats", "read", _formats)


def _formats(visit: Visit) -> Answer:
    """Choose in whose way numbers and dates are written; kept by the browser."""
    chosen = visit.form.get("language", "")
    back = visit.form.get("back", "")
    to = back if back.startswith(f"{visit.home}/") else f"{visit.home}/"
    response = RedirectResponse(to, 303)
    if chosen in OFFERED:
        secure = is_https(visit.request)
        response.set_cookie(COOKIE, chosen, max_age=_YEAR_S, httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(COOKIE)
    return response


def _page(template: str, tab: str, values: dict[str, Any], refused: ValoremError | None = None) -> Page:
    return Page(
        f"console/{template}",
        {"here": "settings", "tab": tab, "refused": refused, **values},
        200 if refused is None else refused.status,
    )


def _keys(visit: Visit) -> Page:
    return _keys_page(visit)


def _keys_page(
    visit: Visit, *, issued: keys.IssuedKey | None = None, refused: ValoremError | None = None
) -> Page:
    now = visit.engine.real_now()
    found = keys.list_keys(visit.engine, visit.workspace.id)
    values = {
        "keys": [(key, _state(key, now)) for key in found],
        "issued": issued,
        "scopes": keys.SCOPES,
        "form": visit.form,
    }
    return _page("settings_keys.html", "keys", values, refused)


def _state(key: KeyRecord, now: datetime) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


def _issue(visit: Visit) -> Answer:
    chosen = [scope for scope in keys.SCOPES if visit.form.get(f"scope:{scope}")]
    try:
        issued = keys.issue_key(
            visit.engine, visit.workspace.id, name=visit.form.get("name", "").strip(), scopes=chosen
        )
    except ValoremError as error:
        return _keys_page(visit, refused=error)
    visit.note_done(
        visit.deed("key.issue", issued.record.id, after={"name": issued.record.name, "scopes": chosen})
    )
    return _keys_page(visit, issued=issued)


def _revoke(visit: Visit) -> Answer:
    keys.revoke_key(visit.engine, visit.workspace.id, visit.path("id"))
    visit.note_done(visit.deed("key.revoke", visit.path("id")))
    return Go(f"{visit.home}/settings/keys", "The key is worthless from now on.")


def _people(visit: Visit) -> Page:
    return _people_page(visit)


def _people_page(
    visit: Visit, *, link: tuple[str, str] | None = None, refused: ValoremError | None = None
) -> Page:
    values = {
        "people": people.list_people(visit.engine),
        "roles": {role: ", ".join(sorted(may)) for role, may in people.MAY.items()},
        "link": link,
        "form": visit.form,
    }
    return _page("settings_people.html", "people", values, refused)


def _invite(visit: Visit) -> Answer:
    form = visit.form
    try:
        made = people.add_person(
            visit.engine,
            visit.deed("person.add", ""),
            email=form.get("email", ""),
            name=form.get("name", ""),
            role=form.get("role", ""),
        )
    except ValoremError as error:
        return _people_page(visit, refused=error)
    return _people_page(visit, link=(made.email, _password_link(visit, made.id)))


def _password_link(visit: Visit, person: str) -> str:
    token = sessions.make_link(visit.engine, "password", person=person)
    return f"{str(visit.request.base_url).rstrip('/')}/password?token={token}"


def _link(visit: Visit) -> Answer:
    person = next((each for each in people.list_people(visit.engine) if each.id == visit.path("id")), None)
    if person is None:
        raise InvalidInputError("there is no such person")
    with visit.engine.database.system() as connection:
        audit.record(
            connection, audit.INSTALLATION, visit.deed("person.link", person.email), visit.engine.real_now()
        )
    return _people_page(visit, link=(person.email, _password_link(visit, person.id)))


def _role(visit: Visit) -> Answer:
    try:
        changed = people.change_role(
            visit.engine, visit.deed("person.role", ""), visit.path("id"), visit.form.get("role", "")
        )
    except ValoremError as error:
        return _people_page(visit, refused=error)
    return Go(f"{visit.home}/settings/people", f"{changed.name} is {changed.role} now.")


def _access(visit: Visit) -> Answer:
    disabled = visit.form.get("do") == "disable"
    try:
        changed = people.disable_person(
            visit.engine,
            visit.deed("person.disable" if disabled else "person.enable", ""),
            visit.path("id"),
            disabled=disabled,
        )
    except ValoremError as error:
        return _people_page(visit, refused=error)
    said = "may sign in no more" if disabled else "may sign in again"
    return Go(f"{visit.home}/settings/people", f"{changed.name} {said}.")


def _workspaces(visit: Visit) -> Page:
    return _page("settings_workspaces.html", "workspaces", {"form": visit.form})


def _create_workspace(visit: Visit) -> Answer:
    form = visit.form
    try:
        start = _instant(form.get("clock_at", ""))
        made = workspaces.create_workspace(
            visit.engine, name=form.get("name", "").strip(), kind="sandbox", clock_at=start
        )
    except ValoremError as error:
        return _page("settings_workspaces.html", "workspaces", {"form": form}, error)
    with visit.engine.database.system() as connection:
        deed = visit.deed("workspace.create", made.name, after={"kind": made.kind})
        audit.record(connection, audit.INSTALLATION, deed, visit.engine.real_now())
    return Go(f"/w/{made.name}/", f"{made.name} is ready.")


def _instant(text: str) -> datetime | None:
    if not text.strip():
        return None
    try:
        return datetime.fromisoformat(text.strip() + "+00:00")
    except ValueError:
        raise InvalidInputError(f"{text[:40]!r} is no date and time", field="clock_at") from None


def _audit(visit: Visit) -> Page:
    everything = visit.query("of") == "installation"
    before = int(visit.query("before")) if visit.query("before").isdigit() else None
    workspace = audit.INSTALLATION if everything else visit.workspace.id
    with visit.engine.database.system() as connection:
        entries = audit.list_audit(connection, workspace, before=before, limit=_AUDIT_PAGE + 1)
        verification = audit.verify_audit(connection, workspace) if visit.query("verify") else None
    shown = entries[:_AUDIT_PAGE]
    of = "of=installation&" if everything else ""
    values = {
        "entries": [(each, _written(each.deed.before), _written(each.deed.after)) for each in shown],
        "installation": everything,
        "verification": verification,
        "next": f"?{of}before={shown[-1].seq}" if len(entries) > _AUDIT_PAGE else None,
        "first": before is None,
    }
    return _page("settings_audit.html", "audit", values)


def _written(value: Any) -> str:
    return "" if value is None else ", ".join(f"{name}: {_plain(each)}" for name, each in value.items())


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()

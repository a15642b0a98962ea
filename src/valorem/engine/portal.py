"""The portal's doors: links that work once, short sessions of one customer in one workspace, and what the vendor says of it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from pydantic import ValidationError

from valorem.core.errors import ForbiddenError, InvalidInputError, UnauthorizedError
from valorem.core.portal.settings import LANGUAGES, PortalSettings
from valorem.engine.audit import Deed, record
from valorem.engine.customers import get_customer
from valorem.engine.engine import Engine, Transaction
from valorem.engine.people import TooManyTriesError
from valorem.engine.settings import get_billing_settings
from valorem.store.postgres import people, portal, settings
from valorem.store.postgres.portal import LinkRow, SessionRow

#: A link is meant to be followed at once.
LINK_LASTS, LONGEST_LINK = timedelta(minutes=10), timedelta(hours=24)
#: A session ends when it was not used for so long, and after the second in any case.
IDLE, LONGEST_SESSION = timedelta(minutes=30), timedelta(hours=12)
_TOUCH_EVERY = timedelta(minutes=1)
_KEPT = timedelta(days=1)
_SECTION = "portal"
_TRIES_WINDOW, _MOST_TRIES = timedelta(minutes=15), 50


@dataclass(frozen=True, slots=True)
class PortalLink:
    """A link that works once.

    Attributes:
        token: What the address carries; kept nowhere.
        customer: Whose portal it opens.
        origin: Who may frame what it opens; None for a page of its own.
        language: In which it opens, where that was said.
        expires_at: Worthless from then on, in real time.
    """

    token: str
    customer: str
    origin: str | None
    language: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PortalSession:
    """Somebody looks at one customer's portal.

    Attributes:
        workspace: Id of the workspace.
        customer: The customer's key.
        origin: Who frames it.
        actor: The operator who looks through the customer's eyes, and may change nothing; None for the customer itself.
        language: The one chosen; None for the customer's own.
        token: What the cookie holds; forms of this session are signed with it.
    """

    workspace: int
    customer: str
    origin: str | None
    actor: str | None
    language: str | None
    token: str


class PortalEndedError(UnauthorizedError):
    """A link or a session that is over, used, or never was.

    Attributes:
        origin: Who framed it, where that is known.
    """

    code = "portal_ended"

    def __init__(self, origin: str | None = None) -> None:
        super().__init__("this page is over", hint="open it again from where you came")
        self.origin = origin


def get_portal_settings(tx: Transaction) -> PortalSettings:
    """What the vendor says of the portal; the logo and the name of its invoices where it says none."""
    said = PortalSettings.model_validate(settings.load(tx.connection, tx.workspace.id, _SECTION))
    if said.logo is not None and said.name is not None:
        return said
    billing = get_billing_settings(tx)
    seller = billing.seller
    return said.model_copy(
        update={
            "logo": said.logo or billing.logo,
            "name": said.name or (seller.name if seller is not None else None),
        }
    )


def set_portal_settings(tx: Transaction, new: PortalSettings) -> PortalSettings:
    """Put settings in the place of those there are; open pages show them when they are loaded again."""
    settings.save(tx.connection, tx.workspace.id, _SECTION, new.model_dump(mode="json"))
    return get_portal_settings(tx)


def read_portal_settings(said: Mapping[str, object]) -> PortalSettings:
    """Check settings.

    Raises:
        InvalidInputError: Naming the field; for a colour that cannot be read, the nearest that can be.
    """
    try:
        return PortalSettings.model_validate(said)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        message, _, hint = str(first["msg"]).removeprefix("Value error, ").partition(" (")
        raise InvalidInputError(
            message, field=".".join(map(str, first["loc"])) or None, hint=hint.rstrip(")") or None
        ) from None


def make_portal_link(
    tx: Transaction,
    customer: str,
    *,
    real_now: datetime,
    by: str,
    lasts: timedelta = LINK_LASTS,
    origin: str | None = None,
    language: str | None = None,
    as_operator: bool = False,
) -> PortalLink:
    """Make a link that opens one customer's portal, once.

    Args:
        tx: The transaction.
        customer: The customer's key.
        real_now: Links and sessions live in real time, also in a sandbox.
        by: Who asks for it, for the audit log.
        lasts: How long it can be followed.
        origin: Who may show it in a frame; one of the settings' origins.
        language: In which it opens.
        as_operator: Whether ``by`` wants to look through the customer's eyes; what it opens may change nothing.

    Raises:
        NotFoundError: If there is no such customer.
        InvalidInputError: Naming the field.
    """
    found = get_customer(tx, customer)
    if not timedelta(seconds=10) <= lasts <= LONGEST_LINK:
        raise InvalidInputError(
            "a link lasts 10 seconds to a day", field="lasts_s", hint="make it when it is needed"
        )
    if language is not None and language not in LANGUAGES:
        raise InvalidInputError(
            f"there is no language {language[:20]!r}", field="language", hint=", ".join(LANGUAGES)
        )
    allowed = get_portal_settings(tx).origins
    if origin is not None and origin not in allowed:
        raise InvalidInputError(
            f"{origin[:100]!r} is not among the origins that may frame the portal",
            field="origin",
            hint=f"allowed: {', '.join(allowed) or 'none yet'}; set them with PUT /v1/settings/portal",
        )
    token, expires_at = secrets.token_urlsafe(32), real_now + lasts
    row = LinkRow(
        tx.workspace.id, found.key, origin, by if as_operator else None, language, real_now, expires_at
    )
    portal.insert_link(tx.connection, _digest(token), row)
    deed = Deed(
        by,
        "portal.impersonate" if as_operator else "portal.link",
        found.key,
        after={"origin": origin, "lasts_s": int(lasts.total_seconds())},
    )
    record(tx.connection, tx.workspace.id, deed, real_now)
    return PortalLink(token, found.key, origin, language, expires_at)


def enter_portal(engine: Engine, token: str, *, address: str) -> PortalSession:
    """Use a link up, and begin a session of its customer.

    Raises:
        PortalEndedError: The same for a link that was used, is over, or never was.
        TooManyTriesError: After too many tries of this network address.
    """
    now = engine.real_now()
    tries = f"portal {address}"
    with engine.database.system() as connection:
        if people.failures(connection, tries, now - _TRIES_WINDOW) >= _MOST_TRIES:
            raise TooManyTriesError("too many links failed", hint="wait a quarter of an hour, then try again")
        portal.forget(connection, now - _KEPT)
        link = portal.use_link(connection, _digest(token), now)
        if link is None:
            people.note_failure(connection, [tries], now)
            known = portal.find_link(connection, _digest(token))
            ended: PortalEndedError | None = PortalEndedError(known.origin if known is not None else None)
        else:
            ended = None
            begun = secrets.token_urlsafe(32)
            row = SessionRow(
                link.workspace,
                link.customer,
                link.origin,
                link.actor,
                link.language,
                now,
                now + IDLE,
                now + LONGEST_SESSION,
            )
            portal.insert_session(connection, _digest(begun), row)
            actor = link.actor or customer_actor(link.customer)
            record(connection, link.workspace, Deed(actor, "portal.enter", link.customer), now)
    if ended is not None or link is None:
        raise ended or PortalEndedError
    return PortalSession(link.workspace, link.customer, link.origin, link.actor, link.language, begun)


def portal_session_of(engine: Engine, token: str) -> PortalSession:
    """Whose session a token is. Looking keeps it alive.

    Raises:
        PortalEndedError: When it is over.
    """
    now = engine.real_now()
    with engine.database.system() as connection:
        found = portal.find_session(connection, _digest(token))
        if found is None or found.expires_at <= now:
            raise PortalEndedError(found.origin if found is not None else None)
        if now - found.seen_at > _TOUCH_EVERY:
            portal.touch_session(connection, _digest(token), now, now + IDLE)
    return PortalSession(found.workspace, found.customer, found.origin, found.actor, found.language, token)


def choose_language(engine: Engine, session: PortalSession, language: str) -> PortalSession:
    """Show a session's pages in another language.

    Raises:
        InvalidInputError: For one there is not.
    """
    if language not in LANGUAGES:
        raise InvalidInputError("there is no such language", field="language", hint=", ".join(LANGUAGES))
    with engine.database.system() as connection:
        portal.choose_language(connection, _digest(session.token), language)
    return replace(session, language=language)


def leave_portal(engine: Engine, session: PortalSession) -> None:
    """End a session."""
    now = engine.real_now()
    with engine.database.system() as connection:
        portal.end_session(connection, _digest(session.token), now)
        actor = session.actor or customer_actor(session.customer)
        record(connection, session.workspace, Deed(actor, "portal.leave", session.customer), now)


def end_portal_sessions(engine: Engine, workspace: int, customer: str, *, by: str) -> int:
    """End every session of a customer at once and let its links open nothing; how many sessions ended.

    Raises:
        NotFoundError: If there is no such customer.
    """
    with engine.transaction(workspace, read_only=True) as tx:
        get_customer(tx, customer)
    now = engine.real_now()
    with engine.database.system() as connection:
        ended = portal.end_sessions_of(connection, workspace, customer, now)
        deed = Deed(by, "portal.end_sessions", customer, after={"sessions": ended})
        record(connection, workspace, deed, now)
    return ended


def check_may_change(session: PortalSession) -> None:
    """Refuse an operator who looks through a customer's eyes.

    Raises:
        ForbiddenError: Saying so.
    """
    if session.actor is not None:
        raise ForbiddenError(
            "you look at this page as the customer sees it, and may change nothing here",
            hint="what a customer decides is the customer's; use the console for what is yours",
        )


def customer_actor(customer: str) -> str:
    """How the audit log calls a customer who acts in the portal."""
    return f"customer {customer}"


def _digest(token: str) -> bytes:
    # A token is 256 random bits, so a plain digest cannot be guessed back.
    return sha256(token.encode("utf-8", "surrogatepass")).digest()

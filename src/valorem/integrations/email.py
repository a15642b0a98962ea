"""Mail over SMTP."""

import asyncio
import smtplib
import ssl
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from time import monotonic
from urllib.parse import unquote, urlsplit

from valorem.core.delivery.texts import mail_of
from valorem.core.errors import InvalidInputError
from valorem.engine.delivery import Outcome, Outgoing

_TIMEOUT_S = 15.0


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where mail is handed over.

    Attributes:
        host: The server.
        port: Its port.
        tls: ``smtps`` from the first byte on, ``starttls`` before anything is said, ``none`` for a server on this machine.
        user: Who logs in.
        password: With what.
    """

    host: str
    port: int
    tls: str
    user: str | None = None
    password: str | None = field(default=None, repr=False)


def parse_smtp_url(url: str) -> SmtpServer:
    """Read ``smtps://user:password@host:465``, ``smtp://host:587`` (STARTTLS), ``smtp://127.0.0.1:25`` (plain).

    Raises:
        InvalidInputError: For anything else; the URL is not repeated, because it may hold a password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
        raise InvalidInputError(
            "this is no mail server",
            field="VALOREM_SMTP_URL",
            hint="write it as smtps://user:password@host:465",
        )
    local = parts.hostname in ("localhost", "127.0.0.1", "::1")
    tls = "smtps" if parts.scheme == "smtps" else "none" if local else "starttls"
    return SmtpServer(
        parts.hostname,
        port or {"smtps": 465, "starttls": 587, "none": 25}[tls],
        tls,
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


class EmailSender:
    """Sends notices as plain text.

    Args:
        server: Takes them.
        sender: The address they come from.
    """

    def __init__(self, server: SmtpServer, sender: str) -> None:
        self._server = server
        self._sender = sender

    async def send(self, outgoing: Outgoing, now: datetime) -> Outcome:
        """Send one notice, or a digest."""
        began = monotonic()
        try:
            await asyncio.to_thread(self._send, outgoing, now)
        except (OSError, smtplib.SMTPException) as error:
            took_ms = int((monotonic() - began) * 1000)
            code = getattr(error, "smtp_code", None)
            return Outcome(code, f"{type(error).__name__}: {error}"[:500], took_ms=took_ms)
        return Outcome(250, None, took_ms=int((monotonic() - began) * 1000))

    def _send(self, outgoing: Outgoing, now: datetime) -> None:
        subject, text = mail_of(outgoing.notices)
        mail = EmailMessage()
        mail["From"] = self._sender
        mail["To"] = outgoing.endpoint.address
        mail["Subject"] = subject
        mail["Date"] = format_datetime(now)
        mail["Message-ID"] = make_msgid(idstring=outgoing.notices[0].id, domain="valorem")
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(text)
        server = self._server
        secure = ssl.create_default_context()
        smtp: smtplib.SMTP
        if server.tls == "smtps":
            smtp = smtplib.SMTP_SSL(server.host, server.port, timeout=_TIMEOUT_S, context=secure)
        else:
            smtp = smtplib.SMTP(server.host, server.port, timeout=_TIMEOUT_S)
        with smtp:
            if server.tls == "starttls":
                smtp.starttls(context=secure)
            if server.user is not None:
                smtp.login(server.user, server.password or "")
            smtp.send_message(mail)

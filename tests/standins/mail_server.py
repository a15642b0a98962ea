"""A mail server on this machine that speaks as much SMTP as handing over a mail takes, and keeps what it was given."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage


@dataclass
class MailServer:
    """What it was given so far.

    Attributes:
        port: Where it listens.
        mails: In order.
        refuses: Addresses it has no mailbox for.
    """

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """A server for as long as the block runs."""
    kept: list[MailServer] = []

    class Talk(socketserver.StreamRequestHandler):
        def say(self, line: str) -> None:
            self.wfile.write(f"{line}\r\n".encode())

        def handle(self) -> None:
            self.say("220 here")
            while line := self.rfile.readline():
                match line.split()[0].upper() if line.split() else b"":
                    case b"EHLO" | b"HELO" | b"MAIL" | b"RSET" | b"NOOP":
                        self.say("250 so be it")
                    case b"RCPT":
                        unknown = any(each in line.decode() for each in kept[0].refuses)
                        self.say("550 no such mailbox" if unknown else "250 so be it")
                    case b"DATA":
                        self.say("354 go on")
                        self.take()
                        self.say("250 taken")
                    case b"QUIT":
                        self.say("221 goodbye")
                        return
                    case _:
                        self.say("502 not here")

        def take(self) -> None:
            lines = []
            while (line := self.rfile.readline()) != b".\r\n":
                lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
            mail = message_from_bytes(b"".join(lines), policy=policy.default)
            assert isinstance(mail, EmailMessage)
            kept[0].mails.append(mail)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        kept.append(MailServer(server.server_address[1]))
        try:
            yield kept[0]
        finally:
            server.shutdown()
            thread.join(60)

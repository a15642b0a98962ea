"""A visit: somebody entered an API key, and for a while a signed cookie says so. The cookie does not hold the key."""

import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

import msgspec

from valorem.core.workspace import Workspace
from valorem.engine.engine import Engine
from valorem.engine.keys import Principal, list_keys
from valorem.engine.workspaces import list_workspaces

COOKIE = "valorem_visit"
LIFETIME_S = 3600


class _Claim(msgspec.Struct, frozen=True):
    workspace: int
    key_id: str
    until: int


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whose pages are shown."""

    workspace: Workspace


class Visits:
    """Signs visits with a secret of this process; a restart ends them all, and so does revoking the key."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._secret = secrets.token_bytes(32)

    def begin(self, principal: Principal) -> str:
        """The cookie of a new visit."""
        until = int(self._engine.real_now().timestamp()) + LIFETIME_S
        claim = urlsafe_b64encode(
            msgspec.json.encode(_Claim(principal.workspace.id, principal.key_id, until))
        )
        return f"{claim.decode()}.{self._sign(claim)}"

    def visitor(self, cookie: str | None) -> Visitor | None:
        """Who is visiting; None for a cookie that is not ours, is over, or whose key is worthless by now."""
        claim = self._read(cookie or "")
        now = self._engine.real_now()
        if claim is None or claim.until <= now.timestamp():
            return None
        for key in list_keys(self._engine, claim.workspace):
            if (
                key.id == claim.key_id
                and key.revoked_at is None
                and (key.expires_at is None or key.expires_at > now)
            ):
                found = [each for each in list_workspaces(self._engine) if each.id == claim.workspace]
                return Visitor(found[0])
        return None

    def _read(self, cookie: str) -> _Claim | None:
        claim, _, signature = cookie.encode(errors="replace").partition(b".")
        if not hmac.compare_digest(signature, self._sign(claim).encode()):
            return None
        return msgspec.json.decode(urlsafe_b64decode(claim), type=_Claim)

    def _sign(self, claim: bytes) -> str:
        return hmac.digest(self._secret, claim, sha256).hex()

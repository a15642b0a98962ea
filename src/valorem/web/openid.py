"""Signing in elsewhere: OpenID Connect's code flow with PKCE, the answer checked against the issuer's own keys."""

import base64
import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.requests import Request
from starlette.responses import RedirectResponse

from valorem.core.errors import OverloadedError, UnauthorizedError
from valorem.engine.audit import Deed
from valorem.engine.people import person_of
from valorem.engine.sessions import sign
from valorem.web.entry import Entry, inside
from valorem.web.security import is_https
from valorem.web.site import Answer, Site

_COOKIE = "valorem_openid"
_LASTS_S = 600
_TIMEOUT_S = 10.0
_ALGORITHMS = ["RS256", "PS256", "ES256", "EdDSA", "RS384", "RS512", "ES384", "ES512"]
_LEEWAY_S = 60


@dataclass(frozen=True, slots=True)
class Provider:
    """Who says who somebody is.

    Attributes:
        issuer: Its address; what it publishes about itself is found below it.
        client_id: What it calls this installation.
        client_secret: Proves that it is us; empty for a public client.
        open_client: Makes an HTTP client; tests give one without a network.
    """

    issuer: str
    client_id: str
    client_secret: str
    open_client: Callable[[], httpx.Client] = lambda: httpx.Client(timeout=_TIMEOUT_S)


class OpenIdEntry:
    """The way in by an issuer.

    Args:
        site: Where it is.
        entry: The other ways in; begins the session.
        provider: The issuer.
    """

    def __init__(self, site: Site, entry: Entry, provider: Provider) -> None:
        self._site = site
        self._entry = entry
        self._provider = provider
        site.open("/sign-in/openid", self.begin)
        site.open("/sign-in/openid/back", self.back)

    def begin(self, request: Request, _form: Mapping[str, str]) -> Answer:
        """Send the browser to the issuer, and remember what was asked of it in a signed cookie."""
        with self._provider.open_client() as http:
            known = self._discover(http)
        asked = {name: secrets.token_urlsafe(32) for name in ("state", "nonce", "verifier")}
        asked["to"] = inside(request.query_params.get("to", ""))
        query = {
            "response_type": "code",
            "scope": "openid email profile",
            "client_id": self._provider.client_id,
            "redirect_uri": self._back(request),
            "state": asked["state"],
            "nonce": asked["nonce"],
            "code_challenge": _challenge(asked["verifier"]),
            "code_challenge_method": "S256",
        }
        response = RedirectResponse(f"{known['authorization_endpoint']}?{urlencode(query)}", 303)
        text = base64.urlsafe_b64encode(json.dumps(asked).encode()).decode()
        response.set_cookie(
            _COOKIE,
            f"{text}.{sign(self._site.secret, 'openid', text)}",
            max_age=_LASTS_S,
            httponly=True,
            samesite="lax",
            secure=is_https(request),
            path="/sign-in/openid",
        )
        return response

    def back(self, request: Request, _form: Mapping[str, str]) -> Answer:
        """Take the issuer's answer: exchange the code, check the token, begin a session."""
        asked = self._asked(request)
        given = request.query_params
        if not secrets.compare_digest(given.get("state", "").encode(), asked["state"].encode()):
            raise _refused("the answer does not belong to this browser")
        if "code" not in given:
            raise _refused(f"the issuer answered {given.get('error', 'nothing')[:60]!r}")
        with self._provider.open_client() as http:
            known = self._discover(http)
            token = self._exchange(http, known, given["code"], asked["verifier"], self._back(request))
            claims = self._claims(http, known, token, asked["nonce"])
        if not claims.get("email") or claims.get("email_verified") is not True:
            raise _refused("the issuer does not vouch for an e-mail address")
        request_id = str(request.scope.get("state", {}).get("request_id", ""))
        person = person_of(
            self._site.engine,
            Deed("", "person.bind", "", request_id=request_id),
            subject=f"{claims['iss']} {claims['sub']}",
            email=str(claims["email"]),
        )
        response = self._entry.enter(request, person, asked["to"], "session.begin_openid")
        response.delete_cookie(_COOKIE, path="/sign-in/openid")
        return response

    def _asked(self, request: Request) -> dict[str, str]:
        text, _, signature = request.cookies.get(_COOKIE, "").partition(".")
        right = sign(self._site.secret, "openid", text)
        if not text or not secrets.compare_digest(signature.encode("utf-8", "replace"), right.encode()):
            raise _refused("the sign-in took too long, or began in another browser")
        asked: dict[str, str] = json.loads(base64.urlsafe_b64decode(text))
        return asked

    def _back(self, request: Request) -> str:
        scheme = "https" if is_https(request) else "http"
        return f"{scheme}://{request.headers.get('host', '')}/sign-in/openid/back"

    def _discover(self, http: httpx.Client) -> dict[str, Any]:
        known = _json(http.get(f"{self._provider.issuer}/.well-known/openid-configuration"))
        if known.get("issuer", "").rstrip("/") != self._provider.issuer:
            raise _refused("the issuer calls itself something else")
        return known

    def _exchange(
        self, http: httpx.Client, known: Mapping[str, Any], code: str, verifier: str, back: str
    ) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "code_verifier": verifier,
        }
        if self._provider.client_secret:
            credentials = (self._provider.client_id, self._provider.client_secret)
            answer = http.post(known["token_endpoint"], data=form, auth=credentials)
        else:
            answer = http.post(known["token_endpoint"], data={**form, "client_id": self._provider.client_id})
        return str(_json(answer).get("id_token", ""))

    def _claims(self, http: httpx.Client, known: Mapping[str, Any], token: str, nonce: str) -> dict[str, Any]:
        keys = KeySet.import_key_set(_json(http.get(known["jwks_uri"])))  # type: ignore[arg-type]
        rules = jwt.JWTClaimsRegistry(
            now=int(time.time()),
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": known["issuer"]},
            aud={"essential": True, "value": self._provider.client_id},
            exp={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        try:
            claims = jwt.decode(token, keys, algorithms=_ALGORITHMS).claims
            rules.validate(claims)
        except (JoseError, ValueError) as error:
            raise _refused(f"the issuer's answer does not hold ({type(error).__name__})") from None
        return claims


def _json(answer: httpx.Response) -> dict[str, Any]:
    if not answer.is_success:
        raise OverloadedError(f"the issuer answered {answer.status_code}", retry_after_s=5)
    found = answer.json()
    if not isinstance(found, dict):
        raise _refused("the issuer's answer is no object")
    return found


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _refused(message: str) -> UnauthorizedError:
    return UnauthorizedError(message, hint="sign in again")

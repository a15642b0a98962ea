"""Writing one result back to another system."""

from base64 import b64encode
from urllib.parse import quote

import httpx

from valorem.core.sources.channels import AuthTerms, RestTerms
from valorem.core.sources.frames import SourceUnreachableError, WriteRequest
from valorem.integrations.sources.exact import encode
from valorem.integrations.sources.reading import Bounds, check_address

_TIMEOUT_S = 20.0


def write_back(request: WriteRequest, bounds: Bounds) -> None:
    """Send once; a repeat is recognised by its ``Idempotency-Key``, where the other system looks at it.

    Raises:
        SourceUnreachableError: If it was not taken.
    """
    terms = request.definition.poll
    assert isinstance(terms, RestTerms)  # a source without cannot have rules that write
    path = request.path
    for name, word in request.words.items():
        path = path.replace(f"{{{name}}}", quote(word, safe=""))
    url = terms.url.rstrip("/") + "/" + path.lstrip("/")
    check_address(url, loopback=bounds.loopback)
    headers = {**terms.headers, "content-type": "application/json", "idempotency-key": request.words["id"]}
    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False, follow_redirects=False) as client:
            params = _sign_in(client, terms.auth, request, headers, bounds)
            answer = client.request(
                request.method, url, params=params, content=encode(request.body), headers=headers
            )
    except httpx.HTTPError as error:
        raise SourceUnreachableError(f"{terms.url} does not answer: {type(error).__name__}") from None
    if not answer.is_success:
        after = answer.headers.get("retry-after", "")
        raise SourceUnreachableError(
            f"the source answers {answer.status_code} to {request.method} {path[:120]}",
            retry_after_s=int(after) if after.isdigit() else None,
        )


def _sign_in(
    client: httpx.Client,
    auth: AuthTerms | None,
    request: WriteRequest,
    headers: dict[str, str],
    bounds: Bounds,
) -> dict[str, str]:
    """Add who we are to the headers; what belongs into the query instead is returned."""
    if auth is None:
        return {}
    secret, name = request.secrets[auth.secret], auth.name or ""
    match auth.kind:
        case "bearer":
            headers["authorization"] = f"Bearer {secret}"
        case "basic":
            headers["authorization"] = f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"
        case "header":
            headers[name] = secret
        case "query":
            return {name: secret}
        case "client_credentials":
            assert auth.url is not None  # an entry without it is refused when it is written
            check_address(auth.url, loopback=bounds.loopback)
            form = {"grant_type": "client_credentials", "client_id": name, "client_secret": secret}
            answer = client.post(auth.url, data=form if auth.scope is None else {**form, "scope": auth.scope})
            token = answer.json().get("access_token") if answer.is_success else None
            if not token:
                raise SourceUnreachableError(f"{auth.url} gives no token: it answers {answer.status_code}")
            headers["authorization"] = f"Bearer {token}"
    return {}

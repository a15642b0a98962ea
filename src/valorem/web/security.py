"""What protects every page: the headers it carries, and where its forms may come from."""

from starlette.requests import Request

#: No inline script, style or event handler anywhere, nothing from elsewhere, and nobody may frame a page.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'; manifest-src 'self'"
)


def headers_for(request: Request) -> dict[str, str]:
    """The headers of every answer to a browser."""
    headers = {
        "Content-Security-Policy": POLICY,
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",  # so that a form's origin can be checked
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
    if is_https(request):
        headers["Strict-Transport-Security"] = "max-age=31536000"
    return headers


def is_https(request: Request) -> bool:
    """Whether the browser speaks TLS to us, or to the proxy that says so."""
    return request.url.scheme == "https" or request.headers.get("x-forwarded-proto", "") == "https"


def same_origin(request: Request) -> bool:
    """Whether a form came from our own pages; a browser says so in one of two headers."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    if origin is None:
        return True  # no browser: the form's token and the cookie still decide
    return origin.partition("://")[2] == request.headers.get("host", "")


def address_of(request: Request) -> str:
    """Where on the network a request comes from."""
    return request.client.host if request.client is not None else "unknown"

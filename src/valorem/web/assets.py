"""Static files: their names carry a digest of what they hold, so that a browser may keep them for ever."""

import gzip
from functools import cached_property
from hashlib import sha256
from importlib.metadata import version as release
from pathlib import Path
from threading import Lock

_FOLDER = Path(__file__).parent / "assets"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
VEGA = "vega.js"
_VEGA_LITE = "6.4"
#: What charts are made of, out of the library that also draws them on the server.
_SNIPPET = "window.vegaEmbed = vegaEmbed;"


class Assets:
    """The files of ``web/assets``, and the chart library as one module, which is put together when first asked for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._vega: bytes | None = None

    @cached_property
    def files(self) -> dict[str, bytes]:
        """Name to bytes."""
        return {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}

    @cached_property
    def version(self) -> str:
        """A digest of all of them and of the chart library's version: modules import each other by relative names."""
        digest = sha256(f"{release('vl-convert-python')}\0{_VEGA_LITE}\0{_SNIPPET}".encode())
        for name, content in self.files.items():
            digest.update(name.encode() + b"\0" + content)
        return digest.hexdigest()[:12]

    def address(self, name: str) -> str:
        """Where a browser finds a file."""
        return f"/assets/{self.version}/{name}"

    def read(self, name: str) -> tuple[bytes, str, str | None] | None:
        """A file's bytes, media type and content encoding; None where there is none of that name."""
        if name == VEGA:
            return self._bundle(), _TYPES[".js"], "gzip"
        content = self.files.get(name)
        return None if content is None else (content, _TYPES[Path(name).suffix], None)

    def _bundle(self) -> bytes:
        with self._lock:
            if self._vega is None:
                import vl_convert  # noqa: PLC0415 - loading it takes a second, and only charts need it

                raw = vl_convert.javascript_bundle(_SNIPPET, vl_version=_VEGA_LITE)
                self._vega = gzip.compress(raw.encode(), 6)
            return self._vega

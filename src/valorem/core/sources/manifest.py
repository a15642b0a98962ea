"""Manifests: what a file must be to be taken."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from valorem.core.errors import InvalidInputError

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Manifest:
    """What its sender says of a file.

    Attributes:
        sha256: Of its bytes, in hex.
        rows: How many records it holds, a header not counted.
    """

    sha256: str
    rows: int


def parse_manifest(value: Any) -> Manifest:
    """Read a manifest: ``{"sha256": "…", "rows": 120}``; further members are the sender's own business.

    Raises:
        InvalidInputError: Naming the member that is missing or wrong.
    """
    if not isinstance(value, Mapping):
        raise InvalidInputError("the manifest is no JSON object", hint='write {"sha256": "…", "rows": 120}')
    digest, rows = value.get("sha256"), value.get("rows")
    if not isinstance(digest, str) or _SHA256.fullmatch(digest.lower()) is None:
        raise InvalidInputError("the manifest has no sha256", field="sha256", hint="64 hexadecimal digits")
    if type(rows) is not int or rows < 0:
        raise InvalidInputError("the manifest has no number of rows", field="rows", hint="a whole number")
    return Manifest(digest.lower(), rows)

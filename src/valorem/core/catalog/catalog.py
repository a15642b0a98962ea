"""The catalog: everything that is sold, as one immutable value."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from valorem.core.catalog.features import Feature
from valorem.core.catalog.plans import Plan
from valorem.core.errors import NotFoundError

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Catalog:
    """One version of all meters, features, prices and plans.

    Attributes:
        meters: By key.
        features: By key.
        prices: Named prices by key.
        plans: By key.
        files: Path to text, exactly as written, so that a version can be shown, diffed and applied again.
    """

    meters: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    features: Mapping[str, Feature] = field(default_factory=lambda: _NOTHING)
    prices: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)
    plans: Mapping[str, Plan] = field(default_factory=lambda: _NOTHING)
    files: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    def plan(self, key: str) -> Plan:
        """The plan of that key.

        Raises:
            NotFoundError: With the keys there are.
        """
        if (plan := self.plans.get(key)) is None:
            raise NotFoundError(
                f"there is no plan {key!r} in this catalog version",
                field="plan",
                hint=f"it has {', '.join(sorted(self.plans)) or 'no plans'}",
            )
        return plan

    def digest(self) -> str:
        """SHA-256 (hex) over the files in order of path; CRLF is read as LF, all else as written."""
        sha = hashlib.sha256()
        for path in sorted(self.files):
            for part in (path, self.files[path].replace("\r\n", "\n")):
                octets = part.encode()
                sha.update(len(octets).to_bytes(8) + octets)
        return sha.hexdigest()

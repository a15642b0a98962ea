"""A page before it is rendered."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Page:
    """A template, what fills it, and the answer's status."""

    template: str
    values: Mapping[str, Any] = field(default_factory=dict)
    status: int = 200

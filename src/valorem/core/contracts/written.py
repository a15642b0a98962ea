"""Histories as JSON values, and back: the one way edits and standings are kept and sent."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from valorem.core.contracts.edits import Edit
from valorem.core.contracts.sources import Sources, Span, alone
from valorem.core.contracts.standing import Standing
from valorem.core.errors import InvalidInputError
from valorem.core.time import parse_instant, write_instant


def write_edit(edit: Edit) -> dict[str, Any]:
    """An edit as JSON values: decimals as text, instants with ``Z``, fields left out where they were."""
    return edit.model_dump(mode="json", by_alias=True, exclude_unset=True) | {
        "changes": [
            change.model_dump(mode="json", by_alias=True, exclude_unset=True) | {"kind": change.kind}
            for change in edit.changes
        ]
    }


def read_edit(written: Mapping[str, Any]) -> Edit:
    """The edit that JSON values say.

    Raises:
        InvalidInputError: Naming the field that is not right.
    """
    try:
        return Edit.model_validate(dict(written))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise InvalidInputError(
            first["msg"].removeprefix("Value error, "), field=".".join(str(part) for part in first["loc"])
        ) from None


def write_standings(standings: Iterable[Standing]) -> list[dict[str, Any]]:
    """Standings as JSON values."""
    return [each.model_dump(mode="json", by_alias=True, exclude_unset=True) for each in standings]


def write_sources(sources: Sources) -> dict[str, Any]:
    """Whose counters an invoice billed, as JSON values; nothing for a customer that is part of no family."""
    if not sources.apart and len(sources.pool) == 1 and sources.pool[0][:2] == (None, None):
        return {}
    return {
        "pool": _write_spans(sources.pool),
        "apart": {key: _write_spans(spans) for key, spans in sources.apart.items()},
        "keeping": sorted(sources.keeping),
    }


def read_sources(written: Mapping[str, Any]) -> Sources:
    """The sources that :func:`write_sources` wrote beside ``subjects``."""
    if "pool" not in written:
        return alone(written["subjects"])
    apart = {key: _read_spans(spans) for key, spans in sorted(written["apart"].items())}
    return Sources(_read_spans(written["pool"]), apart, frozenset(written["keeping"]))


def _write_spans(spans: Iterable[Span]) -> list[list[Any]]:
    def told(at: datetime | None) -> str | None:
        return None if at is None else write_instant(at)

    return [[told(span.start), told(span.end), list(span.subjects)] for span in spans]


def _read_spans(written: Iterable[Sequence[Any]]) -> tuple[Span, ...]:
    def read(at: str | None) -> datetime | None:
        return None if at is None else parse_instant(at)

    return tuple(Span(read(start), read(end), tuple(subjects)) for start, end, subjects in written)


def read_standings(written: Iterable[Mapping[str, Any]]) -> tuple[Standing, ...]:
    """The standings that :func:`write_standings` wrote."""
    return tuple(Standing.model_validate(dict(each)) for each in written)

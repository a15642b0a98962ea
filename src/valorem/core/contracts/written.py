"""Histories as JSON values, and back: the one way edits and standings are kept and sent."""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from valorem.core.contracts.edits import Edit
from valorem.core.contracts.standing import Standing
from valorem.core.errors import InvalidInputError


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


def read_standings(written: Iterable[Mapping[str, Any]]) -> tuple[Standing, ...]:
    """The standings that :func:`write_standings` wrote."""
    return tuple(Standing.model_validate(dict(each)) for each in written)

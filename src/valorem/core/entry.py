"""What every thing that people write has in common: a key, strict fields, and no way to change it later."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from valorem.core.errors import InvalidInputError
from valorem.core.money import parse_currency

KEY_PATTERN = r"^[a-z][a-z0-9_]{0,62}$"
#: The name of a meter, feature, price, plan, fee or seat, as other files refer to it.
Key = Annotated[
    str,
    StringConstraints(pattern=KEY_PATTERN),
    Field(description="lower-case letters, digits and _, starting with a letter"),
]


def _read_currency(value: object) -> str:
    try:
        return parse_currency(value)
    except InvalidInputError as error:
        raise ValueError(f"{error.message} ({error.hint})") from None


#: An ISO 4217 code that money can be rounded in.
Currency = Annotated[
    str,
    BeforeValidator(_read_currency),
    Field(pattern=r"^[A-Z]{3}$", description="an ISO 4217 code", examples=["USD", "EUR", "JPY"]),
]


class Entry(BaseModel):
    """A strict, frozen piece of the catalog; a field it does not know is an error.

    Attributes:
        coming: Field names that the layout has a place for but this version cannot honour yet; writing one is an
            error that says so, never something silently ignored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    coming: ClassVar[Mapping[str, str]] = {}

"""Features: what a plan may grant."""

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema, model_validator

from valorem.core.entry import Entry, Key
from valorem.core.errors import InvalidInputError
from valorem.core.numbers import parse_decimal, plain


def _read_grant(value: object) -> object:
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        if len(value) <= 200:
            return value
        raise ValueError("a feature's text value has at most 200 characters")
    try:
        return parse_decimal(value)
    except InvalidInputError as error:
        raise ValueError(f"expected true, false, a number or a text; {error.message}") from None


#: What a plan says about one feature: true or false, or the feature's value as an exact number or a text.
FeatureValue = Annotated[
    bool | Decimal | str,
    BeforeValidator(_read_grant),
    PlainSerializer(lambda value: plain(value) if isinstance(value, Decimal) else value),
    WithJsonSchema(
        {
            "type": ["boolean", "number", "string"],
            "description": "true or false for an on/off or metered feature; the value for a value feature",
            "examples": [True, 20],
        }
    ),
]


class Feature(Entry):
    """Something a plan grants.

    Attributes:
        feature: The key plans refer to.
        kind: ``on/off`` (the customer has it or not), ``value`` (a number or text such as a number of projects), or
            ``metered`` (its use is counted by ``meter``).
        meter: The meter that counts the use of a metered feature.
        outage: What a check answers while nothing can be looked up: ``closed`` refuses, ``open`` lets pass.
    """

    feature: Key
    name: str | None = None
    description: str | None = None
    kind: Literal["on/off", "value", "metered"] = "on/off"
    meter: Key | None = None
    outage: Literal["closed", "open"] = "closed"

    @property
    def key(self) -> str:
        """The key plans refer to."""
        return self.feature

    @model_validator(mode="after")
    def _meter_goes_with_metered(self) -> "Feature":
        if self.kind == "metered" and self.meter is None:
            raise ValueError("a metered feature names the meter that counts it; add `meter: …`")
        if self.kind != "metered" and self.meter is not None:
            raise ValueError("only a metered feature has a meter; write `kind: metered` or remove `meter`")
        return self

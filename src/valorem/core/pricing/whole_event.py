"""A rate for the whole of an event, decided by one of its numbers: a call over 272,000 input tokens is long entirely."""

from typing import Annotated

from pydantic import StringConstraints

from valorem.core.entry import Entry, Key
from valorem.core.numbers import plain
from valorem.core.units import Quantity

Label = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,63}$")]


class WholeEvent(Entry):
    """Gives the meter a derived dimension, which rows, multipliers and ``long`` amounts then refer to.

    Attributes:
        value: The path or expression that is compared, such as ``data.input_tokens``.
        above: An event with more than this is ``then``; with exactly this or less it is ``otherwise``.
        dimension: The name of the derived dimension.
        then: Its value above the threshold.
        otherwise: Its value up to the threshold.
    """

    value: str
    above: Quantity
    dimension: Key = "context"
    then: Label = "long"
    otherwise: Label = "short"

    def expression(self) -> str:
        """The derived dimension, as a meter writes it."""
        return f"if(({self.value}) > {plain(self.above)}, '{self.then}', '{self.otherwise}')"

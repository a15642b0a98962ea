"""What a plan may say about access: limits on use, gates that open, and the prompts shown at a limit."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from valorem.core.entitlements.windows import WindowText
from valorem.core.entry import Entry, Key
from valorem.core.numbers import ONE, exact
from valorem.core.pricing.dates import Start
from valorem.core.units import Quantity, Share, Span

LimitKind = Literal["hard", "soft", "throttle"]


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


Values = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    Field(min_length=1, max_length=1000),
    WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}}),
]


class Rate(Entry):
    """So many in so long.

    Attributes:
        max: How many, in the unit of the feature's meter.
        window: In which time.
    """

    max: Quantity
    window: WindowText


class Limit(Entry):
    """How much of something may be used.

    Attributes:
        max: How much, in the unit of the feature's meter.
        window: Over which time it is counted.
        kind: ``hard`` stops at ``max``; ``soft`` lets it be passed, up to ``enforce_at`` where that is written;
            ``throttle`` slows down to ``slow_to`` past ``max``.
        enforce_at: For ``soft``: the share of ``max`` at which it stops after all, 125% for example.
        slow_to: For ``throttle``: what may be used past ``max``.
        per: The key of the contract's seats it is multiplied by.
        each: A dimension of the meter (a user, an API key): the limit holds for each of its values by itself.
        where: Only use with these values of dimensions counts.
        zero_rated: Use with any of these values of dimensions does not count and is never stopped.
        prompt: What to show at the limit: a key of the plan's ``prompts``, or ``upgrade_to_`` and a plan's key.
    """

    max: Quantity
    window: WindowText
    kind: LimitKind = "hard"
    enforce_at: Annotated[Share, Field(ge=1)] | None = None
    slow_to: Rate | None = None
    per: Key | None = None
    each: Key | None = None
    where: Mapping[Key, Values] = Field(default_factory=dict)
    zero_rated: Mapping[Key, Values] = Field(default_factory=dict)
    prompt: Key | None = None

    @model_validator(mode="after")
    def _fits_its_kind(self) -> "Limit":
        if self.enforce_at is not None and self.kind != "soft":
            raise ValueError("only a soft limit has enforce_at; write kind: soft")
        if (self.slow_to is None) == (self.kind == "throttle"):
            raise ValueError(
                "a throttle, and only a throttle, says what it slows to: slow_to: {max: 10, window: hour}"
            )
        return self

    @property
    def dimensions(self) -> frozenset[str]:
        """The dimensions of the meter that it looks at."""
        return frozenset((*self.where, *self.zero_rated, *((self.each,) if self.each else ())))

    @exact
    def raised(self, by: Decimal) -> "Limit":
        """The same limit with so much more."""
        return self.model_copy(update={"max": self.max + by})

    @exact
    def times(self, seats: Decimal) -> "Limit":
        """The limit of so many seats together."""
        return self.model_copy(update={"max": self.max * seats, "per": None})


@exact
def stops_at(limit: Limit) -> Decimal | None:
    """The use past which nothing more is allowed; None for a limit that never stops anything by itself."""
    match limit.kind:
        case "hard":
            return limit.max
        case "soft":
            return None if limit.enforce_at is None else limit.max * limit.enforce_at
        case _:
            return None


#: One limit on a feature, or several of which the tightest answers.
Limits = Annotated[
    tuple[Limit, ...],
    BeforeValidator(_listed, json_schema_input_type=Limit | tuple[Limit, ...]),
    Field(min_length=1, max_length=20),
]


class UsageGate(Entry):
    """How much must have been used, ever, before a feature opens.

    Attributes:
        meter: What is counted.
        at_least: How much.
    """

    meter: Key
    at_least: Quantity


class Gate(Entry):
    """When a feature of the plan opens; everything written must hold.

    Attributes:
        start: From this date on (``from``).
        after: So long after the customer's first start.
        usage: After so much use.
    """

    start: Start | None = Field(default=None, alias="from")
    after: Span | None = None
    usage: UsageGate | None = None

    @model_validator(mode="after")
    def _says_when(self) -> "Gate":
        if self.start is None and self.after is None and self.usage is None:
            raise ValueError("a gate says when it opens: from, after or usage")
        return self


class Prompt(Entry):
    """What to show somebody who has come to a limit.

    Attributes:
        to: The plan that gives more.
        text: For people; may name ``{plan}``, ``{limit}`` (the one that was met: ``10 a day``) and ``{more}`` (what that plan
            has instead: ``500 a day``).
        link: Where to go.
    """

    to: Key | None = None
    text: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    link: Annotated[str, Field(max_length=2000, pattern=r"^(https://|/)")] | None = None


UPGRADE = "upgrade_to_"


def prompt_of(prompts: Mapping[str, Prompt], key: str | None) -> Prompt | None:
    """The prompt of that key: declared, or implied by ``upgrade_to_<plan>``."""
    if key is None:
        return None
    if key in prompts:
        return prompts[key]
    return Prompt(to=key.removeprefix(UPGRADE)) if key.startswith(UPGRADE) else None


@exact
def share_of(used: Decimal, most: Decimal) -> Decimal | None:
    """Which share of a limit has been used; None of a limit of nothing."""
    return None if not most else (used / most).quantize(ONE.scaleb(-12))

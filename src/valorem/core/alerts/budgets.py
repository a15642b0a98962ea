"""Budgets: an amount of money that a customer, or whoever sells to it, does not want its use to pass."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from valorem.core.alerts.thresholds import Threshold, Thresholds
from valorem.core.entitlements.windows import Window, WindowText
from valorem.core.entry import Entry, Key
from valorem.core.numbers import ONE
from valorem.core.units import Amount

DEFAULT_AT = (Threshold("share", ONE.scaleb(-1) * 8), Threshold("share", ONE))
BILLING_PERIOD = Window("billing_period")


class Budget(Entry):
    """An amount for a window, for everything a customer is charged or for a part of it.

    Attributes:
        amount: In the contract's currency.
        window: A calendar day, week or month, or the billing period.
        kind: ``hard`` denies further use once it is reached; ``notify`` only tells.
        of: ``usage`` alone, or ``everything`` the window is charged, fees too.
        meter: Only what this meter's use costs: a workload.
        where: Only use with these values of dimensions, priced as if it were all there is: a member, a project.
        at: When to tell, as shares of the amount or as amounts.
        set_by: Whose budget it is; a customer may change its own alone.
        name: For people.
    """

    amount: Annotated[Amount, Field(gt=0)]
    window: WindowText = BILLING_PERIOD
    kind: Literal["hard", "notify"] = "notify"
    of: Literal["usage", "everything"] = "usage"
    meter: Key | None = None
    where: Mapping[Key, str] = Field(default_factory=dict)
    at: Thresholds = DEFAULT_AT
    set_by: Literal["vendor", "customer"] = "vendor"
    name: str | None = Field(default=None, max_length=200)

"""The steps of a price: what the next unit costs, and what all of them cost, by quantity."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from valorem.core.metering.measured import Measured
from valorem.core.numbers import EXACT, ONE, ZERO, plain
from valorem.core.pricing.effective import effective_unit_amount
from valorem.core.pricing.graduated import Graduated
from valorem.core.pricing.lines import Segment
from valorem.core.pricing.pipeline import rate
from valorem.core.pricing.price import Price
from valorem.core.pricing.volume import Volume
from valorem.web.charts.chart import Chart, Table
from valorem.web.formats import compact_text, money_text

_POINTS = 48
_PERIOD = timedelta(days=30)


def steps_chart(
    name: str, title: str, price: Price, unit: str | None, currency: str, at: datetime
) -> Chart | None:
    """What a tiered price comes to for a period's quantity, worked out by the function that invoices; None for others."""
    version = price.at(at)
    if not isinstance(version, Graduated | Volume) or version.dimensions:
        return None
    bounds = [tier.up_to for tier in version.tiers if tier.up_to is not None]
    edge = version.included + (bounds[-1] if bounds else Decimal(1000))
    most = edge * 2
    quantities = sorted(
        {
            *((most * number / _POINTS).to_integral_value() for number in range(_POINTS + 1)),
            *(version.included + bound for bound in bounds),
        }
    )
    data: list[dict[str, Any]] = []
    for quantity in quantities:
        amount = _amount(price, quantity, currency, at)
        data.append(
            {
                "quantity": quantity,
                "amount": amount,
                "text": f"{money_text(amount, currency)} {currency}",
                "label": compact_text(quantity),
            }
        )
    unit = unit or "unit"
    shown = [ZERO, *(version.included + bound for bound in bounds), most]
    table = Table(
        (f"#{unit}s in a period", f"#Amount, {currency}", f"#A million {unit}s on average"),
        [_row(price, quantity, currency, at) for quantity in shown],
    )
    spec = {
        "layer": [
            {
                "mark": {"type": "rule", "strokeDash": [3, 3], "color": "var(--muted)"},
                "data": {"values": [{"at": plain(version.included + bound)} for bound in bounds]},
                "encoding": {"x": {"field": "at", "type": "quantitative"}},
            },
            {
                "mark": {
                    "type": "line",
                    "strokeWidth": 2.5,
                    "color": "var(--c1)",
                    "point": {"size": 26, "filled": True, "color": "var(--c1)", "opacity": 0.01},
                },
                "encoding": {
                    "x": {
                        "field": "quantity",
                        "type": "quantitative",
                        "axis": {"title": f"{unit}s in a period", "format": "~s", "grid": False},
                    },
                    "y": {
                        "field": "amount",
                        "type": "quantitative",
                        "axis": {"title": currency, "format": ",.0f"},
                    },
                    "tooltip": [
                        {"field": "label", "title": f"{unit}s"},
                        {"field": "text", "title": "Amount"},
                    ],
                },
            },
        ]
    }
    end = money_text(_amount(price, edge, currency, at), currency)
    sentence = f"{title}: {compact_text(edge)} {unit}s in a period come to {end} {currency}"
    return Chart(name, sentence, spec, data, table, height=170)


def _amount(price: Price, quantity: Decimal, currency: str, at: datetime) -> Decimal:
    used = Measured({}, quantity, 1)
    segment = Segment(at, at + _PERIOD, (used,) if quantity else ())
    edges = price.edges(at, at + _PERIOD)
    if edges:  # a change lies ahead: what counts here is the price as it stands
        price = Price.model_validate(price.at(at).model_dump(by_alias=True, exclude={"start"}))
    return rate(price, [segment], currency=currency, meter="shown").total


def _row(price: Price, quantity: Decimal, currency: str, at: datetime) -> Sequence[str]:
    amount = _amount(price, quantity, currency, at)
    average = effective_unit_amount(amount, quantity) * 10**6
    rounded = average.quantize(ONE.scaleb(-2), context=EXACT)
    return (compact_text(quantity), money_text(amount, currency), money_text(rounded, currency))

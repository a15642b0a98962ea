"""The demonstration's own arithmetic: what every invoice must come to, worked out without the engine.

It shares no code with the engine's pricing on purpose, reads the plain list of calls, and knows the price list as a
table of its own, so that agreement means something.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

from valorem.cli.demo.traffic import Buyer, Call

_CENT = Decimal("0.01")
_MILLION = Decimal(1_000_000)
_CUT = datetime(2026, 2, 15, tzinfo=UTC)
#: (model, kind, long) to USD per million; the cut of 15 February is applied below.
_RATES = {
    ("gpt-5.4", "input", False): Decimal("2.50"),
    ("gpt-5.4", "output", False): Decimal(15),
    ("gpt-5.4", "input", True): Decimal(5),
    ("gpt-5.4", "output", True): Decimal("22.50"),
    ("gpt-5.4-mini", "input", False): Decimal("0.75"),
    ("gpt-5.4-mini", "output", False): Decimal("4.50"),
}
_LONG = 272_000


def usage_total(buyer: Buyer, calls: Iterable[Call]) -> Decimal:
    """What one month's usage of a customer costs, line by line as the invoice rounds it."""
    counted = [call for call in calls if call.status == "ok"]
    return _api_usage(counted) if buyer.plan == "api" else _team_usage(counted)


def fees(buyer: Buyer) -> Decimal:
    """What a customer pays ahead for one month."""
    return Decimal(0) if buyer.plan == "api" else Decimal(50) + 30 * buyer.seats


def month_total(buyer: Buyer, calls: Iterable[Call]) -> Decimal:
    """Everything one month costs: fees, usage, and the team plan's minimum."""
    total = fees(buyer) + usage_total(buyer, calls)
    return max(total, Decimal(120)) if buyer.plan == "team" else total


def _api_usage(calls: Iterable[Call]) -> Decimal:
    tokens: defaultdict[tuple[str, str, bool, bool], int] = defaultdict(int)
    for call in calls:
        is_long = call.input_tokens > _LONG
        after = call.time >= _CUT
        tokens[call.model, "input", is_long, after] += call.input_tokens
        tokens[call.model, "output", is_long, after] += call.output_tokens
    total = Decimal(0)
    for (model, kind, is_long, after), quantity in tokens.items():
        rate = _RATES.get((model, kind, is_long)) or _RATES[model, kind, False]
        if (model, kind) == ("gpt-5.4-mini", "output") and after:
            rate = Decimal("3.60")
        total += (quantity * rate / _MILLION).quantize(_CENT, ROUND_HALF_UP)
    return total


def _team_usage(calls: Iterable[Call]) -> Decimal:
    used = sum(call.input_tokens + call.output_tokens for call in calls)
    billable = max(0, used - 200_000)
    first = min(billable, 1_000_000)
    amounts = (first * Decimal(20) / _MILLION, (billable - first) * Decimal(15) / _MILLION)
    return sum((amount.quantize(_CENT, ROUND_HALF_UP) for amount in amounts), Decimal(0))

"""From the first line of an invoice to its total."""

from collections.abc import Sequence
from decimal import Decimal

from valorem.web.charts.bridges import WaterfallWords, waterfall
from valorem.web.portal.charts.frame import PortalChart
from valorem.web.portal.words import Words


def waterfall_chart(
    words: Words, steps: Sequence[tuple[str, Decimal]], currency: str, total: Decimal
) -> PortalChart:
    """From nothing to what is due, one bar for each group of lines."""
    heads = (words.say("Step"), words.say("Amount"), words.say("Then"))
    drawn = waterfall(
        steps,
        total,
        WaterfallWords(words.say("other lines"), words.say("Total"), heads),
        lambda amount: words.money_text(amount, currency),
        lambda amount: words.money(amount, currency),
    )
    sentence = words.say(
        "%(amount)s, from the first line to the total", amount=words.money_text(total, currency)
    )
    return PortalChart(
        "waterfall", sentence, drawn.spec, drawn.rows, drawn.table, None, drawn.height, words.language
    )

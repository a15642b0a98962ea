"""Why one bill differs from another."""

from valorem.core.insight.difference import Cause, Difference
from valorem.web.charts.bridges import DifferenceWords, difference
from valorem.web.portal.charts.frame import PortalChart
from valorem.web.portal.words import Words


def cause_names(words: Words) -> dict[Cause, str]:
    """What a cause of a difference is called."""
    return {
        "length": words.say("Longer or shorter period"),
        "quantity": words.say("More or less used"),
        "price": words.say("Price per unit"),
        "fixed": words.say("Fixed fees"),
        "credits": words.say("Discounts and credits"),
        "bounds": words.say("Minimum and maximum"),
        "late": words.say("Use that arrived late"),
    }


def difference_chart(words: Words, found: Difference, before: str) -> PortalChart:
    """Why a bill differs from the one before."""
    amount = words.money_text(abs(found.total), found.currency)
    sentence = (
        words.say("%(amount)s more than %(before)s", amount=amount, before=before)
        if found.total > 0
        else words.say("%(amount)s less than %(before)s", amount=amount, before=before)
        if found.total
        else words.say("As much as %(before)s", before=before)
    )
    heads = (words.say("Cause"), words.say("Amount"))
    drawn = difference(
        found,
        DifferenceWords(cause_names(words), words.say("Together"), heads),
        lambda each: words.money_text(each, found.currency),
        lambda each: words.signed_money(each, found.currency),
    )
    return PortalChart(
        "change", sentence, drawn.spec, drawn.rows, drawn.table, None, drawn.height, words.language
    )

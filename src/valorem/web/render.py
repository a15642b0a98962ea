"""Templates: one environment for every page, strict about names, escaping everything that is not markup."""

from collections.abc import Mapping
from typing import Any

from valorem import __version__
from valorem.core.numbers import plain
from valorem.core.time import write_instant
from valorem.web import formats, locales
from valorem.web.assets import Assets
from valorem.web.bars import lay_out
from valorem.web.charts.drawing import Drawing
from valorem.web.navigation import navigation
from valorem.web.templating import environment


class Templates:
    """Renders templates with the components, formats and charts that all pages share.

    Args:
        assets: The static files.
        drawing: Draws charts.
    """

    def __init__(self, assets: Assets, drawing: Drawing) -> None:
        self._drawing = drawing
        self._environment = environment("valorem.web", assets, drawing)
        self._environment.filters.update(
            alert=formats.alert_text,
            away=formats.away,
            bare_money=formats.bare_money,
            cents=formats.cents,
            compact=formats.compact,
            change_money=formats.change_money,
            date=locales.date_text,
            day=formats.day,
            day_only=formats.day_only,
            exact=plain,
            instant=write_instant,
            money=formats.money,
            moment=formats.moment,
            month=locales.month_text,
            percent=formats.percent,
            plural=formats.plural,
            quantity=formats.quantity,
            rounded=formats.rounded,
            signed=formats.signed,
            signed_money=formats.signed_money,
            span=formats.span,
        )
        self._environment.globals.update(
            lay_out=lay_out,
            languages=locales.OFFERED,
            navigation=navigation,
            spoken=locales.language,
            release=__version__,
        )

    def render(self, template: str, values: Mapping[str, Any]) -> str:
        """One page as text."""
        self._drawing.warm()  # whoever sees a page soon sees a chart
        return self._environment.get_template(template).render(values)

"""The portal's templates: a folder of its own, strict about names, escaping all that is not markup, in any language."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from valorem.core.calendar import local_date
from valorem.core.portal.settings import LANGUAGES
from valorem.web.assets import Assets
from valorem.web.charts.drawing import Drawing
from valorem.web.portal.words import Words, own_name
from valorem.web.templating import environment


class PortalTemplates:
    """Renders the portal's pages.

    Args:
        assets: The static files.
        drawing: Draws charts.
    """

    def __init__(self, assets: Assets, drawing: Drawing) -> None:
        self._drawing = drawing
        self._environment = environment("valorem.web.portal", assets, drawing, ["jinja2.ext.i18n"])
        self._environment.globals.update(languages=[(key, own_name(key)) for key in LANGUAGES])
        self._environment.filters.update(local=local_date, number=Decimal)

    def render(self, template: str, words: Words, values: Mapping[str, Any]) -> str:
        """One page as text, in a language."""
        self._drawing.warm()
        said = {"f": words, "gettext": _one(words), "ngettext": _many(words)}
        return self._environment.get_template(template).render({**values, **said})


def _one(words: Words) -> Callable[..., Markup]:
    @pass_context
    def gettext(_context: Context, message: str, /, **values: Any) -> Markup:
        # A message is ours and may hold markup; what is filled in is not, and is escaped.
        return Markup(words.gettext(message)) % values  # noqa: S704

    return gettext


def _many(words: Words) -> Callable[..., Markup]:
    @pass_context
    def ngettext(_context: Context, one: str, many: str, number: int, /, **values: Any) -> Markup:
        filled = {"num": number, "n": words.quantity_text(number), **values}
        return Markup(words.ngettext(one, many, number)) % filled  # noqa: S704

    return ngettext

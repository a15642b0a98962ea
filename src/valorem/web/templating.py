"""What the console's and the portal's templates have in common: strict about names, escaping everything that is not markup."""

from collections.abc import Sequence
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from valorem.core.numbers import plain
from valorem.web.assets import Assets
from valorem.web.charts.drawing import Drawing


def environment(
    package: str, assets: Assets, drawing: Drawing, extensions: Sequence[str] = ()
) -> Environment:
    """An environment for the templates of a package.

    Args:
        package: Whose folder ``templates`` is read.
        assets: The static files.
        drawing: Draws charts.
        extensions: Of Jinja, besides.
    """
    made = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=list(extensions),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(asset=assets.address, draw=drawing.svg)
    made.filters.update(plain=plain, segment=segment)
    return made


def segment(text: str) -> str:
    """Text as one segment of a path."""
    return quote(text, safe="")

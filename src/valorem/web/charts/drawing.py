"""Draws charts on the server: the page is whole before any script runs, and on paper."""

import logging
import re
from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYetError
from threading import Lock

from markupsafe import Markup

from valorem.web.charts.chart import Chart

log = logging.getLogger(__name__)
_KEPT = 512
#: A page waits this long for a drawing; one that is not ready is drawn by the browser, or read as its table.
_PATIENCE_S = 0.12
_WIDTH = 720
_UNSAFE = re.compile(r"<(?:script|foreignObject|style)|\son\w+=|\sstyle=", re.IGNORECASE)


class Drawing:
    """Draws each specification once and keeps it; the library draws one at a time."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="drawing")
        self._kept: OrderedDict[str, Future[Markup]] = OrderedDict()
        self._lock = Lock()
        self._warmed = False

    def svg(self, chart: Chart) -> Markup | None:
        """The chart as SVG; None when it is not drawn within the page's patience."""
        text = chart.json(_WIDTH)
        with self._lock:
            drawn = self._kept.get(text)
            if drawn is None:
                drawn = self._kept[text] = self._pool.submit(_draw, text)
                while len(self._kept) > _KEPT:
                    self._kept.popitem(last=False)
            self._kept.move_to_end(text)
        try:
            return drawn.result(_PATIENCE_S)
        except NotYetError:
            return None
        except ValueError:
            log.exception("the chart %s cannot be drawn", chart.name)
            return None

    def warm(self) -> None:
        """Load the library in the background, once: its first drawing takes a second."""
        if self._warmed:
            return
        self._warmed = True
        self._pool.submit(_draw, '{"mark":"point","data":{"values":[]}}')


def _draw(text: str) -> Markup:
    import vl_convert  # noqa: PLC0415 - loading it takes a second, and only charts need it

    svg = vl_convert.vegalite_to_svg(text, vl_version="6.4")
    if _UNSAFE.search(svg):
        raise ValueError("the drawing holds what the page's policy forbids")
    # The figure around it says what it shows; roles inside would be read twice.
    svg = re.sub(r' (?:role|aria-\w+)="[^"]*"', "", svg)
    return Markup(svg.replace("<svg ", '<svg aria-hidden="true" focusable="false" ', 1))  # noqa: S704 - checked

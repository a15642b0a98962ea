"""The pages of the console as its rail shows them; a new group of pages adds its line here."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    """One page of the rail.

    Attributes:
        key: What its templates set as ``here``.
        name: For people.
        path: After the workspace's address.
        icon: A name in ``components.html``.
        jump: The letter that goes there after ``g``; empty for none.
        sandbox: Only in a sandbox.
    """

    key: str
    name: str
    path: str
    icon: str
    jump: str = ""
    sandbox: bool = False


GROUPS: tuple[tuple[str, tuple[Link, ...]], ...] = (
    (
        "Today",
        (
            Link("home", "Home", "/", "home", "h"),
            Link("events", "Events", "/events", "events", "e"),
            Link("alerts", "Alerts", "/alerts", "alerts", "a"),
        ),
    ),
    (
        "What is sold",
        (
            Link("catalog", "Catalog", "/catalog", "catalog", "p"),
            Link("meters", "Meters", "/meters", "meters", "m"),
            Link("backtests", "Backtests", "/backtests", "backtests", "b"),
        ),
    ),
    (
        "Who buys",
        (
            Link("customers", "Customers", "/customers", "customers", "c"),
            Link("invoices", "Invoices", "/invoices", "invoices", "i"),
            Link("credits", "Credits", "/credits", "credits", "r"),
            Link("outcomes", "Outcomes", "/outcomes", "outcomes", "o"),
            Link("revenue", "Revenue", "/revenue", "revenue", "v"),
        ),
    ),
    (
        "This workspace",
        (
            Link("clock", "Clock", "/clock", "clock", "t", sandbox=True),
            Link("settings", "Settings", "/settings", "settings", "s"),
        ),
    ),
)


def navigation(kind: str) -> Iterator[tuple[str, tuple[Link, ...]]]:
    """The groups of pages that a workspace of a kind has."""
    for name, links in GROUPS:
        yield name, tuple(link for link in links if not link.sandbox or kind == "sandbox")

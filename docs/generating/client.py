"""The client page: every method, as it is called."""

import inspect
import re
from collections.abc import Callable
from typing import Any

from docs.generating.markdown import markdown, page
from valorem.client import Client
from valorem.client.call import Method


def client() -> str:
    """Every method of the client."""
    calls = [
        one.__wrapped__ for base in Client.__mro__ for one in vars(base).values() if isinstance(one, Method)
    ]
    own = [getattr(Client, name) for name in ("track", "flush", "close")]
    return page(
        "Client",
        "`pip install valorem`, then `from valorem import Client`. `AsyncClient` has the same methods, awaited. Decimals "
        "come as `Decimal`, instants as aware `datetime`.",
        f"```python\nClient{_signature(Client, own=True)}\n```\n\n{_prose(Client)}",
        *(_section(function, own=True) for function in own),
        *(_section(function, own=False) for function in calls),
    )


def _section(function: Callable[..., Any], *, own: bool) -> str:
    return f"## {function.__name__}\n\n```python\n{function.__name__}{_signature(function, own=own)}\n```\n\n{_prose(function)}"


def _signature(function: Callable[..., Any], *, own: bool) -> str:
    """Names and defaults, one a line when long; the answer without the wrapping that describes the call."""
    signature = inspect.signature(function)
    plain = [
        parameter.replace(annotation=inspect.Parameter.empty)
        for name, parameter in signature.parameters.items()
        if not (own and name == "self")
    ]
    # A function's own repr holds its address, which differs from run to run.
    plain = [p.replace(default=_Named(p.default)) if inspect.isfunction(p.default) else p for p in plain]
    text = str(signature.replace(parameters=plain, return_annotation=inspect.Signature.empty))
    if len(text) > 90:
        text = "(\n    " + ",\n    ".join(text[1:-1].split(", ")) + ",\n)"
    if inspect.isclass(function):
        return text
    answer = re.sub(r"[\w.]*\.", "", inspect.formatannotation(signature.return_annotation))
    answer = answer[5:-1] if answer.startswith("Call[") else answer
    return f"{text} -> {answer.replace('NoneType', 'None')}"


class _Named:
    def __init__(self, function: Callable[..., Any]) -> None:
        self.name = function.__name__

    def __repr__(self) -> str:
        return self.name


def _prose(documented: object) -> str:
    """A docstring as Markdown: paragraphs, and its sections as lists."""
    lines: list[str] = []
    for block in (inspect.getdoc(documented) or "").split("\n\n"):
        title, _, rest = block.partition(":\n")
        if title in {"Args", "Returns", "Raises", "Attributes"}:
            items = re.split(r"\n    (?=\S)", "\n" + rest)[1:]
            lines += [f"{title}:", "\n".join(f"- {_item(item)}" for item in items)]
        else:
            lines.append(markdown(block))
    return "\n\n".join(lines)


def _item(text: str) -> str:
    name, colon, meaning = text.partition(": ")
    return f"`{name}`: {markdown(meaning)}" if colon else markdown(text)

"""What is wrong with a catalog: every problem at once, each with its place and the way out."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from valorem.core.errors import InvalidInputError

_MOST_NAMES = 12
_MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to put right.

    Attributes:
        file: Path in the catalog tree.
        line: Counted from 1; 0 where the problem is the file itself.
        column: Counted from 1; 0 where the problem is the file itself.
        path: Dotted field path (``fees.seat.amount``, ``prices.tokens.rates[2].per``); empty for the whole file.
        message: What was found.
        hint: What would be right.
    """

    file: str
    line: int
    column: int
    path: str
    message: str
    hint: str

    def __post_init__(self) -> None:
        for name in ("file", "path", "message", "hint"):
            object.__setattr__(self, name, _legible(getattr(self, name)))

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        field = f" {self.path}:" if self.path else ""
        return f"{place}:{field} {self.message}\n    {self.hint}"


def _legible(text: str) -> str:
    """What others wrote, kept to one line of fair length, with nothing in it that a terminal would obey."""
    shown = text if len(text) <= _MOST_CHARACTERS else f"{text[:_MOST_CHARACTERS]}…"
    return "".join(each if each.isprintable() else f"\\x{ord(each):02x}" for each in shown)


class CatalogError(InvalidInputError):
    """A catalog that cannot be read; nothing of it was taken.

    Attributes:
        problems: All that was found, in order of file and line.
    """

    code = "invalid_catalog"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        first = self.problems[0]
        where = f"line {first.line}, " if first.line else ""
        what = f"{first.path}: {first.message}" if first.path else first.message
        more = len(self.problems) - 1
        others = f", and {more} more {'problem' if more == 1 else 'problems'}" if more else ""
        super().__init__(f"{where}{what}{others}", field=first.file, hint=first.hint)

    def report(self) -> str:
        """All problems as plain lines, the way out indented under each."""
        return "\n".join(str(problem) for problem in self.problems)


def suggestion(found: str, known: Iterable[str], noun: str) -> str:
    """A hint for a name that does not exist: the closest one there is, or the list of them.

    Args:
        found: What was written.
        known: What could have been written.
        noun: Plural, for the sentence: ``meters``.
    """
    names = sorted(set(known))
    if not names:
        return f"there are no {noun} here"
    folded = {name.casefold(): name for name in names}
    close = get_close_matches(found.casefold(), folded, n=1, cutoff=0.6)
    if close:
        return f"did you mean {folded[close[0]]}?"
    return _listed(names, noun)


def _listed(names: Sequence[str], noun: str) -> str:
    shown = ", ".join(names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{noun}: {shown}{more}"


def written_path(path: Iterable[str | int]) -> str:
    """A field path as people read it: ``prices.tokens.rates[2].per``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text

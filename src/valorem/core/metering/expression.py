"""The small arithmetic language of the catalog: decimals, paths, text, ``+ - * /``, comparisons and a few functions.

``data.input_tokens + 2 * data.output_tokens``, ``if(data.input_tokens > 272000, 'long', 'short')``,
``round(data.bytes / 1000000, 2)``. The text is parsed once into a tree, which compiles to
closures. Length and depth are bounded, there are no loops, so a reading's cost is bounded by the text.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from valorem.core.errors import InvalidInputError
from valorem.core.metering.paths import ATTRIBUTES, Path, scan_path
from valorem.core.numbers import parse_decimal, plain

MAX_LENGTH = 1000
MAX_DEPTH = 24
MAX_OPERATIONS = 100

#: Function name to the least and most arguments it takes.
FUNCTIONS = {
    "round": (1, 2),
    "ceil": (1, 2),
    "floor": (1, 2),
    "min": (1, 16),
    "max": (1, 16),
    "abs": (1, 1),
    "concat": (1, 16),
    "if": (3, 3),
    "coalesce": (1, 16),
}
_KEYWORDS = frozenset({"and", "or", "not", "true", "false", "null"})
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|(?P<text>'(?:[^'\\]|\\['\\])*')|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<sign><=|>=|!=|==|[-+*/(),<>=]))",
    re.ASCII,
)
_PRECEDENCE = {
    "or": 1,
    "and": 2,
    **dict.fromkeys(("=", "!=", "<", "<=", ">", ">="), 4),
    "+": 5,
    "-": 5,
    "*": 6,
    "/": 6,
}
_NOT, _COMPARISON, _UNARY = 3, 4, 7


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, text, true, false or null written in the expression."""

    value: Decimal | str | bool | None


@dataclass(frozen=True, slots=True)
class Operation:
    """An operator (``+ - * / = != < <= > >= and or not neg``) or function and what it applies to."""

    name: str
    operands: "tuple[Expression, ...]"


Expression = Constant | Path | Operation


@lru_cache(maxsize=4096)
def parse_expression(text: str) -> Expression:
    """Parse an expression.

    Raises:
        InvalidInputError: Naming the column (from 1) and what was expected there.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidInputError(f"an expression has at most {MAX_LENGTH} characters, this one {len(text)}")
    return _Parser(text).whole()


def write_expression(expression: Expression) -> str:
    """Write an expression in its canonical form: fully bracketed, one space around operators."""
    if isinstance(expression, Path):
        return str(expression)
    if isinstance(expression, Constant):
        value = expression.value
        if isinstance(value, str):
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        if isinstance(value, Decimal):
            return plain(value)
        return {True: "true", False: "false", None: "null"}[value]
    name, operands = expression.name, [write_expression(operand) for operand in expression.operands]
    if name in _PRECEDENCE:
        return f"({operands[0]} {name} {operands[1]})"
    if name in ("neg", "not"):
        return f"({'-' if name == 'neg' else 'not '}{operands[0]})"
    return f"{name}({', '.join(operands)})"


class _Parser:
    """Precedence climbing over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0  # where the current token begins
        self.depth = 0
        self.operations = 0
        self.kind = self.word = ""
        self.end = 0
        self.advance()

    def advance(self) -> None:
        match = _TOKEN.match(self.text, self.end)
        if match is None:
            self.at = len(self.text) - len(self.text[self.end :].lstrip())
            if self.at < len(self.text):
                raise self.expected("a number, path, text or operator")
            self.kind, self.word, self.end = "end", "", self.at
            return
        self.kind = str(match.lastgroup)
        self.word = match[self.kind]
        self.at, self.end = match.start(self.kind), match.end()
        if self.kind == "name" and self.word in _KEYWORDS:
            self.kind = "keyword"
        if self.word == "==":
            self.word = "="

    def expected(self, what: str) -> InvalidInputError:
        found = repr(self.text[self.at : self.at + 12]) if self.at < len(self.text) else "the end"
        return InvalidInputError(f"column {self.at + 1}: expected {what}, found {found}")

    def whole(self) -> Expression:
        expression = self.binary(0)
        if self.kind != "end":
            raise self.expected("an operator or the end")
        return expression

    def binary(self, least: int) -> Expression:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.expected(f"at most {MAX_DEPTH} levels of nesting")
        left = self.unary()
        while self.kind in ("sign", "keyword") and (power := _PRECEDENCE.get(self.word, 0)) > least:
            operator = self.word
            self.operations += 1
            if self.operations > MAX_OPERATIONS:
                raise self.expected(f"at most {MAX_OPERATIONS} operators")
            self.advance()
            left = Operation(operator, (left, self.binary(power)))
            if power == _COMPARISON and _PRECEDENCE.get(self.word) == _COMPARISON:
                raise self.expected("and, or or the end, since comparisons do not chain")
        self.depth -= 1
        return left

    def unary(self) -> Expression:
        word = self.word
        if self.kind == "sign" and word in ("-", "+"):
            self.advance()
            operand = self.binary(_UNARY)
            return operand if word == "+" else Operation("neg", (operand,))
        if self.kind == "keyword" and word == "not":
            self.advance()
            return Operation("not", (self.binary(_NOT),))
        return self.primary()

    def primary(self) -> Expression:
        kind, word = self.kind, self.word
        if kind == "number":
            try:
                value = parse_decimal(word)
            except InvalidInputError:
                raise self.expected("a number of at most 18 digits before and 12 after the point") from None
            self.advance()
            return Constant(value)
        if kind == "text":
            self.advance()
            return Constant(re.sub(r"\\(.)", r"\1", word[1:-1]))
        if kind == "keyword" and word in ("true", "false", "null"):
            self.advance()
            return Constant({"true": True, "false": False, "null": None}[word])
        if kind == "sign" and word == "(":
            self.advance()
            inner = self.binary(0)
            self.take(")")
            return inner
        if kind == "name":
            return self.call() if word in FUNCTIONS else self.path()
        raise self.expected("a number, path, text, function or (")

    def path(self) -> Path:
        if self.word not in (*ATTRIBUTES, "data"):
            raise self.expected(f"a path (data.…, {', '.join(ATTRIBUTES)}) or one of {', '.join(FUNCTIONS)}")
        try:
            path, self.end = scan_path(self.text, self.at)
        except InvalidInputError:
            raise self.expected("a member of data, such as data.tokens") from None
        self.advance()
        return path

    def call(self) -> Operation:
        name, at = self.word, self.at
        self.advance()
        self.take("(")
        operands = [self.binary(0)]
        while self.word == "," and self.kind == "sign":
            self.advance()
            operands.append(self.binary(0))
        self.take(")")
        least, most = FUNCTIONS[name]
        if not least <= len(operands) <= most:
            self.at = at
            counts = str(least) if least == most else f"{least} to {most}"
            raise self.expected(f"{name} with {counts} arguments")
        return Operation(name, tuple(operands))

    def take(self, sign: str) -> None:
        if self.kind != "sign" or self.word != sign:
            raise self.expected(repr(sign))
        self.advance()

"""Reads case files, hands each case to the adapter of its kind, and compares the answers by value."""

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, Literal

Inputs = Mapping[str, Any]
Adapter = Callable[[Inputs], Any]

_ADAPTERS: dict[str, Adapter] = {}


class UnsupportedError(Exception):
    """The engine does not offer what the case asks for; the message says what is missing."""


class QuirkError(Exception):
    """The case documents a peer's quirk and the engine differs on purpose; the message says why."""


Unsupported = UnsupportedError
Quirk = QuirkError


@dataclass(frozen=True)
class Case:
    """One case, with the kind that names its adapter."""

    id: str
    kind: str
    inputs: Inputs
    expected: Any
    note: str


@dataclass(frozen=True)
class Result:
    """What became of one case; ``detail`` is the answer that differed or the reason it was not run."""

    case: Case
    outcome: Literal["passed", "failed", "unsupported"]
    detail: str = ""


def adapter(*kinds: str) -> Callable[[Adapter], Adapter]:
    """Register a function for these kinds. It takes the case's ``inputs`` and returns what ``expected`` holds.

    Under the key ``case`` the inputs also carry the whole :class:`Case`, for the few kinds whose expected keys say
    which of several answers is wanted.
    """

    def register(function: Adapter) -> Adapter:
        for kind in kinds:
            if kind in _ADAPTERS:
                message = f"two adapters for {kind}"
                raise ValueError(message)
            _ADAPTERS[kind] = function
        return function

    return register


def load_adapters() -> None:
    """Import every module in ``tests/conformance/adapters``, which registers its kinds."""
    folder = Path(__file__).parent / "adapters"
    for module in iter_modules([str(folder)]):
        import_module(f"tests.conformance.adapters.{module.name}")


def read_cases(files: Iterable[Path]) -> Iterator[Case]:
    """Yield the cases of JSON files; fractions are read as decimals, never as floats."""
    for file in files:
        document = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
        for case in document["cases"]:
            yield Case(
                case["id"],
                case["kind"],
                case.get("inputs", {}),
                case.get("expected"),
                str(case.get("note", "")),
            )


def run(cases: Iterable[Case], kind: str = "") -> list[Result]:
    """Run the cases whose kind matches the regular expression ``kind`` from its start."""
    return [run_case(case) for case in cases if re.match(kind, case.kind)]


def run_case(case: Case) -> Result:
    """Run one case."""
    function = _ADAPTERS.get(case.kind)
    if function is None:
        return Result(case, "unsupported", "no adapter")
    try:
        got = function({**case.inputs, "case": case})
    except UnsupportedError as reason:
        return Result(case, "unsupported", str(reason))
    except QuirkError as reason:
        return Result(case, "unsupported", f"differs on purpose: {reason}")
    except Exception as error:  # noqa: BLE001 - any error is this case's failure and must not hide the others
        return Result(case, "failed", f"{type(error).__name__}: {error}")
    if equal(case.expected, got):
        return Result(case, "passed")
    return Result(case, "failed", written(got))


def equal(expected: Any, got: Any) -> bool:
    """Compare recursively: numbers by value however they are written, instants by value, objects key by key."""
    if isinstance(expected, Mapping) and isinstance(got, Mapping):
        return expected.keys() == got.keys() and all(equal(expected[key], got[key]) for key in expected)
    if _is_list(expected) and _is_list(got):
        return len(expected) == len(got) and all(map(equal, expected, got))
    if isinstance(expected, bool) or isinstance(got, bool) or expected is None or got is None:
        return expected is got
    number, other = _number(expected), _number(got)
    if number is not None and other is not None:
        return number == other
    instant, other_instant = _instant(expected), _instant(got)
    if instant is not None and other_instant is not None:
        return instant == other_instant
    return bool(expected == got)


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _number(value: Any) -> Decimal | None:
    if isinstance(value, Decimal | int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str):
        try:
            number = Decimal(value)
        except InvalidOperation:
            return None
        return number if number.is_finite() else None
    return None


def _instant(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and "T" in value:
        try:
            instant = datetime.fromisoformat(value)
        except ValueError:
            return None
        return instant if instant.tzinfo is not None else None
    return None


def written(value: Any) -> str:
    """Write an answer as one line of JSON."""
    return json.dumps(value, default=str, ensure_ascii=False, sort_keys=True)


def report(results: Sequence[Result], *, verbose: bool = False) -> Iterator[str]:
    """Yield the lines of the report: what failed, the reasons of what was not run, kinds, and the total."""
    for result in results:
        case = result.case
        if result.outcome == "failed":
            yield f"FAILED {case.id} ({case.kind})"
            yield f"    expected {written(case.expected)}"
            yield f"    got      {result.detail}"
        elif verbose and result.outcome == "passed":
            yield f"passed {case.id} ({case.kind})"
        elif result.outcome == "unsupported" and (verbose or result.detail != "no adapter"):
            yield f"unsupported {case.id} ({case.kind}): {result.detail}"
    kinds: defaultdict[str, list[str]] = defaultdict(list)
    for result in results:
        kinds[result.case.kind].append(result.outcome)
    for kind, outcomes in sorted(kinds.items()):
        yield f"{kind} {outcomes.count('passed')}/{len(outcomes)} (unsupported {outcomes.count('unsupported')})"
    count = [result.outcome for result in results].count
    yield f"conformance: {count('passed')} passed, {count('failed')} failed, {count('unsupported')} unsupported"

"""What an account stands at as JSON values, and back."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from valorem.core.ledger.account import LotKey
from valorem.core.ledger.caps import Cap
from valorem.core.ledger.scope import EVERYTHING
from valorem.core.ledger.standing import Parts, Standing, StandingLot
from valorem.core.ledger.written import read_scope, write_scope
from valorem.core.numbers import ZERO, plain
from valorem.core.periods import Cadence
from valorem.core.time import parse_instant, write_instant


def write_parts(parts: Parts) -> list[list[Any]]:
    """Parts as JSON values."""
    return [[*key, plain(amount)] for key, amount in parts]


def read_parts(written: Iterable[Sequence[Any]]) -> Parts:
    """The inverse of :func:`write_parts`."""
    return tuple(
        (LotKey(grant, filling, carried), Decimal(amount)) for grant, filling, carried, amount in written
    )


def write_standing(standing: Standing) -> dict[str, Any]:
    """A standing as JSON values, without what the account's row has columns for; what is common is left out."""
    return {
        "lots": [_write_lot(lot) for lot in standing.lots],
        "granted": plain(standing.granted),
        "used": plain(standing.used),
        "caps": [_write_cap(cap) for cap in standing.caps],
        "counts": [[*window, plain(amount)] for window, amount in _sorted_counts(standing)],
        "complete": standing.complete,
        "members": None if standing.members is None else list(standing.members),
        "hides": standing.hides,
    }


def read_standing(
    written: Mapping[str, Any], *, available: Decimal, held: Decimal, overage: Decimal
) -> Standing:
    """The inverse of :func:`write_standing`, with what the account's row has columns for."""
    return Standing(
        lots=tuple(_read_lot(each) for each in written["lots"]),
        available=available,
        held=held,
        overage=overage,
        granted=Decimal(written["granted"]),
        used=Decimal(written["used"]),
        caps=tuple(_read_cap(each) for each in written["caps"]),
        counts={(key, member, index): Decimal(used) for key, member, index, used in written["counts"]},
        complete=written["complete"],
        members=None if written["members"] is None else tuple(written["members"]),
        hides=written["hides"],
    )


def _sorted_counts(standing: Standing) -> list[tuple[tuple[str, str | None, int], Decimal]]:
    """The counts in a steady order."""
    return sorted((standing.counts or {}).items(), key=lambda item: (item[0][0], item[0][1] or ""))


def _write_lot(lot: StandingLot) -> dict[str, Any]:
    return {
        "key": list(lot.key),
        "remaining": plain(lot.remaining),
        **({"held": plain(lot.held)} if lot.held else {}),
        **({"holder": lot.holder} if lot.holder is not None else {}),
        **({"scope": write_scope(lot.scope)} if lot.scope.restricted else {}),
        **({"end": write_instant(lot.end)} if lot.end is not None else {}),
    }


def _read_lot(written: Mapping[str, Any]) -> StandingLot:
    return StandingLot(
        LotKey(*written["key"]),
        Decimal(written["remaining"]),
        Decimal(written["held"]) if "held" in written else ZERO,
        written.get("holder"),
        read_scope(written["scope"]) if "scope" in written else EVERYTHING,
        parse_instant(written["end"]) if "end" in written else None,
    )


def _write_cap(cap: Cap) -> dict[str, Any]:
    return {
        "key": cap.key,
        "amount": plain(cap.amount),
        "every": [cap.every.count, cap.every.unit],
        "anchor": write_instant(cap.anchor),
        "zone": cap.zone,
        "per": cap.per,
        "of": cap.of,
        "scope": write_scope(cap.scope) if cap.scope.restricted else None,
        "members": list(cap.members),
    }


def _read_cap(written: Mapping[str, Any]) -> Cap:
    count, unit = written["every"]
    return Cap(
        written["key"],
        Decimal(written["amount"]),
        Cadence(count, unit),
        parse_instant(written["anchor"]),
        written["zone"],
        written["per"],
        written["of"],
        EVERYTHING if written["scope"] is None else read_scope(written["scope"]),
        tuple(written["members"]),
    )

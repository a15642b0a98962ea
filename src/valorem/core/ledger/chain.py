"""The hash chain over entries: a row that was changed, removed, added or moved is found."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from valorem.core.ledger.account import LotKey
from valorem.core.ledger.entries import Entry, Leg
from valorem.core.numbers import parse_decimal, plain
from valorem.core.time import parse_instant, write_instant

#: The digest before the first entry.
GENESIS = bytes(32)


@dataclass(frozen=True, slots=True)
class Link:
    """An entry in its place.

    Attributes:
        number: From 1, without gaps.
        entry: What is booked.
        digest: SHA-256 of the digest before it, its number and its canonical bytes.
    """

    number: int
    entry: Entry
    digest: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """Where a chain does not hold.

    Attributes:
        number: The first link that cannot be trusted.
        reason: What is wrong with it.
    """

    number: int
    reason: str


def link(entries: Iterable[Entry], after: Link | None = None) -> tuple[Link, ...]:
    """Append entries to a chain.

    Args:
        entries: In the order they are booked.
        after: The last link there is; ``None`` begins a chain.
    """
    number, head = (after.number, after.digest) if after else (0, GENESIS)
    links = []
    for entry in entries:
        number += 1
        head = digest_of(head, number, entry)
        links.append(Link(number, entry, head))
    return tuple(links)


def verify(links: Iterable[Link], after: Link | None = None, head: bytes | None = None) -> Broken | None:
    """The first place where a chain does not hold; nothing where it does.

    Args:
        links: In order.
        after: The link before the first of them; ``None`` where they begin the chain.
        head: The digest the last one must have, as kept elsewhere, so that a cut-off end is found too.
    """
    number, previous = (after.number, after.digest) if after else (0, GENESIS)
    for each in links:
        number += 1
        if each.number != number:
            return Broken(number, f"entry {number} is missing; {each.number} follows")
        if each.digest != digest_of(previous, number, each.entry):
            return Broken(number, f"entry {number} is not what was booked")
        previous = each.digest
    if head is not None and head != previous:
        return Broken(number + 1, f"the chain ends after entry {number}, but more was booked")
    return None


def digest_of(previous: bytes, number: int, entry: Entry) -> bytes:
    """SHA-256 of the previous digest, the number and the entry's canonical bytes."""
    return hashlib.sha256(previous + number.to_bytes(8, "big") + entry_bytes(entry)).digest()


def entry_bytes(entry: Entry) -> bytes:
    """UTF-8 JSON with sorted keys and no spaces; decimals as plain text, instants with ``Z``."""
    return json.dumps(write_entry(entry), sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def write_entry(entry: Entry) -> dict[str, Any]:
    """The entry as JSON values."""
    return {
        "at": write_instant(entry.at),
        "key": entry.key,
        "unit": entry.unit,
        "kind": entry.kind,
        "legs": [
            {"account": leg.account, "amount": plain(leg.amount), "lot": list(leg.lot) if leg.lot else None}
            for leg in entry.legs
        ],
    }


def read_entry(document: dict[str, Any]) -> Entry:
    """The entry that JSON values were written from.

    Raises:
        InvalidInputError: Where its legs do not balance.
    """
    return Entry(
        at=parse_instant(document["at"], "at"),
        key=document["key"],
        unit=document["unit"],
        legs=tuple(
            Leg(leg["account"], _amount(leg["amount"]), LotKey(*leg["lot"]) if leg["lot"] else None)
            for leg in document["legs"]
        ),
        kind=document["kind"],
    )


def _amount(text: str) -> Any:
    return parse_decimal(text, "amount")

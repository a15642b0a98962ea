"""The evidence bundle: everything that shows why outcomes count, as one file with the same bytes each time it is built."""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from typing import Any

from valorem.core.numbers import plain
from valorem.core.outcomes.evidence import CompiledOutcome, Evidence, in_order
from valorem.core.outcomes.governing import Governed, Recorded
from valorem.core.outcomes.signing import DefinitionVersion, canonical_definition
from valorem.core.outcomes.states import Result, Transition
from valorem.core.time import write_instant

#: The earliest date a ZIP can hold; the archive says nothing about when it was built.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class RawLink:
    """Where a piece of evidence can be seen at its source.

    Attributes:
        digest: SHA-256 of the payload as received, in hexadecimal.
        url: The record in the source system.
    """

    digest: str
    url: str = ""


def evidence_bundle(
    governed: Iterable[Governed],
    recorded: Recorded,
    *,
    now: datetime,
    links: Mapping[str, RawLink] | None = None,
    prices: Iterable[Mapping[str, Any]] = (),
) -> bytes:
    """A ZIP with one canonical JSON file for each outcome and each definition, and a manifest of their hashes.

    Args:
        governed: The outcomes to be shown.
        recorded: The events of their keys; events of other keys do not change the bytes.
        now: The instant they are shown at.
        links: Evidence id to where its raw payload is.
        prices: Explained lines of the invoice, as JSON values.
    """
    shown = sorted(governed, key=lambda each: each.outcome.key)
    files: dict[str, bytes] = {}
    versions = {each.version.number: each.version for each in shown if each.version is not None}
    evidence = {number: _by_key(version, recorded) for number, version in versions.items()}
    for number, version in versions.items():
        files[f"definitions/{number}.json"] = canonical_definition(version.definition)
        files[f"definitions/{number}.signatures.json"] = _json(_signatures(version))
    for index, each in enumerate(shown, 1):
        own = evidence[each.version.number].get(each.outcome.key, []) if each.version else []
        files[f"outcomes/{index:06}.json"] = _json(_outcome(each, own, now, links or {}))
    if lines := list(prices):
        files["lines.json"] = _json(lines)
    manifest = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    files["manifest.json"] = _json({"as_of": write_instant(now), "sha256": manifest})
    return _zipped(files)


def bundle_digest(bundle: bytes) -> str:
    """SHA-256 of a bundle, in hexadecimal."""
    return hashlib.sha256(bundle).hexdigest()


def _by_key(version: DefinitionVersion, recorded: Recorded) -> dict[str, list[Evidence]]:
    found: dict[str, list[Evidence]] = {}
    for _, each in CompiledOutcome(version.definition).readable(recorded):
        found.setdefault(each.key, []).append(each)
    return found


def _outcome(
    governed: Governed, evidence: Iterable[Evidence], now: datetime, links: Mapping[str, RawLink]
) -> dict[str, Any]:
    outcome = governed.outcome
    return {
        "key": outcome.key,
        "state": outcome.state(now),
        "definition": outcome.digest,
        "version": governed.version.number if governed.version else None,
        "evidence": [
            _evidence(each, links.get(each.id)) for each in in_order(evidence) if each.known_at <= now
        ],
        "trace": [_transition(each) for each in outcome.history(now)],
        "results": [_result(each) for each in outcome.results if each.accepted_at <= now],
        "without_effect": [
            {"evidence": each.evidence, "at": write_instant(each.at), "reason": each.reason}
            for each in outcome.unheard
            if each.at <= now
        ],
    }


def _evidence(evidence: Evidence, link: RawLink | None) -> dict[str, Any]:
    return {
        "id": evidence.id,
        "kind": evidence.kind,
        "at": write_instant(evidence.at),
        "known_at": write_instant(evidence.known_at),
        "actor": evidence.actor,
        "reason": evidence.reason,
        "data": evidence.data,
        "raw_sha256": link.digest if link else None,
        "source": link.url if link else None,
    }


def _transition(transition: Transition) -> dict[str, Any]:
    return {
        "state": transition.state,
        "at": write_instant(transition.at),
        "known_at": write_instant(transition.known_at),
        "evidence": list(transition.evidence),
        "rule": transition.rule,
    }


def _result(result: Result) -> dict[str, Any]:
    return {
        "accepted_at": write_instant(result.accepted_at),
        "credit": plain(result.credit),
        "value": None if result.value is None else plain(result.value),
        "rate": None if result.rate is None else plain(result.rate),
        "restated": [
            {"at": write_instant(each.at), "change": plain(each.change), "evidence": each.evidence}
            for each in result.restated
        ],
        "touches": [
            {
                "evidence": touch.evidence,
                "at": write_instant(touch.at),
                "actor": touch.actor,
                "share": plain(touch.share),
                "ours": touch.ours,
            }
            for touch in result.touches
        ],
    }


def _signatures(version: DefinitionVersion) -> dict[str, Any]:
    return {
        "version": version.number,
        "sha256": version.digest,
        "effective_from": write_instant(version.effective_from),
        "signatures": [
            {
                "party": each.party,
                "person": each.person,
                "role": each.role,
                "method": each.method,
                "at": write_instant(each.at),
                "sha256": each.digest,
            }
            for each in sorted(version.signatures, key=lambda each: (each.at, each.party))
        ],
    }


def _json(document: Any) -> bytes:
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plainly)
    return text.encode()


def _plainly(value: Any) -> str:
    return plain(value)


def _zipped(files: Mapping[str, bytes]) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, _ZIP_DATE)
            entry.create_system = 3
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name])
    return buffer.getvalue()

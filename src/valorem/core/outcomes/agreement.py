"""Shadow mode: the vendor's keys against the customer's own list, key by key, before anything is billed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from valorem.core.numbers import ONE, ZERO, exact
from valorem.core.outcomes.terms import AgreementTerms

_PLACES = Decimal(1).scaleb(-4)


@dataclass(frozen=True, slots=True)
class Listed:
    """One key on a list.

    Attributes:
        value: What it is worth there, where that is known.
        at: When it was seen there.
    """

    value: Decimal | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Agreement:
    """One cycle's comparison.

    Attributes:
        both: Keys on both lists.
        vendor_only: Keys the vendor counts and the source does not.
        source_only: Keys of the source that the vendor does not count.
        value_difference: Σ vendor − Σ source over keys with a value.
        differing_values: Keys on both lists that are worth something else.
        lags: Median and 95th percentile of how much later the vendor saw a key, rounded up to a key.
        rejected: What the vendor rejected, by reason.
        agrees: Whether the threshold is reached.
    """

    both: tuple[str, ...]
    vendor_only: tuple[str, ...]
    source_only: tuple[str, ...]
    value_difference: Decimal
    differing_values: tuple[str, ...]
    lags: tuple[timedelta, timedelta] | None
    rejected: Mapping[str, int]
    agrees: bool

    @property
    def agreement(self) -> Decimal:
        """Keys on both lists / keys on either, to four places; one where both lists are empty."""
        return _ratio(self)


@exact
def compare(
    vendor: Mapping[str, Listed],
    source: Mapping[str, Listed],
    terms: AgreementTerms,
    rejected: Mapping[str, int] | None = None,
) -> Agreement:
    """Compare two lists by key: totals may agree while half of the keys do not.

    Args:
        vendor: What we count as confirmed in the cycle.
        source: The customer's own report, pulled independently.
        terms: The threshold; it is compared with the exact ratio, before any rounding.
        rejected: Reasons of our rejections, for the report.
    """
    both = tuple(sorted(vendor.keys() & source.keys()))
    union = len(vendor.keys() | source.keys())
    known = [(vendor[key].value, source[key].value) for key in both]
    lags = sorted(
        seen - reported
        for key in both
        if (seen := vendor[key].at) is not None and (reported := source[key].at) is not None
    )
    return Agreement(
        both=both,
        vendor_only=tuple(sorted(vendor.keys() - source.keys())),
        source_only=tuple(sorted(source.keys() - vendor.keys())),
        value_difference=_worth(vendor) - _worth(source),
        differing_values=tuple(key for key, (a, b) in zip(both, known, strict=True) if a != b),
        lags=(_percentile(lags, 50), _percentile(lags, 95)) if lags else None,
        rejected=dict(rejected or {}),
        agrees=Decimal(len(both)) >= terms.threshold * union,
    )


@exact
def _ratio(report: Agreement) -> Decimal:
    union = len(report.both) + len(report.vendor_only) + len(report.source_only)
    return (Decimal(len(report.both)) / union if union else ONE).quantize(_PLACES)


def _worth(listed: Mapping[str, Listed]) -> Decimal:
    return sum((each.value for each in listed.values() if each.value is not None), ZERO)


def _percentile(ordered: Sequence[timedelta], percent: int) -> timedelta:
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def ready_after(reports: Sequence[Agreement], terms: AgreementTerms) -> int | None:
    """The index of the cycle after which billing may begin: the end of the first row of ``terms.cycles`` that agree.

    Both sides still have to sign; without that nothing is billed.
    """
    row = 0
    for index, report in enumerate(reports):
        row = row + 1 if report.agrees else 0
        if row >= terms.cycles:
            return index
    return None

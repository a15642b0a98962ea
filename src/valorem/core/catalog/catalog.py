"""The catalog: everything that is sold, as one immutable value."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from valorem.core.catalog.features import Feature
from valorem.core.catalog.plans import Plan
from valorem.core.errors import NotFoundError
from valorem.core.metering.meter import Meter
from valorem.core.pricing.derive import derive_meter
from valorem.core.pricing.price import Price

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Catalog:
    """One version of all meters, features, prices and plans.

    Attributes:
        meters: By key.
        features: By key.
        prices: Named prices by key.
        plans: By key.
        files: Path to text, exactly as written, so that a version can be shown, diffed and applied again.
    """

    meters: Mapping[str, Meter] = field(default_factory=lambda: _NOTHING)
    features: Mapping[str, Feature] = field(default_factory=lambda: _NOTHING)
    prices: Mapping[str, Price] = field(default_factory=lambda: _NOTHING)
    plans: Mapping[str, Plan] = field(default_factory=lambda: _NOTHING)
    files: Mapping[str, str] = field(default_factory=lambda: _NOTHING)

    def plan(self, key: str) -> Plan:
        """The plan of that key.

        Raises:
            NotFoundError: With the keys there are.
        """
        if (plan := self.plans.get(key)) is None:
            raise NotFoundError(
                f"there is no plan {key!r} in this catalog version",
                field="plan",
                hint=f"it has {', '.join(sorted(self.plans)) or 'no plans'}",
            )
        return plan

    def price_for(self, plan: str, meter: str) -> Price:
        """What a plan charges for a meter, whether the plan names a price or holds it.

        Raises:
            NotFoundError: If there is no such plan, or it has no price for that meter.
        """
        prices = self.plan(plan).prices
        if meter not in prices:
            raise NotFoundError(
                f"plan {plan} has no price for meter {meter!r}",
                field=f"prices.{meter}",
                hint=f"it prices {', '.join(prices) or 'no meters'}",
            )
        return self.price_named(prices[meter])

    def price_named(self, price: str | Price) -> Price:
        """The price itself, whether it is given by name or in place.

        Raises:
            NotFoundError: If there is no price of that name.
        """
        if not isinstance(price, str):
            return price
        if price not in self.prices:
            raise NotFoundError(f"there is no price {price!r} in this catalog version", field="price")
        return self.prices[price]

    def meter_for(self, plan: str, meter: str) -> Meter:
        """The meter whose counters a plan's price reads: the catalog's, or one derived for the price.

        Raises:
            NotFoundError: As :meth:`price_for`.
        """
        return derive_meter(self.meters[meter], self.price_for(plan, meter))

    def meter_revisions(self) -> tuple[Meter, ...]:
        """Every meter that must be counted: all of the catalog's and all that its prices derive, each once."""
        meters = list(self.meters.values())
        meters += (
            derive_meter(self.meters[price.meter], price) for price in self.prices.values() if price.meter
        )
        meters += (
            derive_meter(self.meters[meter], self.price_named(price))
            for plan in self.plans.values()
            for meter, price in plan.all_prices()
        )
        return tuple({meter.fingerprint(): meter for meter in reversed(meters)}.values())[::-1]

    def digest(self) -> str:
        """SHA-256 (hex) over the files in order of path; CRLF is read as LF, all else as written."""
        sha = hashlib.sha256()
        for path in sorted(self.files):
            for part in (path, self.files[path].replace("\r\n", "\n")):
                octets = part.encode()
                sha.update(len(octets).to_bytes(8) + octets)
        return sha.hexdigest()

"""The catalog: everything that is sold, as one immutable value."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from valorem.core.catalog.credits import CreditType
from valorem.core.catalog.features import Feature
from valorem.core.catalog.plans import Plan
from valorem.core.catalog.taxes import Tax
from valorem.core.errors import NotFoundError
from valorem.core.ledger.tables import BurnTable
from valorem.core.metering.meter import Meter
from valorem.core.outcomes.definition import OutcomeDefinition
from valorem.core.pricing.derive import derive_meter
from valorem.core.pricing.price import Price
from valorem.core.sources.definition import SourceDefinition

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Catalog:
    """One version of all meters, features, prices, credit types, outcomes and plans.

    Attributes:
        meters: By key.
        features: By key.
        prices: Named prices by key.
        credits: Credit types by key.
        outcomes: Outcome definitions by key.
        taxes: Taxes with their rates, by key.
        plans: By key.
        sources: Definitions of other systems by key.
        files: Path to text, exactly as written, so that a version can be shown, diffed and applied again.
    """

    meters: Mapping[str, Meter] = field(default_factory=lambda: _NOTHING)
    features: Mapping[str, Feature] = field(default_factory=lambda: _NOTHING)
    prices: Mapping[str, Price] = field(default_factory=lambda: _NOTHING)
    credits: Mapping[str, CreditType] = field(default_factory=lambda: _NOTHING)
    outcomes: Mapping[str, OutcomeDefinition] = field(default_factory=lambda: _NOTHING)
    taxes: Mapping[str, Tax] = field(default_factory=lambda: _NOTHING)
    plans: Mapping[str, Plan] = field(default_factory=lambda: _NOTHING)
    sources: Mapping[str, SourceDefinition] = field(default_factory=lambda: _NOTHING)
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

    def credit(self, key: str) -> CreditType:
        """The credit type of that key.

        Raises:
            NotFoundError: With the keys there are.
        """
        if (credit := self.credits.get(key)) is None:
            raise NotFoundError(
                f"there is no credit type {key!r} in this catalog version",
                field="credit",
                hint=f"it has {', '.join(sorted(self.credits)) or 'none'}",
            )
        return credit

    def burn_table(self, credit: str, meter: str) -> BurnTable:
        """What a meter's usage costs in a credit type; the feature the meter counts is its product.

        Raises:
            NotFoundError: If there is no such credit type, or the meter burns none of it.
        """
        found = self.credit(credit)
        if meter not in found.burn:
            raise NotFoundError(f"meter {meter!r} burns no {credit}", field=f"burn.{meter}")
        product = next((key for key, each in sorted(self.features.items()) if each.meter == meter), None)
        price = self.price_named(found.burn[meter])
        return BurnTable(meter, price, found.precision, found.rounding, product, found.member)

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
        meters += (
            derive_meter(self.meters[meter], self.price_named(price))
            for credit in self.credits.values()
            for meter, price in credit.burn_prices()
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

"""What credits are used for, and which of it a grant may pay for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_ANY: Mapping[str, tuple[str, ...]] = MappingProxyType({})
_NOTHING: Mapping[str, str | None] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Workload:
    """What credits were, or are to be, used for.

    Attributes:
        meter: The meter that counted it.
        product: The feature or product it belongs to.
        dimensions: The meter's dimensions and their values.
        member: Who did it, for seat allowances and shares of a pool; ``None`` where nobody is named.
    """

    meter: str | None = None
    product: str | None = None
    dimensions: Mapping[str, str | None] = field(default_factory=lambda: _NOTHING)
    member: str | None = None


#: Work that says nothing of itself; only grants without a scope pay for it.
UNSPECIFIED = Workload()


@dataclass(frozen=True, slots=True)
class Scope:
    """What a grant may pay for; empty fields restrict nothing.

    Attributes:
        products: Any of these features or products.
        meters: Any of these meters.
        dimensions: For each dimension named, any of these values.
    """

    products: tuple[str, ...] = ()
    meters: tuple[str, ...] = ()
    dimensions: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _ANY)

    def covers(self, work: Workload) -> bool:
        """Whether the work lies within every restriction."""
        return (
            (not self.products or work.product in self.products)
            and (not self.meters or work.meter in self.meters)
            and all(work.dimensions.get(name) in values for name, values in self.dimensions.items())
        )

    @property
    def restricted(self) -> bool:
        """Whether there is anything it does not pay for."""
        return bool(self.products or self.meters or self.dimensions)

    @property
    def breadth(self) -> tuple[int, int]:
        """How much it covers, so that the narrower is used first: products named, then other restrictions, fewest first.

        What is not restricted is wider than any list.
        """
        unbounded = 1_000_000
        usage = len(self.meters) + sum(map(len, self.dimensions.values()))
        return len(self.products) or unbounded, usage or unbounded


#: Pays for everything.
EVERYTHING = Scope()

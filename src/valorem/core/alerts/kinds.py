"""What can be watched."""

from typing import Literal

AlertKind = Literal[
    "included", "limit", "usage", "spend", "projected", "expiry", "change", "balance", "depletion", "credit_expiry"
]  # fmt: skip

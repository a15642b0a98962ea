"""Money: currencies with their minor units, the one rounding, and exact splits."""

from collections.abc import Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import Literal

from valorem.core.errors import InvalidInputError
from valorem.core.numbers import EXACT, ONE, ZERO, exact

Rounding = Literal["half_up", "half_even"]
_ROUNDINGS = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN}

#: ISO 4217 active codes whose minor unit is not a hundredth.
_MINOR_DIGITS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "UYI",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
#: ISO 4217 active codes with two decimals.
_HUNDREDTHS = frozenset(
    [
        "AED",
        "AFN",
        "ALL",
        "AMD",
        "AOA",
        "ARS",
        "AUD",
        "AWG",
        "AZN",
        "BAM",
        "BBD",
        "BDT",
        "BGN",
        "BMD",
        "BND",
        "BOB",
        "BRL",
        "BSD",
        "BTN",
        "BWP",
        "BYN",
        "BZD",
        "CAD",
        "CDF",
        "CHF",
        "CNY",
        "COP",
        "CRC",
        "CUP",
        "CVE",
        "CZK",
        "DKK",
        "DOP",
        "DZD",
        "EGP",
        "ERN",
        "ETB",
        "EUR",
        "FJD",
        "FKP",
        "GBP",
        "GEL",
        "GHS",
        "GIP",
        "GMD",
        "GTQ",
        "GYD",
        "HKD",
        "HNL",
        "HTG",
        "HUF",
        "IDR",
        "ILS",
        "INR",
        "IRR",
        "JMD",
        "KES",
        "KGS",
        "KHR",
        "KPW",
        "KYD",
        "KZT",
        "LAK",
        "LBP",
        "LKR",
        "LRD",
        "LSL",
        "MAD",
        "MDL",
        "MGA",
        "MKD",
        "MMK",
        "MNT",
        "MOP",
        "MRU",
        "MUR",
        "MVR",
        "MWK",
        "MXN",
        "MYR",
        "MZN",
        "NAD",
        "NGN",
        "NIO",
        "NOK",
        "NPR",
        "NZD",
        "PAB",
        "PEN",
        "PGK",
        "PHP",
        "PKR",
        "PLN",
        "QAR",
        "RON",
        "RSD",
        "RUB",
        "SAR",
        "SBD",
        "SCR",
        "SDG",
        "SEK",
        "SGD",
        "SHP",
        "SLE",
        "SOS",
        "SRD",
        "SSP",
        "STN",
        "SVC",
        "SYP",
        "SZL",
        "THB",
        "TJS",
        "TMT",
        "TOP",
        "TRY",
        "TTD",
        "TWD",
        "TZS",
        "UAH",
        "USD",
        "UYU",
        "UZS",
        "VES",
        "WST",
        "XCD",
        "XCG",
        "YER",
        "ZAR",
        "ZMW",
        "ZWG",
    ]
)


def parse_currency(code: object, field: str | None = None) -> str:
    """Return the ISO 4217 code, or say which field holds something else."""
    if isinstance(code, str) and (code in _HUNDREDTHS or code in _MINOR_DIGITS):
        return code
    raise InvalidInputError(
        f"unknown currency {code!r}",
        field=field,
        hint="use an ISO 4217 code in capitals, such as USD, EUR or JPY",
    )


def minor_digits(currency: str) -> int:
    """How many decimals the currency's minor unit has (USD 2, JPY 0, KWD 3)."""
    return _MINOR_DIGITS.get(currency, 2)


def round_money(amount: Decimal, currency: str, rounding: Rounding = "half_up") -> Decimal:
    """Round an exact amount to the currency's minor unit; done once, per invoice line.

    ``half_up`` means half away from zero: 2.675 becomes 2.68 and -2.675 becomes -2.68.
    """
    unit = ONE.scaleb(-minor_digits(currency))
    rounded = amount.quantize(unit, rounding=_ROUNDINGS[rounding], context=EXACT)
    return rounded or abs(rounded)


@exact
def allocate(total: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Split a rounded total over weights by largest remainder, so that the shares sum to the total exactly.

    Ties go to the earlier weight. All weights zero splits evenly.

    Raises:
        InvalidInputError: With no weights, or a negative one.
    """
    if not weights or any(weight < 0 for weight in weights):
        raise InvalidInputError("a split needs weights of zero or more, at least one", field="weights")
    unit = ONE.scaleb(-minor_digits(currency))
    whole = sum(weights, ZERO)
    shares = (
        [total * weight / whole for weight in weights] if whole else [total / len(weights)] * len(weights)
    )
    floored = [share.quantize(unit, rounding=ROUND_DOWN) for share in shares]
    missing = int(((total - sum(floored, ZERO)) / unit).to_integral_value())
    step = unit if missing >= 0 else -unit
    by_remainder = sorted(range(len(shares)), key=lambda i: (-abs(shares[i] - floored[i]), i))
    for i in by_remainder[: abs(missing)]:
        floored[i] += step
    return floored

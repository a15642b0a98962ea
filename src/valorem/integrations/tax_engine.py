"""An outside tax engine over HTTP: it is asked for rates, line by line; every amount is computed here.

The request and the answer are JSON. Whoever wants to ask Avalara, Stripe Tax or a house service puts a small service in
between that speaks them::

    → {"reference": "…", "on": "2026-03-01", "currency": "USD", "seller": {"country": "US", "region": "NY", "tax_id": null},
       "buyer": {"country": "US", "region": "CA", "tax_id": null, "exempt_reason": null},
       "lines": [{"key": "1", "amount": "12.50", "product": "software"}]}
    ← {"lines": [{"key": "1", "taxes": [{"tax": "sales", "name": "Sales tax", "share": "0.0725"}]}]}
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from valorem.core.billing.tax_rates import TaxParty, TaxRate
from valorem.core.billing.taxes import TaxRequest
from valorem.core.errors import UnprocessableError
from valorem.core.numbers import plain
from valorem.core.units import Amount

_ANSWER_BYTES = 1_000_000


class _Rate(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    tax: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[str, Field(min_length=1, max_length=100)]
    share: Annotated[Amount, Field(ge=0, le=1)]
    category: Literal["standard", "zero", "exempt", "reverse_charge", "export", "out_of_scope"] = "standard"
    reason: Annotated[str, Field(max_length=500)] | None = None


class _Line(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    key: str
    taxes: tuple[_Rate, ...]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    lines: tuple[_Line, ...]


class HttpTaxEngine:
    """The engine at a URL.

    Args:
        url: Where it is asked by POST.
        key: Sent as a bearer token; none without it.
        timeout_s: For the whole call.
    """

    def __init__(self, url: str, key: str | None = None, *, timeout_s: float = 10.0) -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._timeout_s = timeout_s

    def rates(self, request: TaxRequest) -> Mapping[str, tuple[TaxRate, ...]]:
        """The taxes of each line, by its key.

        Raises:
            UnprocessableError: Where it does not answer, or answers something else than rates for every line.
        """
        try:
            response = httpx.post(
                self._url, json=_written(request), headers=self._headers, timeout=self._timeout_s
            )
        except httpx.HTTPError as error:
            raise _cannot_tell(f"{type(error).__name__}: {error}"[:200]) from None
        if response.status_code != httpx.codes.OK:
            raise _cannot_tell(f"it answered {response.status_code}")
        return _read(request, response.content)


def _written(request: TaxRequest) -> dict[str, Any]:
    return {
        "reference": request.reference,
        "on": request.on.isoformat(),
        "currency": request.currency,
        "seller": _party(request.seller),
        "buyer": {**_party(request.buyer), "exempt_reason": request.buyer.exempt_reason},
        "lines": [
            {"key": line.key, "amount": plain(line.amount), "product": line.product} for line in request.lines
        ],
    }


def _party(party: TaxParty) -> dict[str, str | None]:
    return {"country": party.place.country, "region": party.place.region, "tax_id": party.tax_id}


def _read(request: TaxRequest, content: bytes) -> dict[str, tuple[TaxRate, ...]]:
    if len(content) > _ANSWER_BYTES:
        raise _cannot_tell("its answer is too long")
    try:
        answer = _Answer.model_validate(json.loads(content, parse_float=Decimal))
    except (ValueError, ValidationError):
        raise _cannot_tell("its answer holds no rates as they are written here") from None
    found = {
        line.key: tuple(
            TaxRate(each.tax, each.name, each.share, each.category, each.reason) for each in line.taxes
        )
        for line in answer.lines
    }
    missing = [line.key for line in request.lines if line.key not in found]
    if missing or len(found) != len(answer.lines):
        raise _cannot_tell("its answer has not each line once")
    if any(len({rate.tax for rate in rates}) < len(rates) for rates in found.values()):
        raise _cannot_tell("its answer charges a tax twice on a line")
    return {line.key: found[line.key] for line in request.lines}


def _cannot_tell(why: str) -> UnprocessableError:
    return UnprocessableError(
        f"the tax engine cannot tell: {why}",
        field="taxes",
        hint="see that it answers; it is asked again by itself",
    )

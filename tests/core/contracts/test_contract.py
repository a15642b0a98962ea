"""A contract refuses what it could not be billed by."""

from dataclasses import replace
from decimal import Decimal

import pytest

from tests.core.billing.make import contract, seats, utc
from valorem.core.contracts.contract import Dated
from valorem.core.errors import InvalidInputError


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("time_zone", "Mars/Olympus", "unknown time zone"),
        ("currency", "usd", "unknown currency"),
        ("end", utc("2026-01-01"), "not after the start"),
        ("end", utc("2026-02-01T00:10"), "quarter-hour grid"),
        ("anchor", utc("2026-01-01T00:00:01"), "quarter-hour grid"),
        ("seats", {"seat": seats(("2026-01-02", 1), ("2026-01-01", 2))}, "order of time"),
        ("seats", {"seat": seats(("2026-01-01", 1), ("2026-01-01", 2))}, "order of time"),
        ("seats", {"seat": seats(("2026-01-01", -1))}, "-1 seats"),
        ("seats", {"seat": seats(("2026-01-01T00:01", 1))}, "quarter-hour grid"),
    ],
)
def test_a_contract_names_the_field_that_is_wrong(field, value, says):
    with pytest.raises(InvalidInputError, match=says) as error:
        replace(contract("2026-01-01"), **{field: value})
    assert error.value.field is not None
    assert error.value.field.startswith(field)


def test_seats_hold_until_the_next_dated_quantity():
    terms = contract(
        "2026-01-01",
        seats={"seat": (Dated(utc("2026-01-05"), Decimal(2)), Dated(utc("2026-01-09"), Decimal(7)))},
    )
    at = [
        terms.seats_at("seat", utc(day)) for day in ("2026-01-04", "2026-01-05", "2026-01-08", "2026-01-09")
    ]
    assert at == [0, 2, 2, 7]
    assert terms.seats_at("desk", utc("2026-01-09")) == 0

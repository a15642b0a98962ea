"""Edits and standings survive being written and read."""

import json
from decimal import Decimal

import pytest

from tests.core.billing.changing import catalog, made, small
from tests.core.billing.make import utc
from valorem.core.billing.agreed_checks import check_terms
from valorem.core.billing.terms import terms_of
from valorem.core.contracts.agreed import Charge, Commitment, Discount, Override
from valorem.core.contracts.edits import (
    AddCharge,
    AddCommitment,
    AddDiscount,
    AddOverride,
    Cancel,
    Release,
    Renew,
    SetBounds,
    SetPhases,
    SetPlan,
    SetSeats,
    Withdraw,
)
from valorem.core.contracts.history import History
from valorem.core.contracts.orders import yearly_access
from valorem.core.contracts.written import read_edit, read_standings, write_edit, write_standings
from valorem.core.errors import InvalidInputError

D = Decimal
NOW = utc("2026-01-05T10:30")
ROWS = [{"model": "big", "amount": "2.5"}, {"model": "big", "amount": 3, "from": "2026-03-05"}]
EVERYTHING = made(
    NOW,
    SetPlan(plan="large", catalog_version=1, every="2 weeks", anchor="change"),
    SetSeats(key="seat", quantity=D("2.5")),
    AddOverride(
        override=Override(id="rows", meter="calls", price={"model": "matrix", "rates": ROWS}, start=NOW)
    ),
    AddDiscount(discount=Discount(id="off", percent="12.5%", lasts=3, only=("base",))),
    AddCharge(charge=Charge(id="setup", name="Setup", amount=D("99.90"), at=NOW)),
    AddCommitment(
        commitment=Commitment(id="order", access=yearly_access([D(5), D(6)], utc("2026-01-01"), "UTC"))
    ),
    SetBounds.model_validate({"minimum": {"amount": 5}}),
    SetPhases.model_validate({"phases": [{"lasts": "3 months", "multiplier": "0.5"}, {}]}),
    Cancel(),
    Renew(end=utc("2027-01-01")),
    Withdraw(edit="x"),
    Release(),
)


def test_an_edit_is_the_same_after_json():
    written = json.loads(json.dumps(write_edit(EVERYTHING)))
    again = read_edit(written)
    assert again == EVERYTHING
    assert write_edit(again) == written


def test_standings_are_the_same_after_json():
    history = History(small()).with_edit(EVERYTHING.model_copy(update={"changes": EVERYTHING.changes[:10]}))
    standings = history.contract().standings
    assert read_standings(json.loads(json.dumps(write_standings(standings)))) == standings


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"effective": "2026-01-05T10:31:00Z"}, "effective"),
        ({"recorded": 12}, "recorded"),
        ({"changes": [{"kind": "seats", "key": "seat", "quantity": -1}]}, "changes.0.seats.quantity"),
        ({"changes": [{"kind": "nothing"}]}, "changes.0"),
        ({"changes": []}, "changes"),
    ],
)
def test_what_is_wrong_is_named(changed, field):
    with pytest.raises(InvalidInputError) as caught:
        read_edit({**write_edit(EVERYTHING), **changed})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (AddOverride(override=Override(id="a", fee="bsae", amount=D(1))), "overrides.a"),
        (AddOverride(override=Override(id="a", meter="cals", amount=D(1))), "overrides.a"),
        (AddDiscount(discount=Discount(id="a", amount=D(1), only=("bsae",))), "discounts.a"),
        (SetSeats(key="saet", quantity=D(1)), "seats.saet"),
        (AddCharge(charge=Charge(id="late", name="Late", amount=D(1), at=utc("2029-01-01"))), "charges.late"),
        (
            AddOverride(
                override=Override(
                    id="a",
                    meter="calls",
                    price={"model": "percentage", "rate": "1%", "minimum_per_event": "0.5"},
                )
            ),
            "prices.calls",
        ),
    ],
)
def test_an_edit_must_fit_what_it_changes(change, field):
    offers = catalog()
    counted = {meter.fingerprint() for meter in offers.meter_revisions()}
    history = History(small(end=utc("2028-01-01"))).with_edit(made(NOW, change))
    with pytest.raises(InvalidInputError) as caught:
        check_terms(terms_of(history.contract(), offers), counted)
    assert caught.value.field == field
    check_terms(terms_of(History(small()).contract(), offers), counted)

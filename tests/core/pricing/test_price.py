"""How prices are written: shapes, dates, and what is refused."""

import pytest
from pydantic import ValidationError

from tests.core.pricing.builders import END, MIDDLE, START, price
from valorem.core.errors import InvalidInputError
from valorem.core.pricing.price import Price

PER_UNIT = {"model": "per_unit", "amount": "1"}
LATER = {"model": "per_unit", "amount": "2", "from": "2026-03-16"}


def test_one_version_a_list_or_a_file_of_its_own():
    single = price(**PER_UNIT)
    listed = Price.model_validate([PER_UNIT, LATER])
    filed = price(price="tokens_usd", meter="tokens", name="Tokens", versions=[PER_UNIT, LATER])
    assert [len(each.versions) for each in (single, listed, filed)] == [1, 2, 2]
    assert (filed.key, filed.meter, filed.name) == ("tokens_usd", "tokens", "Tokens")
    assert price(**PER_UNIT, price="x", meter="m").key == "x"


def test_a_version_applies_from_its_date_on():
    listed = Price.model_validate([PER_UNIT, LATER])
    assert listed.edges(START, END) == (MIDDLE,)
    amounts = [listed.at(instant).amount for instant in (START, MIDDLE, END)]  # type: ignore[attr-defined]
    assert amounts == [1, 2, 2]


def test_prices_survive_being_written_and_read():
    written = Price.model_validate([PER_UNIT, LATER]).model_dump(
        mode="json", by_alias=True, exclude_defaults=True
    )
    assert written[1] == {"model": "per_unit", "amount": "2", "from": "2026-03-16"}
    assert Price.model_validate(written).versions == Price.model_validate([PER_UNIT, LATER]).versions
    matrix = {"model": "matrix", "rates": [{"model": "a", "amount": "1", "per": "1000000"}]}
    assert price(**matrix).model_dump(mode="json", by_alias=True, exclude_defaults=True) == matrix


def test_the_schema_names_every_model():
    schema = Price.model_json_schema(by_alias=True)
    assert {"Flat", "PerUnit", "Graduated", "Volume", "Package", "Percentage", "Matrix"} < set(
        schema["$defs"]
    )


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        (
            {"model": "graduated", "tiers": [{"up_to": 10, "unit": 1}, {"up_to": 5, "unit": 1}, {"unit": 1}]},
            "rising",
        ),
        ({"model": "graduated", "tiers": [{"unit": 1}, {"up_to": 5, "unit": 1}]}, "only the last"),
        ({"model": "volume", "tiers": [{"up_to": 5, "unit": 1}]}, "more than 5"),
        ({"model": "volume", "tiers": []}, "at least 1"),
        ({"model": "volume", "tiers": [{"up_to": 0, "unit": 1}, {"unit": 1}]}, "not above 0"),
        ({"model": "volume", "tiers": [{"up_to": 5}, {"unit": 1}]}, "needs a unit amount"),
        ({"model": "volume", "tiers": [{"unit": 1, "minimum": 5, "maximum": 4}]}, "above the maximum"),
        ({"model": "per_unit", "amount": 1, "minimum": 5, "maximum": 4}, "above the maximum"),
        ({"model": "per_unit", "amount": 1, "long": 2}, "needs whole_event"),
        ({"model": "per_unit", "amount": 1, "prcie": 2}, "Extra inputs"),
        ({"model": "per_unit", "amount": 0.1}, "binary float"),
        ({"model": "per_unit", "amount": 1, "from": "2026-03-05T12:07:00Z"}, "quarter-hour"),
        ({"model": "per_unit", "amount": 1, "from": "2026-02-30"}, "not a date"),
        ({"model": "package", "amount": 1, "size": 0}, "greater than 0"),
        (
            {"model": "flat_by_band", "bands": [{"up_to": 5, "amount": 1}, {"up_to": 5, "amount": 2}]},
            "rising",
        ),
        ({"model": "matrix", "rates": []}, "at least 1"),
        (
            {"model": "matrix", "rates": [{"model": "a", "amount": 1}, {"model": "a", "amount": 2}]},
            "rates 1 and 2",
        ),
        ({"model": "matrix", "rates": [{"model": 5, "amount": 1}]}, "valid string"),
        ({"model": "percentage", "rate": "1%", "maximum_per_event": 2, "included": 5}, "event by event"),
        ({"model": "cheap"}, "per_unit"),
        ({"versions": [PER_UNIT, PER_UNIT]}, "needs a from"),
        ({"versions": [LATER, LATER]}, "first version has no from"),
        ({"versions": [PER_UNIT, LATER, LATER]}, "rising"),
    ],
)
def test_mistakes_are_named(fields, said):
    with pytest.raises(ValidationError, match=said):
        Price.model_validate(fields)


def test_a_price_says_which_dimensions_it_looks_at():
    fields = {
        "model": "matrix",
        "rates": [{"model": "a", "kind": "b", "amount": 1}, {"kind": "c", "region": "*", "amount": 2}],
        "by": ["team"],
        "multipliers": {"mode": {"batch": "0.5"}},
    }
    assert price(**fields).dimensions == ("model", "kind", "region", "team", "mode")
    looked_at = price(**fields)
    assert looked_at.dimensions
    assert looked_at == price(**fields)


def test_a_dimension_the_meter_lacks_is_named():
    matrix = price(model="matrix", rates=[{"modle": "a", "amount": 1}])
    with pytest.raises(InvalidInputError, match=r"'modle'.*it has model, mode"):
        matrix.check_dimensions(("model", "mode"))
    matrix.check_dimensions(("modle", "mode"))

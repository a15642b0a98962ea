"""Which version reads what: evidence that one version cannot read stays what it is under another."""

from tests.core.outcomes.make import definition, event, instant, version
from valorem.core.outcomes.governing import Definitions

OLD = definition()
NEW = definition(value={"amount": "data.value"}, bills="value", price={"model": "percentage", "rate": "10%"})


def test_an_amendment_that_needs_more_takes_nothing_from_what_came_before_it():
    plain = event("success", "01-10T10:00", "old")
    valued = event("success", "02-10T10:00", "new", value=50)
    lacking = event("success", "02-11T10:00", "lacking")
    both = Definitions([version(chosen=OLD), version(2, NEW, "02-01T00:00")])
    found = both.fold((plain, valued, lacking))
    assert found["old"].outcome.state(instant("03-01T00:00")) == "confirmed"
    assert found["old"].version is both.versions[0]
    assert found["new"].version is both.versions[1]
    assert both.unreadable(*plain) is None
    assert both.unreadable(*valued) is None
    assert found["lacking"].version is None
    assert both.unreadable(*lacking) == "data.value: is missing or null"


def test_a_draft_changes_nothing():
    events = tuple(event("success", f"01-1{n}T10:00", f"k{n}") for n in range(3))
    alone = Definitions([version()])
    drafted = Definitions([version(), version(2, NEW, "02-01T00:00", signed=("vendor",))])
    assert {key: each.outcome for key, each in drafted.fold(events).items()} == {
        key: each.outcome for key, each in alone.fold(events).items()
    }
    assert [drafted.unreadable(*each) for each in events] == [None] * 3


def test_keys_are_those_of_any_signed_version():
    by_other = definition(key="data.other")
    found = Definitions([version(), version(2, by_other, "02-01T00:00")])
    assert found.keys_of(*event("success", "01-10T10:00", "k", other="o")) == {
        "k": frozenset(),
        "o": frozenset(),
    }

"""Ids sort by time, then by the order they were made in, and name their part."""

from datetime import UTC, datetime, timedelta

from valorem.core.ids import part_in
from valorem.engine.identifiers import new_id

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_ids_of_one_instant_sort_as_they_were_made():
    made = [new_id("inv", 7, NOW) for _ in range(3000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_of_interleaved_instants_sort_by_instant_then_as_made():
    early, late = [], []
    for _ in range(200):
        late.append(new_id("inv", 255, NOW + timedelta(seconds=1)))
        early.append(new_id("inv", 0, NOW))
    assert [*early, *late] == sorted([*late, *early])


def test_an_id_names_its_part():
    assert {part_in(new_id("ctr", part, NOW), "ctr") for part in range(256)} == set(range(256))

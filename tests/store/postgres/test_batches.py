import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.ids import event_identity, identity
from valorem.store.postgres.batches import pack_lines, subject_hash, unpack_lines


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=20))
def test_lines_come_back_in_their_places(raws: list[bytes]) -> None:
    assert unpack_lines(pack_lines(raws)) == [raw.replace(b"\n", b" ") for raw in raws]


@pytest.mark.parametrize("subject", ["", "ada", "é" * 100])
def test_a_subject_s_hash_fits_its_column(subject: str) -> None:
    assert -(2**31) <= subject_hash(subject) < 2**31


@given(st.integers(0, 2**31), st.text(), st.text())
def test_the_identity_of_an_event_is_that_of_its_parts(workspace: int, source: str, name: str) -> None:
    if (source + name).isprintable():
        assert event_identity(workspace, source, name) == identity(workspace, source, name)

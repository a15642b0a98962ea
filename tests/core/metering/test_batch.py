"""Bodies are cut into events so that one bad event never spoils the others."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from valorem.core.errors import InvalidInputError, TooLargeError
from valorem.core.limits import LIMITS
from valorem.core.metering.batch import split_batch

BATCH = "application/cloudevents-batch+json"
LINES = "application/x-ndjson"


@pytest.mark.parametrize(
    "content_type", [None, "application/json", "application/cloudevents+json; charset=utf-8"]
)
def test_a_single_event(content_type):
    assert split_batch(b' {"id": 1} ', content_type) == [b' {"id": 1} ']


@pytest.mark.parametrize(
    "content_type", [None, "application/json", BATCH, "APPLICATION/CloudEvents-Batch+JSON"]
)
def test_an_array(content_type):
    assert split_batch(b'[{"id": 1},\n {"id": 2}]', content_type) == [b'{"id": 1}', b'{"id": 2}']
    assert split_batch(b" [ ] ", content_type) == []


def test_lines_skip_blank_ones():
    body = b'{"id": 1}\r\n\n  \n{bad\n{"id": 2}'
    assert split_batch(body, LINES) == [b'{"id": 1}\r', b"{bad", b'{"id": 2}']


def test_a_bad_element_leaves_the_others_alone():
    body = b'[{"id": 1}, {"x": NaN, "t": "],}{\\"" }, , {"id": [2, {"a": 1}]}]'
    first, bad, missing, last = split_batch(body, BATCH)
    assert (first, bad, last) == (b'{"id": 1}', b'{"x": NaN, "t": "],}{\\"" }', b'{"id": [2, {"a": 1}]}')
    assert isinstance(missing, InvalidInputError)


@pytest.mark.parametrize(
    "body", [b"[{}", b"[{]", b"{}", b"[{}] x", b'[{"a": "}]', b"[NaN", b"", b"[" * 100_000, b"\xef\xbb\xbf[]"]
)
def test_a_body_that_cannot_be_cut_is_refused(body):
    with pytest.raises(InvalidInputError):
        split_batch(body, BATCH)


def test_empty_and_unknown_bodies():
    with pytest.raises(InvalidInputError, match="empty"):
        split_batch(b" \n", "application/json")
    with pytest.raises(InvalidInputError) as refused:
        split_batch(b"{}", "text/plain")
    assert refused.value.field == "content-type"
    assert split_batch(b"\n\n", LINES) == []


def test_too_many_events():
    limits = replace(LIMITS, batch_events=2)
    assert len(split_batch(b"[1,2]", BATCH, limits)) == 2
    for body, content_type in ((b"[1,2,3]", BATCH), (b"1\n2\n3", LINES)):
        with pytest.raises(TooLargeError):
            split_batch(body, content_type, limits)


documents = st.recursive(
    st.none() | st.integers() | st.text('a"\\[]{},', max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text('a"[,', max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.lists(documents, max_size=5), st.integers(0, 5), st.sampled_from([None, 1]))
def test_elements_come_back_whole_around_a_bad_one(events, place, indent):
    texts = [json.dumps(event, indent=indent) for event in events]
    place = min(place, len(texts))
    texts.insert(place, '{"x": NaN}')
    items = split_batch(f"[{','.join(texts)}]".encode(), BATCH)
    assert items[place] == b'{"x": NaN}'
    whole = [json.loads(item) for i, item in enumerate(items) if i != place and isinstance(item, bytes)]
    assert whole == events

"""Cursors: each item once, whatever is made or ended meanwhile."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.documents.base64url import encode_base64url
from tokenserver.web.api.cursors import SortKey, page_of
from tokenserver.web.api.faults import BadRequest

KEYS = st.lists(st.tuples(st.integers(-(2**60), 2**60), st.text(max_size=5)), unique=True, max_size=20)


def same(key: SortKey) -> SortKey:
    """Keys are items here."""
    return key


@given(keys=KEYS, limit=st.integers(1, 5))
def test_all_pages_are_the_list(keys: list[SortKey], limit: int) -> None:
    """In order, without a repetition."""
    seen: list[SortKey] = []
    page, cursor = page_of(keys, same, limit=limit, cursor=None)
    seen += page
    while cursor is not None:
        page, cursor = page_of(keys, same, limit=limit, cursor=cursor)
        assert page
        seen += page
    assert seen == sorted(keys)


@given(keys=KEYS.filter(lambda keys: len(keys) > 1), gone=st.data())
def test_an_item_that_is_gone(keys: list[SortKey], gone: st.DataObject) -> None:
    """Moves no other one, also if the cursor was made of it."""
    first, cursor = page_of(keys, same, limit=1, cursor=None)
    left = [key for key in keys if key != gone.draw(st.sampled_from(keys))]
    rest, _ = page_of(left, same, limit=99, cursor=cursor)
    assert rest == sorted(key for key in left if key > first[0])


@given(text=st.text(max_size=40) | st.binary(max_size=30).map(encode_base64url))
def test_any_cursor(text: str) -> None:
    """Is one, or refused as the client's mistake."""
    with contextlib.suppress(BadRequest):
        page_of([(1, "a")], same, limit=1, cursor=text)


@pytest.mark.parametrize("content", [b"[1]", b'["a","b"]', b'[1,"a",2]', b"{}", b"null", b"[" * 9999, b"[true,1]"])
def test_cursors_of_another_shape(content: bytes) -> None:
    """Are none."""
    with pytest.raises(BadRequest, match="begin with the first page"):
        page_of([(1, "a")], same, limit=1, cursor=encode_base64url(content))

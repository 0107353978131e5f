"""Boxes: they open for what they were made for alone, and by the state key of then."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_credentials import STATE_KEYS

from tokenserver.storage.boxes import Boxes, UnreadableBox
from tokenserver.storage.state_keys import StateKey, StateKeys

BOXES = Boxes(STATE_KEYS)


@given(content=st.binary(max_size=200), about=st.binary(max_size=20))
def test_what_was_closed_opens(content: bytes, about: bytes) -> None:
    """The content comes back, and two boxes with the same content differ."""
    box = BOXES.close(content, about=about)
    assert BOXES.open(box, about=about) == content
    assert BOXES.close(content, about=about) != box
    assert len(content) < 8 or content not in box


@given(box=st.binary(max_size=80))
def test_anything_else_is_unreadable(box: bytes) -> None:
    """Whatever the database has: no other error, and no content."""
    with pytest.raises(UnreadableBox):
        BOXES.open(box, about=b"one")


def test_a_box_is_for_one_thing() -> None:
    """Moved to another row, or changed in one bit, it does not open."""
    box = BOXES.close(b"secret", about=b"one")
    with pytest.raises(UnreadableBox, match="made for something else"):
        BOXES.open(box, about=b"two")
    for at in range(len(box)):
        with pytest.raises(UnreadableBox):
            BOXES.open(box[:at] + bytes([box[at] ^ 1]) + box[at + 1 :], about=b"one")


def test_after_a_new_state_key() -> None:
    """Older boxes open while their key is there; new ones are made with the newest."""
    old = BOXES.close(b"secret", about=b"one")
    newer = StateKey.derived(2, b"x" * 32)
    both = Boxes(StateKeys({**STATE_KEYS.by_number, 2: newer}))
    assert both.open(old, about=b"one") == b"secret"
    assert both.close(b"secret", about=b"one")[:4] == (2).to_bytes(4, "big")
    with pytest.raises(UnreadableBox, match="not made by this server"):
        Boxes(StateKeys({2: newer})).open(old, about=b"one")

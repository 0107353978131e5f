"""Tags: equal for equal texts, different for different ones, and different in each process."""

from __future__ import annotations

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.token_tags import TAG_BYTES, tag_of

ANY_TEXT = st.text(st.characters())  # lone surrogates, too


@given(ANY_TEXT, ANY_TEXT)
def test_a_tag_is_that_of_one_text(text: str, other: str) -> None:
    """It has a fixed size, whatever the text."""
    assert len(tag_of(text)) == TAG_BYTES
    assert (tag_of(text) == tag_of(other)) == (text == other)


@given(st.text("ab", min_size=1, max_size=40), st.integers(min_value=0))
def test_every_character_counts(text: str, place: int) -> None:
    """One that is changed, left out or doubled, and zero bytes at the end, which pad the last block."""
    at = place % len(text)
    changed = text[:at] + ("b" if text[at] == "a" else "a") + text[at + 1 :]
    texts = [text, changed, text[:-1], text + text[-1], text + "\0", text + "\0" * 16]
    assert len({tag_of(one) for one in texts}) == len(texts)


def test_nobody_can_compute_a_tag() -> None:
    """The key is another one in each process."""
    command = [sys.executable, "-c", "from tokenserver.authn.token_tags import tag_of; print(tag_of('eyJ').hex())"]
    tags = {subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(2)}
    assert len(tags | {tag_of("eyJ").hex() + "\n"}) == 3

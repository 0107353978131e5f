"""Candidates: the same lines as a search line by line finds, wherever blocks end."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit import candidates
from tokenserver.audit.candidates import candidate_lines, is_within, needle_of


def naive(log: bytes, needles: list[bytes], limit: int) -> list[bytes]:
    """Each line of the log that is short enough and has all needles."""
    return [one for one in log.split(b"\n") if one and len(one) <= limit and all(needle in one for needle in needles)]


@given(
    st.lists(st.sampled_from([b"ab", b"b", b"\n", b"aab", b"xy", b"\n\n", b"a" * 9]), max_size=40).map(b"".join),
    st.lists(st.sampled_from([b"a", b"ab", b"b", b"xy", b""]), max_size=3),
    st.integers(1, 12),
    st.integers(3, 12),
)
def test_like_line_by_line(log: bytes, needles: list[bytes], block: int, limit: int) -> None:
    """Whatever the size of a block: the lines with every needle, in their order; longer ones are dropped whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidates, "BLOCK", block)
        patch.setattr(candidates, "MAX_LINE", limit)
        found = list(candidate_lines(io.BytesIO(log).read, needles))
    assert found == naive(log, needles, limit)


@pytest.mark.parametrize("size", [candidates.MAX_LINE, 2 * candidates.BLOCK])
def test_long_line(size: int) -> None:
    """A line beyond the limit is dropped, and the one after it found, also if the line is longer than a block."""
    log = b"user7" * (size // 5 + 1) + b"\nuser7\n"
    assert list(candidate_lines(io.BytesIO(log).read, [b"user7"])) == [b"user7"]


@pytest.mark.parametrize(
    ("text", "needle"),
    [
        ("ann", b"ann"),
        ("Ann Lee", b"Ann"),
        ('a"quoted', b"quoted"),
        ("Zoë-Müller", b"ller"),
        ("web/prod/", b"web/prod/"),
        ("ä", b""),
        ("", b""),
    ],
)
def test_needle(text: str, needle: bytes) -> None:
    """The longest part that no wrapper escapes."""
    assert needle_of(text) == needle


@pytest.mark.parametrize(
    ("line", "within"),
    [
        (b'{"time":"2026-11-03T12:00:00.250Z","event":"exchange"}', True),
        (b'{"time":"2026-11-03T11:59:59.999Z","event":"exchange"}', False),
        (b'{"time":"2026-11-03T12:00:01.001Z","event":"exchange"}', False),
        (b'{"time":"2026-11-03T12:00:01.000Z","event":"exchange"}', True),
        (b'{"log":"{\\"time\\":\\"2020-11-03T12:00:01.000Z\\"}"}', True),
        (b'{"time":"2020-11-03T12:00:01+01:00","log":"x"}', True),
    ],
    ids=["in it", "before", "after", "last millisecond", "wrapped", "another form"],
)
def test_within(line: bytes, within: bool) -> None:
    """Only an event as the server writes it is left out undecoded."""
    assert is_within(line, b"2026-11-03T12:00:00.000Z", b"2026-11-03T12:00:01.000Z") is within


def test_a_line_with_some_of_the_needles() -> None:
    """Is none; the one after it is found."""
    assert list(candidate_lines(io.BytesIO(b"abc\nabc xy\n").read, [b"abc", b"xy"])) == [b"abc xy"]

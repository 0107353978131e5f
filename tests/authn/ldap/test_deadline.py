"""The deadline and the read limit of one login."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.ldap.deadline import MAX_BYTES, MAX_MESSAGES, Deadline, Unanswerable


def test_what_a_login_may_read() -> None:
    """Bytes and messages are summed over a whole login, across all parts of its deadline."""
    deadline = Deadline(5)
    part = deadline.part(0.5)
    part.read(MAX_BYTES - 1)
    deadline.read(1)
    with pytest.raises(Unanswerable, match=f"larger than a login may cost .{MAX_BYTES} bytes"):
        part.read(1)
    deadline = Deadline(5)
    for _ in range(MAX_MESSAGES):
        deadline.read(1)
    with pytest.raises(Unanswerable):
        deadline.read(1)


def test_a_deadline_that_has_passed() -> None:
    """No time is left, nor a part of it: a socket never gets a timeout of 0, with which it would not block."""
    passed = Deadline(0)
    for one in (passed, passed.part(0.5), Deadline(-1).part(1)):
        with pytest.raises(TimeoutError):
            one.left()


@given(st.floats(0.001, 1), st.floats(1, 1000))
def test_a_part_ends_before_the_whole(fraction: float, seconds: float) -> None:
    """A part has that fraction of what is left, at most."""
    whole = Deadline(seconds)
    part = whole.part(fraction)
    assert 0 < part.left() <= seconds * fraction
    assert part.left() <= whole.left() + 0.1  # the clock runs between the two

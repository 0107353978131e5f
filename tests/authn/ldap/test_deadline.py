"""The deadline and the read limit of one login."""

from __future__ import annotations

import pytest

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

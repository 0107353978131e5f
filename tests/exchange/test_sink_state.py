"""State of a sink: how the last line ended and whether it is blocked, seen by every process that shares it."""

from __future__ import annotations

import errno
import os

import pytest

from tokenserver.exchange.sink_state import BROKEN, KEPT, MAX_REST, WHOLE, SinkState


def test_a_new_state() -> None:
    """Nothing was written, so nothing is missing."""
    state = SinkState()
    assert (state.ending, state.rest, state.is_blocked, state.error) == (WHOLE, b"", False, 0)


@pytest.mark.parametrize("rest", [b"", b"x", b"\0\n\xff", b"y" * MAX_REST], ids=["empty", "byte", "binary", "longest"])
def test_a_rest_is_kept(rest: bytes) -> None:
    """The next writer has to write exactly this."""
    state = SinkState()
    state.keep(b"z" * 100)
    state.keep(rest)
    assert (state.ending, state.rest) == (KEPT, rest)


def test_a_rest_that_is_too_long_is_not_kept() -> None:
    """The line stays a fragment: its ending is as it was."""
    state = SinkState()
    state.ending = BROKEN
    state.keep(b"x" * (MAX_REST + 1))
    assert (state.ending, state.rest) == (BROKEN, b"")


def test_blocked_and_unblocked() -> None:
    """The reason is known while it is blocked, and does not come back later."""
    state = SinkState()
    state.block(errno.EPIPE)
    assert (state.is_blocked, state.error) == (True, errno.EPIPE)
    state.unblock()
    assert (state.is_blocked, state.error) == (False, 0)


def test_forked_processes_share_it() -> None:
    """What a child writes, the parent reads."""
    state = SinkState()
    child = os.fork()
    if not child:
        state.keep(b"from the child")
        state.block(errno.ENOSPC)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert (state.ending, state.rest, state.error) == (KEPT, b"from the child", errno.ENOSPC)

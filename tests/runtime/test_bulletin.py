"""Bulletins: the newest text, whole, in every process that was forked since."""

from __future__ import annotations

import os
import socket

import pytest

from tokenserver.runtime.bulletin import Bulletin


def test_the_newest_text_is_read() -> None:
    """With its number, also if it is shorter than the one before."""
    board = Bulletin("a long text")
    assert board.numbered() == (1, "a long text")
    board.post("né")
    assert (board.read(), board.numbered()) == ("né", (2, "né"))


def test_forked_processes_read_it() -> None:
    """What is posted after the fork as well."""
    board = Bulletin("before")
    ours, theirs = socket.socketpair()
    child = os.fork()
    if not child:
        first = board.read()
        theirs.send(b"read")
        theirs.recv(10)
        os._exit(0 if (first, board.read()) == ("before", "after") else 1)
    ours.recv(10)
    board.post("after")
    ours.send(b"posted")
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    ours.close()
    theirs.close()


@pytest.mark.parametrize("harm", [b"x", b"", b"abcdefghij"])
def test_a_half_written_text_is_not_read(monkeypatch: pytest.MonkeyPatch, harm: bytes) -> None:
    """The reader keeps the previous text until the new one is whole."""
    board = Bulletin("first")
    assert board.read() == "first"
    real = os.pwrite

    def half(file: int, data: bytes, offset: int) -> int:
        return real(file, data[:-3] + harm, offset)

    monkeypatch.setattr(os, "pwrite", half)
    board.post("second text")
    assert board.numbered() == (1, "first")
    monkeypatch.undo()
    board.post("third")
    assert board.numbered() == (3, "third")

"""Entries of chains: which are stated by seals of others, and when they are forgotten."""

from __future__ import annotations

import os

import pytest
from forked_processes import Forked

from tokenserver.exchange.audit_chain.state import CHAINS, NUMBER, PID, STATED, ChainState, Statement


@pytest.fixture
def state() -> ChainState:
    """Without chains."""
    return ChainState()


def ended(state: ChainState, name: str, number: int) -> None:
    """A chain of a process that has ended."""

    def write() -> None:
        state.claim(name, 1_000)[NUMBER] = number

    assert Forked(write).ended()[0] == 0


def test_what_is_stated(state: ChainState) -> None:
    """The other chains that have lines, also those of processes that have ended."""
    state.claim("aaaaaaaa", 5)[NUMBER] = 7
    state.claim("bbbbbbbb", 6)
    ended(state, "cccccccc", 9)
    assert state.others("bbbbbbbb") == [Statement("aaaaaaaa", 7, 5), Statement("cccccccc", 9, 1_000)]
    assert state.others("cccccccc") == [Statement("aaaaaaaa", 7, 5)]


def test_a_chain_is_forgotten_when_it_has_ended_and_was_stated(state: ChainState) -> None:
    """Its entry is the next one's; until then, neither that of a living process nor one that nobody stated."""
    state.claim("aaaaaaaa", 5)[NUMBER] = 7
    ended(state, "bbbbbbbb", 9)
    state.note_stated(state.others(""))
    ended(state, "cccccccc", 4)
    assert [one.chain for one in state.others("")] == ["aaaaaaaa", "cccccccc"]
    state.note_stated([Statement("cccccccc", 3, 0)])  # it has written since
    ended(state, "dddddddd", 0)
    state.claim("eeeeeeee", 5)[NUMBER] = 1
    assert [one.chain for one in state.others("")] == ["aaaaaaaa", "cccccccc", "eeeeeeee"]


def test_a_full_table(state: ChainState) -> None:
    """Further chains are not stated, and nothing fails."""
    for number in range(CHAINS):
        state.claim(f"{number:08}", 5)[NUMBER] = 1
    entry = state.claim("zzzzzzzz", 5)
    entry[NUMBER] = 1
    assert (entry[PID], entry[STATED]) == (os.getpid(), 0)
    assert len(state.others("")) == CHAINS
    assert "zzzzzzzz" not in {one.chain for one in state.others("")}


def test_a_process_of_another_user_lives(state: ChainState, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its entry is kept, although it may not be signalled."""

    def refuse(pid: int, number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "kill", refuse)
    state.claim("aaaaaaaa", 5)
    state.claim("bbbbbbbb", 5)[NUMBER] = 1
    assert [one.chain for one in state.others("")] == ["bbbbbbbb"]
    state.note_stated(state.others(""))
    state.claim("cccccccc", 5)[NUMBER] = 1
    assert [one.chain for one in state.others("")] == ["bbbbbbbb", "cccccccc"]

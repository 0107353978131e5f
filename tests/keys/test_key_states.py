"""`ring.json`: what it may say, and that every fault is told with its line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.errors import Fault, LoadError
from tokenserver.keys.states import State, read_states, write_states


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(LoadError) as refused:
        read_states(text, "ring.json")
    return [(fault.line, fault.path, fault.message) for fault in refused.value.faults]


def test_states_are_read_in_the_order_of_the_file() -> None:
    """Every state that the design knows is read."""
    text = """{"version": 1, "keys": [
        {"id": "b", "state": "next"}, {"id": "a", "state": "active"}, {"id": "c", "state": "retired"}]}"""
    assert list(read_states(text, "ring.json").items()) == [("b", "next"), ("a", "active"), ("c", "retired")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("", [(1, "", "must be a mapping (key: value), not nothing")], id="empty"),
        pytest.param('{"version": 1}', [(1, "keys", "is missing")], id="no keys member"),
        pytest.param(
            '{"version": 1, "keys": []}', [(1, "keys", "no key is active; exactly one key signs")], id="no keys"
        ),
        pytest.param(
            '{"version": 1,\n"keys": [{"id": "a", "state": "next"}]}',
            [(2, "keys", "no key is active; exactly one key signs")],
            id="none active",
        ),
        pytest.param(
            '{"version": 1, "keys": [\n{"id": "a", "state": "active"},\n{"id": "b", "state": "active"}]}',
            [(3, "keys[1].state", "a second active key; exactly one key signs")],
            id="two active",
        ),
        pytest.param(
            '{"version": 1, "keys": [\n{"id": "a", "state": "active"},\n{"id": "a", "state": "next"}]}',
            [(3, "keys[1].id", "the key a is listed twice")],
            id="listed twice",
        ),
        pytest.param(
            '{"version": 2, "keys": [{"id": "a", "state": "active"}]}',
            [(1, "version", "must be one of 1, not 2")],
            id="another version",
        ),
        pytest.param(
            '{"version": 1, "keys": [{"id": "../a", "state": "active"}]}',
            [(1, "keys[0].id", "must be letters, digits, - and _, at most 64")],
            id="an id that leads out of the folder",
        ),
        pytest.param(
            '{"version": 1, "keys": [{"id": "a", "state": "actve"}]}',
            [(1, "keys[0].state", "must be one of 'next', 'active' or 'retired', not 'actve'")],
            id="unknown state",
        ),
        pytest.param(
            '{"version": 1, "keys": [{"id": "a", "state": "active", "sate": "x"}]}',
            [(1, "keys[0].sate", "unknown key; did you mean 'state'?")],
            id="unknown member",
        ),
        pytest.param(
            '{"version": 1, "version": 1, "keys": [{"id": "a", "state": "active"}]}',
            [(1, "version", "the key is already set on line 1")],
            id="a member twice",
        ),
    ],
)
def test_what_is_refused(text: str, expected: list[tuple[int, str, str]]) -> None:
    """A ring of which two readers could make two things is refused, with the place."""
    assert faults(text) == expected


@pytest.mark.parametrize("key_id", ["", "-a", "a/b", "a.b", "ä", "a b", "a\n", "x" * 65])
def test_ids_that_are_no_file_names(key_id: str) -> None:
    """An id is one plain file name."""
    written = write_states({key_id: "active"}).decode()
    assert [message for _, _, message in faults(written)] == ["must be letters, digits, - and _, at most 64"]


IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
OTHERS: st.SearchStrategy[dict[str, State]] = st.dictionaries(IDS, st.sampled_from(["next", "retired"]), max_size=4)


@given(others=OTHERS, active=IDS)
def test_what_is_written_is_read(others: dict[str, State], active: str) -> None:
    """Writing and reading are each other's inverse."""
    states: dict[str, State] = {**others, active: "active"}
    assert read_states(write_states(states).decode(), "ring.json") == states


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text is refused with faults, or has exactly one active key."""
    try:
        states = read_states(text, "ring.json")
        faults: tuple[Fault, ...] = ()
    except LoadError as error:
        states, faults = {}, error.faults
    assert (list(states.values()).count("active") == 1) != (len(faults) > 0)


def test_truncation_at_every_byte_is_refused() -> None:
    """Half a file never means something else than the whole."""
    whole = write_states({"2027-01-31-00000000": "active"}).decode().rstrip()
    assert [len(faults(whole[:end])) > 0 for end in range(len(whole))] == [True] * len(whole)

"""`ring.json`: valid contents, and every fault with its line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.errors import Fault, LoadError
from tokenserver.keys.ring_file import RingEntry, State, read_entries, write_entries


def faults(text: str) -> list[tuple[int, str, str]]:
    with pytest.raises(LoadError) as refused:
        read_entries(text, "ring.json")
    return [(fault.line, fault.path, fault.message) for fault in refused.value.faults]


def test_states_are_read_in_the_order_of_the_file() -> None:
    """Every state that the design knows is read."""
    text = """{"version": 1, "keys": [
        {"id": "b", "state": "next"}, {"id": "a", "state": "active"}, {"id": "c", "state": "retired"}]}"""
    found = [(entry.id, entry.state) for entry in read_entries(text, "ring.json")]
    assert found == [("b", "next"), ("a", "active"), ("c", "retired")]


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
            '{"version": 1, "keys": [{"id": "a", "state": "active", "since": "2027-01-31T12:00:00"}]}',
            [(1, "keys[0].since", "must be a time such as 2027-01-31T12:00:00Z, not '2027-01-31T12:00:00'")],
            id="a time without its zone",
        ),
        pytest.param(
            '{"version": 1, "keys": [{"id": "a", "state": "active", "since": "9999-12-31T23:59:59Z"}]}',
            [(1, "keys[0].since", "must be a time such as 2027-01-31T12:00:00Z, not '9999-12-31T23:59:59Z'")],
            id="a time at the end of all times",
        ),
        pytest.param(
            '{"version": 1, "keys": [{"id": "a", "state": "active", "since": "soon"}]}',
            [(1, "keys[0].since", "must be a time such as 2027-01-31T12:00:00Z, not 'soon'")],
            id="no time",
        ),
        pytest.param(
            '{"version": 1, "keys": [{"id": "a", "state": "active", "since": 7}]}',
            [(1, "keys[0].since", "input should be a valid datetime")],
            id="a number for a time",
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
    written = write_entries([RingEntry.model_construct(id=key_id, state="active", since=None)]).decode()
    assert [message for _, _, message in faults(written)] == ["must be letters, digits, - and _, at most 64"]


IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True)
OTHERS: st.SearchStrategy[dict[str, State]] = st.dictionaries(IDS, st.sampled_from(["next", "retired"]), max_size=4)


TIMES = st.none() | st.datetimes(datetime(2000, 1, 2), datetime(2999, 12, 30), timezones=st.timezones()).map(  # noqa: DTZ001 - Hypothesis wants bounds without a zone
    lambda time: time.replace(microsecond=time.microsecond // 1000 * 1000)
)


@given(others=OTHERS, active=IDS, since=TIMES)
def test_what_is_written_is_read(others: dict[str, State], active: str, since: datetime | None) -> None:
    """Writing and reading are each other's inverse."""
    states: dict[str, State] = {**others, active: "active"}
    entries = tuple(RingEntry(id=key_id, state=state, since=since) for key_id, state in states.items())
    # Compared in UTC: Python never finds a time that a zone has twice equal to one of another zone.
    expected = [(entry.id, entry.state, entry.since and entry.since.astimezone(UTC)) for entry in entries]
    found = read_entries(write_entries(entries).decode(), "ring.json")
    assert [(entry.id, entry.state, entry.since) for entry in found] == expected


@given(text=st.text(max_size=200))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Any text is refused with faults, or has exactly one active key."""
    try:
        entries = read_entries(text, "ring.json")
        faults: tuple[Fault, ...] = ()
    except LoadError as error:
        entries, faults = (), error.faults
    assert ([entry.state for entry in entries].count("active") == 1) != (len(faults) > 0)


def test_truncation_at_every_byte_is_refused() -> None:
    """Half a file never means something else than the whole."""
    whole = write_entries([RingEntry(id="2027-01-31-00000000", state="active")]).decode().rstrip()
    assert [len(faults(whole[:end])) > 0 for end in range(len(whole))] == [True] * len(whole)

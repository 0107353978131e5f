"""Events out of lines: plain, prefixed, and wrapped by what collects logs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from audit_lines import EXCHANGE, REPORT, line
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.audit.events import event_and_text, event_of, member_of_granted, text, texts

_PLAIN = line(EXCHANGE)
_TEXT = _PLAIN.decode()


@pytest.mark.parametrize(
    "wrapped",
    [
        _PLAIN,
        b"2026-11-03T12:00:00.26Z stdout F " + _PLAIN,
        b"MESSAGE=" + _PLAIN,
        b"tokenserver-1  | " + _PLAIN,
        json.dumps({"log": f"{_TEXT}\n", "stream": "stdout", "time": "2026-11-03T12:00:00Z"}).encode(),
        json.dumps({"__REALTIME_TIMESTAMP": "1", "MESSAGE": _TEXT}).encode(),
        json.dumps({"timestamp": "x", "message": _TEXT}).encode(),
        json.dumps({"labels": {}, "line": EXCHANGE}).encode(),
    ],
    ids=["plain", "Kubernetes", "journald export", "compose", "docker", "journald", "Vector", "parsed"],
)
def test_wrapped(wrapped: bytes) -> None:
    """Each is the event that the server wrote."""
    assert event_of(wrapped) == EXCHANGE


@pytest.mark.parametrize(
    "other",
    [
        b"",
        b"no event",
        b"{not json",
        b"{" * 100_000,
        b'{"log":"text","message":5}',
        b'{"log":"{\\"level\\":\\"info\\"}"}',
        b'{"event":"exchange"}',
        b"[{}]{",
        b"\xff\xfe{",
    ],
)
def test_other_lines(other: bytes) -> None:
    """Nothing, and no error."""
    assert event_of(other) is None


def test_surrogates() -> None:
    """Half of a surrogate pair, which a server escapes, is no obstacle."""
    event = {**EXCHANGE, "user_agent": "\ud800"}
    assert event_of(line(event)) == event


@given(st.binary(max_size=200))
def test_any_bytes(line: bytes) -> None:
    """Whatever the line: an event or None."""
    assert event_of(line) is None or isinstance(event_of(line), dict)


@pytest.mark.parametrize(
    ("value", "one", "several"), [("a", "a", []), (["a", 1, "b"], "", ["a", "b"]), (None, "", []), (5, "", [])]
)
def test_values(value: Any, one: str, several: list[str]) -> None:
    """Values of another type are as absent."""
    event = {"x": value}
    assert (text(event, "x"), texts(event, "x"), text({}, "x"), texts({}, "x")) == (one, several, "", [])


@pytest.mark.parametrize(
    ("wrapped", "expected"),
    [
        pytest.param(_PLAIN, _PLAIN, id="plain"),
        pytest.param(b"2026-11-03T12:00:00.26Z stdout F " + _PLAIN + b"\n", _PLAIN, id="prefixed"),
        pytest.param(json.dumps({"log": f"{_TEXT}\n"}).encode(), _PLAIN, id="a text in a wrapper"),
        pytest.param(json.dumps({"line": EXCHANGE}).encode(), _PLAIN, id="an object in a wrapper"),
        pytest.param(json.dumps({"log": json.dumps(EXCHANGE, indent=1)}).encode(), _PLAIN, id="over several lines"),
    ],
)
def test_the_text_of_an_event(wrapped: bytes, expected: bytes) -> None:
    """Without its wrapping, in one line of ASCII: as it is there, or else spelled as the server does."""
    assert event_and_text(wrapped) == (EXCHANGE, expected)


def test_no_event_has_no_text() -> None:
    """As it has no event."""
    assert event_and_text(b"no event") is None


def test_the_member_that_lists_more_than_was_asked() -> None:
    """Reports of registries say what was used, and exchanges what was granted."""
    assert (member_of_granted(REPORT), member_of_granted(EXCHANGE)) == ("used", "granted")

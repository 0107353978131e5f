"""Console output: log lines and audit events in words, and nothing in them that could move a cursor."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.process.console import MAX_SCOPES, ConsoleFormatter, ConsoleSink, spell_event

EVENT: dict[str, Any] = {
    "time": "2026-06-01T12:00:00.000Z",
    "event": "exchange",
    "client": "10.0.0.7",
    "asked": ["repository:web/site:pull,push"],
    "registry": "registry.example.com",
    "subject": "ann",
    "granted": ["repository:web/site:pull"],
    "rules": [
        {"resource": "repository:web/site", "action": "pull", "effect": "allow", "rule": "web", "at": "a.yaml:3"},
        {"resource": "repository:web/site", "action": "push", "effect": "deny", "rule": "frozen", "at": "a.yaml:9"},
    ],
    "outcome": "partial",
    "ms": 1.25,
}


def said(**changes: Any) -> str:
    """The line of the event with these changes, without its time."""
    line = spell_event({**EVENT, **changes}, color=False)
    assert re.match(r"\d\d:\d\d:\d\d ", line) is not None
    return line[9:]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        pytest.param(
            {},
            "partial   ann from 10.0.0.7 for registry.example.com asked web/site:pull,push granted web/site:pull"
            " (allow web, deny frozen)",
            id="partial",
        ),
        pytest.param(
            {"granted": EVENT["asked"], "rules": EVENT["rules"][:1], "outcome": "granted"},
            "granted   ann from 10.0.0.7 for registry.example.com web/site:pull,push (allow web)",
            id="granted",
        ),
        pytest.param(
            {"asked": [], "granted": [], "rules": [], "outcome": "login"},
            "login     ann from 10.0.0.7 for registry.example.com",
            id="login",
        ),
        pytest.param(
            {"subject": None, "granted": None, "rules": [], "username": "eve", "outcome": "invalid_credentials"}
            | {"reason": "wrong password"},
            "invalid credentials eve from 10.0.0.7 for registry.example.com web/site:pull,push (wrong password)",
            id="failure",
        ),
        pytest.param(
            {"subject": None, "client": None, "registry": None, "asked": ["registry:catalog:*"], "granted": []}
            | {"rules": [], "outcome": "denied", "rejected": [{"scope": "x", "reason": "is no scope"}]},
            "denied    anonymous asked registry:catalog:* rejected x",
            id="anonymous",
        ),
        pytest.param(
            {"asked": [f"repository:a/{number}:pull" for number in range(MAX_SCOPES + 2)], "rules": []}
            | {"granted": None, "outcome": "error"},
            "error     ann from 10.0.0.7 for registry.example.com a/0:pull a/1:pull a/2:pull a/3:pull a/4:pull"
            " and 2 more",
            id="many",
        ),
    ],
)
def test_an_exchange(changes: dict[str, Any], expected: str) -> None:
    """Outcome, client, registry, scopes, and why."""
    assert said(**changes) == expected


def test_another_event() -> None:
    """Its name and its facts."""
    event = {"time": EVENT["time"], "event": "gap", "events": 3}
    assert spell_event(event, color=False)[9:] == "gap: events 3"


@pytest.mark.parametrize(("outcome", "code"), [("granted", "32"), ("denied", "33"), ("throttled", "31")])
def test_colors(outcome: str, code: str) -> None:
    """Green, yellow or red by the outcome; the time is dim."""
    line = spell_event({**EVENT, "outcome": outcome}, color=True)
    assert re.search(rf"\x1b\[{code}m{outcome} *\x1b\[0m", line) is not None
    assert line.startswith("\x1b[2m")


@given(st.dictionaries(st.sampled_from(["subject", "client", "registry", "reason"]), st.text(max_size=300)))
def test_nothing_forges_a_line(changes: dict[str, str]) -> None:
    """Whatever clients send: one line, without control characters."""
    line = spell_event({**EVENT, **changes}, color=False)
    assert re.search("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202e]", line) is None
    assert len(line) < 1000


def test_the_sink() -> None:
    """Events are written in words, one or several; the state and the errors are those of any sink."""
    reader, writer = os.pipe()
    try:
        sink = ConsoleSink(writer, color=False)
        line = json.dumps(EVENT).encode() + b"\n"
        sink.write(line)
        sink.write_all([line, line])
        written = os.read(reader, 65536).decode().splitlines()
    finally:
        os.close(reader)
        os.close(writer)
    assert written == [spell_event(EVENT, color=False)] * 3


def record(level: int, message: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    exception = None if error is None else (type(error), error, None)
    return logging.LogRecord("tokenserver", level, "", 0, message, values, exception)


@pytest.mark.parametrize(
    ("level", "message", "expected"),
    [
        pytest.param(logging.INFO, "ready", "ready", id="info"),
        pytest.param(logging.WARNING, "slow", "warning: slow", id="warning"),
        pytest.param(logging.ERROR, "a\nb\x1b[2J", "error: a\\nb\\x1b[2J", id="control-characters"),
    ],
)
def test_log_lines(level: int, message: str, expected: str) -> None:
    """The level, unless it is `info`, and the message on one line."""
    assert ConsoleFormatter(color=False).format(record(level, message))[9:] == expected


def test_log_line_of_an_exception() -> None:
    """The type alone: the text may hold anything."""
    line = ConsoleFormatter(color=False).format(record(logging.ERROR, "x", error=ValueError("secret")))
    assert line[9:] == "error: x (ValueError)"


def test_log_line_in_colour() -> None:
    """The level is coloured, the message is not."""
    line = ConsoleFormatter(color=True).format(record(logging.ERROR, "x"))
    assert line.endswith(" \x1b[31merror:\x1b[0m x")


def test_without_an_exception_being_handled() -> None:
    """`exc_info` may be three Nones."""
    plain = record(logging.INFO, "x")
    plain.exc_info = sys.exc_info()
    assert ConsoleFormatter(color=False).format(plain)[9:] == "x"


def test_a_change_is_brief() -> None:
    """Of digests, the beginning; the names of what has changed."""
    event = {
        "time": "2026-11-03T12:00:00.000Z",
        "event": "change",
        "what": "policies",
        "old": "a" * 64,
        "new": "b" * 64,
    }
    line = spell_event({**event, "changed": ["web.yaml"], "outcome": "in_force"}, color=False)
    assert line.partition(" ")[2] == (
        f"change: what policies, old {'a' * 12}, new {'b' * 12}, changed ['web.yaml'], outcome in_force"
    )

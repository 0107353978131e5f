"""The log: one ASCII line of JSON per record, whatever is in the message."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.process.json_log import JsonFormatter, WithoutThreadAdvice
from tokenserver.runtime.tracing.spans import ActiveTrace, active
from tokenserver.runtime.tracing.trace_context import TraceContext


def _record(message: str, *args: object, **extra: Any) -> logging.LogRecord:
    record = logging.LogRecord("tokenserver.test", logging.WARNING, __file__, 1, message, args, None)
    record.created = 1_700_000_000.25
    vars(record).update(extra)
    return record


def test_a_record_is_one_json_line() -> None:
    """Time in UTC, level, logger and the message with its values."""
    line = JsonFormatter().format(_record("file %s has %d faults", "a.yaml", 2))
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250+00:00",
        "level": "warning",
        "logger": "tokenserver.test",
        "message": "file a.yaml has 2 faults",
    }


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        pytest.param("a\n{}", r"a\n{}", id="newline"),
        pytest.param("a\r\nb", r"a\r\nb", id="carriage-return"),
        pytest.param("\x1b[31mred", r"\u001b[31mred", id="escape"),
        pytest.param("a\u2028b", r"a\u2028b", id="line-separator"),
        pytest.param("a\u2029b", r"a\u2029b", id="paragraph-separator"),
        pytest.param("a\x85b", r"a\u0085b", id="next-line"),
        pytest.param("a\x0b\x0cb", r"a\u000b\fb", id="vertical-tab-and-form-feed"),
        pytest.param("a\0b", r"a\u0000b", id="nul"),
        pytest.param("a\x7fb", r"a\u007fb", id="delete"),
        pytest.param("\u202eevil", r"\u202eevil", id="right-to-left"),
        pytest.param("bj\u00f6rn", r"bj\u00f6rn", id="letter"),
        pytest.param("\ud800", r"\ud800", id="lone-surrogate"),
        pytest.param('"}\n{"level":"info"}', r"\"}\n{\"level\":\"info\"}", id="forged-record"),
    ],
)
def test_special_characters_are_escaped(text: str, spelled: str) -> None:
    """Nothing in a message, and nothing in a value of it, can begin a line or steer a terminal."""
    expected = f'"message": "{spelled}"'
    assert expected in JsonFormatter().format(_record("%s", text))
    assert expected in JsonFormatter().format(_record(text))


@given(st.text(st.characters(), max_size=200))
def test_any_text_is_one_ascii_line(text: str) -> None:
    """One line, ASCII, and the message comes back from it whole."""
    line = JsonFormatter().format(_record("%s", text))
    assert line.splitlines() == [line]
    assert line.isascii()
    assert json.loads(line)["message"] == text


def test_a_huge_message_is_one_line() -> None:
    """A megabyte of newlines stays one line."""
    line = JsonFormatter().format(_record("%s", "\n" * 1_000_000))
    assert line.splitlines() == [line]


def test_an_exception_is_named_and_not_quoted() -> None:
    """Its kind is told; its text and its traceback, which may hold anything, are not."""
    try:
        int("canary-5f1c")
    except ValueError:
        record = _record("it failed", exc_info=sys.exc_info(), stack_info="stack canary-5f1c")
    line = JsonFormatter().format(record)
    assert json.loads(line)["exception"] == "ValueError"
    assert "canary" not in line


def test_an_exception_formatted_before_is_not_quoted() -> None:
    """Another handler may have left the traceback in the record; it stays there."""
    assert "canary" not in JsonFormatter().format(_record("it failed", exc_text="Traceback canary-5f1c"))


def test_no_exception_is_none() -> None:
    """`exc_info` of nothing, as `logger.exception` outside of a handler leaves it, adds no key."""
    assert "exception" not in json.loads(JsonFormatter().format(_record("x", exc_info=(None, None, None))))


def test_values_of_the_record_do_not_leak() -> None:
    """What is hung onto a record by `extra` is no field of the line."""
    assert "canary" not in JsonFormatter().format(_record("x", token="canary-5f1c"))


@pytest.mark.parametrize(
    ("message", "stays"),
    [
        pytest.param(
            "Configuration allows spawning up to 97 Python threads, which seems quite high", False, id="advice"
        ),
        pytest.param("Killing worker-2 after it refused to gracefully stop", True, id="anything else"),
    ],
)
def test_advice_about_threads(message: str, stays: bool) -> None:
    """What granian says of the number of threads is dropped, and nothing else."""
    record = logging.LogRecord("_granian", logging.WARNING, "", 0, message, None, None)
    assert WithoutThreadAdvice().filter(record) is stays


def test_a_line_of_a_traced_request_names_its_trace() -> None:
    """Also if only the client traces it."""
    with active(ActiveTrace(TraceContext("a" * 32, "b" * 16, is_sampled=False), is_traced=False)):
        assert json.loads(JsonFormatter().format(_record("x")))["trace_id"] == "a" * 32
    assert "trace_id" not in json.loads(JsonFormatter().format(_record("x")))

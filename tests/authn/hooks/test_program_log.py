"""What programs write to standard error, in the log: bounded, printable, by the line."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.authn.hooks.program_log import MAX_LINE, MAX_LINES, WINDOW_SECONDS, LineBudget, ProgramLog


def lines(*parts: bytes) -> list[str]:
    """The lines that are logged for these bytes, without their beginning."""
    logged: list[str] = []

    class Kept(LineBudget):
        def log(self, line: str) -> None:
            logged.append(line)

    log = ProgramLog(Kept("here"))
    for part in parts:
        log.write(part)
    log.end()
    return logged


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        pytest.param([b"one\ntwo\n"], ["one", "two"], id="two lines"),
        pytest.param([b"on", b"e\n", b"tw", b"o"], ["one", "two"], id="in pieces"),
        pytest.param([b"\n\n  \n"], [], id="blank lines"),
        pytest.param([b"\xff\n"], ["\ufffd"], id="not UTF-8"),
    ],
)
def test_lines(parts: list[bytes], expected: list[str]) -> None:
    """By the line, however it comes; what has no end is a line at the end of the process."""
    assert lines(*parts) == expected


@given(st.lists(st.binary(max_size=3000), max_size=5))
def test_bounded(parts: list[bytes]) -> None:
    """No line takes more memory than four times what is logged."""
    assert all(len(line) <= MAX_LINE * 4 for line in lines(*parts))


def test_the_budget(caplog: pytest.LogCaptureFixture) -> None:
    """A number of lines in a minute, then how many were left out; control characters are escaped."""
    now = [0.0]
    budget = LineBudget("here", lambda: now[0])
    with caplog.at_level(logging.WARNING, "tokenserver.hooks"):
        for number in range(MAX_LINES + 5):
            budget.log(f"line\x1b {number}" + "x" * MAX_LINE)
        assert len(caplog.messages) == MAX_LINES
        now[0] = WINDOW_SECONDS
        budget.log("later")
    assert caplog.messages[-2:] == [
        "here: 5 more lines of its program were left out",
        "here: its program says: later",
    ]
    assert caplog.messages[0].startswith("here: its program says: line\\x1b 0x")
    assert max(map(len, caplog.messages)) <= MAX_LINE + 40

"""What the helper writes for people. See docs/design/threats.md#threat-168."""

from __future__ import annotations

import os
import pty
from collections.abc import Iterator

import pytest

from tokenserver.credential_helper.terminal import terminal, write_line


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """Its two ends."""
    reader, writer = os.pipe()
    yield reader, writer
    for end in (reader, writer):
        try:
            os.close(end)
        except OSError:
            continue


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("a line", b"a line\n", id="text"),
        pytest.param("\x1b[2J\x07\x9b", b"\\x1b[2J\\x07\\x9b\n", id="control characters"),
        pytest.param("a\nb\r", b"a\\nb\\r\n", id="several lines"),
        pytest.param("\u202egnp", b"\\u202egnp\n", id="direction"),
        pytest.param("ü", "ü\n".encode(), id="letters"),
    ],
)
def test_one_line(text: str, written: bytes, pipe: tuple[int, int]) -> None:
    """Whatever a server names, it neither moves the cursor nor fakes a line."""
    write_line(pipe[1], text)
    assert os.read(pipe[0], 1000) == written


def test_a_long_text(pipe: tuple[int, int]) -> None:
    """Is cut."""
    write_line(pipe[1], "a" * 100_000)
    assert len(os.read(pipe[0], 10_000).decode()) == 501


def test_a_closed_descriptor(pipe: tuple[int, int]) -> None:
    """Is no fault of the request."""
    os.close(pipe[1])
    write_line(pipe[1], "x")


def found_at(prepare: str) -> bytes:
    """What `terminal` finds in a process with a terminal of its own; `prepare` is what that process does before."""
    pid, controller = pty.fork()
    if pid == 0:  # pragma: no cover - another process
        try:
            if prepare == "stderr is a pipe":
                os.dup2(os.pipe()[1], 2)
            if prepare == "in the background":
                child = os.fork()
                if child:
                    os.waitpid(child, 0)
                    os._exit(0)
                os.setpgid(0, 0)
            if prepare == "no terminal":
                child = os.fork()
                if child:
                    os.waitpid(child, 0)
                    os._exit(0)
                os.setsid()
                os.dup2(os.pipe()[1], 2)
            where = terminal()
            os.write(1, b"none" if where is None else b"stderr" if where == 2 else b"tty")
        finally:
            os._exit(0)
    said = b""
    try:
        while piece := os.read(controller, 100):
            said += piece
    except OSError:  # the other end is closed
        pass
    os.waitpid(pid, 0)
    os.close(controller)
    return said


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        ("nothing", b"stderr"),
        ("stderr is a pipe", b"tty"),
        ("in the background", b"none"),
        ("no terminal", b"none"),
    ],
)
def test_terminal(prepare: str, expected: bytes) -> None:
    """A person is asked only where one started this, and waits."""
    assert found_at(prepare) == expected

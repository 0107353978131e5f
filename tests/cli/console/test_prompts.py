"""Passwords from standard input: one line, its end removed, and UTF-8. A terminal is tested with `users set`."""

from __future__ import annotations

import io
import sys

import click
import pytest

from tokenserver.cli.console.prompts import MAX_LINE, read_password, read_pasted


def read(monkeypatch: pytest.MonkeyPatch, content: bytes) -> str:
    """The password on a standard input that is no terminal."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    return read_password().reveal()


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"s3cret\n", "s3cret", id="line"),
        pytest.param(b"s3cret", "s3cret", id="no-newline"),
        pytest.param(b"s3cret\r\n", "s3cret", id="windows"),
        pytest.param(b"s3cret\nmore\n", "s3cret", id="first-of-two"),
        pytest.param(b" two words \n", " two words ", id="blanks-count"),
        pytest.param("zoë\n".encode(), "zoë", id="utf-8"),
        pytest.param(b"\n", "", id="empty-line"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_first_line(monkeypatch: pytest.MonkeyPatch, content: bytes, expected: str) -> None:
    """The line without its end; nothing else is removed."""
    assert read(monkeypatch, content) == expected


def test_a_line_is_read_to_its_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """An endless line does not fill the memory."""
    assert len(read(monkeypatch, b"x" * (2 * MAX_LINE))) == MAX_LINE


def test_other_encodings_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error does not repeat what was typed."""
    with pytest.raises(click.UsageError, match=r"^a password must be UTF-8 text$"):
        read(monkeypatch, "zoë".encode("latin-1"))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b"key\n", "key", id="line"),
        pytest.param(b"a\nb\n", "a\nb", id="several-lines"),
        pytest.param(b"' key '\r\n", "key", id="quotes-and-blanks"),
        pytest.param(b"x" * 100, "x" * 10, id="limit"),
        pytest.param(b"", "", id="nothing"),
    ],
)
def test_pasted_text(monkeypatch: pytest.MonkeyPatch, content: bytes, expected: str) -> None:
    """All of it up to the limit, without what is easily copied with it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert read_pasted("Key", limit=10).reveal() == expected


def test_pasted_text_of_other_encodings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error does not repeat it."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    with pytest.raises(click.UsageError, match=r"^a key or token must be UTF-8 text$"):
        read_pasted("Key", limit=10)

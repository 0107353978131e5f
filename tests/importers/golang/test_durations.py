"""Durations: Go's recorded answers."""

from __future__ import annotations

from go_questions import disagreements


def test_go_agrees() -> None:
    """Every recorded text."""
    assert disagreements("duration") == []

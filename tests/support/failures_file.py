"""A file of failed tests, each written as it fails: a run of hours may be cut off before it prints them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest


def append_failure(file: Path, report: pytest.TestReport | pytest.CollectReport) -> None:
    """Append the whole report of a test or file that failed to `file`: what pytest prints, and what the test wrote."""
    heading = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC: {report.nodeid or 'collection'} failed ({report.when})"
    parts = [f"----- {title} -----\n{content}" for title, content in report.sections]
    text = "\n".join([f"===== {heading} =====", report.longreprtext, *parts])
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a", encoding="utf-8") as stream:
        stream.write(text.rstrip("\n") + "\n\n")

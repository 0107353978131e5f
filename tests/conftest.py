"""Says at the very end of a run how many tests were skipped because a real program is missing, and which."""

from __future__ import annotations

import re

import pytest

_MISSING = re.compile(r"(\S+) is not installed")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure(config: pytest.Config) -> None:
    """Runs after pytest's own closing line, so that nothing scrolls this one away."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or config.option.collectonly or not reporter.stats:
        return
    found = [_MISSING.search(_reason(report)) for report in reporter.stats.get("skipped", [])]
    programs = [match[1] for match in found if match]
    reporter.write_line(missing_line(programs))


def missing_line(programs: list[str]) -> str:
    """The line about the tests that were skipped; `programs` names for each of them the program that it missed."""
    if not programs:
        return "0 tests were skipped for a missing program"
    names = ", ".join(sorted(set(programs)))
    tests = "1 test was" if len(programs) == 1 else f"{len(programs)} tests were"
    return f"{tests} skipped because a real program is missing ({names}); `make real-servers` installs them"


def _reason(report: pytest.TestReport | pytest.CollectReport) -> str:
    # A skip's text is a triple: file, line, reason.
    longrepr = report.longrepr
    return str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)

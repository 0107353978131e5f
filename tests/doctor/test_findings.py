"""Findings: their JSON form and exit code, and that untrusted text is sanitized."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.findings import (
    MAX_SHOWN,
    Finding,
    exit_code,
    failed,
    note,
    passed,
    shown,
    warning,
    without_echoes,
)


@pytest.mark.parametrize(
    ("finding", "ok", "is_actionable"),
    [
        pytest.param(passed("c", "s"), True, False, id="passed"),
        pytest.param(failed("c", "s", "m"), False, True, id="failed"),
        pytest.param(warning("c", "s", "m"), None, True, id="doubtful"),
        pytest.param(note("c", "s"), None, False, id="known"),
    ],
)
def test_actionable_findings_have_a_fix(finding: Finding, ok: bool | None, is_actionable: bool) -> None:
    """The exit code is 1 exactly if there is something to fix."""
    assert (finding.ok, finding.is_actionable, exit_code([passed("c", "s"), finding])) == (
        ok,
        is_actionable,
        int(is_actionable),
    )
    assert set(finding.as_json()) == {"check", "ok", "ours", "theirs", "mend"}


def test_nothing_found_is_well() -> None:
    """No checks, no findings."""
    assert exit_code([]) == 0


@given(st.text())
def test_text_from_outside_is_one_printable_line(text: str) -> None:
    """No control character, no endless line."""
    made = failed("c", text, text, ours=text, theirs=text)
    for value in (made.message, made.fix, made.ours, made.theirs):
        assert value is not None
        assert value.isprintable()
        assert len(value) <= MAX_SHOWN


def test_long_text_says_that_it_was_cut() -> None:
    """An ellipsis in the last place."""
    assert shown("x" * 50, 10) == "x" * 9 + "…"


KEY = failed("key", "m", "compare the keys")
FILE = failed("realm", "m", "in config.yml:3")
LIVE = failed("realm", "m", "in the registry's auth.token")
WARNED = warning("autoredirect", "m", "f")
REDIRECTED = failed("autoredirect", "m", "g")
DOUBT = warning("algorithm", "m", "f")
VERDICT = passed("verdict", "m")
SKEWED = warning("clock", "m", "synchronize")
LATE = failed("time", "m", "request a new token")


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        pytest.param([FILE, LIVE], [FILE], id="a value, seen in the file and from outside"),
        pytest.param([WARNED, REDIRECTED], [REDIRECTED], id="a warning, and then the fault"),
        pytest.param([WARNED], [WARNED], id="a warning alone"),
        pytest.param([failed("kid", "m", "f"), KEY], [failed("kid", "m", "f")], id="a key that the file lacks"),
        pytest.param(
            [KEY, failed("audience", "m", "f")], [failed("audience", "m", "f")], id="another registry's token"
        ),
        pytest.param([KEY], [KEY], id="a key alone"),
        pytest.param([KEY, VERDICT], [VERDICT], id="the registry trusts the key"),
        pytest.param([DOUBT, VERDICT], [VERDICT], id="the registry knows the algorithm"),
        pytest.param([DOUBT, note("verdict", "m")], [DOUBT, note("verdict", "m")], id="the registry rejects it"),
        pytest.param([SKEWED, LATE], [replace(SKEWED, ok=False), LATE], id="clocks that a token does not tolerate"),
        pytest.param([SKEWED], [SKEWED], id="clocks that it tolerates"),
        pytest.param([FILE, VERDICT], [FILE, VERDICT], id="a value is wrong although the registry accepts a token"),
        pytest.param([passed("realm", "m"), LIVE], [passed("realm", "m"), LIVE], id="only one side is wrong"),
    ],
)
def test_one_finding_for_one_cause(found: list[Finding], kept: list[Finding]) -> None:
    """What says the same again is left out, and nothing else."""
    assert without_echoes(found) == kept

"""Findings: what they promise to machines, and that nothing from outside reaches a terminal as it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokenserver.doctor.findings import MAX_SHOWN, Finding, doubtful, exit_code, failed, known, passed, shown


@pytest.mark.parametrize(
    ("finding", "ok", "counts"),
    [
        pytest.param(passed("c", "s"), True, False, id="passed"),
        pytest.param(failed("c", "s", "m"), False, True, id="failed"),
        pytest.param(doubtful("c", "s", "m"), None, True, id="doubtful"),
        pytest.param(known("c", "s"), None, False, id="known"),
    ],
)
def test_what_counts_has_a_mend(finding: Finding, ok: bool | None, counts: bool) -> None:
    """The exit code is 1 exactly where somebody has something to do."""
    assert (finding.ok, finding.counts, exit_code([passed("c", "s"), finding])) == (ok, counts, int(counts))
    assert set(finding.as_json()) == {"check", "ok", "ours", "theirs", "mend"}


def test_nothing_found_is_well() -> None:
    """No checks, no findings."""
    assert exit_code([]) == 0


@given(st.text())
def test_text_from_outside_is_one_printable_line(text: str) -> None:
    """No control character, no endless line."""
    made = failed("c", text, text, ours=text, theirs=text)
    for value in (made.says, made.mend, made.ours, made.theirs):
        assert value is not None
        assert value.isprintable()
        assert len(value) <= MAX_SHOWN


def test_long_text_says_that_it_was_cut() -> None:
    """An ellipsis in the last place."""
    assert shown("x" * 50, 10) == "x" * 9 + "…"

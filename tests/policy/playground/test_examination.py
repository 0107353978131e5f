"""Examinations as JSON: each part comes back as it was, and lists have an end."""

from __future__ import annotations

import json

import pytest

from tokenserver.errors import Fault
from tokenserver.policy.diff.report import DiffLine
from tokenserver.policy.lint.lint import LintFinding
from tokenserver.policy.playground.examination import (
    MAX_LISTED,
    DiffReport,
    Examination,
    FailedTest,
    LintReport,
    TreeTests,
    as_parts,
    first,
    with_parts,
)

LINE = DiffLine("user:ann", "pull", "web/**", "", "web/x as ann", "web (a.yaml:3)")
WHOLE = Examination(
    tests=TreeTests(3, 1, (FailedTest("a.yaml", 7, "expected"),), 2, True, ("teams/a.yaml",)),
    lint=LintReport((LintFinding("a.yaml", 3, "TS104", "push without pull"),), 1),
    difference=DiffReport(
        "new access",
        (LINE,),
        (LINE, LINE),
        (("added", "user:ann", "group:ops"),),
        (),
        4,
        (("added", "ci", "user:ann", "group:ops"),),
    ),
    unfinished=("lint",),
)
FAULTY = Examination(faults=(Fault("a.yaml", 3, "allow[0]", "is wrong"),), more_faults=5)


@pytest.mark.parametrize("examination", [Examination(), WHOLE, FAULTY], ids=["nothing", "whole", "faulty"])
def test_round_trip(examination: Examination) -> None:
    """As another process reads it."""
    assert with_parts(Examination(), json.loads(json.dumps(as_parts(examination)))) == examination


@pytest.mark.parametrize(
    ("examination", "expected"),
    [
        pytest.param(Examination(), None, id="unknown"),
        pytest.param(FAULTY, False, id="faults"),
        pytest.param(Examination(tests=TreeTests(3, 0)), True, id="all pass"),
        pytest.param(WHOLE, False, id="a test rejects it"),
        pytest.param(Examination(tests=TreeTests(1, 1, held_back=("teams/a.yaml",))), True, id="a file is held back"),
    ],
)
def test_is_loadable(examination: Examination, expected: bool | None) -> None:
    """Faults and some failing tests reject a tree."""
    assert examination.is_loadable is expected


@pytest.mark.parametrize(("count", "more"), [(0, 0), (MAX_LISTED, 0), (MAX_LISTED + 1, 1), (MAX_LISTED + 9, 9)])
def test_first(count: int, more: int) -> None:
    """The others are counted."""
    assert first(range(count)) == (tuple(range(count))[:MAX_LISTED], more)

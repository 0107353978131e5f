"""Every cause of tests/corpus/doctor, built of real programs: the doctor names it first, and its fix works.

`pytest -m "nightly or not nightly"` runs all of them; the everyday run has every third. The last lines are the score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from doctor_corpus import HEALTHY, NAMED, Case, read
from harness import doctor_fixes
from harness.doctor_case import Scene, ask, build, works
from harness.doctor_score import MISSED, PARTLY, table, verdict, worst
from harness.doctor_world import World, world
from harness.server import Setup

CASES, TITLES = read()
EVERY = 3
"""Of this many cases, one is in the everyday run."""


def _parameters() -> Iterator[object]:
    for number, case in enumerate(CASES):
        marks = [pytest.mark.nightly] if number % EVERY else []
        if case.proxy or case.server_proxy or case.issuer:
            marks.append(pytest.mark.real("nginx"))
        yield pytest.param(case, id=case.id, marks=marks)


@pytest.fixture(scope="module")
def shared(setup: Setup, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One token server for all of them."""
    with world(tmp_path_factory.mktemp("corpus"), setup) as shared:
        yield shared


@pytest.mark.parametrize("case", [*_parameters()])
def test_a_cause(case: Case, shared: World, tmp_path: Path, record_property: Callable[[str, object], None]) -> None:
    """A client fails as the case says, each run of the doctor names the cause, and the fix makes both content."""
    with ExitStack() as stack:
        scene = build(case, shared, tmp_path / case.id, stack)
        _is_as_it_says(scene)
        reports = {view: ask(scene, view) for view in case.says}
        verdicts = {view: verdict(report, scene.expected(case.says[view])) for view, report in reports.items()}
        repaired = ""
        if case.kind != HEALTHY and worst(verdicts.values()) == NAMED:
            repaired = doctor_fixes.apply(scene, reports, tmp_path / f"{case.id}-repaired", stack)
        record_property("doctor", (case.kind, worst(verdicts.values()), repaired))
    told = "\n".join(f"{view}: {how}\n{reports[view].text}" for view, how in verdicts.items() if how != NAMED)
    assert worst(verdicts.values()) == case.verdict, told


def _is_as_it_says(scene: Scene) -> None:
    """The registry starts or not, and a client gets what it wants or not, as the case says."""
    case = scene.case
    is_running = scene.start()
    assert case.starts in (is_running, None)
    scene.change(case.later)
    if is_running and case.works is not None:
        assert works(scene) is case.works


def test_there_are_enough() -> None:
    """110 causes and more, each of them expected to be named; among them those of the first trial."""
    causes = [case for case in CASES if case.kind != HEALTHY]
    assert len([case for case in causes if case.verdict == NAMED]) >= 110
    assert len({case.number for case in causes if case.number}) == 36
    assert {case.verdict for case in CASES} <= {NAMED, PARTLY, MISSED}
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.says for case in CASES)
    assert {case.kind for case in CASES} == set(TITLES)


def test_the_score() -> None:
    """A row for each kind; healthy set-ups are no causes."""
    lines = table([("values", "named", "by its text"), ("values", "partly", ""), (HEALTHY, "false", "")])
    assert [line.split() for line in lines[1:]] == [
        ["values", "1", "1", "0", "0", "0"],
        ["healthy", "0", "0", "0", "0", "1"],
        ["all", "causes", "1", "1", "0", "0", "0"],
        ["fixes:", "by", "its", "text:", "1"],
    ]

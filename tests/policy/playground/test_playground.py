"""The playground of a worker: a process that is ended in time, one at a time, and nothing written."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from playground_trees import NOW, ROOT, TREE, live

from tokenserver.policy.playground.examination import Examination, TreeTests, as_parts
from tokenserver.policy.playground.playground import Playground, PlaygroundBusy
from tokenserver.policy.playground.question import Surroundings

ALL = "faults, tests, lint, difference"


def test_answer() -> None:
    """What the process found, in full."""
    found = Playground().examine(live(), {"company.yaml": ROOT.replace("reader}", "writer}")}, Surroundings(), NOW)
    assert (found.faults, found.unfinished, found.is_loadable) == ((), (), False)
    assert found.difference is not None
    assert found.difference.summary == "new access (1 gained, 0 lost)"


def test_faults() -> None:
    """As they are, without a word about what was not finished because of them."""
    found = Playground().examine(live(), {"company.yaml": "version: 1\n"}, Surroundings(), NOW)
    assert len(found.faults) == 2
    assert found.unfinished == ()


def test_what_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process is started for a tree that is too large, or has a name that leads out of it."""
    monkeypatch.setattr(subprocess, "Popen", None)
    found = Playground().examine(live(), {"../x.yaml": ""}, Surroundings(), NOW)
    assert [fault.file for fault in found.faults] == ["../x.yaml"]
    assert Playground().examine(live(), {"x.yaml": "x" * 2**20}, Surroundings(), NOW).faults != ()


def slow_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Let this program answer in place of the examination."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{program}\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


FIRST, SECOND = (
    f"echo '{one}'".replace("'", "'")
    for one in ("{}", '{"tests": {"count": 1, "failed": 0, "failures": [], "held_back": []}}')
)


@pytest.mark.parametrize(
    ("program", "tests", "missing"),
    [
        pytest.param(
            "exec sleep 60", None, f"not finished (it took longer than 0.5 seconds): {ALL}", id="nothing in time"
        ),
        pytest.param(
            f"{FIRST}; exec sleep 60",
            None,
            "not finished (it took longer than 0.5 seconds): tests, lint, difference",
            id="one stage in time",
        ),
        pytest.param(
            f"{FIRST}; {SECOND}; printf '{{'; exec sleep 60",
            TreeTests(1, 0),
            "not finished (it took longer than 0.5 seconds): lint, difference",
            id="a part of a line",
        ),
        pytest.param(
            f"{FIRST}; exit 1",
            None,
            "not finished (it needs more than 1024 MiB, or failed otherwise): tests, lint, difference",
            id="out of memory",
        ),
        pytest.param(
            f"{FIRST}; kill -XCPU $$",
            None,
            "not finished (it took more than 20 seconds of computing time): tests, lint, difference",
            id="out of time",
        ),
    ],
)
def test_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str, tests: TreeTests | None, missing: str
) -> None:
    """What is known by then is the answer, with what is missing. docs/design/threats.md#threat-173"""
    slow_program(tmp_path, monkeypatch, f"exec 2>/dev/null\n{program}")
    found = Playground(0.5).examine(live(), {}, Surroundings(), NOW)
    assert as_parts(found) == as_parts(Examination(tests=tests, unfinished=(missing,)))


def test_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second one is refused, and the next after the first is not. docs/design/threats.md#threat-173"""
    started = tmp_path / "started"
    slow_program(tmp_path, monkeypatch, f"test -e {started} && kill -9 $$\ntouch {started}\nexec sleep 60")
    playground = Playground(1.5)
    thread = threading.Thread(target=playground.examine, args=(live(), {}, Surroundings(), NOW))
    thread.start()
    while not started.exists():
        assert thread.is_alive()
    with pytest.raises(PlaygroundBusy):
        playground.examine(live(), {}, Surroundings(), NOW)
    thread.join()
    assert playground.examine(live(), {}, Surroundings(), NOW).unfinished != ()


def test_secrets_of_the_server_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process gets none of the settings in the environment."""
    monkeypatch.setenv("TOKENSERVER_SECRET", "hunter2")
    seen = tmp_path / "seen"
    slow_program(tmp_path, monkeypatch, f"env > {seen}")
    Playground().examine(live(), {}, Surroundings(), NOW)
    assert "hunter2" not in seen.read_text()
    assert "PYTHONPATH" in seen.read_text()


def test_texts_are_those_of_the_live_policies() -> None:
    """The loader keeps them with the policies, so that no disk is read."""
    assert live().texts == TREE

"""tests/conftest.py for runs in parts: workers are measured, and the last line counts the skips of all parts."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from copied_conftest import copy_conftest
from folders_in_memory import memory_root
from hypothesis import given, settings
from hypothesis import strategies as st

HERE = Path(__file__).parent

CODE = """\
def pick(number):
    if number > 1:
        return "many"
    return "one"
"""
CASES = """\
import measured, pytest

@pytest.mark.parametrize("number", range(1, 9))
def test_number(number):
    assert measured.pick(number)

def test_that_misses_a_program():
    pytest.skip("no-such-program is not installed; make real-servers installs it")
"""
SETTINGS = """\
[tool.coverage.run]
branch = true
source = ["measured"]
parallel = true
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the conftest of this one, a module and its tests."""
    copy_conftest(tmp_path)
    for name, text in (("measured.py", CODE), ("test_cases.py", CASES), ("pyproject.toml", SETTINGS)):
        (tmp_path / name).write_text(text)
    return tmp_path


def python(project: Path, *arguments: str) -> str:
    """What `python -m ARGUMENTS` prints there. It must succeed."""
    # These tests are themselves measured, and run by a worker: neither may be inherited.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("COVERAGE", "PYTEST"))}
    environment["PYTHONPATH"] = str(project)
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
def test_workers_are_measured(project: Path) -> None:
    """`coverage run` with several workers reaches what their tests reach together, lines of imports included."""
    python(project, "coverage", "run", "-m", "pytest", "-p", "no:cacheprovider", "--numprocesses=2")
    assert len(list(project.glob(".coverage.*"))) == 3  # the run and its two workers
    python(project, "coverage", "combine", "--quiet")
    python(project, "coverage", "report", "--fail-under=100")


@pytest.mark.long
def test_the_last_line_counts_the_skips_of_all_parts(project: Path) -> None:
    """The file carries them from one run to the next, whether that has workers or not."""
    command = ("pytest", "-p", "no:cacheprovider", "--missing-programs=missing")
    first = python(project, *command, "--numprocesses=2").splitlines()[-1]
    assert not list(project.glob(".coverage*"))  # `make quick` does not pay for a measurement
    second = python(project, *command, "-k", "misses").splitlines()[-1]
    third = python(project, *command, "-k", "number").splitlines()[-1]
    what = "skipped because a real program is missing (no-such-program); `make real-servers` installs them"
    assert [first, second, third] == [f"1 test was {what}", f"2 tests were {what}", f"2 tests were {what}"]


@pytest.mark.parametrize(("profile", "are_new"), [("nightly", True), ("everyday", False), ("quick", False)])
def test_the_night_tries_new_examples(profile: str, are_new: bool) -> None:
    """And keeps those that failed; by day they are the same, so that a failure is the change's."""
    found = settings.get_profile(profile)
    assert (not found.derandomize, found.database is not None) == (are_new, are_new)


def test_folders_in_memory(project: Path) -> None:
    """The option moves them to where there is room."""
    (project / "memory").mkdir()
    (project / "folders_in_memory.py").write_text("from pathlib import Path\nmemory_root = Path('memory').absolute\n")
    (project / "test_cases.py").write_text("def test_it(tmp_path):\n    (tmp_path / 'here').touch()\n")
    python(project, "pytest", "-p", "no:cacheprovider", "--folders-in-memory")
    assert len(list(project.glob("memory/*/pytest-0/test_it0/here"))) == 1


def test_where_memory_has_room(tmp_path: Path) -> None:
    """Elsewhere they stay on the disk."""
    assert memory_root(tmp_path, 1) == tmp_path
    assert memory_root(tmp_path, 1 << 60) is None
    assert memory_root(tmp_path / "none", 1) is None
    if os.geteuid() != 0:  # which writes everywhere
        tmp_path.chmod(0o500)
        assert memory_root(tmp_path, 1) is None


@given(number=st.integers())
def some_property(number: int) -> None:
    """A property that fails for each number of three figures or more."""
    assert number < 100


def test_failures_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """With the example that fails, as they happen, behind those of other runs; what passed is not there."""
    file = tmp_path / "new" / "failures"
    plugin: Any = request.config.pluginmanager.get_plugin(str(HERE / "conftest.py"))
    monkeypatch.setattr(plugin, "_failures", [file])
    function = pytest.Function.from_parent(request.node.parent, name="some_property", callobj=some_property)
    for call in (lambda: None, some_property, some_property):
        info = pytest.CallInfo.from_call(call, "call")
        report = pytest.TestReport.from_item_and_call(function, info)
        report.sections.append(("Captured log call", "a warning"))
        plugin.pytest_runtest_logreport(report)
    plugin.pytest_collectreport(pytest.CollectReport("tests/test_x.py", "failed", "SyntaxError: here", None))
    kept = file.read_text("utf-8")
    assert kept.count("test_conftest.py::some_property failed (call) =====\n") == 2
    assert len(re.findall(r"number=[0-9]{3,},\n", kept)) == 2
    assert kept.count("----- Captured log call -----\na warning\n") == 2
    assert kept.endswith("tests/test_x.py failed (collect) =====\nSyntaxError: here\n\n")

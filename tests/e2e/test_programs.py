"""A missing program is never passed over in silence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from copied_conftest import copy_conftest
from harness.programs import REQUIRED, find, need

MISSING = "no-such-program"
CASES = f'''
import pytest

def test_that_needs_it():
    pytest.skip("{MISSING} is not installed; make real-servers installs it")

def test_that_needs_it_too():
    pytest.skip("{MISSING} is not installed; make real-servers installs it")

def test_of_the_night():
    pytest.skip("buildctl is not installed; make real-servers-nightly installs it")

def test_that_runs():
    pass

def test_that_is_skipped_otherwise():
    pytest.skip("it is Sunday")
'''


def test_a_missing_program_skips_the_test_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason says which program, and what installs it."""
    monkeypatch.delenv(REQUIRED, raising=False)
    assert find(MISSING) is None
    with pytest.raises(pytest.skip.Exception, match=f"{MISSING} is not installed; make real-servers installs it"):
        need(MISSING)


def test_a_missing_program_fails_where_all_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where everything should be there, nothing is skipped."""
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(pytest.fail.Exception, match=f"{MISSING} is not installed"):
        need(MISSING)


@pytest.mark.parametrize(
    ("select", "line"),
    [
        pytest.param(
            "that",
            f"2 tests were skipped because a real program is missing ({MISSING}); `make real-servers` installs them",
            id="two",
        ),
        pytest.param(
            "too",
            f"1 test was skipped because a real program is missing ({MISSING}); `make real-servers` installs them",
            id="one",
        ),
        pytest.param(
            "that or night",
            f"3 tests were skipped because a real program is missing (buildctl, {MISSING}); "
            "`make real-servers-nightly` installs them",
            id="of the night",
        ),
        pytest.param("runs or otherwise", "0 tests were skipped for a missing program", id="none"),
    ],
)
def test_the_last_line_of_a_run_counts_them(select: str, line: str, tmp_path: Path) -> None:
    """Nothing stands below it, so that nobody overlooks it; other skips do not count."""
    copy_conftest(tmp_path)
    (tmp_path / "test_cases.py").write_text(CASES)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", select, str(tmp_path)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(tmp_path)}
    output = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
    assert output.stdout.rstrip("\n").splitlines()[-1] == line

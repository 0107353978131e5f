"""scripts/pure-core-coverage: which tests it runs for which modules, and that it fails where they miss anything."""

from __future__ import annotations

import os
from pathlib import Path
from types import ModuleType

import pytest
from script_modules import load_script

CONTRACT = """\
[[tool.importlinter.contracts]]
name = "floors"
type = "layers"

[[tool.importlinter.contracts]]
name = "pure core"
source_modules = ["small.words", "small.room"]
ignore_imports = ["small.room.files -> **", "small.room.disk.** -> **"]
"""
FILES = {
    "pyproject.toml": CONTRACT,
    "small/__init__.py": "",
    "small/words.py": 'def plural(count):\n    return "words" if count > 1 else "word"\n',
    "small/room/__init__.py": '"""A room."""\n',
    "small/room/pick.py": 'def pick(count):\n    if count > 1:\n        return "many"\n    return "one"\n',
    "small/room/files.py": "raise OSError\n",
    "small/room/disk/__init__.py": "",
    "small/room/disk/writes.py": "raise OSError\n",
    "tests/test_words.py": 'from small.words import plural\n\ndef test():\n    assert plural(1) == "word"\n',
    "tests/room/test_pick.py": (
        'from small.room.pick import pick\n\ndef test():\n    assert [pick(1), pick(2)] == ["one", "many"]\n'
    ),
    "tests/room/test_files.py": "import small.room.files\n",
    "tests/room/disk/test_writes.py": "import small.room.disk.writes\n",
}


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files of a project, by their paths."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script, for a small project, whose tests it runs without workers."""
    write(tmp_path, FILES)
    found = load_script("pure-core-coverage")
    monkeypatch.setattr(found, "ROOT", tmp_path)
    monkeypatch.setattr(found, "PYTEST", ("-m", "pytest", "--quiet", "-p", "no:cacheprovider"))
    for name in os.environ:
        if name.startswith(("COVERAGE", "PYTEST")):  # of the run that this test is in
            monkeypatch.delenv(name)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # a start takes half as long
    return found


def test_a_module_has_one_file_and_a_room_all_of_its_files(script: ModuleType) -> None:
    """In their order; a module that is missing is a file that is missing, which the script reports."""
    assert script.files_of("small.words") == ["small/words.py"]
    assert script.files_of("small.room.disk") == ["small/room/disk/__init__.py", "small/room/disk/writes.py"]
    assert script.files_of("small.gone") == ["small/gone.py"]


def test_ignored_modules_are_not_pure(script: ModuleType) -> None:
    """Neither single ones nor rooms inside the pure ones; all others of a room are pure by default."""
    assert script.contract() == (["small.words", "small.room"], ["small.room.files", "small.room.disk"])
    assert script.pure_files() == ["small/words.py", "small/room/__init__.py", "small/room/pick.py"]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        pytest.param("small.words", ["tests/test_words.py"], id="its own file"),
        pytest.param("small.room.pick", ["tests/room/test_pick.py"], id="its own file in a room"),
        pytest.param("small.room", ["tests/room"], id="the folder of a room"),
        pytest.param("small.room.model", ["tests/room"], id="the folder of the room of a module without a file"),
        pytest.param("small.gone", [], id="no file at the top: not all tests"),
        pytest.param("small.away.model", [], id="no folder"),
    ],
)
def test_where_the_tests_of_a_module_are(script: ModuleType, module: str, expected: list[str]) -> None:
    """As tests/ mirrors the rooms."""
    assert script.test_files([module]) == expected


def test_places_are_named_once(script: ModuleType) -> None:
    """Although several modules have no file of their own in a room."""
    assert script.test_files(["small.room.a", "small.words", "small.room.b"]) == ["tests/room", "tests/test_words.py"]


MISSES_A_LINE = FILES["tests/room/test_pick.py"].replace("pick(2)]", "pick(1)]").replace('"many"]', '"one"]')


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        pytest.param({}, 0, [], id="everything is reached"),
        pytest.param({"tests/room/test_pick.py": MISSES_A_LINE}, 1, ["small/room/pick.py", " 3\n"], id="a missed line"),
        pytest.param(
            {"small/words.py": "def plural(count):\n    if count:\n        count = 2\n    return 'word'\n"},
            1,
            ["small/words.py", " 2->4\n"],
            id="a missed branch",
        ),
        pytest.param({"small/room/new.py": "X = 1\n"}, 1, ["no test imports small/room/new.py"], id="a new module"),
        pytest.param({"tests/test_words.py": "def test():\n    assert False\n"}, 1, [], id="a test that fails"),
        pytest.param(
            {"pyproject.toml": CONTRACT.replace("small.words", "small.gone")},
            1,
            ["no such file: small/gone.py"],
            id="a module that is not there",
        ),
    ],
)
def test_it_fails_where_the_tests_miss_anything(
    script: ModuleType,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, str],
    status: int,
    told: list[str],
) -> None:
    """And prints what; tests of ignored modules are not run."""
    write(tmp_path, changes)
    assert script.main() == status
    errors = capsys.readouterr().err
    assert [part for part in told if part not in errors] == []
    assert bool(errors) is bool(told)

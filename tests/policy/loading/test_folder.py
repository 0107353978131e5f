"""The policy folder: which files count, and what is not read or trusted."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from policy_folders import GOOD, NOW, faults, rule, write

from tokenserver.documents import files
from tokenserver.errors import LoadError
from tokenserver.policy.loading import folder as folder_module
from tokenserver.policy.loading.folder import are_marked, completeness_faults
from tokenserver.policy.loading.loader import load_policies


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        pytest.param([], "FOLDER: holds no policy file (*.yaml)", id="empty"),
        pytest.param(
            ["README.md", ".hidden.yaml", "a.yaml~", "a.yaml.bak"], "FOLDER: holds no policy file", id="others"
        ),
    ],
)
def test_folder_without_policies_is_refused(folder: Path, names: list[str], expected: str) -> None:
    """A server that never grants anything is not intended."""
    for name in names:
        write(folder / name, "not: a policy")
    assert len(faults(folder)) == 1
    assert faults(folder)[0].startswith(expected)


@pytest.mark.parametrize("name", ["a.yaml", "a.yml", "A.YAML", "b.Yml"])
def test_policy_file_names(folder: Path, name: str) -> None:
    """A file is not skipped for the case of its suffix: it could have a deny rule."""
    write(folder / name, GOOD)
    assert load_policies(folder, now=NOW).files == (name,)


def test_missing_folder(tmp_path: Path) -> None:
    """A missing folder is a fault, not an empty policy."""
    with pytest.raises(LoadError, match="cannot be read as a folder: No such file"):
        load_policies(tmp_path / "nowhere", now=NOW)


def test_folder_of_other_things_is_fine(folder: Path) -> None:
    """Only policy files count; hidden folders are ignored."""
    write(folder / "a.yaml", GOOD)
    (folder / "docs").mkdir()
    (folder / ".git").mkdir()
    write(folder / ".git" / "x.yaml", "broken: [")
    assert load_policies(folder, now=NOW).rule_count == 1


def test_sub_folder_that_cannot_be_read_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unreadable folder could contain a policy."""
    write(folder / "a.yaml", GOOD)
    (folder / "teams").mkdir()
    scandir = os.scandir

    def refusing(path: str | Path) -> Any:  # root, as whom tests may run, could read every folder
        if str(path).endswith("teams"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    assert faults(folder) == ["teams: cannot be read as a folder: Permission denied"]


def spoil_mode(path: Path) -> None:
    path.chmod(0o666)


def spoil_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path, 0o644)


def spoil_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def spoil_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def spoil_bytes(path: Path) -> None:
    path.write_bytes(b"version: 1\n# \xff\n")


def spoil_size(path: Path) -> None:
    path.write_bytes(b"# " + b"x" * (9 * 1024 * 1024) + b"\n")


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(spoil_mode, "can be changed by others (mode 0666)", id="writable-by-others"),
        pytest.param(spoil_fifo, "is not a regular file", id="fifo"),
        pytest.param(spoil_folder, "is not a regular file", id="folder"),
        pytest.param(spoil_link, "cannot be read: No such file", id="broken-link"),
        pytest.param(spoil_bytes, "is not UTF-8 text", id="not-utf-8"),
        pytest.param(spoil_size, "is larger than", id="too-large"),
    ],
)
def test_file_that_cannot_be_trusted(folder: Path, spoil: Callable[[Path], None], expected: str) -> None:
    """One bad file rejects the whole folder."""
    write(folder / "a.yaml", GOOD)
    spoil(write(folder / "b.yaml", "version: 1\n"))
    assert [fault for fault in faults(folder) if fault.startswith("b.yaml") and expected in fault] != []


def test_folder_that_others_can_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Write access allows removing a deny rule. A read-only mount (Kubernetes) cannot be changed."""
    write(folder / "a.yaml", GOOD)
    folder.chmod(0o777)
    assert faults(folder) == ["FOLDER: can be changed by others (mode 0777); fix: chmod go-w FOLDER"]

    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _path: ReadOnly)
    assert load_policies(folder, now=NOW).rule_count == 1


def test_kubernetes_volume(folder: Path) -> None:
    """Links through `..data` are followed, the hidden folders behind them ignored, and a swap shows."""
    for number, actions in enumerate(("pull", "push")):
        version = folder / f"..2026_0{number}"
        version.mkdir()
        write(version / "a.yaml", rule(f"role=-; actions=[{actions}]"))
    (folder / "..data").symlink_to("..2026_00")
    (folder / "a.yaml").symlink_to("..data/a.yaml")
    before = load_policies(folder, now=NOW)
    (folder / "..new").symlink_to("..2026_01")
    (folder / "..new").rename(folder / "..data")
    after = load_policies(folder, now=NOW)
    assert [sorted(one.rules[0].actions) for one in (before, after)] == [["pull"], ["push"]]
    assert before.digest != after.digest


def test_folder_that_changes_while_it_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of two versions are never mixed: the folder is read again."""
    write(folder / "a.yaml", rule("id=a"))
    write(folder / "b.yaml", rule("id=b"))
    reads = 0

    def reading(path: Path) -> str:
        nonlocal reads
        reads += 1
        text = files.read_text(path)
        if reads == 1:  # a deployment replaces both files after the first one was read
            for name in ("a", "b"):
                write(folder / "new", rule(f"id={name}-new")).rename(folder / f"{name}.yaml")
        return text

    monkeypatch.setattr(folder_module, "read_text", reading)
    monkeypatch.setattr(folder_module, "_PAUSE", 0)
    assert [one.id for one in load_policies(folder, now=NOW).rules] == ["a-new", "b-new"]


def test_folder_that_never_keeps_still(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After some attempts, loading fails."""

    def reading(path: Path) -> str:
        text = files.read_text(path)
        write(folder / "new", GOOD).rename(path)
        return text

    write(folder / "a.yaml", GOOD)
    monkeypatch.setattr(folder_module, "read_text", reading)
    monkeypatch.setattr(folder_module, "_PAUSE", 0)
    assert faults(folder) == ["FOLDER: keeps changing while it is read"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("a: 1\n...\n", True, id="the mark"),
        pytest.param("a: 1\n...", True, id="without a newline"),
        pytest.param("a: 1\r\n...\r\n \n", True, id="with blanks behind it"),
        pytest.param("...\n", True, id="the mark alone"),
        pytest.param("a: x...\n", False, id="an ellipsis in a value"),
        pytest.param("a: 1\n....\n", False, id="four dots"),
        pytest.param("a: 1\n...\nb: 2\n", False, id="in the middle"),
        pytest.param("a: 1\n ...\n", False, id="indented"),
        pytest.param("", False, id="empty"),
    ],
)
def test_the_mark_at_the_end(text: str, expected: bool) -> None:
    """The line `...` ends a YAML document, so that a file that was cut can be told from a whole one."""
    assert are_marked({"a.yaml": text}) is expected
    assert are_marked({"a.yaml": text, "b.yaml": "b: 1\n...\n"})
    assert not are_marked({})


@pytest.mark.parametrize(
    ("texts", "marked", "expected"),
    [
        pytest.param({"a": "x: 1\n"}, False, [], id="whole"),
        pytest.param({"a": "x: 1"}, False, ["a:1: the last line does not end with a newline"], id="no newline"),
        pytest.param({"a": '{"x": 1}'}, False, [], id="JSON"),
        pytest.param({"a": ""}, False, [], id="an empty file, which is another fault"),
        pytest.param(
            {"a": "x: 1\n...\n", "b": "y: 1\n"}, False, ["b:1: does not end with the line ..."], id="others are marked"
        ),
        pytest.param(
            {"a": "x: 1\ny: 2\n"}, True, ["a:2: does not end with the line ..."], id="they were marked before"
        ),
        pytest.param({"a": "x: 1\n...\n"}, True, [], id="still marked"),
    ],
)
def test_completeness(texts: dict[str, str], marked: bool, expected: list[str]) -> None:
    """A file that may have lost its end is a fault at its last line: a deny rule could be missing."""
    found = [str(fault) for fault in completeness_faults(Path("policies"), texts, marked=marked)]
    assert len(found) == len(expected)
    for fault, start in zip(found, expected, strict=True):
        assert fault.startswith(f"policies/{start}")


@given(st.text(st.sampled_from("a:. \n"), max_size=14), st.integers(0, 14))
def test_a_marked_file_cut_anywhere_is_found(text: str, length: int) -> None:
    """Whatever the file holds: without its mark it is a fault, unless nothing but blanks was cut off."""
    whole = f"{text}\n...\n"
    cut = whole[:length]
    faults = [*completeness_faults(Path("policies"), {"a.yaml": cut}, marked=True)]
    assert bool(faults) is not are_marked({"a.yaml": cut})

"""Kept snapshots: what is written, what is removed, and which files are believed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tokenserver.errors import LoadError
from tokenserver.policy.history.kept_snapshots import keep, kept_digests, read_kept
from tokenserver.policy.loading.loader import compile_texts
from tokenserver.policy.model import PolicySet

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


def policies(user: str) -> PolicySet:
    """Policies with one rule for this user."""
    text = f'version: 1\nallow:\n  - {{id: a, to: ["user:{user}"], repositories: ["web/**"], role: writer}}\n'
    return compile_texts({"a.yaml": text})[0]


def compiled(folder: Path, digest: str) -> PolicySet:
    """The kept policies with this digest."""
    found = read_kept(folder, digest)
    assert found is not None
    return found.compiled(None, None)


def test_what_was_kept_comes_back(tmp_path: Path) -> None:
    """The same policy set, with the time; the folder and the file are readable by the server alone."""
    ann = policies("ann")
    keep(tmp_path / "state" / "kept", ann, NOW)
    folder = tmp_path / "state" / "kept"
    (file,) = folder.iterdir()
    assert (folder.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    found = read_kept(folder, ann.digest)
    assert found is not None
    assert (found.since, found.origin) == (NOW, f"snapshot {file}")
    assert found.compiled(None, None) == ann
    assert read_kept(folder, "0" * 64) is None


def test_it_is_written_once(tmp_path: Path) -> None:
    """Each worker keeps the same policies, and a server that starts again, too."""
    keep(tmp_path, policies("ann"), NOW)
    (file,) = tmp_path.iterdir()
    before = file.stat().st_ino, file.read_bytes()
    keep(tmp_path, policies("ann"), NOW.replace(year=2027))
    assert (file.stat().st_ino, file.read_bytes()) == before


def test_the_oldest_are_removed(tmp_path: Path) -> None:
    """What was live last is the youngest, also after a return to earlier policies; other files stay."""
    (tmp_path / "notes.json").write_text("mine")
    for age, user in enumerate(("ann", "bob", "eve")):
        keep(tmp_path, policies(user), NOW)
        path = tmp_path / f"{policies(user).digest}.json"
        os.utime(path, (age, age))
    keep(tmp_path, policies("ann"), NOW, most=2)
    assert set(kept_digests(tmp_path)) == {policies("ann").digest, policies("eve").digest}
    assert (tmp_path / "notes.json").read_text() == "mine"


def test_what_is_live_stays(tmp_path: Path) -> None:
    """Even if a clock says that it is the oldest."""
    keep(tmp_path, policies("bob"), NOW)
    path = tmp_path / f"{policies('bob').digest}.json"
    os.utime(path, (2**33, 2**33))
    keep(tmp_path, policies("ann"), NOW, most=1)
    assert policies("ann").digest in kept_digests(tmp_path)


def test_a_disk_that_takes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No part of a file is left."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        keep(tmp_path, policies("ann"), NOW)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param({"files": {"a.yaml": "version: 1\n"}}, "was changed: its files have the digest", id="other files"),
        pytest.param({"offered": "0" * 64, "robots": [], "workloads": []}, "was changed: its files", id="machines"),
        pytest.param({"files": {"a.yaml": 1}}, "is no snapshot of policies", id="no text"),
        pytest.param({"files": []}, "is no snapshot of policies", id="no files"),
        pytest.param({"kept": "yesterday"}, "is no snapshot of policies", id="no time"),
        pytest.param({"kept": "2026-11-03T12:00:00"}, "is no snapshot of policies", id="a local time"),
    ],
)
def test_a_changed_snapshot(change: dict[str, object], said: str, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-233: the answer would be about policies that were never in force."""
    ann = policies("ann")
    keep(tmp_path, ann, NOW)
    (file,) = tmp_path.iterdir()
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(LoadError, match=said):
        compiled(tmp_path, ann.digest)


def test_a_snapshot_under_another_name(tmp_path: Path) -> None:
    """docs/design/threats.md#threat-233: policies that were in force at another time."""
    keep(tmp_path, policies("eve"), NOW)
    (file,) = tmp_path.iterdir()
    file.rename(tmp_path / f"{policies('ann').digest}.json")
    found = read_kept(tmp_path, policies("ann").digest)
    assert found is not None
    with pytest.raises(LoadError, match=f"have the digest {policies('eve').digest}"):
        found.compiled(None, None)


def test_a_snapshot_that_others_can_change(tmp_path: Path) -> None:
    """docs/design/threats.md#threat-233."""
    keep(tmp_path, policies("ann"), NOW)
    (file,) = tmp_path.iterdir()
    file.chmod(0o666)
    with pytest.raises(LoadError, match="chmod"):
        read_kept(tmp_path, policies("ann").digest)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    """JSON or not, it is reported, not raised."""
    for content in ("{", "[]", "7"):
        (tmp_path / f"{'0' * 64}.json").write_text(content)
        with pytest.raises(LoadError, match="is no snapshot of policies"):
            read_kept(tmp_path, "0" * 64)


def test_files_that_are_no_snapshots_stay(tmp_path: Path) -> None:
    """docs/design/threats.md#threat-254: the folder may have others, whose names are hexadecimal at the beginning."""
    others = ("backup.json", "data.json", "a.json", "0.json", f"{'A' * 64}.json", f"{'a' * 65}.json")
    for name in others:
        (tmp_path / name).write_text("mine")
        os.utime(tmp_path / name, (1, 1))
    for user in ("ann", "bob", "eve"):
        keep(tmp_path, policies(user), NOW, most=1)
    assert {path.name for path in tmp_path.iterdir()} == {*others, f"{policies('eve').digest}.json"}
    assert kept_digests(tmp_path) == [policies("eve").digest]


DAMAGE: dict[str, Callable[[Path], object]] = {
    "empty": lambda file: file.write_text(""),
    "torn": lambda file: file.write_bytes(file.read_bytes()[:40]),
    "no object": lambda file: file.write_text("[]"),
    "deep": lambda file: file.write_text("[" * 100_000),
    "not UTF-8": lambda file: file.write_bytes(b"\xff"),
    "other files": lambda file: file.write_text(json.dumps({**json.loads(file.read_text()), "files": {}})),
    "another time": lambda file: file.write_text(json.dumps({**json.loads(file.read_text()), "kept": 5})),
    "no time": lambda file: file.write_text(json.dumps({"files": json.loads(file.read_text())["files"]})),
    "changed by others": lambda file: file.chmod(0o666),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_lies_there_is_not_believed(damage: str, tmp_path: Path) -> None:
    """docs/design/threats.md#threat-254: without a whole file, nobody could say later who could do what."""
    ann = policies("ann")
    keep(tmp_path, ann, NOW)
    (file,) = tmp_path.iterdir()
    DAMAGE[damage](file)
    keep(tmp_path, ann, NOW)
    assert compiled(tmp_path, ann.digest) == ann
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_planted_link(tmp_path: Path) -> None:
    """docs/design/threats.md#threat-254: nothing is written, or touched, through it, and it is a fault."""
    other, ann = tmp_path / "other", policies("ann")
    other.write_text("kept")
    os.utime(other, (1, 1))
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / f"{ann.digest}.json").symlink_to(other)
    with pytest.raises(OSError, match="is a symbolic link"):
        keep(tmp_path / "kept", ann, NOW)
    assert (other.read_text(), other.stat().st_mtime) == ("kept", 1)


def test_folders_with_names_of_snapshots(tmp_path: Path) -> None:
    """They are not removed, and stop nothing."""
    (tmp_path / f"{'0' * 64}.json").mkdir()
    os.utime(tmp_path / f"{'0' * 64}.json", (1, 1))
    for user in ("ann", "bob"):
        keep(tmp_path, policies(user), NOW, most=1)
    assert sorted(path.name[0] for path in tmp_path.iterdir()) == sorted(["0", policies("bob").digest[0]])


def test_files_of_other_users_push_out_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/design/threats.md#threat-254: where others can write, what they write does not count."""
    keep(tmp_path, policies("ann"), NOW, most=1)
    with monkeypatch.context() as as_another:
        as_another.setattr(os, "geteuid", lambda: 4711)
        keep(tmp_path, policies("bob"), NOW, most=1)
    assert {policies("ann").digest, policies("bob").digest} == {*kept_digests(tmp_path)}

"""The file of logins, among other users and other processes. See docs/design/threats.md#threat-166."""

from __future__ import annotations

import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from tokenserver.credential_helper.store import credential_file
from tokenserver.credential_helper.store.credential_file import MAX_FILE, NAME, CredentialFile, RefusedStore
from tokenserver.credential_helper.store.stored_login import StoredLogin, write_logins


def add(folder: Path, *registries: str) -> None:
    """Keep a login for each of the registries, one after the other."""
    for registry in registries:
        login = StoredLogin(registry, "ann", f"secret of {registry}")
        CredentialFile(str(folder)).change(lambda logins, name=registry, one=login: logins.update({name: one}))  # type: ignore[misc]


def mode(path: Path) -> int:
    """The permissions."""
    return stat.S_IMODE(path.stat().st_mode)


def test_nothing_is_there(tmp_path: Path) -> None:
    """Reading makes no folder."""
    assert CredentialFile(str(tmp_path / "x")).read() == {}
    assert not (tmp_path / "x").exists()


def test_what_is_kept(tmp_path: Path) -> None:
    """In a folder and a file of the user alone, whatever the umask is."""
    before = os.umask(0)
    try:
        add(tmp_path / "a" / "b", "one", "two")
    finally:
        os.umask(before)
    file = CredentialFile(str(tmp_path / "a" / "b"))
    assert {name: one.secret for name, one in file.read().items()} == {"one": "secret of one", "two": "secret of two"}
    assert (mode(tmp_path / "a" / "b"), mode(tmp_path / "a" / "b" / NAME)) == (0o700, 0o600)
    assert {path.name for path in (tmp_path / "a" / "b").iterdir()} == {NAME, "credentials.lock"}


def test_no_change_no_write(tmp_path: Path) -> None:
    """The file stays the same one."""
    add(tmp_path / "x", "one")
    before = (tmp_path / "x" / NAME).stat().st_ino
    assert CredentialFile(str(tmp_path / "x")).change(len) == 1
    assert (tmp_path / "x" / NAME).stat().st_ino == before


def test_what_a_killed_process_left(tmp_path: Path) -> None:
    """A new file that was never renamed is no obstacle."""
    add(tmp_path / "x", "one")
    (tmp_path / "x" / "credentials.json.new").write_text("half")
    add(tmp_path / "x", "two")
    assert set(CredentialFile(str(tmp_path / "x")).read()) == {"one", "two"}


@pytest.mark.parametrize("bits", [0o640, 0o604, 0o660, 0o602, 0o610])
def test_a_file_of_others(tmp_path: Path, bits: int) -> None:
    """What others may read or write is refused, with the command that fixes it."""
    add(tmp_path / "x", "one")
    (tmp_path / "x" / NAME).chmod(bits)
    with pytest.raises(RefusedStore, match="fix: chmod go-rwx"):
        CredentialFile(str(tmp_path / "x")).read()
    with pytest.raises(RefusedStore, match="fix: chmod go-rwx"):
        add(tmp_path / "x", "two")


def test_a_folder_that_others_may_write(tmp_path: Path) -> None:
    """They could replace the file."""
    add(tmp_path / "x", "one")
    (tmp_path / "x").chmod(0o770)
    with pytest.raises(RefusedStore, match="fix: chmod go-w"):
        CredentialFile(str(tmp_path / "x")).read()


def test_settings(tmp_path: Path) -> None:
    """Others may read them, and not write them."""
    file = CredentialFile(str(tmp_path))
    assert file.read_settings("helper.json") is None
    (tmp_path / "helper.json").write_text("{}")
    (tmp_path / "helper.json").chmod(0o644)
    assert file.read_settings("helper.json") == b"{}"
    (tmp_path / "helper.json").chmod(0o664)
    with pytest.raises(RefusedStore, match="can write it; fix: chmod go-w"):
        file.read_settings("helper.json")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("name", ["", NAME])
def test_what_belongs_to_somebody_else(tmp_path: Path, name: str) -> None:
    """Such as the store of the user who ran sudo."""
    add(tmp_path / "x", "one")
    os.chown(tmp_path / "x" / name, 12345, 12345)
    with pytest.raises(RefusedStore, match="belongs to another user"):
        CredentialFile(str(tmp_path / "x")).read()


@pytest.mark.parametrize("kind", ["symlink", "fifo", "folder", "dangling"])
def test_a_file_that_is_none(tmp_path: Path, kind: str) -> None:
    """Neither followed nor waited for."""
    folder = tmp_path / "x"
    add(folder, "one")
    (folder / NAME).rename(tmp_path / "elsewhere")
    if kind == "fifo":
        os.mkfifo(folder / NAME, 0o600)
    elif kind == "folder":
        (folder / NAME).mkdir(mode=0o700)
    else:
        (folder / NAME).symlink_to(tmp_path / ("elsewhere" if kind == "symlink" else "nothing"))
    with pytest.raises(RefusedStore, match="fix: "):
        CredentialFile(str(folder)).read()


@pytest.mark.parametrize("name", ["credentials.lock", "credentials.json.new"])
def test_a_planted_link(tmp_path: Path, name: str) -> None:
    """Nothing is written through it."""
    folder, victim = tmp_path / "x", tmp_path / "victim"
    add(folder, "one")
    victim.write_text("as it was")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(victim)
    if name == "credentials.lock":
        with pytest.raises(RefusedStore, match=r"credentials\.lock"):
            add(folder, "two")
    else:
        add(folder, "two")
    assert victim.read_text() == "as it was"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        pytest.param(b"{", "is not JSON; fix: remove it", id="broken"),
        pytest.param(b"x" * (MAX_FILE + 1), "has more than", id="long"),
    ],
)
def test_a_broken_file(tmp_path: Path, content: bytes, message: str) -> None:
    """It is not overwritten."""
    add(tmp_path / "x", "one")
    (tmp_path / "x" / NAME).write_bytes(content)
    with pytest.raises(RefusedStore, match=message):
        add(tmp_path / "x", "two")
    assert (tmp_path / "x" / NAME).read_bytes() == content


def test_a_place_for_no_folder(tmp_path: Path) -> None:
    """The system's reason."""
    (tmp_path / "x").write_text("")
    with pytest.raises(RefusedStore, match=r"exists|Not a directory"):
        add(tmp_path / "x", "one")


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there stays."""
    add(tmp_path / "x", "one")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RefusedStore, match="No space left on device"):
        add(tmp_path / "x", "two")
    assert set(CredentialFile(str(tmp_path / "x")).read()) == {"one"}


def test_a_lock_that_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for ever."""
    monkeypatch.setattr(credential_file, "LOCK_SECONDS", 0.1)
    file = CredentialFile(str(tmp_path / "x"))
    with file.exclusive("credentials.lock", 1) as is_mine:
        assert is_mine
        with pytest.raises(RefusedStore, match="another process has held the lock"):
            add(tmp_path / "x", "one")
    add(tmp_path / "x", "one")


def test_many_processes(tmp_path: Path) -> None:
    """None of their logins is lost, and no reader meets half a file."""
    names = [[f"r{process}-{number}" for number in range(5)] for process in range(4)]
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=add, args=(tmp_path / "x", *some)) for some in names]
    for process in processes:
        process.start()
    while any(process.is_alive() for process in processes):
        CredentialFile(str(tmp_path / "x")).read()
    for process in processes:
        process.join()
    found = CredentialFile(str(tmp_path / "x")).read()
    assert set(found) == {name for some in names for name in some}
    assert json.loads(write_logins(found))["version"] == 1

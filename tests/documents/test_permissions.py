"""Permissions: whose files and folders are safe, also in private groups and on read-only mounts, and the fixes."""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from tokenserver.documents import permissions
from tokenserver.documents.files import read_file
from tokenserver.documents.permissions import folder_problem, has_other_members
from tokenserver.errors import LoadError

OTHER_USER = 54321
OTHER_GROUP = 54321

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file to another user or group")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for keys."""
    made = tmp_path / "keys"
    made.mkdir(mode=0o700)
    return made


@pytest.fixture
def read_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every mount is read-only."""

    class ReadOnly:
        f_flag = os.ST_RDONLY

    monkeypatch.setattr(os, "statvfs", lambda _: ReadOnly)


class Accounts:
    """The users and groups of a machine. This process's user is called `me`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.users = [self._user("me", os.geteuid(), os.getegid())]
        self.groups: dict[int, list[str]] = {}
        monkeypatch.setattr(pwd, "getpwall", lambda: self.users)
        monkeypatch.setattr(grp, "getgrgid", self._group)

    def add(self, name: str, uid: int, gid: int) -> None:
        """Another user, whose own group this is."""
        self.users.append(self._user(name, uid, gid))

    @staticmethod
    def _user(name: str, uid: int, gid: int) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", uid, gid, "", "/", "/bin/sh"))

    def _group(self, gid: int) -> grp.struct_group:
        return grp.struct_group(("group", "x", gid, self.groups[gid]))


@pytest.fixture
def accounts(monkeypatch: pytest.MonkeyPatch) -> Accounts:
    """A machine with this process's user only."""
    return Accounts(monkeypatch)


# --- folders ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("mode", [pytest.param(0o700, id="0700"), pytest.param(0o755, id="0755")])
def test_a_safe_folder_has_no_problem(folder: Path, mode: int, private: bool) -> None:
    """Others may read the folder, but not change it."""
    folder.chmod(mode)
    assert folder_problem(folder, private=private) is None


@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize(
    "mode", [pytest.param(0o777, id="0777"), pytest.param(0o1777, id="sticky"), pytest.param(0o702, id="0702")]
)
def test_a_folder_that_everybody_can_change_is_refused(folder: Path, mode: int, private: bool) -> None:
    """Anybody could replace the keys in it. Mode and command are named, and the command fixes it."""
    folder.chmod(mode)
    problem = folder_problem(folder, private=private)
    assert problem == f"can be changed by others (mode {mode:04o}); fix: chmod go-w {folder}"
    subprocess.run(["sh", "-c", problem.partition("fix: ")[2]], check=True)
    assert folder_problem(folder, private=private) is None


@pytest.mark.parametrize("mode", [pytest.param(0o775, id="0775"), pytest.param(0o2770, id="setgid")])
@pytest.mark.parametrize(
    ("others", "listed", "is_private"),
    [
        pytest.param([], None, True, id="a-group-without-a-name"),
        pytest.param([], [], True, id="a-group-of-one"),
        pytest.param([], ["me"], True, id="listed-in-it"),
        pytest.param([], ["me", "eve"], False, id="with-another-member"),
        pytest.param(["eve"], [], False, id="the-own-group-of-another-user"),
    ],
)
def test_the_own_group_must_be_private_for_keys(
    folder: Path,
    mode: int,
    others: list[str],
    listed: list[str] | None,
    is_private: bool,
    accounts: Accounts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Under umask 002, folders are 0775: fine where each user has a group of their own, and for policies anyway."""
    group = OTHER_GROUP
    if os.geteuid() == 0:
        os.chown(folder, -1, group)
    else:
        group = os.getegid()
    monkeypatch.setattr(os, "getegid", lambda: group)
    for name in others:
        accounts.add(name, OTHER_USER, group)
    if listed is not None:
        accounts.groups[group] = listed
    folder.chmod(mode)
    assert folder_problem(folder) is None
    refusal = f"can be changed by others (mode {mode:04o}); fix: chmod go-w {folder}"
    assert folder_problem(folder, private=True) == (None if is_private else refusal)


def test_system_accounts_in_the_group_of_root_do_not_count(accounts: Accounts) -> None:
    """Fedora's `sync`, `halt` and `operator` have root's group; members that somebody added do count."""
    accounts.add("sync", 5, 0)
    accounts.groups[0] = []
    assert not has_other_members(0)
    accounts.groups[0] = ["eve"]
    assert has_other_members(0)


@needs_root
@pytest.mark.parametrize("private", [True, False])
def test_a_folder_that_another_group_can_change_is_refused(folder: Path, private: bool) -> None:
    """A group that is not this process's own."""
    os.chown(folder, -1, OTHER_GROUP)
    folder.chmod(0o775)
    expected = f"can be changed by others (mode 0775); fix: chmod go-w {folder}"
    assert folder_problem(folder, private=private) == expected


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize("private", [True, False])
@pytest.mark.parametrize("mode", [pytest.param(0o777, id="0777"), pytest.param(0o1777, id="sticky")])
def test_a_read_only_mount_cannot_be_changed(folder: Path, mode: int, private: bool) -> None:
    """As Kubernetes mounts volumes."""
    folder.chmod(mode)
    assert folder_problem(folder, private=private) is None


def test_a_missing_folder_is_reported(tmp_path: Path) -> None:
    """With the system's own words."""
    assert folder_problem(tmp_path / "none") == "cannot be read: No such file or directory"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """A file where a folder is meant."""
    (tmp_path / "file").touch()
    assert folder_problem(tmp_path / "file") == "is not a folder"


@needs_root
def test_a_folder_of_another_user_is_refused(folder: Path) -> None:
    """Its owner can replace everything in it."""
    os.chown(folder, OTHER_USER, -1)
    assert folder_problem(folder) == f"belongs to another user (uid {OTHER_USER}); fix: chown 0 {folder}"


@needs_root
@pytest.mark.usefixtures("read_only")
def test_an_owner_on_a_read_only_mount_is_named_without_a_command(folder: Path) -> None:
    """A command in the mount could not fix it."""
    os.chown(folder, OTHER_USER, -1)
    expected = (
        f"belongs to another user (uid {OTHER_USER}), and its mount is read-only;"
        " fix: give it to uid 0 or to root at its source"
    )
    assert folder_problem(folder) == expected


def test_a_mount_that_is_gone_is_not_read_only(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mount cannot be determined, the mode decides."""

    def gone(_: object) -> object:
        raise FileNotFoundError

    folder.chmod(0o777)
    monkeypatch.setattr(os, "statvfs", gone)
    assert folder_problem(folder, private=True) == f"can be changed by others (mode 0777); fix: chmod go-w {folder}"


# --- files -----------------------------------------------------------------------------------------------------------


def _refusal(path: Path) -> str:
    with pytest.raises(LoadError) as caught:
        read_file(path, private=True)
    return caught.value.faults[0].message


@pytest.mark.usefixtures("read_only")
@pytest.mark.parametrize("mode", [pytest.param(0o666, id="0666"), pytest.param(0o777, id="0777")])
def test_files_on_a_read_only_mount_cannot_be_changed(tmp_path: Path, mode: int) -> None:
    """As volumes of some drivers show every file. Readable secrets are refused there too, with a fix that works."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(mode)
    assert read_file(path) == b"content"
    assert _refusal(path) == f"can be read by others (mode {mode:04o}); {permissions.MOUNTED_FIX}"


@needs_root
@pytest.mark.parametrize("mode", [pytest.param(0o440, id="0440"), pytest.param(0o640, id="0640")])
def test_secrets_of_root_may_be_read_by_each_own_group(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fsGroup` of Kubernetes and `ssl-cert` of Debian are supplementary groups of the server."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    path.chmod(mode)
    os.chown(path, 0, OTHER_GROUP)
    assert _refusal(path) == f"can be read by others (mode {mode:04o}); fix: chmod 600 {path}"
    monkeypatch.setattr(os, "getgroups", lambda: [OTHER_GROUP])
    assert read_file(path, private=True) == b"content"


@needs_root
@pytest.mark.parametrize(
    ("mode", "group", "accepted"),
    [
        pytest.param(0o640, OTHER_GROUP, True, id="0640-as-the-kubelet-makes-it"),
        pytest.param(0o440, OTHER_GROUP, True, id="0440"),
        pytest.param(0o660, OTHER_GROUP, False, id="the-group-may-write"),
        pytest.param(0o644, OTHER_GROUP, False, id="everybody-may-read"),
        pytest.param(0o640, OTHER_GROUP + 1, False, id="a-foreign-group"),
    ],
)
@pytest.mark.parametrize("is_mounted", [True, False])
def test_own_secrets_on_a_read_only_mount_may_be_read_by_each_own_group(
    tmp_path: Path, mode: int, group: int, accepted: bool, is_mounted: bool, request: pytest.FixtureRequest
) -> None:
    """The kubelet gives a projected token to the user of the pod, and then lets `fsGroup` read it: 0640."""
    monkeypatch = request.getfixturevalue("monkeypatch")
    path = tmp_path / "token"
    path.write_bytes(b"content")
    path.chmod(mode)
    os.chown(path, OTHER_USER, group)
    monkeypatch.setattr(os, "geteuid", lambda: OTHER_USER)
    monkeypatch.setattr(os, "getgroups", lambda: [OTHER_GROUP])
    if is_mounted:
        request.getfixturevalue("read_only")
    if accepted and is_mounted:
        assert read_file(path, private=True) == b"content"
    else:
        assert f"by others (mode {mode:04o}); " in _refusal(path)


@needs_root
def test_commands_that_need_root_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only root can give away a file, or change the mode of a file of root."""
    path = tmp_path / "file"
    path.touch(mode=0o666)
    path.chmod(0o666)
    monkeypatch.setattr(os, "geteuid", lambda: OTHER_USER)
    assert _refusal(path) == f"can be changed by others (mode 0666); fix: sudo chmod go-w {path}"
    os.chown(path, OTHER_USER + 1, -1)
    expected = f"belongs to another user (uid {OTHER_USER + 1}); fix: sudo chown {OTHER_USER} {path}"
    assert _refusal(path) == expected

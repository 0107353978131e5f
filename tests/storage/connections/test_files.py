"""The file of SQLite: private, on a local disk, and no link."""

from __future__ import annotations

from pathlib import Path

import pytest

from tokenserver.errors import LoadError
from tokenserver.storage.connections.files import file_faults, file_system_of, is_network, make_file


def faults(path: Path, mounts: Path | None = None) -> list[str]:
    """What is wrong with the file, as text."""
    found = file_faults(path) if mounts is None else file_faults(path, mounts)
    return [str(fault).replace(str(path.parent), "DIR") for fault in found]


def test_a_new_file_and_its_folder_are_private(tmp_path: Path) -> None:
    """Whatever the umask is; a second call leaves both alone."""
    path = tmp_path / "state" / "a.db"
    assert make_file(path)
    path.write_text("x")
    assert not make_file(path)
    assert (path.read_text(), path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == ("x", 0o600, 0o700)
    assert faults(path) == []


def test_what_does_not_exist_is_no_fault(tmp_path: Path) -> None:
    """The start makes it."""
    assert faults(tmp_path / "a.db") == faults(tmp_path / "none" / "a.db") == []


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    """The folder is a file."""
    (tmp_path / "state").write_text("")
    with pytest.raises(LoadError, match="cannot be made: "):
        make_file(tmp_path / "state" / "a.db")


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (0o644, ["DIR/a.db: can be read by others (mode 0644); fix: chmod 600 DIR/a.db"]),
        (0o602, ["DIR/a.db: can be changed by others (mode 0602); fix: chmod go-w DIR/a.db"]),
        (0o600, []),
    ],
)
def test_others_cannot_read_or_change_it(tmp_path: Path, mode: int, expected: list[str]) -> None:
    """It holds who has which credentials, and changing it could end them."""
    path = tmp_path / "a.db"
    make_file(path)
    path.chmod(mode)
    assert faults(path) == expected


def test_others_cannot_replace_it(tmp_path: Path) -> None:
    """In a folder that others can write to, the file is as good as theirs."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    assert faults(folder / "a.db") == ["DIR: can be changed by others (mode 0777); fix: chmod go-w DIR"]


def test_links_and_folders_are_refused(tmp_path: Path) -> None:
    """A link may lead anywhere by tomorrow."""
    make_file(tmp_path / "real.db")
    (tmp_path / "a.db").symlink_to(tmp_path / "real.db")
    (tmp_path / "b.db").mkdir()
    assert faults(tmp_path / "a.db") == ["DIR/a.db: is a symbolic link; fix: name the file itself, DIR/real.db"]
    assert faults(tmp_path / "b.db") == ["DIR/b.db: is not a regular file"]


def test_below_a_file(tmp_path: Path) -> None:
    """The system's reason is given."""
    (tmp_path / "x").write_text("")
    assert any("is not a folder" in one for one in faults(tmp_path / "x" / "a.db"))
    assert any("cannot be read: Not a directory" in one for one in faults(tmp_path / "x" / "a.db"))


MOUNTS = """\
21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw
30 21 0:40 / /srv rw - nfs4 server:/srv rw
31 30 8:2 / /srv/local rw,noatime shared:9 master:1 - xfs /dev/sdb1 rw
32 21 0:41 / /mnt/with\\040blank rw - fuse.sshfs host: rw
33 21 0:42 / /twice rw - nfs server:/x rw
34 33 8:3 / /twice rw - ext4 /dev/sdc1 rw
broken
"""


@pytest.mark.parametrize(
    ("path", "kind", "network"),
    [
        ("/var/lib", "ext4", False),
        ("/srv", "nfs4", True),
        ("/srv/state", "nfs4", True),
        ("/srvother", "ext4", False),
        ("/srv/local/state", "xfs", False),
        ("/mnt/with blank/state", "fuse.sshfs", True),
        ("/twice/state", "ext4", False),
    ],
)
def test_file_systems(tmp_path: Path, path: str, kind: str, network: bool) -> None:
    """The longest mount point counts, and the last of two at one place."""
    (tmp_path / "mounts").write_text(MOUNTS)
    assert file_system_of(path, tmp_path / "mounts") == kind
    assert is_network(kind) == network


@pytest.mark.parametrize(
    ("kind", "network"),
    [("cifs", True), ("9p", True), ("fuse.grpcfuse", True), ("fuse.fuse-overlayfs", False), ("overlay", False)],
)
def test_kinds(kind: str, network: bool) -> None:
    """FUSE is a network, except for what containers without root have as their disk."""
    assert is_network(kind) == network


def test_a_network_file_system_is_refused(tmp_path: Path) -> None:
    """Its locks are not those that SQLite needs."""
    mounts = tmp_path / "mounts"
    mounts.write_text(f"1 1 0:1 / {tmp_path} rw - nfs4 server:/x rw\n")
    (fault,) = faults(tmp_path / "a.db", mounts)
    assert fault == (
        "DIR/a.db: is on a network file system (nfs4), where SQLite is not safe;"
        " fix: use a local disk, or storage: postgresql://… for several servers"
    )


def test_without_a_list_of_mounts_nothing_is_known(tmp_path: Path) -> None:
    """As on systems other than Linux."""
    assert file_system_of(str(tmp_path), tmp_path / "none") == ""
    assert file_system_of("/") != ""

"""The file of SQLite: where it can be, who else could read it, and how it is made."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tokenserver.documents.permissions import file_problem, folder_problem
from tokenserver.errors import Fault, LoadError
from tokenserver.printable import shell_word

MOUNTS = Path("/proc/self/mountinfo")

_NETWORK = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "coda", "gfs2", "glusterfs", "lustre", "ncpfs"),
        *("ocfs2", "orangefs", "beegfs", "gpfs", "wekafs", "fuse"),
    }
)
_LOCAL_FUSE = frozenset({"fuse.fuse-overlayfs", "fuseblk"})
"""File systems of FUSE that are on a disk of this machine."""

_ESCAPE = re.compile(r"\\([0-7]{3})", re.ASCII)


def file_faults(path: Path, mounts: Path = MOUNTS) -> list[Fault]:
    """Why a database in this file, which need not exist, would not be safe; each with its fix.

    `mounts` is the list of mounted file systems, in the form of Linux.
    """
    return [Fault(str(place), 0, "", problem) for place, problem in _problems(path, mounts)]


def make_file(path: Path) -> bool:
    """Make an empty file that only its owner can read, and its folder, if they do not exist; whether it was made.

    Raises:
        LoadError: it cannot be made.
    """
    try:
        if not path.parent.is_dir():
            path.parent.mkdir(mode=0o700, parents=True)
    except OSError as error:
        raise LoadError([Fault(str(path.parent), 0, "", f"cannot be made: {error.strerror}")]) from error
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise LoadError([Fault(str(path), 0, "", f"cannot be made: {error.strerror}")]) from error
    return True


def _problems(path: Path, mounts: Path) -> Iterator[tuple[Path, str]]:
    folder = path.parent
    if os.path.lexists(folder):
        problem = folder_problem(folder, private=True)
        if problem is not None:
            yield folder, problem
        kind = file_system_of(os.path.realpath(folder), mounts)
        if is_network(kind):
            problem = f"is on a network file system ({kind}), where SQLite is not safe"
            yield path, f"{problem}; fix: use a local disk, or storage: postgresql://… for several servers"
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        yield path, f"cannot be read: {error.strerror}"
        return
    if stat.S_ISLNK(status.st_mode):
        yield path, f"is a symbolic link; fix: name the file itself, {shell_word(os.path.realpath(path))}"
        return
    problem = file_problem(status, path, private=True, place=path)
    if problem is not None:
        yield path, problem


def file_system_of(path: str, mounts: Path = MOUNTS) -> str:
    """The type of the file system that holds a path without links, such as `ext4`; empty if that cannot be known."""
    best, kind = "", ""
    with suppress(OSError):
        for line in mounts.read_text("utf-8", "surrogateescape").splitlines():
            before, _, after = line.partition(" - ")
            fields, types = before.split(" "), after.split(" ")
            if len(fields) < 5:
                continue
            point = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), fields[4])
            # The last mount at a place hides those before it.
            if len(point) >= len(best) and (path == point or path.startswith(f"{point.rstrip('/')}/")):
                best, kind = point, types[0]
    return kind


def is_network(kind: str) -> bool:
    """Whether files on a file system of this type are, or may be, on other machines."""
    return kind in _NETWORK or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE)

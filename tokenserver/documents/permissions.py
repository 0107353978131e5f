"""Permissions of files and folders: who else could change or read them, and the command that fixes it.

One rule holds for policies, users, keys and every other file. Root and this process's user are trusted, and so is the
process's own group, for what is not secret. Modes do not matter on a read-only mount, as far as they are about
writing: Kubernetes mounts every volume with mode 0777 or 1777.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
from pathlib import Path

from tokenserver.printable import shell_word

IRREGULAR = "is not a regular file"

MOUNTED_FIX = (
    "its mount is read-only; fix: defaultMode: 0400, or 0440 with fsGroup, for a volume of Kubernetes,"
    " else chmod 600 at its source"
)


def file_problem(status: os.stat_result, path: Path, *, private: bool, place: int | Path) -> str | None:
    """Why the file at `path` is not safe to read, with the fix; None if it is.

    `place` is the open descriptor, or the path, by which its mount is found. `private` files must not be readable by
    others either, with two exceptions. One of this process's groups may read files of root, as Kubernetes mounts
    secrets and Debian keeps TLS keys; and on a read-only mount also this user's own, since the kubelet gives the token
    of a service account to the user of the pod and lets `fsGroup` read it.
    """
    if not stat.S_ISREG(status.st_mode):
        return IRREGULAR
    if not _is_owner_trusted(status):
        return _foreign(status, path, place)
    mode = status.st_mode & 0o7777
    if _is_open_to_writers(status) and not _is_read_only(place):
        return f"can be changed by others (mode {mode:04o}); {_chmod('go-w', path, status)}"
    if private and mode & 0o077:
        is_mounted = _is_read_only(place)
        is_shared = status.st_gid in _own_groups() and not mode & 0o037 and (status.st_uid == 0 or is_mounted)
        if not is_shared:
            fix = MOUNTED_FIX if is_mounted else _chmod("600", path, status)
            return f"can be read by others (mode {mode:04o}); {fix}"
    return None


def folder_problem(path: Path, *, private: bool = False) -> str | None:
    """Why others could add, replace or remove files in a folder, with the fix; None if they cannot.

    This process's own group may write to it. If the folder is `private`, it may only if the group has no other member,
    as where every user has a group of the same name (umask 002 is the default there).
    """
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISDIR(status.st_mode):
        return "is not a folder"
    if not _is_owner_trusted(status):
        return _foreign(status, path, path)
    is_open = _is_open_to_writers(status) or (private and status.st_mode & 0o020 and has_other_members(status.st_gid))
    if is_open and not _is_read_only(path):
        return f"can be changed by others (mode {status.st_mode & 0o7777:04o}); {_chmod('go-w', path, status)}"
    return None


def has_other_members(group: int) -> bool:
    """Whether users other than this process's own are known to be in a group: listed in it, or with it as their own.

    Accounts of the system that share root's group do not count for root.
    """
    user = os.geteuid()
    users = pwd.getpwall()
    own = {entry.pw_name for entry in users if entry.pw_uid == user}
    try:
        members = set(grp.getgrgid(group).gr_mem)
    except KeyError:  # a number without a name, as in containers
        members = set()
    if members - own:
        return True
    return group != 0 and any(entry.pw_gid == group and entry.pw_uid != user for entry in users)


def _is_owner_trusted(status: os.stat_result) -> bool:
    return status.st_uid in (0, os.geteuid())


def _own_groups() -> set[int]:
    return {os.getegid(), *os.getgroups()}


def _is_open_to_writers(status: os.stat_result) -> bool:
    return bool(status.st_mode & 0o002 or (status.st_mode & 0o020 and status.st_gid != os.getegid()))


def _is_read_only(place: int | Path) -> bool:
    try:
        return bool(os.statvfs(place).f_flag & os.ST_RDONLY)
    except OSError:  # removed meanwhile
        return False


def _chmod(change: str, path: Path, status: os.stat_result) -> str:
    sudo = "" if os.geteuid() in (0, status.st_uid) else "sudo "
    return f"fix: {sudo}chmod {change} {shell_word(path)}"


def _foreign(status: os.stat_result, path: Path, place: int | Path) -> str:
    problem = f"belongs to another user (uid {status.st_uid})"
    if _is_read_only(place):
        return f"{problem}, and its mount is read-only; fix: give it to uid {os.geteuid()} or to root at its source"
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{problem}; fix: {sudo}chown {os.geteuid()} {shell_word(path)}"

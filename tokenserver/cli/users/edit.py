"""Editing an htpasswd file: it is replaced as a whole, and locked meanwhile."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from tokenserver.authn.htpasswd.file import parse_users
from tokenserver.cli.terminal import echo
from tokenserver.documents.files import NotReplaced, read_text, require_replaceable, write_file
from tokenserver.errors import Fault, LoadError


def edit(path: Path, change: Callable[[str], str], *, may_be_new: bool = False) -> tuple[str, tuple[Fault, ...]]:
    """Replace the text of the file; returns the text before, and the faults of the file now.

    Other lines may be faulty, because fixing them one by one must be possible.

    Raises:
        LoadError: the file cannot be read or written, or `change` rejects it; the file is unchanged then.
    """
    try:
        with _locked(path.absolute().parent):
            require_replaceable(path)
            status = _status(path) if may_be_new else path.stat(follow_symlinks=False)
            before = "" if status is None else read_text(path, follow=False)
            after = change(before)
            if after != before or status is None:
                mode = 0o600 if status is None else stat.S_IMODE(status.st_mode)
                owner = None if status is None else (status.st_uid, status.st_gid)
                write_file(path, after.encode("utf-8"), mode=mode, owner=owner)
    except NotReplaced as error:
        reject(path, "", error.problem)
    except OSError as error:
        reject(path, "", f"cannot be changed: {error.strerror}")
    try:
        parse_users(after, str(path))
    except LoadError as error:
        return before, error.faults
    return before, ()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, so that concurrent commands see each other's changes.

    It is on the folder because the file is replaced; a lock file would be left behind.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None


def warn_of(faults: tuple[Fault, ...], path: Path) -> None:
    """Print the faults that keep the server from reading the file."""
    for fault in faults:
        echo(f"warning: {fault}", fg="yellow", err=True)
    if faults:
        echo(f"The server rejects {path} as a whole until this is fixed.", err=True)


def reject(path: Path, name: str, problem: str) -> NoReturn:
    """End the command: there is a problem with the file, or with one of its users."""
    raise LoadError([Fault(str(path), 0, name, problem)])

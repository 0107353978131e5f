"""How files are read and written here: opened once, checked on the open file, bounded; replaced as a whole.

The checks follow the open descriptor and not the path, so that nothing can be swapped between check and read.
"""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from pathlib import Path

from tokenserver.errors import Fault, LoadError, TokenserverError

DEFAULT_LIMIT = 8 * 1024 * 1024

Stamp = tuple[int, ...]
"""What tells a changed file from an unchanged one; only good for comparing. See `stamp_of` and `folder_stamp_of`."""


class FilesMoved(TokenserverError):
    """Files changed between the look at them and the reading; nothing is wrong with them, they have to be looked at
    again."""


def stamp_of(path: str) -> Stamp:
    """The stamp of what is at `path`, links followed; its content is not read, and nothing is opened.

    Device, inode and mode, and of a regular file also size, time of writing and time of change (which nobody can set
    back). What cannot be looked at has its error number alone.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - for each of thousands of files a `Path` would cost as much again
    except OSError as error:
        return (error.errno or -1,)
    return stamp_of_status(status)


def stamp_of_status(status: os.stat_result) -> Stamp:
    """As `stamp_of`, of what has been looked at."""
    if not stat.S_ISREG(status.st_mode):
        return (status.st_dev, status.st_ino, status.st_mode)
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, *times)


def folder_stamp_of(path: str) -> Stamp:
    """The stamp of a folder: which one it is and who may change it, but not when something in it changed."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as above
    except OSError as error:
        return (error.errno or -1,)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid)


def read_file(path: Path, *, private: bool = False, limit: int = DEFAULT_LIMIT) -> bytes:
    """Read a regular file of at most `limit` bytes that nobody else can change.

    Refused are files owned by anyone but root or this process, files that others can write, and files that a
    group other than this process's own can write. With `private`, a file that others can read is refused as
    well; the one exception is 0640, owned by root, in this process's own group, as Kubernetes mounts secrets.

    Raises:
        LoadError: one fault that names the path, what is wrong with it and the command that mends it.
    """
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        problem = _problem(status, path, private=private)
        if problem is not None:
            raise _fault(path, problem)
        if status.st_size > limit:
            raise _fault(path, f"is larger than {limit} bytes")
        # Only now a file object: open() itself fails on a folder, and leaves the descriptor open then.
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise _fault(path, f"is larger than {limit} bytes")
    return content


def read_text(path: Path, *, private: bool = False, limit: int = DEFAULT_LIMIT) -> str:
    """Like `read_file`, decoded as UTF-8.

    Raises:
        LoadError: also for bytes that are not UTF-8, with their line.
    """
    return text_of(read_file(path, private=private, limit=limit), path)


def text_of(content: bytes, path: Path) -> str:
    """The content of the file at `path`, decoded as UTF-8.

    Raises:
        LoadError: bytes that are not UTF-8, with their line.
    """
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LoadError([Fault(str(path), line, "", "is not UTF-8 text")]) from error


def write_file(path: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` as a whole: readers see the old content or the new, never a part.

    `owner` is the user and group that it shall belong to; None: whoever this process is.

    Raises:
        OSError: the folder cannot be written, or the owner not be set; nothing has changed then.
    """
    path = path.resolve()  # a link stays a link: its target is replaced
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with open(descriptor, "wb") as file:
            if owner is not None:
                os.fchown(descriptor, *owner)
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_folder(path.parent)


def folder_problem(path: Path) -> str | None:
    """Why a folder that holds private keys is not safe, or None where it is."""
    try:
        status = path.stat()
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if not stat.S_ISDIR(status.st_mode):
        return "is not a folder"
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to another user (uid {status.st_uid})"
    if status.st_mode & 0o022:
        return f"can be changed by others (mode {status.st_mode & 0o7777:04o}); mend it with: chmod go-w {path}"
    return None


def _problem(status: os.stat_result, path: Path, *, private: bool) -> str | None:
    mode = status.st_mode & 0o7777
    if not stat.S_ISREG(status.st_mode):
        return "is not a regular file"
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to another user (uid {status.st_uid}); mend it with: chown {os.geteuid()} {path}"
    if mode & 0o002 or (mode & 0o020 and status.st_gid != os.getegid()):
        return f"can be changed by others (mode {mode:04o}); mend it with: chmod go-w {path}"
    if private and mode & 0o077:
        shared_by_root = status.st_uid == 0 and status.st_gid == os.getegid() and not mode & 0o037
        if not shared_by_root:
            return f"can be read by others (mode {mode:04o}); mend it with: chmod 600 {path}"
    return None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(path: Path, message: str) -> LoadError:
    return LoadError([Fault(str(path), 0, "", message)])

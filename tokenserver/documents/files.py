"""Safe file access: bounded reads with owner and mode checked on the open descriptor, and atomic replacement.

The checks use the open descriptor, not the path, so that nothing can be swapped between check and read. Nothing is
written through a symbolic link, which an attacker may have planted to obtain a key or to have a file overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from tokenserver.documents.permissions import IRREGULAR, file_problem
from tokenserver.errors import Fault, LinkedText, LoadError, TokenserverError
from tokenserver.printable import shell_word

DEFAULT_LIMIT = 8 * 1024 * 1024

Stamp = tuple[int, ...]
"""A fingerprint of a file's metadata, for detecting changes by comparison. See `stamp_of` and `folder_stamp_of`."""


class FilesChanged(TokenserverError):
    """Files changed between the poll and the read. Nothing is wrong with them; they have to be polled again."""


def stamp_of(path: str) -> Stamp:
    """The stamp of the file at `path`, following links. The file is not opened.

    Device, inode and mode; of a regular file also size, mtime and ctime (which cannot be set back). If `stat` fails,
    just the error number.
    """
    try:
        status = os.stat(path)  # noqa: PTH116 - for each of thousands of files a `Path` would cost as much again
    except OSError as error:
        return (error.errno or -1,)
    return stamp_of_status(status)


def stamp_of_status(status: os.stat_result) -> Stamp:
    """As `stamp_of`, from a `stat` result."""
    if not stat.S_ISREG(status.st_mode):
        return (status.st_dev, status.st_ino, status.st_mode)
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_size, *times)


def folder_stamp_of(path: str) -> Stamp:
    """The stamp of a folder: its identity, owner and mode, but not when its entries changed."""
    try:
        status = os.stat(path)  # noqa: PTH116 - as above
    except OSError as error:
        return (error.errno or -1,)
    return (status.st_dev, status.st_ino, status.st_mode, status.st_uid, status.st_gid)


class NotReplaced(OSError):
    """There is something other than a regular file at the path, so nothing is written; `problem` says what it is."""

    def __init__(self, number: int, problem: str, path: Path) -> None:
        super().__init__(number, problem, str(path))
        self.problem = problem


def read_file(path: Path, *, private: bool = False, limit: int = DEFAULT_LIMIT, follow: bool = True) -> bytes:
    """Read a regular file of at most `limit` bytes that no other user can change.

    Without `follow`, a symbolic link as the last component of the path is rejected.

    Rejected are files owned by anyone but root or this process, and files that others can write; with `private`, files
    that others can read as well. See `permissions`.

    Raises:
        LoadError: one fault with the path, what is wrong with it and, if there is one, the command that fixes it.
    """
    return _read(path, _checking(path, private=private), limit=limit, follow=follow)[0]


def read_bounded(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes without checking its owner and mode. Not for trusted files.

    Raises:
        LoadError: it is not a regular file, too large, or cannot be read.
    """
    return _read(path, _irregular, limit=limit, follow=True)[0]


_ProblemOf = Callable[[os.stat_result, int], str | None]
"""What is wrong with an open file, from its status and descriptor."""


def _checking(path: Path, *, private: bool) -> _ProblemOf:
    return lambda status, descriptor: file_problem(status, path, private=private, place=descriptor)


def _irregular(status: os.stat_result, _: int) -> str | None:
    return None if stat.S_ISREG(status.st_mode) else IRREGULAR


def _read(path: Path, problem_of: _ProblemOf, *, limit: int, follow: bool) -> tuple[bytes, str]:
    """The content of a file, and the real path of the file that was read."""
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        problem = problem_of(status, descriptor)
        if problem is not None:
            raise _fault(path, problem)
        if status.st_size > limit:
            raise _fault(path, f"is larger than {limit} bytes")
        # Only now a file object: on a folder, open() itself would fail and leave the descriptor open.
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(limit + 1)
        target = _target(descriptor, path)
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}") from error
    finally:
        os.close(descriptor)
    if len(content) > limit:
        raise _fault(path, f"is larger than {limit} bytes")
    return content, target


def _target(descriptor: int, path: Path) -> str:
    """The path of an open file with links resolved; the original path may lead elsewhere by now."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - one call for each of thousands of files
    except OSError:  # no /proc
        return os.path.realpath(path)


def read_text(path: Path, *, private: bool = False, limit: int = DEFAULT_LIMIT, follow: bool = True) -> str:
    """Like `read_file`, decoded as UTF-8. The text is a `LinkedText` if `path` is a link.

    The links with which Kubernetes mounts files, to a folder `..data` next to them, do not count.

    Raises:
        LoadError: also for bytes that are not UTF-8, with their line.
    """
    content, target = _read(path, _checking(path, private=private), limit=limit, follow=follow)
    return _decoded(content, path, target)


def text_of(content: bytes, path: Path) -> str:
    """As `read_text`, for content that was read earlier from the file at `path`.

    Raises:
        LoadError: bytes that are not UTF-8, with their line.
    """
    return _decoded(content, path, os.path.realpath(path))


def _decoded(content: bytes, path: Path, target: str) -> str:
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise LoadError([Fault(str(path), line, "", "is not UTF-8 text")]) from error
    if target == str(path):  # the usual case, and there are thousands of files
        return text
    folder = os.path.realpath(path.parent)
    is_own = target == f"{folder.rstrip('/')}/{path.name}" or is_mounted(target, folder)
    return text if is_own else LinkedText(text, target)


def is_mounted(target: str, folder: str) -> bool:
    """Whether a resolved path is in a subfolder of `folder` named `..*`, as Kubernetes mounts volumes."""
    return target.startswith(f"{folder.rstrip('/')}/..")


def require_replaceable(path: Path) -> None:
    """Check that `path` is free or a regular file, not a link, a folder, a FIFO or a device.

    Raises:
        NotReplaced: what it is, and what to do about it.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(status.st_mode):
        real = shell_word(os.path.realpath(path))
        message = f"is a symbolic link, and nothing is written through one; name the file itself ({real}) or remove it"
        raise NotReplaced(errno.ELOOP, message, path)
    if not stat.S_ISREG(status.st_mode):
        raise NotReplaced(errno.EEXIST, "is not a regular file; remove it, or name another one", path)


def create_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Create a file with this mode from the start. An existing file or link is left alone.

    Raises:
        FileExistsError: the path exists.
        OSError: the folder is not writable; no partial file is left.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise
    _sync_folder(path.parent)


def write_file(path: Path, content: bytes, *, mode: int = 0o600, owner: tuple[int, int] | None = None) -> None:
    """Replace `path` atomically: readers see the old content or the new, never a part of it.

    The content is written to a temporary file in the same folder, which only this process can read and which is then
    renamed. A link that appears in the meantime is replaced, never followed. `owner` is the user and group of the new
    file; None: those of this process.

    Raises:
        NotReplaced: the path is a link, or anything else but a regular file.
        OSError: the folder is not writable, or the owner cannot be set; nothing has changed then.
    """
    path = path.absolute()
    require_replaceable(path)
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


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(path: Path, message: str) -> LoadError:
    return LoadError([Fault(str(path), 0, "", message)])

"""How files are read and written here: opened once, checked on the open file, bounded; replaced as a whole.

The checks follow the open descriptor and not the path, so that nothing can be swapped between check and read. Nothing
is ever written through a symbolic link: somebody else may have planted it, to get a key or to have a file overwritten.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Callable
from pathlib import Path

from tokenserver.errors import Fault, LinkedText, LoadError, TokenserverError
from tokenserver.printable import shell_word

DEFAULT_LIMIT = 8 * 1024 * 1024

Stamp = tuple[int, ...]
"""What tells a changed file from an unchanged one; only good for comparing. See `stamp_of` and `folder_stamp_of`."""


class FilesChanged(TokenserverError):
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


class NotReplaced(OSError):
    """What stands at a path is neither nothing nor a regular file, so nothing is written there; `problem` says what."""

    def __init__(self, number: int, problem: str, path: Path) -> None:
        super().__init__(number, problem, str(path))
        self.problem = problem


def read_file(path: Path, *, private: bool = False, limit: int = DEFAULT_LIMIT, follow: bool = True) -> bytes:
    """Read a regular file of at most `limit` bytes that nobody else can change.

    Without `follow`, a symbolic link at the last step of the path is refused.

    Refused are files owned by anyone but root or this process, files that others can write, and files that a
    group other than this process's own can write. With `private`, a file that others can read is refused as
    well; the one exception is 0640, owned by root, in this process's own group, as Kubernetes mounts secrets.

    Raises:
        LoadError: one fault that names the path, what is wrong with it and the command that mends it.
    """
    return _read(path, lambda status: _problem(status, path, private=private), limit=limit, follow=follow)[0]


def read_bounded(path: Path, *, limit: int) -> bytes:
    """Read a regular file of at most `limit` bytes, whoever owns it and can change it. Not for files to rely on.

    Raises:
        LoadError: it is not a regular file, too large, or cannot be read.
    """
    return _read(path, _irregular, limit=limit, follow=True)[0]


def _read(
    path: Path, problem_of: Callable[[os.stat_result], str | None], *, limit: int, follow: bool
) -> tuple[bytes, str]:
    """The content of a file, and the real path of the very file that was read."""
    try:
        # Without O_NONBLOCK, opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    except OSError as error:
        raise _fault(path, f"cannot be read: {error.strerror}") from error
    try:
        status = os.fstat(descriptor)
        problem = problem_of(status)
        if problem is not None:
            raise _fault(path, problem)
        if status.st_size > limit:
            raise _fault(path, f"is larger than {limit} bytes")
        # Only now a file object: open() itself fails on a folder, and leaves the descriptor open then.
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
    """Where an open file stands, links resolved; the path itself can lead elsewhere by now."""
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}")  # noqa: PTH115 - one call for each of thousands of files
    except OSError:  # no /proc
        return os.path.realpath(path)


def read_text(path: Path, *, private: bool = False, limit: int = DEFAULT_LIMIT, follow: bool = True) -> str:
    """Like `read_file`, decoded as UTF-8. The text is `LinkedText` where `path` is a link.

    The links by which Kubernetes mounts files, to a folder `..data` beside them, are no matter.

    Raises:
        LoadError: also for bytes that are not UTF-8, with their line.
    """
    content, target = _read(path, lambda status: _problem(status, path, private=private), limit=limit, follow=follow)
    return _decoded(content, path, target)


def text_of(content: bytes, path: Path) -> str:
    """As `read_text`, of content that was read from the file at `path` before.

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
    if target == str(path):  # most often, and there are thousands of files
        return text
    folder = os.path.realpath(path.parent)
    is_own = target == f"{folder.rstrip('/')}/{path.name}" or is_mounted(target, folder)
    return text if is_own else LinkedText(text, target)


def is_mounted(target: str, folder: str) -> bool:
    """Whether a path, without links, is below the folder in one that begins with `..`, as Kubernetes mounts volumes."""
    return target.startswith(f"{folder.rstrip('/')}/..")


def require_replaceable(path: Path) -> None:
    """Refuse to write where a link, a folder, a FIFO or a device stands.

    Raises:
        NotReplaced: what stands there, and what to do about it.
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
    """Write a new file, which from its first moment has this mode; whatever stands there, a link too, is left alone.

    Raises:
        FileExistsError: something stands there.
        OSError: the folder cannot be written; nothing is left of the file then.
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
    """Replace `path` as a whole: readers see the old content or the new, never a part.

    The content is written into a new file beside it that only this process can read, which then takes its place. A
    link that appears meanwhile is replaced as well, and never followed. `owner` is the user and group that it shall
    belong to; None: whoever this process is.

    Raises:
        NotReplaced: a link, or anything else that is no regular file, stands there.
        OSError: the folder cannot be written, or the owner not be set; nothing has changed then.
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
        mode = f"{status.st_mode & 0o7777:04o}"
        return f"can be changed by others (mode {mode}); fix: chmod go-w {shell_word(path)}"
    return None


def _problem(status: os.stat_result, path: Path, *, private: bool) -> str | None:
    mode = status.st_mode & 0o7777
    irregular = _irregular(status)
    if irregular is not None:
        return irregular
    if status.st_uid not in (0, os.geteuid()):
        return f"belongs to another user (uid {status.st_uid}); fix: chown {os.geteuid()} {shell_word(path)}"
    if mode & 0o002 or (mode & 0o020 and status.st_gid != os.getegid()):
        return f"can be changed by others (mode {mode:04o}); fix: chmod go-w {shell_word(path)}"
    if private and mode & 0o077:
        shared_by_root = status.st_uid == 0 and status.st_gid == os.getegid() and not mode & 0o037
        if not shared_by_root:
            return f"can be read by others (mode {mode:04o}); fix: chmod 600 {shell_word(path)}"
    return None


def _irregular(status: os.stat_result) -> str | None:
    return None if stat.S_ISREG(status.st_mode) else "is not a regular file"


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(path: Path, message: str) -> LoadError:
    return LoadError([Fault(str(path), 0, "", message)])

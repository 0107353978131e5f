"""The file of logins: readable by its owner alone, replaced as a whole, and changed by one process at a time."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator

from tokenserver.credential_helper.store.stored_login import StoredLogin, UnreadableLogins, read_logins, write_logins

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing and contextlib are not needed for an answer
    from contextlib import AbstractContextManager
    from typing import TypeVar

    Result = TypeVar("Result")

NAME = "credentials.json"
MAX_FILE = 1024 * 1024
LOCK_SECONDS = 10.0

_LOCK = "credentials.lock"
_NEW = "credentials.json.new"
_FLAGS = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
_PAUSE = 0.02


class RefusedStore(Exception):
    """The folder or a file in it is not to be trusted, or cannot be used. The text says why and how to fix it."""


class CredentialFile:
    """The logins in `folder`, which is made with the first of them."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def read(self) -> dict[str, StoredLogin]:
        """The logins by registry; none where there is no file.

        Raises:
            RefusedStore: others may read or write the file, it is not the user's own, or it has another form.
        """
        content = self._read(NAME, stat.S_IRWXG | stat.S_IRWXO)
        if content is None:
            return {}
        try:
            return read_logins(content)
        except UnreadableLogins as error:
            raise RefusedStore(f"{self._path(NAME)} {error}; fix: remove it and log in again") from None

    def read_settings(self, name: str) -> bytes | None:
        """The content of a file that others may read but not write; None where there is none.

        Raises:
            RefusedStore: others may write it, or it is not the user's own.
        """
        return self._read(name, stat.S_IWGRP | stat.S_IWOTH)

    def change(self, change: Callable[[dict[str, StoredLogin]], Result]) -> Result:
        """Read the logins, let `change` change them, and write them, while no other process does.

        Raises:
            RefusedStore: as `read`; or the file cannot be written, or another process keeps it for long.
        """
        with self.exclusive(_LOCK, LOCK_SECONDS) as is_mine:
            if not is_mine:
                raise RefusedStore(f"{self._path(_LOCK)}: another process has held the lock for {LOCK_SECONDS:.0f} s")
            logins = self.read()
            before = write_logins(logins)
            result = change(logins)
            after = write_logins(logins)
            if after != before:
                self._write(after)
            return result

    def exclusive(self, name: str, seconds: float) -> AbstractContextManager[bool]:
        """Hold the lock file `name`; False if another process did not release it within `seconds`.

        Raises:
            RefusedStore: the folder or the lock file cannot be used.
        """
        from contextlib import contextmanager  # noqa: PLC0415 - for changes alone

        return contextmanager(self._exclusive)(name, seconds)

    def _exclusive(self, name: str, seconds: float) -> Iterator[bool]:
        import fcntl  # noqa: PLC0415 - for changes alone
        import time  # noqa: PLC0415 - as above

        try:
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
            folder = self._open_folder()
            assert folder is not None, "made above"  # noqa: S101 - for the types
            try:
                lock = os.open(name, os.O_RDWR | os.O_CREAT | _FLAGS, 0o600, dir_fd=folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise RefusedStore(f"{self._path(name)}: {error.strerror}") from None
        try:
            end = time.monotonic() + seconds
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    is_mine = True
                    break
                except BlockingIOError:
                    if time.monotonic() > end:
                        is_mine = False
                        break
                    time.sleep(_PAUSE)
            yield is_mine
        finally:
            os.close(lock)

    def _write(self, content: bytes) -> None:
        """Replace the file, and have it on the disk before the old one is gone."""
        from contextlib import suppress  # noqa: PLC0415 - for changes alone

        try:
            folder = self._open_folder()
            assert folder is not None, "the lock is in it"  # noqa: S101 - for the types
            try:
                with suppress(FileNotFoundError):
                    os.unlink(_NEW, dir_fd=folder)  # of a process that was killed
                new = os.open(_NEW, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _FLAGS, 0o600, dir_fd=folder)
                with open(new, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(new)
                os.rename(_NEW, NAME, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            raise RefusedStore(f"{self._path(NAME)}: {error.strerror}") from None

    def _read(self, name: str, forbidden: int) -> bytes | None:
        try:
            folder = self._open_folder()
            if folder is None:
                return None
            try:
                file = os.open(name, os.O_RDONLY | _FLAGS, dir_fd=folder)
            finally:
                os.close(folder)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise RefusedStore(f"{self._path(name)}: {error.strerror}; fix: make it a file of your own") from None
        try:
            self._demand(name, os.fstat(file), forbidden)
            with open(file, "rb", closefd=False) as stream:
                content = stream.read(MAX_FILE + 1)
        finally:
            os.close(file)
        if len(content) > MAX_FILE:
            raise RefusedStore(f"{self._path(name)} has more than {MAX_FILE} bytes")
        return content

    def _open_folder(self) -> int | None:
        try:
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            self._demand("", os.fstat(folder), stat.S_IWGRP | stat.S_IWOTH)
        except RefusedStore:
            os.close(folder)
            raise
        return folder

    def _demand(self, name: str, found: os.stat_result, forbidden: int) -> None:
        """Refuse what is not the user's own, what others have rights to, and what is neither file nor folder."""
        path = self._path(name)
        if found.st_uid != os.geteuid():
            raise RefusedStore(f"{path} belongs to another user; fix: set XDG_CONFIG_HOME to a folder of your own")
        if name and not stat.S_ISREG(found.st_mode):
            raise RefusedStore(f"{path} is no regular file; fix: remove it")
        if found.st_mode & forbidden:
            can = "read" if forbidden & stat.S_IRGRP else "write"
            mode = "go-rwx" if can == "read" else "go-w"
            raise RefusedStore(f"{path}: other users can {can} it; fix: chmod {mode} {path}")

    def _path(self, name: str) -> str:
        return os.path.join(self.folder, name) if name else self.folder

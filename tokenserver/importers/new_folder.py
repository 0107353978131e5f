"""A new folder that appears whole or not at all, and never over anything that exists."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

from tokenserver.documents.files import create_file
from tokenserver.errors import Fault, LoadError
from tokenserver.printable import shell_word

_FOLDER_MODE = 0o755
_PRIVATE_FOLDER_MODE = 0o700
_MAX_PREFIX = 100


class NewFile(NamedTuple):
    """The content of a new file; a secret one can be read by its owner alone, and so can its folder."""

    content: bytes
    is_secret: bool = False


def text_file(text: str) -> NewFile:
    """A file of text that everybody may read."""
    return NewFile(text.encode())


def secret_file(content: bytes) -> NewFile:
    """A file that its owner alone may read."""
    return NewFile(content, is_secret=True)


def write_new_folder(
    target: Path, files: Mapping[str, NewFile], examine: Callable[[Path], None] = lambda _: None
) -> None:
    """Write the files, by their paths below `target`, into a new folder.

    They are written to a folder beside it, which `examine` is called with and which is then renamed; `examine` may add
    files, and raises what is wrong with them. An empty folder is replaced. The umask applies, and folders with a secret
    file are for their owner alone.

    Raises:
        LoadError: `target` exists and is not an empty folder, or cannot be written; or what `examine` raised, with the
            places of the new folder. Nothing is left behind then.
    """
    target = target.absolute()
    _require_free(target)
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        _write_beside(target, files, examine)
    except BaseException:
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _write_beside(target: Path, files: Mapping[str, NewFile], examine: Callable[[Path], None]) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name[:_MAX_PREFIX]}."))
    except OSError as error:
        raise _fault(target, f"cannot be created: {error.filename}: {error.strerror}") from error
    try:
        draft = place / target.name  # nobody else gets there before it is renamed
        private = _private_folders(files)
        for folder in sorted({"", *(str(one) for name in files for one in PurePath(name).parents[:-1])}):
            (draft / folder).mkdir(mode=_PRIVATE_FOLDER_MODE if folder in private else _FOLDER_MODE)
        for name, file in files.items():
            create_file(draft / name, file.content, mode=0o600 if file.is_secret else 0o644)
        _examined(draft, target, examine)
        _require_free(target)
        os.rename(draft, target)  # noqa: PTH104 - an empty folder is replaced; one that was filled meanwhile is not
    except OSError as error:
        raise _fault(target, f"cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(place, ignore_errors=True)
    with contextlib.suppress(OSError):
        _sync(target.parent)


def _private_folders(files: Mapping[str, NewFile]) -> set[str]:
    """The folders, by their paths, that directly contain a secret file; empty is the new folder itself."""
    folders = (PurePath(name).parent for name, file in files.items() if file.is_secret)
    return {"" if folder == PurePath() else str(folder) for folder in folders}


def _require_free(target: Path) -> None:
    if target.is_symlink():
        raise _fault(target, "is a symbolic link, and nothing is written through one; name a new folder")
    if not target.exists():
        return
    if target.samefile("."):
        raise _fault(target, "is the current folder of this shell, which would be replaced; name a new folder in it")
    other = shell_word(target.with_name(f"{target.name}-new"))
    if not target.is_dir():
        raise _fault(target, f"exists, and is not a folder; name one that does not exist, such as {other}")
    try:
        is_empty = not any(target.iterdir())
    except OSError as error:
        raise _fault(target, f"cannot be read: {error.strerror}") from error
    if not is_empty:
        raise _fault(target, f"exists, and nothing in it is overwritten; name a new folder, such as {other}")


def _examined(draft: Path, target: Path, examine: Callable[[Path], None]) -> None:
    try:
        examine(draft)
    except LoadError as error:
        old, new = str(draft), str(target)
        faults = [
            Fault(one.file.replace(old, new), one.line, one.path, one.message.replace(old, new), one.count)
            for one in error.faults
        ]
        raise LoadError(faults) from error


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _fault(path: Path, message: str) -> LoadError:
    return LoadError([Fault(str(path), 0, "", message)])
